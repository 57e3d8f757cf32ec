// Reads datasets with h5wasm 0.8 and one folder of side modules, and prints the seconds of every read. A process of its
// own, because libhdf5 keeps a filter for the life of the process: ours and the peer's cannot share one.
// argv: FOLDER TIMINGS FILE... (each file has one dataset, "data"); stdout: the median's seconds and a digest per file.
// A fast codec is timed TIMINGS times, a slow one until half a second is over; garbage is collected between timings.
import { createHash } from 'node:crypto';
import { File, ready } from 'h5wasm-0.8/node';
import { cpuSeconds, median, TIMED_BYTES } from './types.ts';

const [folder, timings, ...files] = process.argv.slice(2);
if (folder === undefined || timings === undefined) throw new Error('usage: h5wasm-read.ts FOLDER TIMINGS FILE...');
const ENOUGH_SECONDS = 0.5;
const module = await ready;
module.activate_throwing_error_handler();
module.insert_plugin_search_path(folder, 0);

const seconds: Record<string, number> = {};
const check: Record<string, string> = {};
for (const path of files) {
  const times: number[] = [];
  let repeats = 1;
  let spent = 0;
  // One more timing than asked for: the first is a single read that compiles the module.
  for (let turn = 0; turn <= Number(timings) && (turn < 3 || spent < ENOUGH_SECONDS); turn++) {
    globalThis.gc?.();
    const start = cpuSeconds();
    for (let repeat = 0; repeat < repeats; repeat++) {
      const file = new File(path, 'r');
      const dataset = file.get('data');
      if (dataset === null || !('value' in dataset)) throw new Error(`${path} has no dataset "data"`);
      const value = dataset.value as ArrayBufferView;
      if (turn === 0) {
        const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
        check[path] = createHash('sha256').update(bytes).digest('hex');
        repeats = Math.max(1, Math.ceil(TIMED_BYTES / bytes.length));
      }
      file.close();
    }
    const took = cpuSeconds() - start;
    if (turn > 0) {
      times.push(took / repeats);
      spent += took;
    }
  }
  seconds[path] = median(times);
}
process.stdout.write(JSON.stringify({ seconds, check }));
