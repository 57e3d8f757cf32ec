// Many chunks at once: every shape against the naive way, order, back-pressure, what ends a batch, and which error wins.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChunkInput, createPipeline, type Layout } from '../dist/index.js';
import { cases, chunkAt, expected, guarded } from './support/naive.ts';
import { stage, tagging } from './support/tagging.ts';

const pipeline = createPipeline([stage(tagging(1)), stage(tagging(2))]);
const coded = (code: string, details: object = {}) =>
  expect.objectContaining({ code, details: expect.objectContaining(details) });
const line = (length: number): Layout => ({ shape: [length], chunk: [1], itemSize: 1 });
const chunk = (value: number) => pipeline.encode(Uint8Array.of(value)).data;
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

describe('into an output', () => {
  test('any shape, chunks and slice, from memory and from a file, plain and shared', async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.boolean(), fc.boolean(), async (given, shared, ranges) => {
        const { layout, offsets } = given;
        const want = expected(given);
        const { into, untouched } = guarded(want.length, shared);
        const file: number[] = [];
        const read = (address: number, length: number) => Uint8Array.from(file.slice(address, address + length));
        const chunks = offsets.map((offset): ChunkInput => {
          const { data } = pipeline.encode(chunkAt(offset, given));
          const address = file.push(...data) - data.length;
          return ranges ? { file: { read }, address, length: data.length, offset } : { data, offset };
        });
        expect(await pipeline.decodeMany(chunks, { into, layout })).toBe(into);
        expect([...into]).toEqual([...want]);
        expect(untouched()).toBe(true);
        expect([...(await pipeline.decodeMany(chunks, { layout }))]).toEqual([...want]);
      }),
    );
  });

  test('chunks outside the slice are not read', async () => {
    const read = () => {
      throw new Error('read');
    };
    const into = new Uint8Array(2);
    const chunks = [5, 2].map((at) => ({ file: { read }, address: 0, length: 3, offset: [at] }));
    await pipeline.decodeMany(chunks, { into, layout: { ...line(2), origin: [3] } });
    expect([...into]).toEqual([0, 0]);
  });

  test('an output made for it: what no chunk covers is zero, or filled', async () => {
    const layout = { shape: [4], chunk: [1], itemSize: 2 };
    const chunks = [{ ...pipeline.encode(Uint8Array.of(1, 2)), offset: [2] }];
    expect(await pipeline.decodeMany(chunks, { layout })).toEqual(Uint8Array.of(0, 0, 0, 0, 1, 2, 0, 0));
    const filled = await pipeline.decodeMany(chunks, { layout, fill: Uint8Array.of(7, 8) });
    expect(filled).toEqual(Uint8Array.of(7, 8, 7, 8, 1, 2, 7, 8));
    expect(filled.buffer).toBeInstanceOf(ArrayBuffer);
  });

  test.each<[string, object, string]>([
    ['fill of another size', { layout: line(1), fill: Uint8Array.of(1, 2) }, 'H5Z_PARAMETER'],
    ['fill and into', { layout: line(1), into: new Uint8Array(1), fill: Uint8Array.of(1) }, 'H5Z_PARAMETER'],
    ['into and no layout', { into: new Uint8Array(1) }, 'H5Z_PARAMETER'],
    ['more than memory', { layout: { shape: [2 ** 52], chunk: [1], itemSize: 1 } }, 'H5Z_E_MEMORY'],
  ])('refused: %s', async (_, options, code) => {
    await expect(pipeline.decodeMany([], options as never)).rejects.toEqual(coded(code));
  });

  test('a typed array of any kind', async () => {
    const into = new Float64Array(3);
    const data = new Uint8Array(Float64Array.of(1, 2, 3).buffer);
    const layout = { shape: [3], chunk: [3], itemSize: 8 };
    await pipeline.decodeMany([{ ...pipeline.encode(data), offset: [0] }], { into, layout });
    expect([...into]).toEqual([1, 2, 3]);
  });

  test.each<[string, Partial<Layout>]>([
    ['rank', { chunk: [1, 1] }],
    ['chunk of nothing', { chunk: [0] }],
    ['fraction', { shape: [0.5] }],
    ['item size', { itemSize: 0 }],
    ['origin', { origin: [-1] }],
    ['too large', { shape: [3] }],
    ['overflow', { shape: [2 ** 52] }],
    ['33 dimensions', { shape: new Array(33).fill(1), chunk: new Array(33).fill(1) }],
  ])('a layout that is none is refused: %s', async (_, layout) => {
    const into = new Uint8Array(2);
    await expect(pipeline.decodeMany([], { into, layout: { ...line(2), ...layout } })).rejects.toEqual(
      coded('H5Z_PARAMETER'),
    );
  });

  test.each([undefined, [], [0, 0], [-1], [0.5], ['0']])('an offset that is none is refused: %j', async (offset) => {
    const chunks = [{ data: chunk(1), offset } as ChunkInput];
    await expect(pipeline.decodeMany(chunks, { into: new Uint8Array(1), layout: line(1) })).rejects.toEqual(
      coded('H5Z_PARAMETER', { chunk: 0 }),
    );
  });
});

