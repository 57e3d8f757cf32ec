// Whole pipelines in the addon and its pool of threads: the same as stage by stage in JavaScript, in one call for a chunk;
// one thread or many, from memory and from files; and nothing crashes when memory, process or worker goes meanwhile.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type ChunkInput, type Codec, createPipeline, isH5zError, type LoadedStage, type Pipeline } from '@h5z/core';
import { loadNative, setThreads, threads } from '@h5z/native';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compileFilter, compiler } from '../../abi/test/compile.ts';
import { cases, chunkAt, expected, guarded } from '../../core/test/support/naive.ts';
import { addon } from '../dist/addon.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const RLE = [1, 9];
const HIDES_SIZE = [1, 255];

describe.skipIf(compiler === undefined)('pipelines in the addon (needs a C compiler)', () => {
  let path: string;
  let codec: Codec;
  let stages: LoadedStage[];
  let native: Pipeline;
  const folder = mkdtempSync(join(tmpdir(), 'h5z-batch-'));
  const available = threads();

  beforeAll(() => {
    path = compileFilter('rle.c', 40001, 'rle');
    codec = loadNative(path);
    stages = [RLE, HIDES_SIZE, RLE].map((cdValues) => ({ id: codec.id, cdValues, flags: 1, codec }));
    native = createPipeline(stages);
  });
  afterEach(() => setThreads(available));

  /** The codec without its host. */
  function unhosted(whole: Codec): Codec {
    return new Proxy(whole, {
      get(target, name) {
        if (name === 'host') return undefined;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  async function outcome(work: () => unknown): Promise<unknown> {
    try {
      return await work();
    } catch (error) {
      if (!isH5zError(error)) throw error;
      const { stage, chunk, offset, id } = error.details;
      return { code: error.code, message: error.message, stage, chunk, offset, id };
    }
  }

  it('give what the stages give one by one, and the same errors', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.nat({ max: 7 }),
        fc.option(fc.nat()),
        fc.constantFrom(-1, 0, 1, undefined),
        async (data, mask, damage, off) => {
          const some = createPipeline(stages.filter((_, i) => ((mask >> i) & 1) === 0));
          const slow = createPipeline(some.stages.map((stage) => ({ ...stage, codec: unhosted(codec) })));
          const encoded = some.encode(data);
          expect(slow.encode(data)).toEqual(encoded);
          expect(await some.encodeMany([data])).toEqual([encoded]);
          const { data: chunk, filterMask } = encoded;
          if (damage !== null) {
            const at = damage % chunk.length;
            chunk[at] = (chunk[at] ?? 0) ^ (1 << (damage & 7));
          }
          const options = { filterMask, ...(off === undefined ? {} : { size: Math.max(0, data.length + off) }) };
          const want = await outcome(() => slow.decode(chunk, options));
          expect(await outcome(() => some.decode(chunk, options))).toEqual(want);
          const many = (pipeline: Pipeline) => outcome(() => pipeline.decodeMany([chunk], options));
          expect(await many(some)).toEqual(await many(slow));
          const into = (pipeline: Pipeline) =>
            outcome(() => {
              const out = new Uint8Array(data.length);
              pipeline.decodeInto(chunk, out, options);
              return out;
            });
          expect(await into(some)).toEqual(await into(slow));
        },
      ),
    );
  });

  it.each([1, 2, 5])('fill any slice of any dataset with %d threads', async (count) => {
    setThreads(count);
    const file = join(folder, `chunks-${count}`);
    await fc.assert(
      fc.asyncProperty(cases, fc.boolean(), fc.boolean(), async (given, shared, ranges) => {
        const { layout, offsets } = given;
        const want = expected(given);
        const { into, untouched } = guarded(want.length, shared);
        const bytes: number[] = [];
        const read = () => {
          throw new Error('native code reads it itself');
        };
        const source = { path: file, read };
        const chunks = offsets.map((offset): ChunkInput => {
          const { data, filterMask } = native.encode(chunkAt(offset, given));
          const address = bytes.push(...data) - data.length;
          const place = { offset, filterMask };
          return ranges ? { file: source, address, length: data.length, ...place } : { data, ...place };
        });
        writeFileSync(file, Uint8Array.from(bytes));
        expect(await native.decodeMany(chunks, { into, layout })).toBe(into);
        expect([...into]).toEqual([...want]);
        expect([...(await native.decodeMany(chunks, { layout }))]).toEqual([...want]);
        expect(untouched()).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('call the addon once for a chunk', async () => {
    const data = new Uint8Array(1000).map((_, i) => i >> 4);
    const { data: chunk, filterMask } = native.encode(data);
    const fresh = createPipeline(stages);
    const functions = addon() as unknown as Record<string, (...args: unknown[]) => unknown>;
    const originals = { ...functions };
    let calls = 0;
    for (const [name, call] of Object.entries(originals)) {
      functions[name] = (...args) => {
        calls++;
        return call(...args);
      };
    }
    const count = async (work: () => unknown) => {
      await work(); // what is made once
      calls = 0;
      await work();
      return calls;
    };
    try {
      expect(await count(() => fresh.decode(chunk, { filterMask, size: 1000 }))).toBe(1);
      expect(await count(() => fresh.decode(chunk, { filterMask }))).toBe(1);
      expect(await count(() => fresh.decodeInto(chunk, new Uint8Array(1000), { filterMask }))).toBe(1);
      expect(await count(() => fresh.encode(data))).toBe(1);
      const chunks = Array.from({ length: 100 }, (_, i) => ({ data: chunk, filterMask, offset: [i * 1000] }));
      const layout = { shape: [100_000], chunk: [1000], itemSize: 1 };
      const fixed = 10; // opening and closing a batch
      expect(await count(() => fresh.decodeMany(chunks, { size: 1000 }))).toBeLessThan(100 + fixed);
      expect(await count(() => fresh.decodeMany(chunks, { into: new Uint8Array(100_000), layout }))).toBeLessThan(
        100 + fixed,
      );
      expect(await count(() => fresh.encodeMany(chunks))).toBeLessThan(100 + fixed);
      const { file, ranges } = smallChunks('calls', 100);
      const given = { layout: { shape: [ranges.length * 100], chunk: [100], itemSize: 1 } };
      expect(file.path).toContain('calls');
      expect(await count(() => fresh.decodeMany(ranges, given))).toBeLessThan(1 + fixed); // small ones together
    } finally {
      Object.assign(functions, originals);
    }
  });

  it('run 32 filters, those that a mask leaves, and none', async () => {
    const many = createPipeline(Array.from({ length: 32 }, () => ({ id: codec.id, cdValues: RLE, flags: 1, codec })));
    const data = new Uint8Array(3000).map((_, i) => i >> 5);
    const whole = many.encode(data);
    for (const mask of [0, 0xffffffff, 0xfffffffe, 0x7fffffff, 0x5aa5f00f]) {
      // Those that are left do not all find something to encode, and are left out then.
      const left = many.stages.map((_, i) => i).filter((i) => ((mask >>> i) & 1) === 0);
      const some = createPipeline(left.map((i) => many.stages[i] as LoadedStage));
      const { data: chunk, filterMask: out } = left.length === 0 ? { data, filterMask: 0 } : some.encode(data);
      const filterMask = left.reduce((sum, i, at) => ((out >>> at) & 1 ? sum | (1 << i) : sum), mask) >>> 0;
      const options = { filterMask, size: data.length };
      expect(many.decode(chunk, options)).toEqual(data);
      expect(await many.decodeMany([chunk], options)).toEqual([data]);
      const layout = { shape: [3000], chunk: [3000], itemSize: 1 };
      const place = { data: chunk, filterMask, offset: [0] };
      expect(await many.decodeMany([place], { layout })).toEqual(data);
    }
    await expect(many.decodeMany([whole.data], { filterMask: 0xffffffff, size: data.length })).rejects.toMatchObject({
      code: 'H5Z_E_CORRUPT',
      message: expect.stringMatching(/^chunk 0: the chunk decoded to \d+ bytes, but its dataset says 3000/),
    });
  });

  it('settle every chunk of many batches at once, of any size', async () => {
    const { data, filterMask } = native.encode(new Uint8Array(64).fill(3));
    setThreads(3);
    const batches = Array.from({ length: 300 }, async (_, n) => {
      const count = n % 41;
      const chunks = Array.from({ length: count }, (_, i) => ({ data, filterMask, offset: [i * 64] }));
      const layout = { shape: [count * 64], chunk: [64], itemSize: 1 };
      let done = 0;
      const onChunk = () => done++;
      const out = await native.decodeMany(chunks, { layout, onChunk, ...(n % 3 ? {} : { threads: 1 + (n % 2) }) });
      return done === count && out.every((byte) => byte === 3);
    });
    expect((await Promise.all(batches)).every(Boolean)).toBe(true);
  });

  it('hold at most a few chunks a thread beside the output', () => {
    const script = `
      const { createPipeline } = await import('@h5z/core');
      const { loadNative, setThreads } = await import('@h5z/native');
      const { peak } = await import(${JSON.stringify(join(here, '../../bench/src/peak.ts'))});
      const codec = loadNative(${JSON.stringify(path)});
      const stage = { id: 40001, cdValues: [1, 9], codec };
      const pipeline = createPipeline([stage]);
      const chunk = 4 << 20;
      const data = new Uint8Array(chunk).map((_, i) => i >> 4);
      const file = { path: FILE, read() { throw new Error('not here'); } };
      const stored = pipeline.encode(data).data;
      const { writeFileSync } = await import('node:fs');
      writeFileSync(FILE, stored);
      const count = 64;
      setThreads(THREADS);
      const layout = { shape: [count * 2048, 2048], chunk: [2048, 2048], itemSize: 1 };
      const chunks = Array.from({ length: count }, (_, i) => ({ file, address: 0, length: stored.length, offset: [i * 2048, 0] }));
      const into = pipeline.allocate(count * chunk).fill(1);
      await pipeline.decodeMany(chunks.slice(0, 1), { into, layout });
      const before = peak();
      await pipeline.decodeMany(chunks, { into, layout });
      const narrow = { shape: [count * 2048, 2000], chunk: [2048, 2048], itemSize: 1 };
      await pipeline.decodeMany(chunks, { into, layout: narrow }); // through the threads' own memory
      const right = into.subarray(0, 2000).every((n, i) => n === data[i]);
      console.log(right ? (peak() - before) / chunk : 'wrong values');`;
    const chunksHeld = [1, 2, 4].map((count) => {
      const text = script.replaceAll('FILE', JSON.stringify(join(folder, 'memory'))).replace('THREADS', String(count));
      return Number(
        execFileSync(process.execPath, ['--input-type=module', '-e', text], { cwd: here, encoding: 'utf8' }),
      );
    });
    // A thread has the stored chunk and, where it does not go straight to its place, the decoded one; the output has 64.
    for (const [i, count] of [1, 2, 4].entries()) expect(chunksHeld[i]).toBeLessThan(3 * count + 2);
  });

  it('stop at the first chunk that fails, in their order, whatever the threads do', async () => {
    const { data, filterMask } = native.encode(new Uint8Array(100));
    const chunks = Array.from({ length: 200 }, (_, i) => ({
      filterMask,
      data: i >= 57 && i % 3 === 0 ? data.subarray(0, 3) : data,
      offset: [i * 100],
    }));
    for (const count of [1, 2, 4]) {
      setThreads(count);
      const into = new Uint8Array(20_000).fill(7);
      const layout = { shape: [20_000], chunk: [100], itemSize: 1 };
      const error = await outcome(() => native.decodeMany(chunks, { into, layout }));
      expect(error).toMatchObject({ code: 'H5Z_E_CORRUPT', chunk: 57, offset: [5700], id: 40001 });
      expect((error as { message: string }).message).toMatch(
        /^chunk 57 at 5700: rle \(40001, native\) decode: corrupt/,
      );
      expect(into.subarray(0, 5700).every((n) => n === 0)).toBe(true);
    }
  });

  /** 100 bytes of i in each of `count` chunks of a file, one behind the other with gaps, and what reads them. */
  function smallChunks(name: string, count: number) {
    const read = () => {
      throw new Error('native code reads it itself');
    };
    const file = { path: join(folder, name), read };
    const bytes: number[] = [];
    const ranges = Array.from({ length: count }, (_, i) => {
      const { data, filterMask } = native.encode(new Uint8Array(100).fill(i));
      bytes.push(...new Uint8Array(i % 5));
      const address = bytes.push(...data) - data.length;
      return { file, address, length: data.length, filterMask, offset: [i * 100] };
    });
    writeFileSync(file.path, Uint8Array.from(bytes));
    return { file, ranges, bytes };
  }

  it('decode small chunks of a file in runs, each told of in its turn', async () => {
    const count = 3000;
    const { ranges } = smallChunks('runs', count);
    const want = new Uint8Array(count * 100).map((_, i) => Math.floor(i / 100));
    const layout = { shape: [count * 100], chunk: [100], itemSize: 1 };
    for (const some of [1, 2, 4]) {
      setThreads(some);
      const told: number[] = [];
      const onChunk = (done: number) => told.push(done);
      expect(Buffer.compare(await native.decodeMany(ranges, { layout, onChunk, covered: true }), want)).toBe(0);
      expect(told).toEqual(ranges.map((_, i) => i + 1));
    }
    const plain = new Uint8Array(want.length);
    expect(Buffer.compare(await native.decodeMany(ranges, { into: plain, layout }), want)).toBe(0);
    const away = new Uint8Array(want.length);
    const gone = native.decodeMany(ranges, { into: away, layout });
    structuredClone(away.buffer, { transfer: [away.buffer] });
    await expect(gone).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    const stop = new AbortController();
    const heard: number[] = [];
    const until = (done: number) => heard.push(done) === 5 && stop.abort(new Error('enough'));
    const stopped = native.decodeMany(ranges, { layout, onChunk: until, signal: stop.signal });
    await expect(stopped).rejects.toThrow('enough');
    expect(heard).toEqual([1, 2, 3, 4, 5]);
    // Others between them: of memory, of another file, with another mask, outside.
    const other = smallChunks('others', count);
    const mixed = ranges.map((range, i): ChunkInput => {
      if (i % 7 === 0) return { ...native.encode(want.subarray(i * 100, i * 100 + 100)), offset: range.offset };
      return i % 11 === 0 ? (other.ranges[i] as ChunkInput) : range;
    });
    mixed.splice(5, 0, { ...native.encode(new Uint8Array(100)), offset: [count * 100] });
    expect(Buffer.compare(await native.decodeMany(mixed, { layout }), want)).toBe(0);
    // What is no chunk is no run of chunks either.
    const nested = [ranges.slice(0, 9), [mixed[0]]] as unknown as ChunkInput[];
    for (const some of [nested, nested.slice(1)])
      await expect(native.decodeMany(some, { layout })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    const half = ranges.filter((_, i) => i % 2);
    await expect(native.decodeMany(half, { layout, covered: true })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    const twice = [...half, ...half];
    await expect(native.decodeMany(twice, { layout, covered: true })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
  });

  it('name the chunk of a run that fails, the first in their order', async () => {
    const { ranges, bytes, file } = smallChunks('damaged', 3000);
    const layout = { shape: [300_000], chunk: [100], itemSize: 1 };
    const at = (i: number) => ranges[i] as (typeof ranges)[number];
    const fails = async (chunks: Iterable<ChunkInput>, some: number) => {
      setThreads(some);
      // Shared memory, which threads write to, and memory that only this one does.
      const into = some === 2 ? new Uint8Array(300_000) : native.allocate(300_000).fill(7);
      const error = await outcome(() => native.decodeMany(chunks, { into, layout }));
      const until = ((error as { chunk?: number }).chunk ?? 0) * 100;
      expect(into.subarray(0, until).every((n, i) => n === (Math.floor(i / 100) & 0xff))).toBe(true);
      return error;
    };
    const damaged = ranges.map((range, i) => (i === 40 ? { ...range, length: 3 } : range));
    const details = async (pipeline: Pipeline) => {
      const heard: number[] = [];
      const batch = pipeline.decodeMany(damaged, { layout, onChunk: (done) => heard.push(done) });
      const error = await batch.catch((thrown: unknown) => thrown);
      return { details: isH5zError(error) ? error.details : error, heard: heard.length };
    };
    expect((await details(native)).heard).toBe(40);
    expect(Object.keys((await details(native)).details as object)).not.toContain('at');
    for (const some of [1, 2, 4]) {
      const cut = ranges.map((range, i) => (i >= 1501 && i % 3 === 1 ? { ...range, length: 3 } : range));
      expect(await fails(cut, some)).toMatchObject({
        code: 'H5Z_E_CORRUPT',
        chunk: 1501,
        offset: [150_100],
        id: 40001,
      });
      const misplaced = ranges.map((range, i) => (i === 1234 ? { ...range, offset: [-1] } : range));
      expect(await fails(misplaced, some)).toMatchObject({ code: 'H5Z_PARAMETER', chunk: 1234, offset: [-1] });
      const nowhere = ranges.map((range, i) => (i === 77 ? { ...range, address: -4 } : range));
      expect(await fails(nowhere, some)).toMatchObject({ code: 'H5Z_PARAMETER', chunk: 77 });
      const beyond = ranges.map((range, i) => (i === 2222 ? { ...range, address: bytes.length - 2 } : range));
      expect(await fails(beyond, some)).toMatchObject({ code: 'H5Z_FILE', chunk: 2222, offset: [222_200] });
      const absent = { ...file, path: join(folder, 'absent') };
      const elsewhere = ranges.map((range, i) => (i === 1000 ? { ...range, file: absent } : range));
      expect(await fails(elsewhere, some)).toMatchObject({ code: 'H5Z_FILE', chunk: 1000 });
      const tired = (function* () {
        yield* ranges.slice(0, 50);
        throw new Error('tired');
      })();
      const into = native.allocate(300_000);
      await expect(native.decodeMany(tired, { into, layout })).rejects.toThrow('tired');
      expect(into[49 * 100]).toBe(49);
    }
    const short = { ...at(3), file: { ...file, path: join(folder, 'short-run') } };
    writeFileSync(short.file.path, Uint8Array.from(bytes.slice(0, short.address + 2)));
    await expect(native.decodeMany([short], { layout })).rejects.toMatchObject({
      details: { read: 2, length: short.length, address: short.address, chunk: 0 },
    });
    // A chunk that decodes to fewer bytes than a chunk has.
    const small = { shape: [300_000], chunk: [101], itemSize: 1 };
    await expect(native.decodeMany(ranges.slice(0, 1), { layout: small })).rejects.toMatchObject({
      message: expect.stringContaining('decoded to 100 bytes'),
    });
  });

  it('say what is wrong with a file', async () => {
    const read = () => new Uint8Array(0);
    const absent = { path: join(folder, 'absent'), read };
    const short = { path: join(folder, 'short'), read };
    writeFileSync(short.path, 'abc');
    await expect(native.decodeMany([{ file: absent, address: 0, length: 3 }])).rejects.toMatchObject({
      code: 'H5Z_FILE',
      message: expect.stringContaining(absent.path),
    });
    await expect(native.decodeMany([{ file: short, address: 1, length: 3 }])).rejects.toMatchObject({
      code: 'H5Z_FILE',
      details: { read: 2, length: 3, address: 1, chunk: 0 },
    });
    await expect(
      native.decodeMany([{ file: { ...short, path: folder }, address: 0, length: 3 }]),
    ).rejects.toMatchObject({ code: 'H5Z_FILE' });
  });

  it('stop on a signal, and write nothing afterwards', async () => {
    const { data, filterMask } = native.encode(new Uint8Array(10_000).fill(1));
    const stop = new AbortController();
    const into = native.allocate(10_000 * 1000);
    const layout = { shape: [1000 * 10_000], chunk: [10_000], itemSize: 1 };
    const chunks = Array.from({ length: 1000 }, (_, i) => ({ data, filterMask, offset: [i * 10_000] }));
    const reason = new Error('enough');
    const onChunk = (done: number) => done === 20 && stop.abort(reason);
    await expect(native.decodeMany(chunks, { into, layout, signal: stop.signal, onChunk })).rejects.toBe(reason);
    const filled = into.filter((n) => n === 1).length;
    expect(filled).toBeGreaterThanOrEqual(200_000);
    expect(filled).toBeLessThan(2_000_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(into.filter((n) => n === 1).length).toBe(filled);
  });

  it('survive inputs and outputs that are transferred away meanwhile', async () => {
    const { data, filterMask } = native.encode(new Uint8Array(50_000).fill(1));
    const into = new Uint8Array(50_000 * 20);
    const chunks = Array.from({ length: 20 }, (_, i) => ({ data: data.slice(), filterMask, offset: [i * 50_000] }));
    const layout = { shape: [20 * 50_000], chunk: [50_000], itemSize: 1 };
    const batch = native.decodeMany(chunks, { into, layout });
    batch.catch(() => undefined);
    const results = native.decodeMany(chunks.map((chunk) => ({ ...chunk, data: chunk.data.slice() })));
    await Promise.resolve();
    structuredClone(into.buffer, { transfer: [into.buffer] });
    for (const chunk of chunks.slice(0, 4)) structuredClone(chunk.data.buffer, { transfer: [chunk.data.buffer] });
    await expect(batch).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    expect((await results).length).toBe(20);
  });

  it('have a pool whose size is settable and bounds what runs at once', async () => {
    expect(available).toBeGreaterThanOrEqual(1);
    setThreads(3);
    expect(threads()).toBe(3);
    for (const count of [0, 1.5, Number.NaN, 1025]) {
      expect(() => setThreads(count)).toThrow(expect.objectContaining({ code: 'H5Z_PARAMETER' }));
    }
  });

  it('end with the process, in mid-flight', () => {
    const script = `
      const { createPipeline } = await import('@h5z/core');
      const { loadNative } = await import('@h5z/native');
      const codec = loadNative(${JSON.stringify(path)});
      const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec }]);
      const { data } = pipeline.encode(new Uint8Array(1_000_000).map((_, i) => i >> 3));
      const into = WAY === 'shared' ? pipeline.allocate(1e6 * 200) : new Uint8Array(1e6 * 200);
      const chunks = Array.from({ length: 200 }, (_, i) => ({ data, offset: [i * 1e6] }));
      const layout = { shape: [2e8], chunk: [1e6], itemSize: 1 };
      const onChunk = (done) => { if (done === 5) { if (WAY === 'throw') throw new Error('mid-flight'); process.exit(7); } };
      await pipeline.decodeMany(chunks, { into, layout, onChunk });`;
    for (const [way, code] of [
      ['shared', 7],
      ['plain', 7],
      ['throw', 1],
    ] as const) {
      const text = `const WAY = '${way}';${script}`;
      const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', text], { cwd: here });
      expect([way, status, signal]).toEqual([way, code, null]);
    }
  });

  it('do not keep a process alive that has nothing left to do', () => {
    const script = `
      const { createPipeline } = await import('@h5z/core');
      const { loadNative } = await import('@h5z/native');
      const codec = loadNative(${JSON.stringify(path)});
      const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec }]);
      const { data } = pipeline.encode(new Uint8Array(1000));
      const all = await pipeline.decodeMany(new Array(10).fill(data));
      console.log(all.length);`;
    const options = { cwd: here, encoding: 'utf8', timeout: 150_000 } as const;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], options)).toBe('10\n');
  });

  it('work in worker threads, and survive their end in mid-flight', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      Promise.all([import('@h5z/core'), import('@h5z/native')]).then(async ([{ createPipeline }, { loadNative }]) => {
        const codec = loadNative(workerData.path);
        const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec }]);
        const chunks = Array.from({ length: 20 }, (_, i) => ({ data: workerData.chunk, offset: [i * 100_000] }));
        const layout = { shape: [2_000_000], chunk: [100_000], itemSize: 1 };
        for (let round = 0; ; round++) {
          const into = round & 1 ? pipeline.allocate(2_000_000) : new Uint8Array(2_000_000);
          await pipeline.decodeMany(chunks, { into, layout });
          await pipeline.encodeMany([into]);
          if (round === 3) parentPort.postMessage(into.every((n, i) => n === ((i % 100_000) >> 9 & 255)));
        }
      });`;
    const data = new Uint8Array(100_000).map((_, i) => i >> 9);
    const chunk = createPipeline(stages.slice(0, 1)).encode(data).data;
    const results = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const worker = new Worker(script, { eval: true, workerData: { path, chunk } });
        const right = await new Promise<boolean>((resolve, reject) =>
          worker.once('message', resolve).once('error', reject),
        );
        await worker.terminate();
        return right;
      }),
    );
    expect(results).toEqual([true, true, true, true]);
    // The process goes on: so does the pool.
    expect(await native.decodeMany([native.encode(data)], { size: data.length })).toEqual([data]);
  });

  it('keep no memory over a million chunks', () => {
    // One arena: glibc keeps one for each thread, whose holes come and go.
    const env = { ...process.env, MALLOC_ARENA_MAX: '1' };
    const flags = ['--expose-gc', '--max-semi-space-size=1'];
    const out = execFileSync(process.execPath, [...flags, join(here, 'leak-batch.mjs'), path], {
      encoding: 'utf8',
      env,
    });
    expect(Number(out)).toBeLessThan(24 * 1024 * 1024);
  }, 300_000);
});
