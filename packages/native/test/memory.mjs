// Run by memory.test.ts in a process of its own with --expose-gc: what becomes of the memory that large arrays lie in. argv: the
// library, rle.c compiled, and the name of one of the `tales`, which prints `right` when all of it held.

import { ok, rejects, deepStrictEqual as same } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createPipeline } from '@h5z/core';
import { loadNative, maxMemoryKept, setMaxMemoryKept } from '@h5z/native';
import { addon } from '../dist/addon.js';

const [, , library, tale] = process.argv;
const CHUNK = 1_000_000;
const MiB = 1024 * 1024;
const codec = loadNative(library);
const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec }]);
const native = addon();
const byteOf = (i) => 1 + (i % 250);
const stored = Array.from({ length: 250 }, (_, i) => pipeline.encode(new Uint8Array(CHUNK).fill(byteOf(i))).data);

/** Chunks 0 to count - 1 but those left out, decoded into one array that the batch makes. */
async function read(count, { without = [], ...options } = {}) {
  const chunks = Array.from({ length: count }, (_, i) => ({ data: stored[i % 250], offset: [i * CHUNK] }));
  const layout = { shape: [count * CHUNK], chunk: [CHUNK], itemSize: 1 };
  return pipeline.decodeMany(
    chunks.filter((_, i) => !without.includes(i)),
    { layout, ...options },
  );
}

function check(array, count, { without = [], fill = 0 } = {}) {
  same(array.length, count * CHUNK);
  for (let i = 0; i < count; i++) {
    const part = Buffer.from(array.buffer, array.byteOffset + i * CHUNK, CHUNK);
    same(part.compare(Buffer.alloc(CHUNK, without.includes(i) ? fill : byteOf(i))), 0, `chunk ${i}`);
  }
}

/** Collects garbage until the memory of what nobody has any more was given back. */
async function collect(done = () => native.kept() > 0) {
  for (let turn = 0; turn < 100 && !done(); turn++) {
    globalThis.gc();
    await sleep(10);
  }
  ok(done(), 'nothing was given back');
}

/** Memory full of other bytes lies ready: enough for `count` chunks. */
async function dirty(count) {
  check(await read(count, { covered: true }), count);
  await collect();
}

const coded = (code) => (error) => error.code === code;

