// `./farm bench --only reading`: whole datasets by readDataset of @h5z/chunks beside h5py with hdf5plugin's filters, opening
// the file included, on one thread (CPU time) and on two (wall-clock time, which wants a machine that does nothing else); and
// what it takes to list 100,000 chunks.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import type { Pipeline } from '../../core/src/pipeline.ts';
import type { FilterPackage, PipelineStage } from '../../core/src/types.ts';
import { type Machine, median, thisMachine } from './types.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');

export interface ReadingRow {
  readonly file: string;
  /** What is done: a dataset read whole, or its chunks listed. */
  readonly what: 'read' | 'list';
  readonly threads: number;
  /** Decoded bytes; of a list, chunks. */
  readonly amount: number;
  /** Median seconds. */
  readonly ours: number;
  readonly theirs: number;
  /** Median over the rounds of theirs / ours. */
  readonly ratio: number;
  /** Where our time goes on one thread, in seconds of CPU: the codecs on chunks in the cache, and all else. */
  readonly codecs?: number;
  readonly rest?: number;
}

export interface ReadingResult {
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly rows: readonly ReadingRow[];
}

/** Files of reading.py and what reads them. */
const FILES = [
  { file: 'detector', about: 'bitshuffle + lz4, 40 frames of 1062 x 1028 uint32, a chunk each' },
  { file: 'climate', about: 'shuffle + zstd, 240 x 180 x 360 float32 in chunks of 24 x 90 x 180' },
  { file: 'blosc2', about: 'the same values in blosc2 (zstd, shuffle)' },
] as const;

