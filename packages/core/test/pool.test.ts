// WebAssembly batches on workers: the same results and errors as on one thread, plain and shared outputs, and idle workers
// that keep no process alive.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Codec,
  createPipeline,
  type H5zError,
  isH5zError,
  loadWasm,
  type Pipeline,
  type StoredChunk,
  setWorkers,
  workers,
} from '../dist/index.js';
import { COPY, CORRUPT, FUTURE, fakeModule, TRAP } from './support/fake-module.ts';

const SIZE = 24;
const layout = { shape: [1000, 8], chunk: [6, 4], itemSize: 1 };
const offsets = Array.from({ length: 334 }, (_, i) => [(i >> 1) * 6, (i & 1) * 4]);
const content = (i: number) => new Uint8Array(SIZE).fill(i + 1);
const chunks = offsets.map((offset, i): StoredChunk => ({ data: Uint8Array.of(COPY, ...content(i)), offset }));

describe('workers', () => {
  let pipeline: Pipeline;
  /** Chunks that were decoded on this thread. */
  let here = 0;
  const before = workers();

  beforeAll(async () => {
    const whole = await loadWasm(fakeModule());
    const codec = new Proxy(whole, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (name === 'decodeAsync' || name === 'decodeInto') here++;
          return value.apply(target, args);
        };
      },
    });
    pipeline = createPipeline([{ id: codec.id, cdValues: [], codec }]);
    setWorkers(2);
    await warm(pipeline);
  });
  afterAll(() => setWorkers(before));

  /** Goes on until workers decode. */
  async function warm(one: Pipeline): Promise<void> {
    const until = performance.now() + 120_000;
    function* endless() {
      for (let last = -1; last !== here && performance.now() < until; ) {
        last = here;
        for (let i = 0; i < 1000; i++) yield chunks[0] as StoredChunk;
      }
    }
    for await (const _ of one.decodeEach(endless(), { size: SIZE })) {
      // decoding
    }
  }

  async function expectElsewhere<T>(work: () => Promise<T>): Promise<T> {
    here = 0;
    const result = await work();
    expect(here).toBe(0);
    return result;
  }

  const single = async (): Promise<Pipeline> => {
    const codec: Codec = await loadWasm(fakeModule());
    return createPipeline([{ id: codec.id, cdValues: [], codec }]);
  };

  test('one by one, in order', async () => {
    const results = await expectElsewhere(() => pipeline.decodeMany(chunks, { size: SIZE }));
    expect(results).toEqual(offsets.map((_, i) => content(i)));
  });

  test.each(['plain', 'shared'])('into %s memory, clipped', async (kind) => {
    const room = kind === 'shared' ? new SharedArrayBuffer(8000) : new ArrayBuffer(8000);
    const into = new Uint8Array(room);
    await expectElsewhere(() => pipeline.decodeMany(chunks, { into, layout }));
    const want = new Uint8Array(8000);
    await (await single()).decodeMany(chunks, { into: want, layout, threads: 1 });
    expect([...into]).toEqual([...want]);
    expect(want[7999]).toBe((333 + 1) & 0xff);
  });

  test.each([
    ['corrupt', Uint8Array.of(CORRUPT)],
    ['a revision nobody knows', Uint8Array.of(FUTURE)],
    ['a trap', Uint8Array.of(TRAP)],
    ['another size', Uint8Array.of(COPY, 1, 2)],
  ])('fail as on one thread: %s', async (_, data) => {
    const bad = chunks.map((chunk, i) => (i >= 17 && i % 5 === 2 ? { ...chunk, data } : chunk));
    const failure = async (one: Pipeline, threads?: number) => {
      try {
        await one.decodeMany(bad, { size: SIZE, ...(threads ? { threads } : {}) });
      } catch (error) {
        if (isH5zError(error)) return { code: error.code, message: error.message, details: error.details };
      }
      throw new Error('nothing was thrown');
    };
    const want = await failure(await single(), 1);
    expect(want.details).toMatchObject({ chunk: 17, offset: [48, 4] });
    expect(await failure(pipeline)).toEqual(want);
  });

  test('stop on a signal', async () => {
    const stop = new AbortController();
    const count = 100_000; // many more than are given to workers together
    const into = new Uint8Array(new SharedArrayBuffer(count * SIZE));
    const many = Array.from({ length: count }, (_, i) => ({ ...(chunks[0] as StoredChunk), offset: [i * SIZE] }));
    const line = { shape: [count * SIZE], chunk: [SIZE], itemSize: 1 };
    const onChunk = (done: number) => done === 10 && stop.abort(new Error('enough'));
    const batch = pipeline.decodeMany(many, { into, layout: line, signal: stop.signal, onChunk });
    await expect(batch).rejects.toThrow('enough');
    const then = into.slice();
    expect(then.at(-1)).toBe(0);
    expect(then[10 * SIZE - 1]).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(Buffer.compare(into, then)).toBe(0);
  });

  test('stop on a signal, before a run has read all that it wants', async () => {
    const stop = new AbortController();
    let reads = 0;
    const read = async () => {
      if (++reads === 1) setTimeout(() => stop.abort(new Error('enough')), 5);
      await new Promise((resolve) => setTimeout(resolve, 10));
      return Uint8Array.of(COPY, ...content(0));
    };
    const ranges = offsets.map((offset) => ({ file: { read }, address: 0, length: SIZE + 1, offset }));
    const into = new Uint8Array(8000);
    await expect(pipeline.decodeMany(ranges, { into, layout, signal: stop.signal })).rejects.toThrow('enough');
    expect(reads).toBeLessThan(ranges.length);
  });

  test.each(['plain', 'shared'])('fail in a run as on one thread, what came before in %s memory', async (kind) => {
    const data = Uint8Array.of(CORRUPT);
    const bad = chunks.map((chunk, i) => (i >= 217 && i % 5 === 2 ? { ...chunk, data } : chunk));
    const short = { read: () => Uint8Array.of(COPY), address: 3, length: SIZE + 1 };
    const unread = chunks.map((chunk, i) =>
      i === 100 ? { file: short, ...short, offset: chunk.offset ?? [] } : chunk,
    );
    const misplaced = chunks.map((chunk, i) => (i === 150 ? { ...chunk, offset: [-6, 0] } : chunk));
    for (const [given, at] of [
      [bad, 217],
      [unread, 100],
      [misplaced, 150],
    ] as const) {
      const failure = async (one: Pipeline, threads?: number) => {
        const room = kind === 'shared' ? new SharedArrayBuffer(8000) : new ArrayBuffer(8000);
        const into = new Uint8Array(room);
        try {
          await one.decodeMany(given, { into, layout, ...(threads ? { threads } : {}) });
        } catch (error) {
          const { code, message, details } = error as Partial<H5zError>;
          for (let i = 0; i < at; i++) {
            const [row = 0, column = 0] = offsets[i] ?? [];
            expect(into[row * 8 + column]).toBe((i + 1) & 0xff);
          }
          return { code, message, details };
        }
        throw new Error('nothing was thrown');
      };
      const want = await failure(await single(), 1);
      expect(want.details).toMatchObject({ chunk: at });
      expect(await failure(pipeline)).toEqual(want);
    }
  });

  test('none: everything stays on this thread; as with threads: 1', async () => {
    here = 0;
    await pipeline.decodeMany(chunks, { size: SIZE, threads: 1 });
    expect(here).toBe(chunks.length);
    setWorkers(0);
    here = 0;
    await pipeline.decodeMany(chunks, { size: SIZE });
    expect(here).toBe(chunks.length);
    setWorkers(2);
    expect(() => setWorkers(-1)).toThrow(expect.objectContaining({ code: 'H5Z_PARAMETER' }));
  });

  test('idle ones keep no process alive', () => {
    const script = `
      const { createPipeline, loadWasm, setWorkers } = await import('../dist/index.js');
      const { fakeModule } = await import('./support/fake-module.ts');
      const codec = await loadWasm(fakeModule());
      setWorkers(2);
      const end = performance.now() + 1500;
      const chunks = function* () { while (performance.now() < end) yield Uint8Array.of(0, 1, 2); };
      for await (const _ of createPipeline([{ id: codec.id, cdValues: [], codec }]).decodeEach(chunks(), { size: 2 }));
      console.log('done');`;
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    const options = { cwd, encoding: 'utf8', timeout: 150_000 } as const;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], options)).toBe('done\n');
  });
});
