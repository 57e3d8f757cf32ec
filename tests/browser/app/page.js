// The page under test: an app that imports one filter package and the registry, nothing else of h5z. `?mode=` says what
// to do with the chunk of case.json; the answer goes into <output>.
//
// FILTER_PACKAGE is replaced by the package's name when the app is laid out (site.ts).

import filter from 'FILTER_PACKAGE';
import { createRegistry } from '@h5z/registry';
import { decodeCase, digest } from './decode.js';

const modes = {
  /** The filter package alone. */
  async load(one) {
    return decodeCase(await filter.load(), one);
  },
  /** By filter ID, through a registry that knows this one package; and a whole pipeline as readers report it. */
  async registry(one) {
    const registry = createRegistry([filter]);
    const codec = await registry.load(one.id);
    const pipeline = await registry.pipeline([{ id: one.id, cdValues: one.cdValues }]);
    const decoded = pipeline.decode(one.bytes, { size: one.size });
    return { ...(await decodeCase(codec, one)), pipeline: await digest(decoded) };
  },
  /** A filter whose package this app does not have. */
  async missing(one) {
    const registry = createRegistry([filter]);
    await registry.load(one.otherId);
  },
  /** Decodes first, then encodes: the encoder's module must come only for the second step. */
  async encode(one) {
    const first = await decodeCase(await filter.load(), one);
    await (await fetch('decoded.txt')).text();
    const codec = await filter.load({ encode: true });
    const data = codec.decode(one.bytes, { cdValues: one.cdValues, size: one.size });
    const chunk = codec.encode(data, { cdValues: one.cdValues });
    const again = await digest(codec.decode(chunk, { cdValues: one.cdValues, size: one.size }));
    return { ...first, again, smaller: chunk.length < data.length };
  },
  /** Many chunks: begins on this thread and goes on until core's own workers decode all, or so many `seconds` have passed. */
  async batch(one) {
    const pipeline = await createRegistry([filter]).pipeline([{ id: one.id, cdValues: one.cdValues }]);
    const { codec } = pipeline.stages[0];
    const own = codec.decodeAsync;
    let here = 0;
    codec.decodeAsync = (...args) => {
      here++;
      return own.apply(codec, args);
    };
    const seconds = Number(new URLSearchParams(location.search).get('seconds'));
    let last = -1;
    function* chunks() {
      for (const end = performance.now() + 1000 * seconds; last !== here && performance.now() < end; ) {
        last = here;
        const until = performance.now() + 50;
        do yield { data: one.bytes };
        while (performance.now() < until);
      }
    }
    const sums = new Set();
    let done = 0;
    for await (const { data } of pipeline.decodeEach(chunks(), { size: one.size })) {
      if (done++ % 100 === 0 || last === here) sums.add(await digest(data));
    }
    const { code, details } = await pipeline.decodeMany([one.bytes.subarray(0, 1)], { size: one.size }).catch((e) => e);
    return { onWorkers: last === here, inPage: here > 0, sums: [...sums], failure: { code, chunk: details?.chunk } };
  },
  /** The same in a module worker. */
  worker(one) {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) =>
        data.error ? reject(Object.assign(new Error(), data.error)) : resolve(data.value);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(one);
    });
  },
};

const output = document.querySelector('output');
try {
  const one = await (await fetch('case.json')).json();
  one.bytes = Uint8Array.from(atob(one.chunk), (c) => c.charCodeAt(0));
  const value = await modes[new URLSearchParams(location.search).get('mode')](one);
  output.textContent = JSON.stringify({ value });
} catch (error) {
  output.textContent = JSON.stringify({ error: { code: error.code, message: error.message } });
}
output.dataset.done = 'yes';
