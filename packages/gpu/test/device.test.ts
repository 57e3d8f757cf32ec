// From a file to device memory, with Dawn on SwiftShader: the bytes are the dataset's, whoever decoded them is said with the reason,
// damaged chunks are named and the others right; and what goes wrong with a device has its code and its sentence.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FILTER_ERRORS } from '../../core/dist/index.js';
import type { DeviceReport, DeviceResult } from './device.ts';
import { counts, damage, SHAPE, writeFrames } from './frames.ts';
import { ABSENT, runFile } from './hosts.ts';

const folder = mkdtempSync(join(tmpdir(), 'h5z-device-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BITSHUFFLE = { id: 32008, cdValues: [0, 2] };
const LZ4 = { id: 32004, cdValues: [4096] };
const [SHUFFLE, FLETCHER32] = [
  { id: 2, cdValues: [] },
  { id: 3, cdValues: [] },
];
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const bytesOf = (n: number): Uint8Array => new Uint8Array(counts(n).buffer);
const frames = [0, 1, 2].map((n) => sha256(bytesOf(n)));

let report: DeviceReport;
const file = (index: number): DeviceResult => report.files[index] as DeviceResult;

beforeAll(async () => {
  if (ABSENT.dawn !== undefined) return;
  const whole = await writeFrames(folder, 'whole.h5', [BITSHUFFLE, FLETCHER32]);
  const tiles = await writeFrames(folder, 'tiles.h5', [SHUFFLE, LZ4, FLETCHER32], true);
  const zstd = await writeFrames(folder, 'zstd.h5', [{ id: 32015, cdValues: [3] }]);
  const mixed = await writeFrames(folder, 'mixed.h5', [{ id: 32008, cdValues: [0, 3] }]);
  const large = await writeFrames(folder, 'large.h5', [{ id: 32008, cdValues: [16384, 2] }]);
  const files = [
    { path: whole },
    { path: whole, rows: [1, 2], batchBytes: 1 },
    { path: tiles, batchBytes: 1 },
    { path: zstd },
    { path: mixed },
    { path: large },
    { path: await damage(tiles, 7) },
    { path: await damage(zstd, 1) },
    { path: await damage(mixed, 2) },
  ];
  report = await runFile<DeviceReport>(fileURLToPath(new URL('device.ts', import.meta.url)), { files, mixed });
});

/** The bytes of a tile of a frame, zeros where it sticks out, or only the part inside (`clipped`). */
function tile([n = 0, y = 0, x = 0]: readonly number[], [, height = 0, width = 0]: readonly number[]): Uint16Array {
  const [, rows, columns] = SHAPE;
  const all = counts(n);
  return Uint16Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [y + Math.floor(i / width), x + (i % width)];
    return row < rows && column < columns ? (all[row * columns + column] ?? 0) : 0;
  });
}

const dawn =
  ABSENT.dawn === undefined ? test : (name: string, _: () => void) => test.skip(`${name}: ${ABSENT.dawn}`, () => {});

dawn('frames lie one behind the other, decoded by the GPU', () => {
  const { path, reason, chunks, stride, sha256: all } = file(0);
  expect([path, reason, stride]).toEqual(['webgpu', undefined, SHAPE[1] * SHAPE[2] * 2]);
  expect(chunks.map((one) => [one.path, one.error, one.sha256])).toEqual(
    frames.map((sum) => ['webgpu', undefined, sum]),
  );
  expect(all).toBe(sha256(Buffer.concat([0, 1, 2].map(bytesOf))));
});

dawn('rows of the first dimension', () => {
  const { chunks, batches } = file(1);
  expect(chunks.map((one) => [one.place, one.sha256])).toEqual([[[1, 0, 0], frames[1]]]);
  expect(batches).toEqual([1]);
});

dawn('tiles in C order, a batch each, while others are on their way', () => {
  const { path, chunks, chunk, batches } = file(2);
  expect([path, chunks.length]).toEqual(['webgpu', 36]);
  expect(batches).toHaveLength(36);
  const inside = chunks.filter(({ place }) => (place[1] ?? 0) + 50 <= SHAPE[1] && (place[2] ?? 0) + 64 <= SHAPE[2]);
  expect(inside.length).toBe(18);
  for (const { place, sha256: sum } of inside)
    expect(sum, String(place)).toBe(sha256(new Uint8Array(tile(place, chunk).buffer)));
});

dawn('a filter without kernels is decoded by its codec and uploaded, with the reason', () => {
  const { path, reason, chunks } = file(3);
  expect(path).toBe('cpu');
  expect(reason).toMatch(/^zstd \(32015\) has no kernels for webgpu: entropy coding is serial/);
  expect(chunks.map((one) => [one.path, one.sha256])).toEqual(frames.map((sum) => ['cpu', sum]));
});