export async function benchReading(options: {
  readonly python: string;
  readonly rounds?: number;
  readonly log: (line: string) => void;
}): Promise<ReadingResult> {
  const rounds = options.rounds ?? 9;
  const folder = mkdtempSync(join(tmpdir(), 'h5z-reading-'));
  const peer = spawn(options.python, [join(here, 'reading.py'), folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
  const answer = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('reading.py ended early');
    return JSON.parse(value) as T;
  };
  const load = (path: string) => import(pathToFileURL(join(root, path)).href);
  try {
    const versions = await answer<Record<string, string>>();
    const chunks = (await load('packages/chunks/dist/index.js')) as typeof import('../../chunks/src/index.ts');
    const { createRegistry } = (await load('registry/dist/index.js')) as {
      createRegistry(filters: readonly FilterPackage[]): {
        get(id: number): unknown;
        pipeline(stages: readonly PipelineStage[]): Promise<Pipeline>;
      };
    };
    const rows: ReadingRow[] = [];
    const compare = async (
      about: Pick<ReadingRow, 'file' | 'what' | 'threads'>,
      ours: () => Promise<{ amount: number; check: number; seconds: number }>,
    ) => {
      const pairs: [number, number][] = [];
      let amount = 0;
      for (let turn = 0; turn <= rounds; turn++) {
        const mine = async () => {
          const result = await ours();
          amount = result.amount;
          return result;
        };
        const peers = async () => {
          peer.stdin.write(`${about.file} ${about.threads} ${about.what}\n`);
          const [seconds, check] = await answer<[number, number]>();
          return { seconds, check };
        };
        const first = turn % 2 === 0 ? await mine() : await peers();
        const second = turn % 2 === 0 ? await peers() : await mine();
        if (first.check !== second.check) throw new Error(`${about.file}: h5py and readDataset read different values`);
        const [a, b] = turn % 2 === 0 ? [first, second] : [second, first];
        if (turn > 0) pairs.push([a.seconds, b.seconds]); // the first is for warming up
      }
      const row = {
        ...about,
        amount,
        ours: median(pairs.map(([a]) => a)),
        theirs: median(pairs.map(([, b]) => b)),
        ratio: median(pairs.map(([a, b]) => b / a)),
      };
      options.log(`reading: ${about.file}, ${about.threads} threads: ${row.ratio.toFixed(2)} x h5py`);
      return row;
    };
    for (const { file } of FILES) {
      const path = join(folder, `${file}.h5`);
      const registry = createRegistry(await filtersOf(chunks, path));
      for (const threads of [1, 2]) {
        const row = await compare({ file, what: 'read', threads }, async () => {
          const start = clock(threads);
          const { data } = await chunks.readDataset(path, '/data', { registry, threads });
          const seconds = clock(threads) - start;
          const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          return { seconds, amount: bytes.length, check: crc32(bytes) };
        });
        rows.push(threads === 1 ? { ...row, ...(await whereTo(chunks, registry, path)) } : row);
      }
    }
    rows.push(
      await compare({ file: 'small-chunks', what: 'list', threads: 1 }, async () => {
        const start = clock(1);
        const opened = await chunks.open(join(folder, 'small-chunks.h5'));
        const { length } = opened.dataset('/data').chunks;
        opened.close();
        const seconds = clock(1) - start;
        return { seconds, amount: length, check: crc32(new Uint8Array(Uint32Array.of(length).buffer)) };
      }),
    );
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: thisMachine(),
      versions,
      rounds,
      rows,
    };
  } finally {
    peer.stdin.end();
    peer.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds so far: of CPU time where one thread is measured, so that other work on the machine counts for neither side. */
function clock(threads: number): number {
  if (threads > 1) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

type Chunks = typeof import('../../chunks/src/index.ts');

/** The packages in filters/ that a file's dataset needs. */
async function filtersOf(chunks: Chunks, path: string): Promise<FilterPackage[]> {
  const file = await chunks.open(path);
  const wanted = new Set(file.dataset('/data').info.filters.map(({ id }) => id));
  file.close();
  const found: FilterPackage[] = [];
  for (const name of readdirSync(join(root, 'filters'))) {
    const { id } = JSON.parse(readFileSync(join(root, 'filters', name, 'filter.json'), 'utf8')) as { id: number };
    if (!wanted.has(id)) continue;
    const entry = pathToFileURL(join(root, 'filters', name, 'dist/node-addons.js')).href;
    found.push(((await import(entry)) as { default: FilterPackage }).default);
  }
  return found;
}

/** CPU seconds of the codecs alone, each chunk decoded to the same small output, and of everything else; least of several. */
async function whereTo(
  chunks: Chunks,
  registry: { pipeline(stages: readonly PipelineStage[]): Promise<Pipeline> },
  path: string,
): Promise<{ codecs: number; rest: number }> {
  const file = await chunks.open(path);
  const dataset = file.dataset('/data');
  const pipeline = await registry.pipeline(dataset.info.filters);
  const stored = [...dataset.chunks].map((chunk) => ({ bytes: dataset.readChunk(chunk), chunk }));
  const out = new Uint8Array(dataset.chunkBytes);
  const cpu = async (work: () => Promise<unknown>) => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 7; i++) {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      least = Math.min(least, (user + system) / 1e6);
    }
    return least;
  };
  const codecs = await cpu(async () => {
    for (const { bytes, chunk } of stored) pipeline.decodeInto(bytes, out, { filterMask: chunk.filterMask });
  });
  const finder = registry as NonNullable<Parameters<Chunks['loadPipeline']>[1]>;
  const whole = await cpu(() => chunks.readDataset(file, '/data', { registry: finder, threads: 1 }));
  file.close();
  return { codecs, rest: Math.max(0, whole - codecs) };
}

/** Writes the result where `./farm docs` finds it. */
export function saveReading(result: ReadingResult): string {
  const file = join(root, 'docs/data/reading.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}

/** docs/benchmarks-reading.md. */
export function readingPage(result: ReadingResult): string {
  const { machine } = result;
  const cells = (row: ReadingRow): string[] => {
    const unit = (seconds: number) =>
      row.what === 'read' ? `${(row.amount / 1e6 / seconds).toFixed(0)} MB/s` : `${(seconds * 1000).toFixed(0)} ms`;
    return [
      row.what === 'read' ? row.file : `list ${row.amount.toLocaleString('en')} chunks`,
      String(row.threads),
      unit(row.ours),
      unit(row.theirs),
      row.ratio.toFixed(2),
      row.codecs === undefined ? '' : `${(row.codecs * 1000).toFixed(0)} ms`,
      row.rest === undefined ? '' : `${(row.rest * 1000).toFixed(0)} ms`,
    ];
  };
  const head = ['file', 'threads', 'readDataset', 'h5py', 'ratio', 'codecs', 'all else'];
  const lines = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...result.rows.map(cells)];
  return [
    '# Reading whole files',
    '',
    `Measured on ${result.date} on ${machine.cpu} (${machine.cores} cores, ${machine.os}, Node ${machine.node}); ` +
      `${Object.entries(result.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}.`,
    '',
    `\`readDataset\` of @h5z/chunks beside \`h5py.File(path)["data"][()]\` with hdf5plugin's filters, alternating, medians of ` +
      `${result.rounds} rounds (CPU time on one thread, wall-clock time on two), opening the file and making the array included. The files are made for this: ` +
      `${FILES.map(({ file, about }) => `**${file}** (${about})`).join('; ')}. \`ratio\` above 1: ours is faster.`,
    '',
    ...lines.map((line) => `| ${line.join(' | ')} |`),
    '',
    'Where the time goes, on one thread: `codecs` is the CPU time of decoding all chunks into one output that stays in the ' +
      'cache; `all else` is what is left: reading the file, the first touch of every page of the new array (in pages of 2 MiB ' +
      'where Linux gives them), and placing chunks that are not whole rows of it.',
    '',
    'This page is made from `docs/data/reading.json` by `./farm docs`; `./farm bench --only reading` measures anew.',
    '',
  ].join('\n');
}
