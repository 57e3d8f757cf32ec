// From a file to device memory on CUDA, with the driver whose GPU is this processor: the bytes are the dataset's, whoever decoded
// them is said with the reason, damaged chunks are named, and the memory is handed on. The registry is that of the built packages.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtRegistry } from '../../../tests/corpus/corpus.ts';
import { freshDriver, standInCuda } from '../../abi/test/cuda.ts';
import { noKernels } from '../../abi/test/gpu.ts';
import { open } from '../../chunks/dist/index.js';
import { openCuda, toDevice } from '../dist/index.js';
import { counts, damage, SHAPE, writeFrames } from './frames.ts';

const folder = mkdtempSync(join(tmpdir(), 'h5z-cuda-device-'));
afterAll(() => rmSync(folder, { recursive: true }));

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const frames = [0, 1, 2].map((n) => new Uint8Array(counts(n).buffer));
const FRAME = SHAPE[1] * SHAPE[2] * 2;
const SHUFFLE = { id: 2, cdValues: [] };

describe.skipIf(noKernels !== undefined)(`to a device (${noKernels ?? 'a stand-in driver'})`, () => {
  let library: string;
  let registry: Awaited<ReturnType<typeof builtRegistry>>;
  beforeAll(async () => {
    library = standInCuda(['shuffle', 'fletcher32', 'lz4', 'bitshuffle', 'blosc', 'blosc2']);
    registry = await builtRegistry();
  });

  it.each([
    [
      'bitshuffle with LZ4, fletcher32',
      'cuda',
      [
        { id: 32008, cdValues: [0, 2] },
        { id: 3, cdValues: [] },
      ],
    ],
    ['shuffle, LZ4', 'cuda', [SHUFFLE, { id: 32004, cdValues: [4096] }]],
    ['Blosc', 'cuda', [{ id: 32001, cdValues: [0, 0, 0, 0, 5, 1, 1] }]],
    ['Blosc2', 'cuda', [{ id: 32026, cdValues: [0, 0, 0, 0, 5, 1, 1] }]],
    ['shuffle, Zstandard', 'hybrid', [SHUFFLE, { id: 32015, cdValues: [3] }]],
    ['bitshuffle with Zstandard', 'hybrid', [{ id: 32008, cdValues: [0, 3] }]],
    ['Zstandard', 'cpu', [{ id: 32015, cdValues: [3] }]],
    ['Blosc with Zstandard', 'cpu', [{ id: 32001, cdValues: [0, 0, 0, 0, 5, 1, 5] }]],
  ] as const)('frames in %s', async (what, path, stages) => {
    const gpu = await openCuda({ library: freshDriver(library, ['order late']) });
    const file = await open(await writeFrames(folder, `${what.replaceAll(/\W+/g, '-')}.h5`, stages));
    const found = await toDevice(gpu, file.dataset('/data'), { registry });
    expect([found.path, found.reason === undefined, found.stride]).toEqual([path, path === 'cuda', FRAME]);
    expect(found.chunks.map(({ error, path: by, place }) => [error, by, place])).toEqual(
      frames.map((_, n) => [undefined, path, [n, 0, 0]]),
    );
    expect(sha256(await gpu.read(found.memory))).toBe(sha256(Buffer.concat(frames)));
    gpu.free(found.memory);

    // Rows, into the caller's memory behind what is there.
    const batches: number[] = [];
    const into = await gpu.allocate(FRAME);
    const rows = await toDevice(gpu, file.dataset('/data'), {
      registry,
      into,
      rows: [1, 2],
      batchBytes: 1,
      onBatch: (done) => batches.push(done),
    });
    expect([rows.memory, rows.chunks.map(({ place }) => place), batches]).toEqual([into, [[1, 0, 0]], [1]]);
    expect(sha256(await gpu.read(into))).toBe(sha256(frames[1] as Uint8Array));
    file.close();
    gpu.close();
  });

  it('names a damaged tile, puts zeros in its place, and leaves the others right', async () => {
    const gpu = await openCuda({ library: freshDriver(library, ['order copies']) });
    const tiles = await writeFrames(folder, 'tiles.h5', [SHUFFLE, { id: 32004, cdValues: [4096] }], true);
    const [whole, hurt] = await Promise.all([open(tiles), open(await damage(tiles, 7))]);
    const [sound, found] = [
      await toDevice(gpu, whole.dataset('/data'), { registry, batchBytes: 1 }),
      await toDevice(gpu, hurt.dataset('/data'), { registry }),
    ];
    const [right, bytes] = [await gpu.read(sound.memory), await gpu.read(found.memory)];
    expect(found.chunks).toHaveLength(36);
    for (const { index, offset, size, error, place } of found.chunks) {
      const tile = index === 7 ? new Uint8Array(size) : right.subarray(offset, offset + size);
      expect([error?.code, sha256(bytes.subarray(offset, offset + size))], String(place)).toEqual([
        index === 7 ? 'H5Z_E_CORRUPT' : undefined,
        sha256(tile),
      ]);
    }
    // A tile that lies inside of its frame: rows of the frame.
    const [, height = 0, width = 0] = found.chunk;
    const inside = sound.chunks.find(({ place }) => place.join() === `1,${height},${width}`);
    const words = new Uint16Array(right.buffer, inside?.offset, height * width);
    const frame = counts(1);
    words.forEach((word, i) => {
      const at = (height + Math.floor(i / width)) * SHAPE[2] + width + (i % width);
      if (word !== frame[at]) throw new Error(`pixel ${at} is ${word}, not ${frame[at]}`);
    });
    whole.close();
    hurt.close();
    gpu.close();
  });

  it('hands the memory on, and says what cannot be', async () => {
    const gpu = await openCuda({ library: freshDriver(library, ['memory 400000']) });
    const file = await open(await writeFrames(folder, 'on.h5', [{ id: 32008, cdValues: [0, 2] }]));
    const dataset = file.dataset('/data');
    const { memory } = await toDevice(gpu, dataset, { registry, batchBytes: 1 });
    expect([typeof memory.pointer, memory.bytes >= 3 * FRAME]).toEqual(['bigint', true]);
    await expect(toDevice(gpu, dataset, { registry, rows: [2, 4] })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    // The device has room for the first, not for three more frames.
    const held = await gpu.allocate(150_000);
    await expect(toDevice(gpu, dataset, { registry })).rejects.toMatchObject({ code: 'H5Z_E_MEMORY' });
    gpu.free(held);
    gpu.free(memory);
    file.close();
    gpu.close();
  });
});
