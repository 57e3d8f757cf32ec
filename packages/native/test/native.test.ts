// The Node-API host, held to what index.ts promises, with test filters that do what no shipped filter does: hide
// their size, wait for another call, carry a wrong version. Shipped filters go through tests/conformance.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Codec, isH5zError } from '@h5z/core';
import { loadNative } from '@h5z/native';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileFilter, compiler } from '../../abi/test/compile.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const DATA = new Uint8Array(4096).map((_, i) => i >> 5);
const cdValues = new Uint32Array([1, 9]);
const HIDES_SIZE = [1, 255];

function errorOf(work: () => unknown): { code: string; message: string } {
  try {
    work();
  } catch (error) {
    if (isH5zError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe.skipIf(compiler === undefined)('loadNative (needs a C compiler)', () => {
  let path: string;
  let codec: Codec;
  let chunk: Uint8Array;

  beforeAll(() => {
    path = compileFilter('rle.c', 40001, 'rle');
    codec = loadNative(path);
    chunk = codec.encode(DATA, { cdValues });
  });

  it('tells who it is', () => {
    expect(codec).toMatchObject({ id: 40001, name: 'rle', variant: 'native', source: path, canEncode: true });
  });

  it('round-trips in every form', async () => {
    expect(codec.decode(chunk, { cdValues })).toEqual(DATA);
    expect(codec.decode(chunk, { cdValues, size: DATA.length })).toEqual(DATA);
    expect(await codec.decodeAsync(chunk, { cdValues: [...cdValues] })).toEqual(DATA);
    expect(await codec.encodeAsync(DATA, { cdValues })).toEqual(chunk);
    const out = new Uint8Array(DATA.length + 10).fill(0xee);
    expect(codec.decodeInto(chunk, out, { cdValues })).toBe(DATA.length);
    expect(out.subarray(0, DATA.length)).toEqual(DATA);
    expect([...out.subarray(DATA.length)]).toEqual(new Array(10).fill(0xee));
    expect(codec.encodeInto(DATA, out, { cdValues })).toBe(chunk.length);
    expect(out.subarray(0, chunk.length)).toEqual(chunk);
    expect(codec.encodeBound(100)).toBe(104);
    expect(codec.decodedSize(chunk, cdValues)).toBe(DATA.length);
  });

  it('returns arrays that hold nothing but their content', () => {
    for (const array of [
      codec.decode(chunk, { cdValues }),
      codec.encode(DATA, { cdValues }),
      codec.decode(codec.encode(DATA, { cdValues: HIDES_SIZE }), { cdValues: HIDES_SIZE }),
    ]) {
      expect(array.buffer.byteLength).toBe(array.length);
      expect(array.constructor).toBe(Uint8Array);
    }
  });

  it('derives stored cd_values from the whole description', () => {
    const stored = codec.derive([7], {
      typeClass: 'array',
      typeSize: 12,
      baseClass: 'integer',
      baseSize: 2,
      signed: true,
      bigEndian: true,
      chunk: [4, 5],
    });
    expect([...stored]).toEqual([12, 7, 10, 1, 1, 2, 4, 2]);
    expect(errorOf(() => codec.derive([256], { typeClass: 'integer', typeSize: 4, chunk: [4] })).code).toBe(
      'H5Z_E_PARAM',
    );
    expect(errorOf(() => codec.derive([1], { typeClass: 'string', typeSize: 4, chunk: [4] })).code).toBe(
      'H5Z_E_NOT_APPLICABLE',
    );
  });

  it('grows the output of a chunk without a size, to `size` and no further', async () => {
    const big = new Uint8Array(1_000_000).fill(3);
    const hidden = codec.encode(big, { cdValues: HIDES_SIZE });
    expect(codec.decodedSize(hidden, HIDES_SIZE)).toBeUndefined();
    expect(codec.decode(hidden, { cdValues: HIDES_SIZE })).toEqual(big);
    expect(await codec.decodeAsync(hidden, { cdValues: HIDES_SIZE })).toEqual(big);
    expect(codec.decode(hidden, { cdValues: HIDES_SIZE, size: big.length }).length).toBe(big.length);
    expect(codec.decode(hidden, { cdValues: HIDES_SIZE, size: big.length + 1 }).length).toBe(big.length);
    expect(errorOf(() => codec.decode(hidden, { cdValues: HIDES_SIZE, size: big.length - 1 })).code).toBe(
      'H5Z_E_OUTPUT',
    );
    await expect(codec.decodeAsync(hidden, { cdValues: HIDES_SIZE, size: 10 })).rejects.toMatchObject({
      code: 'H5Z_E_OUTPUT',
    });
  });

  it('refuses a chunk that claims more than `size`, before decoding it', () => {
    expect(errorOf(() => codec.decode(chunk, { cdValues, size: DATA.length - 1 })).code).toBe('H5Z_E_OUTPUT');
    const claim = Uint8Array.from([0xff, 0xff, 0xff, 0xff, 1, 1]);
    expect(errorOf(() => codec.decode(claim, { cdValues, size: 4096 })).code).toBe('H5Z_E_OUTPUT');
    expect(errorOf(() => codec.decode(chunk, { cdValues, size: -1 })).code).toBe('H5Z_PARAMETER');
    expect(errorOf(() => codec.decode(chunk, { cdValues, size: 1.5 })).code).toBe('H5Z_PARAMETER');
  });

  it('never writes past the output, one byte short included', () => {
    const room = new Uint8Array(DATA.length + 8).fill(0xee);
    expect(errorOf(() => codec.decodeInto(chunk, room.subarray(0, DATA.length - 1), { cdValues })).code).toBe(
      'H5Z_E_OUTPUT',
    );
    expect([...room.subarray(DATA.length - 1)]).toEqual(new Array(9).fill(0xee));
    expect(errorOf(() => codec.decodeInto(chunk, room, { cdValues, size: DATA.length - 1 })).code).toBe('H5Z_E_OUTPUT');
    expect(errorOf(() => codec.encodeInto(DATA, room.subarray(0, chunk.length - 1), { cdValues })).code).toBe(
      'H5Z_E_OUTPUT',
    );
  });

  it('reads views at odd offsets and shared memory, and writes into both', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(DATA.length + chunk.length + 7));
    const input = shared.subarray(3, 3 + chunk.length);
    input.set(chunk);
    const output = shared.subarray(5 + chunk.length, 5 + chunk.length + DATA.length);
    expect(codec.decode(input, { cdValues })).toEqual(DATA);
    expect(await codec.decodeAsync(input, { cdValues })).toEqual(DATA);
    expect(codec.decodeInto(input, output, { cdValues })).toBe(DATA.length);
    expect(Uint8Array.from(output)).toEqual(DATA);
    expect(codec.decode(Buffer.from(chunk), { cdValues })).toEqual(DATA);
  });

  it('refuses what is not bytes, and buffers that were transferred away', async () => {
    const gone = Uint8Array.from(chunk);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const bad: unknown[] = [
      gone,
      [1, 2],
      'abc',
      null,
      undefined,
      new Float64Array(4),
      new DataView(new ArrayBuffer(8)),
      {},
    ];
    for (const given of bad as Uint8Array[]) {
      for (const call of [
        () => codec.decode(given),
        () => codec.decodedSize(given),
        () => codec.decodeInto(given, new Uint8Array(9)),
        () => codec.decodeInto(chunk, given),
        () => codec.encode(given),
        () => codec.encodeInto(given, new Uint8Array(9)),
        () => codec.encodeInto(DATA, given),
      ]) {
        expect(errorOf(call).code).toBe('H5Z_PARAMETER');
      }
    }
    expect(errorOf(() => codec.decode(gone)).message).toContain('transferred');
    await expect(codec.decodeAsync(gone)).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    expect(errorOf(() => codec.decode(new Uint8Array(0))).code).toBe('H5Z_E_CORRUPT');
  });

  it('names filter, reason and remedy', () => {
    const { code, message } = errorOf(() => codec.decode(chunk.subarray(0, 9), { cdValues }));
    expect(code).toBe('H5Z_E_CORRUPT');
    expect(message).toBe(
      'rle (40001, native) decode: corrupt input: the chunk is truncated or damaged; read the chunk again, or restore the file from a copy',
    );
  });

  it('says both versions of a chunk from the future', () => {
    const { code, message } = errorOf(() => codec.decode(Uint8Array.of(0xff, 0xff, 0xff, 9)));
    expect(code).toBe('H5Z_E_VERSION');
    expect(message).toContain('(revision 9 found, revisions 1 and 2 are read); ');
  });

  it('holds a file to its hash before it runs anything of it', () => {
    const integrity = createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(loadNative(path, { integrity }).id).toBe(40001);
    expect(loadNative(path, { integrity: integrity.toUpperCase() }).id).toBe(40001);
    const changed = join(mkdtempSync(join(tmpdir(), 'h5z-native-')), 'changed.so');
    copyFileSync(path, changed);
    truncateSync(changed, 100);
    const other = createHash('sha256').update(readFileSync(changed)).digest('hex');
    const { code, message } = errorOf(() => loadNative(changed, { integrity }));
    expect(code).toBe('H5Z_INTEGRITY');
    expect(message).toContain(integrity);
    expect(message).toContain(other);
  });

  it('says why a file is no filter library', () => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-native-'));
    const text = join(folder, 'text.so');
    writeFileSync(text, 'not a library');
    const source = join(folder, 'future.c');
    writeFileSync(
      source,
      `#include <h5z/filter.h>
       static const h5z_filter future = {.abi_version = VERSION, .struct_size = SIZE, .name = "x", .title = "x", .version = "x"};
       const h5z_filter *h5z_filter_v1(void) { return &future; }\n`,
    );
    const future = compileFilter(source, 40003, 'future', ['-DVERSION=99', '-DSIZE=sizeof(h5z_filter)']);
    const partial = compileFilter(source, 40003, 'partial', ['-DVERSION=H5Z_ABI_VERSION', '-DSIZE=8']);
    for (const [file, reason] of [
      [join(folder, 'absent.so'), 'absent.so'],
      [text, 'text.so'],
      [process.execPath, ''],
      [future, 'ABI version 99'],
      [partial, 'incomplete'],
    ] as const) {
      const { code, message } = errorOf(() => loadNative(file));
      expect(code).toBe('H5Z_NATIVE_LOAD');
      expect(message).toContain(reason);
      expect(message).toContain('H5Z_PREFER=wasm');
    }
    expect(errorOf(() => loadNative(join(folder, 'absent.so'), { integrity: '00' })).code).toBe('H5Z_NATIVE_LOAD');
  });

  it('works off the event loop, on a copy of its input', async () => {
    const gate = loadNative(compileFilter('gate.c', 40002, 'gate'));
    const input = Uint8Array.from([1, 2, 3]);
    const waiting = gate.decodeAsync(input, { cdValues: [1] });
    input.fill(0);
    structuredClone(input.buffer, { transfer: [input.buffer] });
    gate.encode(new Uint8Array(1), { cdValues: [1] }); // returns only once the decode is under way
    expect([...(await waiting)]).toEqual([1, 2, 3]);
  });

  it('works in worker threads, and survives their end', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      import('@h5z/native').then(async ({ loadNative }) => {
        const codec = loadNative(workerData.path);
        let bytes = 0;
        for (let i = 0; i < 1000; i++) bytes += codec.decode(workerData.chunk, { cdValues: workerData.cdValues }).length;
        for (let i = 0; i < 100; i++) bytes += (await codec.decodeAsync(workerData.chunk, { cdValues: workerData.cdValues })).length;
        parentPort.postMessage(bytes);
        for (;;) await Promise.all(Array.from({ length: 8 }, () => codec.decodeAsync(workerData.chunk, { cdValues: workerData.cdValues })));
      });`;
    const results = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const worker = new Worker(script, { eval: true, workerData: { path, chunk, cdValues } });
        const bytes = await new Promise<number>((resolve, reject) =>
          worker.once('message', resolve).once('error', reject),
        );
        await worker.terminate();
        return bytes;
      }),
    );
    expect(results).toEqual(new Array(4).fill(1100 * DATA.length));
  });

  it('keeps no memory over 100,000 chunks', () => {
    // One arena: glibc keeps one for each thread, whose holes come and go.
    const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
    const flags = ['--expose-gc', '--max-semi-space-size=1'];
    const out = execFileSync(process.execPath, [...flags, join(here, 'leak.mjs'), path], { encoding: 'utf8', env });
    // A leak of one output, or of one async job, per ten chunks would be 640 MB or some 2 MB; fragmentation stays below this.
    expect(Number(out)).toBeLessThan(24 * 1024 * 1024);
  });

  it('names the platform that has no addon', () => {
    const script = `Object.defineProperty(process, 'platform', { value: 'sunos' });
      const { loadNative } = await import('@h5z/native');
      try { loadNative('x.so'); } catch (error) { console.log(error.code + ' ' + error.message); }`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: here, encoding: 'utf8' });
    expect(out).toMatch(/^H5Z_NO_PLATFORM .*sunos.*WebAssembly/);
  });
});