dawn('bitshuffle with Zstandard: frames by the codec, bits by the GPU', () => {
  const { path, reason, chunks } = file(4);
  expect([path, reason]).toEqual(['hybrid', expect.stringMatching(/^bitshuffle \(32008\): .*Zstandard/)]);
  expect(chunks.map((one) => [one.path, one.sha256])).toEqual(frames.map((sum) => ['hybrid', sum]));
  expect(report.otherBlocks).toEqual({ path: 'hybrid cpu', sha256: frames[0] });
  expect(file(8).chunks.map((one) => [one.path, one.error?.code])).toEqual([
    ['hybrid', undefined],
    ['hybrid', undefined],
    ['hybrid', 'H5Z_E_CORRUPT'],
  ]);
  expect(file(8).chunks[1]?.sha256).toBe(frames[1]);
});

dawn('blocks of more than 8 KiB are decoded by the GPU too', () => {
  expect(file(5).chunks.map((one) => [one.path, one.sha256])).toEqual(frames.map((sum) => ['webgpu', sum]));
});

dawn('a damaged chunk is named, zeros lie in its place, the others are right', () => {
  const { chunks } = file(6);
  const sound = file(2).chunks;
  const zeros = sha256(new Uint8Array(chunks[7]?.size ?? 0));
  expect(chunks[7]).toMatchObject({ path: 'webgpu', error: { code: 'H5Z_E_CORRUPT' }, sha256: zeros });
  expect(chunks[7]?.error?.message).toMatch(/^chunk 7 on the GPU: corrupt input/);
  expect(chunks.map((one, i) => i === 7 || one.sha256 === sound[i]?.sha256)).not.toContain(false);
  expect(file(7).chunks.map((one) => [one.path, one.error?.code])).toEqual([
    ['cpu', undefined],
    ['cpu', 'H5Z_E_CORRUPT'],
    ['cpu', undefined],
  ]);
});

dawn('decoding goes into the encoder of the caller, and a kernel behind it reads the result', () => {
  const { words, expected, status } = report.doubled;
  expect(status).toEqual([0, 0]);
  expect(words).toEqual(expected);
  expect(words.some((word) => word !== 0)).toBe(true);
});

dawn('what a kernel made on the device is encoded there, in the encoder of the caller', () => {
  const { status, sizes, room, sha256: sum, expected } = report.encoded;
  expect(status).toEqual([0, FILTER_ERRORS.H5Z_E_OUTPUT.value]);
  expect(sum).toBe(expected);
  expect(sizes[0]).toBeGreaterThan(500);
  expect(sizes[0]).toBeLessThan(room / 2);
  expect(sizes[1]).toBe(0);
});

dawn('what goes wrong says what it is', () => {
  expect(report.wrong).toEqual({
    noAdapter: expect.stringMatching(/^H5Z_NO_GPU: WebGPU found no adapter.*; decode with the ordinary codecs$/),
    noEngine: expect.stringMatching(/^this JavaScript engine has no WebGPU/),
    standIn: expect.stringMatching(/^WebGPU has only a stand-in for a GPU \(.*swiftshader/),
    sameBuffer: expect.stringMatching(/^H5Z_PARAMETER: src and dst are the same buffer/),
    noStorage: expect.stringMatching(/^H5Z_PARAMETER: src is no storage buffer/),
    memory: expect.stringMatching(/^H5Z_E_MEMORY: .* has no buffer of 1099511627776 bytes/),
    kernels: expect.stringMatching(/^H5Z_NO_GPU: .* does not take the kernels of x \(line 1: /),
    encoder: expect.stringMatching(/^H5Z_E_UNSUPPORTED: zstd \(32015\) has no kernels.*; read the data back/),
    frames: expect.stringMatching(/^H5Z_E_UNSUPPORTED: bitshuffle \(32008\): .*serial.*; read the data back/),
    start: expect.stringMatching(/^H5Z_PARAMETER: start is 2; pass a multiple of 4 bytes/),
    source: 'not ours: Error: the source is gone',
    stopped: 'not ours: Error: stopped',
    decoderOnly: expect.stringMatching(/^H5Z_PARAMETER: the pipeline was not prepared to encode; pass 'encode'/),
    lost: expect.stringMatching(/^H5Z_NO_GPU: the GPU was lost/),
    lostRead: expect.stringMatching(/^H5Z_NO_GPU: the GPU was lost/),
  });
});
