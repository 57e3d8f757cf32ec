// `./farm bench --only reading`: whole datasets by readDataset of @h5z/chunks beside h5py with hdf5plugin's filters, opening
// the file included, on one thread (CPU time) and on two (wall-clock time, which wants a machine that does nothing else), into
// new arrays (in memory that @h5z/native has kept, and in the system's) and into one that is there; what it takes to list 100,000 chunks; and where our time goes: the same filter
// libraries called by a loop in C (reading.c), what the machine's memory gives, threads from one to all, and memory.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Pipeline } from '../../core/src/pipeline.ts';
import type { FilterPackage, PipelineStage } from '../../core/src/types.ts';
import { cpuSeconds, type Machine, median, thisMachine } from './types.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');

export interface ReadingRow {
  readonly file: string;
  /**
   * What is done: a dataset read whole to a new array (`fresh`: with nothing kept of those before), or to one that is there
   * (`into`), or its chunks listed.
   */
  readonly what: 'read' | 'fresh' | 'into' | 'list';
  readonly threads: number;
  /** Decoded bytes; of a list, chunks. */
  readonly amount: number;
  /** Median seconds. */
  readonly ours: number;
  readonly theirs: number;
  /** Median over the rounds of theirs / ours. */
  readonly ratio: number;
}

/** Where our time goes with one file. Seconds are the least of several rounds, of CPU time where nothing else is said. */
export interface ReadingParts {
  readonly file: string;
  readonly bytes: number;
  readonly stored: number;
  readonly chunks: number;
  /** All chunks decoded one after the other into the same output: by the filter libraries called in C, by our pipeline. */
  readonly direct: number;
  readonly pipeline: number;
  /** Reading the stored chunks from the system's cache. */
  readonly read: number;
  /** readDataset on one thread, to a new array in fresh memory of the system and to one that is there. */
  readonly whole: number;
  readonly into: number;
  /** Wall-clock seconds of readDataset to an array that is there, on 1, 2 ... threads. */
  readonly scaling: readonly number[];
  /** Most memory beside the output, in bytes, on 1 and on all threads; and of a chunk, decoded and stored at most. */
  readonly beside: readonly { readonly threads: number; readonly bytes: number }[];
  readonly chunkBytes: number;
  readonly storedBytes: number;
}

export interface ReadingResult {
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly rows: readonly ReadingRow[];
  readonly parts: readonly ReadingParts[];
  /** Bytes a second: copied from memory to memory by 1, 2 ... threads, and given fresh by the system, on one thread. */
  readonly copy: readonly number[];
  readonly fresh: number;
}

/** Rounds before those that count: for compilers, caches, and memory, whose first use costs a virtual machine more than the next. */
const WARM = 4;

/** Files of reading.py and what reads them. */
export const FILES = [
  { file: 'detector', about: 'bitshuffle + lz4, 40 frames of 1062 x 1028 uint32, a chunk each' },
  { file: 'climate', about: 'shuffle + zstd, 240 x 180 x 360 float32 in chunks of 24 x 90 x 180' },
  { file: 'blosc2', about: 'the same values in blosc2 (zstd, shuffle)' },
  { file: 'rows', about: 'bitshuffle + lz4, 10,000 chunks of 2 x 1028 uint32: small ones' },
] as const;

export interface ReadingOptions {
  /** One with h5py and hdf5plugin. */
  readonly python: string;
  /** A C compiler, for reading.c. */
  readonly cc: string;
  readonly rounds?: number;
  readonly log: (line: string) => void;
}

/**
 * In a process of its own, which holds nothing but what it reads, as the peer's: what else lies in a heap is looked at whenever
 * V8 collects arrays.
 */
