// A process of its own for reading.ts: reads the dataset /data of a file whole and prints by how many bytes its memory at most
// grew beyond the output meanwhile. Arguments: the file, the number of threads.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { filtersOf } from './reading.ts';

let reset = false;
const [path = '', threads = '1'] = process.argv.slice(2);
const load = (name: string) => import(new URL(`../../../${name}`, import.meta.url).href);
const chunks = (await load('packages/chunks/dist/index.js')) as typeof import('../../chunks/src/index.ts');
const { createRegistry } = await load('registry/dist/index.js');
const { setThreads } = (await load('packages/native/dist/index.js')) as typeof import('../../native/src/index.ts');
setThreads(Number(threads));
const registry = createRegistry(await filtersOf(chunks, path));
const file = await chunks.open(path);
const dataset = file.dataset('/data');
const { data } = await chunks.readDataset(file, '/data', {
  registry,
  slice: dataset.info.shape.map(() => [0, 0] as const),
});
const { buffer } = (await registry.pipeline(dataset.info.filters)).allocate(dataset.byteLength).fill(1);
const into = new (data.constructor as Uint8ArrayConstructor)(buffer as ArrayBuffer);
const before = peak();
await chunks.readDataset(file, '/data', { registry, into });
console.log(peak() - before);

/**
 * Most bytes that this process had in memory until now. Linux counts for getrusage what the process that started this one had,
 * so its own peak is asked for, and the first call sets that back to what there is.
 */
function peak(): number {
  const status = '/proc/self/status';
  if (!existsSync(status)) return process.resourceUsage().maxRSS * 1024;
  if (!reset) {
    reset = true;
    writeFileSync('/proc/self/clear_refs', '5');
  }
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))?.[1]) * 1024;
}