const tales = {
  async 'used again'() {
    let addresses = 0;
    for (let round = 0; round < 20; round++) {
      const array = await read(20, { covered: round % 2 === 0 });
      if (native.kept() === 0) addresses++;
      check(array, 20);
      if (round > 0) ok(native.kept() <= maxMemoryKept());
    }
    await collect();
    ok(addresses < 20);
    // The next one lies in what is kept. Others may come back meanwhile: V8 frees what it collected in its own time.
    let used = false;
    for (let turn = 0; turn < 20 && !used; turn++) {
      const before = native.kept();
      const array = await read(20, { covered: true });
      used = native.kept() === before - 20 * MiB;
      check(array, 20);
      await collect();
    }
    ok(used);
  },
  async 'never shows what was there'() {
    for (const without of [[0], [7, 8], [19], Array.from({ length: 20 }, (_, i) => i)]) {
      await dirty(20);
      check(await read(20, { without }), 20, { without });
      await dirty(20);
      check(await read(20, { without, fill: Uint8Array.of(77) }), 20, { without, fill: 77 });
      await dirty(20);
      check(await read(20, { without, fill: Uint8Array.of(0) }), 20, { without });
      await dirty(20);
      await rejects(read(20, { without, covered: true }), coded('H5Z_PARAMETER'));
    }
    // As many bytes as the output has, but some of them twice: a chunk that comes again, or that lies across two others.
    for (const offset of [[3 * CHUNK], [3.5 * CHUNK]]) {
      await dirty(20);
      const again = Array.from({ length: 20 }, (_, i) => ({ data: stored[i], offset: i === 7 ? offset : [i * CHUNK] }));
      const all = { shape: [20 * CHUNK], chunk: [CHUNK], itemSize: 1 };
      await rejects(pipeline.decodeMany(again, { layout: all, covered: true }), coded('H5Z_PARAMETER'));
    }
    // A slice whose edge chunks stick out, and the first chunk missing.
    await dirty(20);
    const chunks = [1, 2, 3, 4, 5].map((i) => ({ data: stored[i], offset: [i * CHUNK] }));
    const layout = { shape: [5 * CHUNK], chunk: [CHUNK], itemSize: 1, origin: [CHUNK / 2] };
    const slice = await pipeline.decodeMany(chunks, { layout });
    ok(slice.subarray(0, CHUNK / 2).every((byte) => byte === 0));
    for (let i = 1; i < 5; i++)
      ok(slice.subarray((i - 0.5) * CHUNK, (i + 0.5) * CHUNK).every((byte) => byte === byteOf(i)));
  },
  async 'is not given out by what fails'() {
    await dirty(20);
    const kept = native.kept();
    const chunks = Array.from({ length: 20 }, (_, i) => ({
      data: stored[i].subarray(0, i === 11 ? 5 : undefined),
      offset: [i * CHUNK],
    }));
    const layout = { shape: [20 * CHUNK], chunk: [CHUNK], itemSize: 1 };
    await rejects(pipeline.decodeMany(chunks, { layout, covered: true }), (error) => error.details.chunk === 11);
    const { signal, abort } = (() => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) };
    })();
    await rejects(read(20, { covered: true, signal, onChunk: (done) => done === 3 && abort() }), { message: 'enough' });
    await collect(() => native.kept() >= kept);
    check(await read(20, { covered: true }), 20);
  },
  async 'goes back to the system'() {
    const since = performance.now();
    await dirty(20);
    await sleep(3000);
    const kept = native.kept();
    if (performance.now() - since < 5000) ok(kept > 0, 'for a while it is kept');
    while (native.kept() > 0) await sleep(200); // the test's limit ends it otherwise
    await dirty(100);
    const rss = process.memoryUsage.rss();
    setMaxMemoryKept(0);
    same(native.kept(), 0);
    ok(process.memoryUsage.rss() < rss - 80e6, 'the system has it again');
    check(await read(100), 100);
    await collect(() => native.kept() === 0);
    for (const wrong of [-1, 1.5, Number.NaN, '7']) {
      try {
        setMaxMemoryKept(wrong);
        ok(false);
      } catch (error) {
        same(error.code, 'H5Z_PARAMETER');
      }
    }
  },
  async 'is bounded'() {
    setMaxMemoryKept(50 * MiB);
    same(maxMemoryKept(), 50 * MiB);
    let arrays = await Promise.all(Array.from({ length: 8 }, () => read(20, { covered: true })));
    for (const array of arrays) check(array, 20);
    arrays = undefined;
    await collect(() => native.kept() === 40 * MiB);
    setMaxMemoryKept(30 * MiB);
    same(native.kept(), 20 * MiB);
    // Without anybody's help garbage is collected as such memory is asked for.
    setMaxMemoryKept(512 * MiB);
    let most = 0;
    for (let i = 0; i < 60; i++) {
      await read(100, { covered: true });
      most = Math.max(most, process.memoryUsage.rss());
    }
    ok(most < 1200e6, `${most} bytes for arrays of 100 MB`);
  },
  async 'moves as any other'() {
    const array = await read(20, { covered: true });
    const copy = structuredClone(array);
    const moved = structuredClone(array, { transfer: [array.buffer] });
    same([array.length, array.buffer.detached], [0, true]);
    check(moved, 20);
    check(copy, 20);
    // To a worker, which holds it while this thread reads on; and back.
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       let held;
       parentPort.on('message', (message) => {
         if (message.array) { held = message.array; parentPort.postMessage('taken'); }
         if (message.back) { parentPort.postMessage(held, [held.buffer]); held = undefined; }
       });`,
      { eval: true },
    );
    const answer = () => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    worker.postMessage({ array: moved }, [moved.buffer]);
    await answer();
    for (let i = 0; i < 5; i++) {
      globalThis.gc();
      await sleep(10);
      ok(native.kept() <= i * 20 * MiB, 'no more than the arrays of the turns before');
      const other = await read(20, { without: [3], fill: Uint8Array.of(99) });
      check(other, 20, { without: [3], fill: 99 });
      other.fill(5);
    }
    worker.postMessage({ back: true });
    check(await answer(), 20);
    // What a worker dies with comes back too.
    await collect();
    globalThis.gc();
    await sleep(50);
    setMaxMemoryKept(0);
    setMaxMemoryKept(512 * MiB);
    const last = await read(20, { covered: true });
    worker.postMessage({ array: last }, [last.buffer]);
    await answer();
    await worker.terminate();
    await collect(() => native.kept() >= 20 * MiB);
  },
  async 'is written in place'() {
    const into = await read(20, { covered: true });
    into.fill(0);
    same(await read(20, { into }), into);
    check(into, 20);
    const part = into.subarray(CHUNK, 3 * CHUNK);
    await pipeline.decodeMany([{ data: stored[9], offset: [CHUNK] }], {
      into: part,
      layout: { shape: [2 * CHUNK], chunk: [CHUNK], itemSize: 1 },
    });
    same([part[0], part[CHUNK - 1], part[CHUNK], part.at(-1), into[3 * CHUNK]], [2, 2, 10, 10, 4]);
    // Transferred away in mid-flight, and dropped: the batch fails, and nobody else gets the memory before its end.
    for (let turn = 0; turn < 10; turn++) {
      const gone = await read(20, { covered: true });
      const chunks = function* () {
        for (let i = 0; i < 20; i++) {
          if (i === turn) structuredClone(gone.buffer, { transfer: [gone.buffer] });
          if (i === turn) globalThis.gc();
          yield { data: stored[i], offset: [i * CHUNK] };
        }
      };
      const layout = { shape: [20 * CHUNK], chunk: [CHUNK], itemSize: 1 };
      const failed = rejects(pipeline.decodeMany(chunks(), { into: gone, layout }), coded('H5Z_PARAMETER'));
      for (const other of await Promise.all([1, 2, 3].map(() => read(20, { covered: true })))) check(other, 20);
      await failed;
    }
    await collect();
  },
  async 'holds chunks that are encoded again'() {
    const large = Array.from({ length: 12 }, (_, i) =>
      Uint8Array.from({ length: 2 * MiB }, (_, at) => (at >> 3) * (i + 1)),
    );
    const chunks = large.map((data) => ({ data: pipeline.encode(data).data, size: data.length }));
    for (const unchanged of [true, false]) {
      const decoded = (async function* () {
        for await (const { data } of pipeline.decodeEach(chunks)) yield { data };
      })();
      let i = 0;
      for await (const { data } of pipeline.encodeEach(decoded, { unchanged })) {
        same(Buffer.compare(data, chunks[i++].data), 0);
        const moved = structuredClone(data, { transfer: [data.buffer] });
        same([data.length, Buffer.compare(moved, chunks[i - 1].data)], [0, 0]);
      }
      same(i, 12);
      await collect();
    }
    // Transferred away while it is read in place: nobody else gets it before the result is there.
    for (let turn = 0; turn < 10; turn++) {
      const all = [];
      for await (const { data } of pipeline.decodeEach(chunks)) all.push({ data });
      const work = pipeline.encodeMany(all, { unchanged: true });
      await new Promise((resolve) => setImmediate(resolve)); // a few are under way
      for (const { data } of all.slice(0, 3)) structuredClone(data.buffer, { transfer: [data.buffer] });
      globalThis.gc();
      const others = [];
      for await (const { data } of pipeline.decodeEach(chunks, { filterMask: 0 })) others.push(data.fill(turn));
      const results = await work;
      for (const [i, { data }] of results.entries()) same(Buffer.compare(data, chunks[i].data), 0);
    }
    // The caller may change the data at once, unless it says that it does not.
    const own = await pipeline.decodeMany(chunks.slice(0, 3));
    const work = pipeline.encodeMany(own);
    await new Promise((resolve) => setImmediate(resolve));
    for (const data of own) data.fill(0);
    for (const [i, { data }] of (await work).entries()) same(Buffer.compare(data, chunks[i].data), 0);
  },
  async 'ends with the process'() {
    for (let i = 0; i < 3; i++) await dirty(20);
    await read(200, {
      covered: true,
      onChunk: (done) => {
        if (done === 5) {
          console.log('right');
          process.exit(0);
        }
      },
    });
  },
  async 'of a worker is its own'() {
    await dirty(20);
    const before = native.kept();
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      Promise.all([import('@h5z/core'), import('@h5z/native')]).then(async ([{ createPipeline }, { loadNative }]) => {
        const pipeline = createPipeline([{ id: 40001, cdValues: [1, 9], codec: loadNative(workerData.library) }]);
        const chunks = workerData.stored.map((data, i) => ({ data, offset: [i * ${CHUNK}] }));
        const layout = { shape: [chunks.length * ${CHUNK}], chunk: [${CHUNK}], itemSize: 1 };
        const array = await pipeline.decodeMany(chunks, { layout, covered: true });
        parentPort.postMessage(array, [array.buffer]);
      });`;
    const worker = new Worker(script, { eval: true, workerData: { library, stored: stored.slice(0, 20) } });
    const [array] = await Promise.all([
      new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
      new Promise((resolve) => worker.once('exit', resolve)),
    ]);
    ok(native.kept() <= before);
    for (let i = 0; i < 3; i++) await dirty(20);
    check(array, 20);
  },
};

await tales[tale]();
console.log('right');