describe('one by one', () => {
  test('in order, with index and offset; encoding likewise', async () => {
    const values = Array.from({ length: 50 }, (_, i) => i);
    const encoded = await pipeline.encodeMany(values.map((n) => Uint8Array.of(n)));
    let index = 0;
    for await (const each of pipeline.decodeEach(encoded.map((c, i) => ({ ...c, offset: [i] })))) {
      expect(each).toEqual({ index, offset: [index], data: Uint8Array.of(index) });
      index++;
    }
    expect(index).toBe(50);
    for await (const each of pipeline.encodeEach(values.map((n) => ({ data: Uint8Array.of(n), offset: [n] })))) {
      expect(each).toEqual({ index: each.index, offset: [each.index], data: chunk(each.index), filterMask: 0 });
    }
  });

  test.each(['sync', 'async'])('asks a %s source for no more than is taken and under way', async (kind) => {
    let asked = 0;
    let closed = false;
    const sync = function* () {
      try {
        for (;;) yield chunk(asked++ & 0xff);
      } finally {
        closed = true;
      }
    };
    const source =
      kind === 'sync'
        ? sync()
        : (async function* () {
            yield* sync();
          })();
    let taken = 0;
    for await (const _ of pipeline.decodeEach(source, { threads: 3 })) {
      expect(asked - ++taken).toBeLessThanOrEqual(3);
      if (taken === 20) break;
    }
    await pause();
    expect(closed).toBe(true);
  });

  test('a slow source does not hold back what is ready', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* source() {
      yield chunk(1);
      await gate;
      yield chunk(2);
    }
    const results = pipeline.decodeEach(source(), { threads: 4 });
    expect((await results.next()).value?.data).toEqual(Uint8Array.of(1));
    release();
    expect((await results.next()).value?.data).toEqual(Uint8Array.of(2));
    expect((await results.next()).done).toBe(true);
  });
});

describe('what ends a batch', () => {
  test('the first error in the order of the chunks, with chunk, offset and stage', async () => {
    const slow = tagging(1, {
      decodeAsync: async (data, options) => {
        if (data[1] === 3) await pause(); // the first to fail is the last to say so
        return tagging(1).decode(data, options);
      },
    });
    const broken = [0, 1, 2, 3, 4, 5].map((n) => ({ data: Uint8Array.of(n < 3 ? 1 : 9, n), offset: [n] }));
    const failing = createPipeline([stage(slow)]);
    const wanted = expect.objectContaining({
      code: 'H5Z_E_CORRUPT',
      message: expect.stringMatching(/^chunk 3 at 3: tag1: corrupt input/),
      details: expect.objectContaining({ chunk: 3, offset: [3], stage: 0, id: 1 }),
    });
    await expect(failing.decodeMany(broken, { threads: 6 })).rejects.toEqual(wanted);
    const into = new Uint8Array(6);
    await expect(failing.decodeMany(broken, { threads: 6, into, layout: line(6) })).rejects.toEqual(wanted);
    expect([...into.subarray(0, 3)]).toEqual([0, 1, 2]);
  });

  test('an error of the source, behind those of the chunks before it', async () => {
    function* source(first: Uint8Array) {
      yield first;
      throw new Error('the source');
    }
    await expect(pipeline.decodeMany(source(chunk(1)), { threads: 4 })).rejects.toThrow('the source');
    await expect(pipeline.decodeMany(source(Uint8Array.of(9)), { threads: 4 })).rejects.toEqual(
      coded('H5Z_E_CORRUPT', { chunk: 0 }),
    );
  });

  test('a file that ends before its chunk does', async () => {
    const file = { path: '/data/run.h5', read: () => Uint8Array.of(1) };
    await expect(pipeline.decodeMany([{ file, address: 10, length: 3 }])).rejects.toEqual(
      coded('H5Z_FILE', { address: 10, length: 3, read: 1, chunk: 0 }),
    );
    await expect(pipeline.decodeMany([{ file, address: -1, length: 3 }])).rejects.toEqual(coded('H5Z_PARAMETER'));
  });

  test('a signal: its reason, no further chunk, nothing written afterwards', async () => {
    const stop = new AbortController();
    let started = 0;
    const counting = tagging(2, {
      decodeAsync: async (data, options) => {
        started++;
        await pause();
        return tagging(2).decode(data, options);
      },
    });
    const into = new Uint8Array(100);
    const chunks = Array.from({ length: 100 }, (_, i) => ({ data: Uint8Array.of(2, 1, 7), offset: [i] }));
    const reason = new Error('enough');
    const onChunk = (done: number) => done === 5 && stop.abort(reason);
    const layout = { shape: [50, 2], chunk: [1, 1], itemSize: 1 }; // rows apart: decoded, then copied
    const batch = createPipeline([stage(tagging(1)), stage(counting)]).decodeMany(
      chunks.map(({ data, offset: [i = 0] }) => ({ data, offset: [i >> 1, i & 1] })),
      { into, layout, signal: stop.signal, onChunk, threads: 4 },
    );
    await expect(batch).rejects.toBe(reason);
    const before = into.slice();
    const sofar = started;
    await pause();
    await pause();
    expect(into).toEqual(before);
    expect(started).toBe(sofar);
    expect(started).toBeLessThan(12);
    await expect(pipeline.decodeMany([], { signal: stop.signal })).rejects.toBe(reason);
  });

  test('a signal reaches a batch that waits for its source, and one that never leaves this thread', async () => {
    const stop = new AbortController();
    async function* stuck() {
      yield chunk(1);
      await new Promise(() => {});
    }
    const waiting = pipeline.decodeMany(stuck(), { signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stuck')), 5);
    await expect(waiting).rejects.toThrow('stuck');
    function* endless() {
      for (;;) yield chunk(1);
    }
    const busy = (async () => {
      for await (const _ of pipeline.decodeEach(endless(), { signal: AbortSignal.timeout(50) })) {
        // goes on until the timer fires
      }
    })();
    await expect(busy).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test.each([0, -1, 1.5, Number.NaN])('threads: %d is refused', async (threads) => {
    await expect(pipeline.decodeMany([], { threads })).rejects.toEqual(coded('H5Z_PARAMETER'));
  });
});