export async function benchReading({ log, ...options }: ReadingOptions): Promise<ReadingResult> {
  const child = spawn(process.execPath, [join(here, 'reading-run.ts'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  createInterface({ input: child.stderr }).on('line', log);
  const [result, code] = await Promise.all([text(child.stdout), ended]);
  if (code !== 0) throw new Error(`the reading benchmark ended with ${code}: its last lines above say why`);
  return JSON.parse(result) as ReadingResult;
}

/** All of it, in this process. */
export async function measureReading(options: ReadingOptions): Promise<ReadingResult> {
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
    const native = (await load('packages/native/dist/index.js')) as typeof import('../../native/src/index.ts');
    const kept = native.maxMemoryKept();
    const rows: ReadingRow[] = [];
    const compare = async (
      about: Pick<ReadingRow, 'file' | 'what' | 'threads'>,
      ours: () => Promise<{ amount: number; check: number; seconds: number }>,
    ) => {
      const pairs: [number, number][] = [];
      let amount = 0;
      for (let turn = -WARM; turn < rounds; turn++) {
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
        if (turn >= 0) pairs.push([a.seconds, b.seconds]);
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
    const parts: ReadingParts[] = [];
    const memory: Pick<Floor, 'copy' | 'fresh'>[] = [];
    const floorProgram = join(folder, 'reading');
    const include = join(root, 'packages/abi/include');
    const source = join(here, 'reading.c');
    await promisify(execFile)(options.cc, [
      '-O2',
      '-std=gnu11',
      '-I',
      include,
      source,
      '-o',
      floorProgram,
      '-lpthread',
      '-ldl',
    ]);
    for (const { file } of FILES) {
      const path = join(folder, `${file}.h5`);
      const registry = createRegistry(await filtersOf(chunks, path));
      const into = (await chunks.readDataset(path, '/data', { registry })).data;
      const reading = (what: 'read' | 'fresh' | 'into', threads: number) => {
        native.setMaxMemoryKept(what === 'fresh' ? 0 : kept);
        return compare({ file, what, threads }, async () => {
          const start = clock(threads);
          const given = what === 'into' ? { into } : {};
          const { data } = await chunks.readDataset(path, '/data', { registry, threads, ...given });
          const seconds = clock(threads) - start;
          const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
          return { seconds, amount: bytes.length, check: crc32(bytes) };
        });
      };
      for (const what of ['read', 'fresh', 'into'] as const)
        for (const threads of [1, 2]) rows.push(await reading(what, threads));
      native.setMaxMemoryKept(0);
      const found = await partsOf({ chunks, registry, file, path, into, floorProgram });
      parts.push(found.parts);
      memory.push(found.memory);
      options.log(
        `reading: ${file}: the pipeline takes ${(found.parts.pipeline / found.parts.direct).toFixed(2)} x C's time`,
      );
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
      parts,
      copy: Array.from({ length: thisMachine().cores }, (_, i) => Math.max(...memory.map(({ copy }) => copy[i] ?? 0))),
      fresh: Math.max(...memory.map(({ fresh }) => fresh)),
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
export async function filtersOf(chunks: Chunks, path: string): Promise<FilterPackage[]> {
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

/** What reading.c prints. */
interface Floor {
  readonly read: number;
  readonly decode: number;
  readonly sum: number;
  readonly copy: readonly number[];
  readonly fresh: number;
}

interface Measured {
  readonly chunks: Chunks;
  readonly registry: { pipeline(stages: readonly PipelineStage[]): Promise<Pipeline> };
  readonly file: string;
  readonly path: string;
  readonly into: NonNullable<Parameters<Chunks['readDataset']>[2]>['into'];
  readonly floorProgram: string;
}

const PART_ROUNDS = 9;

/** Where the time goes: least of several rounds of each. */
async function partsOf(given: Measured): Promise<{ parts: ReadingParts; memory: Pick<Floor, 'copy' | 'fresh'> }> {
  const { chunks, registry, path, into } = given;
  const cores = thisMachine().cores;
  const file = await chunks.open(path);
  const dataset = file.dataset('/data');
  const { info, chunkBytes } = dataset;
  const pipeline = await registry.pipeline(info.filters);
  const all = [...dataset.chunks];
  const stored = all.map((chunk) => ({ bytes: dataset.readChunk(chunk), filterMask: chunk.filterMask }));
  const lines = [
    `file ${path}`,
    `size ${chunkBytes}`,
    ...pipeline.stages.map(({ codec, cdValues = [] }) =>
      ['stage', cdValues.length, ...cdValues, codec.source].join(' '),
    ),
    ...all.map(({ address, size, filterMask }) => `chunk ${address} ${size} ${filterMask}`),
  ];
  const out = new Uint8Array(chunkBytes);
  const least = async (work: () => unknown, now: () => number): Promise<number> => {
    let found = Number.POSITIVE_INFINITY;
    for (let i = 0; i < PART_ROUNDS; i++) {
      const start = now();
      await work();
      found = Math.min(found, now() - start);
    }
    return found;
  };
  const decode = () => {
    for (const { bytes, filterMask } of stored) pipeline.decodeInto(bytes, out, { filterMask });
  };
  // In turns, so that what else the machine does meets both.
  const floors: Floor[] = [];
  let inPipeline = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 3; turn++) {
    floors.push(await floorOf(given.floorProgram, `${lines.join('\n')}\n`, cores));
    inPipeline = Math.min(inPipeline, await least(decode, cpuSeconds));
  }
  const sum = out.reduce((total, byte) => total + byte, 0);
  if (floors.some((floor) => floor.sum !== sum)) throw new Error(`${given.file}: C decodes other values`);
  const finder = registry as NonNullable<Parameters<Chunks['loadPipeline']>[1]>;
  const options = { registry: finder, threads: 1 };
  const whole = await least(
    () => chunks.readDataset(path, '/data', options),
    () => clock(1),
  );
  const there = await least(
    () => chunks.readDataset(path, '/data', { ...options, ...(into ? { into } : {}) }),
    () => clock(1),
  );
  const scaling: number[] = [];
  for (let threads = 1; threads <= cores; threads++) {
    const read = () => chunks.readDataset(path, '/data', { ...options, threads, ...(into ? { into } : {}) });
    scaling.push(await least(read, () => clock(2)));
  }
  const beside: { threads: number; bytes: number }[] = [];
  for (const threads of new Set([1, cores])) {
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(here, 'reading-memory.ts'),
      path,
      String(threads),
    ]);
    beside.push({ threads, bytes: Number(stdout) });
  }
  file.close();
  const parts = {
    file: given.file,
    bytes: dataset.byteLength,
    stored: stored.reduce((sum, { bytes }) => sum + bytes.length, 0),
    chunks: all.length,
    direct: Math.min(...floors.map((floor) => floor.decode)),
    pipeline: inPipeline,
    read: Math.min(...floors.map((floor) => floor.read)),
    whole,
    into: there,
    scaling,
    beside,
    chunkBytes,
    storedBytes: Math.max(...all.map(({ size }) => size)),
  };
  const copy = Array.from({ length: cores }, (_, i) => Math.max(...floors.map((floor) => floor.copy[i] ?? 0)));
  return { parts, memory: { copy, fresh: Math.max(...floors.map((floor) => floor.fresh)) } };
}

async function floorOf(program: string, input: string, threads: number): Promise<Floor> {
  const child = spawn(program, [String(PART_ROUNDS), String(threads)], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(input);
  let text = '';
  for await (const part of child.stdout.setEncoding('utf8')) text += part;
  if (text === '') throw new Error('reading.c ended without a result');
  return JSON.parse(text) as Floor;
}

/** Writes the result where `./farm docs` finds it. */
export function saveReading(result: ReadingResult): string {
  const file = join(root, 'docs/data/reading.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}
