// A process of its own for reading.ts: reads the dataset /data of a file whole and prints by how many bytes its memory at most
// grew beyond the output meanwhile. Arguments: the file, the number of threads.
import { peak } from './peak.ts';
import { filtersOf } from './reading.ts';

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
