// `./farm bench`: every filter beside its peer, in alternating runs on the same chunks of real arrays. Four suites: native
// plugins against those of the hdf5plugin wheel, or libhdf5's own filters for what it has built in; standalone WebAssembly
// against numcodecs.js; h5wasm side modules against h5wasm-plugins; and our native variant beside our WebAssembly, which every
// filter has. What is run is read from filters/*/filter.json; results are medians, never limits of a test.
import { execFile, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Codec, FilterDescription, FilterPackage } from '../../core/src/types.ts';
import {
  chunksOf,
  configurations,
  type Located,
  oneOfEachType,
  readArrays,
  readChunks,
  type Work,
  workFor,
  worksFor,
} from './data.ts';
import { mergeResult } from './merge.ts';
import { H5WASM_PLUGINS, NUMCODECS } from './peers.ts';
import {
  type BenchFilter,
  type BenchResult,
  type BenchRow,
  cpuSeconds,
  type SizeRow,
  summarise,
  TIMED_BYTES,
  thisMachine,
} from './types.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');
const require = createRequire(import.meta.url);

export interface BenchOptions {
  /** Python with h5py, hdf5plugin and numpy. */
  readonly python: string;
  /** Folder of raw arrays with an index.json. */
  readonly arrays: string;
  /** Where the arrays come from, in words. */
  readonly data: string;
  /** Only suites, filters or arrays whose name contains this. */
  readonly only?: string;
  readonly rounds?: number;
  readonly log: (line: string) => void;
}

/** Runs the suites. Throws when a peer and we do not agree on the bytes: a benchmark of wrong results is worth nothing. */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const rounds = options.rounds ?? 7;
  const skipped: string[] = [];
  const filters = await readFilters(options.only);
  const scratch = mkdtempSync(join(tmpdir(), 'h5z-bench-'));
  try {
    return await suites(options, rounds, skipped, filters, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function suites(
  options: BenchOptions,
  rounds: number,
  skipped: string[],
  filters: readonly LoadedFilter[],
  scratch: string,
): Promise<BenchResult> {
  const context: Context = {
    ...options,
    rounds,
    skipped,
    filters,
    scratch,
    index: readArrays(options.arrays, scratch),
    wanted: (suite, filter) => options.only === undefined || isChosen(options.only, suite, filter.name),
  };
  const rows = [...(await variants(context)), ...(await native(context)), ...(await wasm(context))];
  const side = await h5wasm(context);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    versions: await versions(options.python, filters),
    data: options.data,
    rounds,
    rows: [...rows, ...side.rows],
    sizes: side.sizes,
    skipped,
  };
}

interface Context extends BenchOptions {
  readonly rounds: number;
  readonly skipped: string[];
  readonly filters: readonly LoadedFilter[];
  /** Folder for files of this run. */
  readonly scratch: string;
  readonly index: readonly Located[];
  wanted(suite: string, filter: LoadedFilter): boolean;
}

interface LoadedFilter {
  readonly name: string;
  readonly description: FilterDescription;
  readonly folder: string;
  readonly module: FilterPackage;
  readonly configs: readonly BenchFilter[];
}

/** Whether `only` names this: a word of the suite or of the filter, or both as SUITE/FILTER. */
function isChosen(only: string, suite: string, filter: string): boolean {
  const [first = '', second] = only.split('/');
  return second === undefined
    ? suite.includes(first) || filter.includes(first)
    : suite.includes(first) && filter.includes(second);
}

/** All filters; those alone whose names hold `only`, or what stands behind its slash, when any does. */
async function readFilters(only?: string): Promise<LoadedFilter[]> {
  const found: LoadedFilter[] = [];
  const all = readdirSync(join(root, 'filters')).sort();
  const word = only?.split('/').at(-1);
  const named = all.filter((name) => word !== undefined && name.includes(word));
  for (const name of named.length > 0 ? named : all) {
    const folder = join(root, 'filters', name);
    if (!existsSync(join(folder, 'filter.json'))) continue;
    const entry = join(folder, 'dist/node-addons.js');
    if (!existsSync(entry)) throw new Error(`${name} is not built: run "./farm build" first`);
    const description = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8')) as FilterDescription;
    const module = ((await import(pathToFileURL(entry).href)) as { default: FilterPackage }).default;
    found.push({ name, description, folder, module, configs: configurations(description, folder) });
  }
  return found;
}

/** Our own native variant beside our WebAssembly, as a program in Node calls them: default options, an array of each type. */
async function variants(context: Context): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const filter of context.filters) {
    if (!context.wanted('variants', filter)) continue;
    context.log(`variants: ${filter.name}`);
    const native = await filter.module.load({ only: 'native', encode: true });
    const wasm = await filter.module.load({ only: 'wasm', encode: true });
    const config = filter.configs[0] as BenchFilter;
    const taken = context.index
      .map((array) => workFor(native, (options) => filter.module(options).cdValues, config, array))
      .filter((work) => work !== undefined);
    for (const { chunks, stored } of oneOfEachType(taken.map((work) => ({ ...work.chunks.array, work }))).map(
      ({ work }) => work,
    )) {
      const data = readChunks(chunks);
      const encodeAll = (codec: Codec) => data.map((chunk) => codec.encode(chunk, { cdValues: stored }));
      let encoded: Uint8Array[];
      try {
        encoded = encodeAll(native);
      } catch (error) {
        context.skipped.push(`${filter.name} of ${chunks.array.file}: ${(error as Error).message}`);
        continue;
      }
      // The bytes may differ (LZ4 hashes by the size of a word); what they decode to may not.
      const decode = (bytes: Uint8Array): Uint8Array =>
        native.decode(bytes, { cdValues: stored, size: chunks.chunkBytes });
      for (const [i, bytes] of encodeAll(wasm).entries())
        if (Buffer.compare(decode(bytes), decode(encoded[i] as Uint8Array)) !== 0)
          throw new Error(`${filter.name}: native and WebAssembly encode ${chunks.array.file} to different values`);
      const decodeAll = (codec: Codec) => {
        for (const bytes of encoded) codec.decode(bytes, { cdValues: stored, size: chunks.chunkBytes });
      };
      const compression = chunks.nbytes / encoded.reduce((sum, bytes) => sum + bytes.length, 0);
      for (const [direction, work] of [
        ['encode', encodeAll],
        ['decode', decodeAll],
      ] as const) {
        const sides = [async () => void work(native), async () => void work(wasm)] as const;
        rows.push({
          suite: 'variants',
          filter: filter.name,
          config: config.config,
          direction,
          array: chunks.array.file,
          nbytes: chunks.nbytes,
          peer: 'our WebAssembly',
          ...summarise(await alternate(sides, context.rounds, chunks.nbytes), chunks.nbytes),
          compression,
        });
      }
    }
  }
  return rows;
}

async function native(context: Context): Promise<BenchRow[]> {
  const jobs: { key: string; [field: string]: unknown }[] = [];
  const about = new Map<string, Work>();
  for (const filter of context.filters) {
    if (!context.wanted('native', filter)) continue;
    const codec = await filter.module.load({ only: 'native', encode: true });
    for (const config of filter.configs) {
      for (const work of worksFor(codec, (options) => filter.module(options).cdValues, config, context.index)) {
        const key = String(jobs.length);
        about.set(key, work);
        jobs.push({
          key,
          id: config.id,
          library: libraryOf(codec),
          cd: [...work.stored],
          data: work.chunks.file,
          offsets: work.chunks.offsets,
          chunkBytes: work.chunks.chunkBytes,
          lossless: !config.lossy,
        });
      }
    }
  }
  if (jobs.length === 0) return [];
  context.log(`native: ${jobs.length} comparisons with the filters of hdf5plugin and libhdf5`);
  const rows: BenchRow[] = [];
  await lines(context.python, [join(here, 'native.py')], JSON.stringify({ rounds: context.rounds, jobs }), (line) => {
    const result = JSON.parse(line) as NativeResult;
    const job = about.get(result.key);
    if (job === undefined) throw new Error(`native.py answered about ${result.key}, which nobody asked`);
    if ('skipped' in result) {
      if (!context.skipped.includes(result.skipped)) context.skipped.push(result.skipped);
      return;
    }
    for (const direction of ['encode', 'decode'] as const) {
      rows.push({
        suite: 'native',
        filter: job.config.name,
        config: job.config.config,
        direction,
        array: job.chunks.array.file,
        nbytes: result.nbytes,
        peer: result.peer,
        ...summarise(result[direction], result.nbytes),
        sizeRatio: result.oursBytes / result.peerBytes,
        compression: result.nbytes / result.oursBytes,
      });
    }
    context.log(
      `native: ${rows.length / 2}/${jobs.length} ${job.config.name} ${job.config.config} ${job.chunks.array.file}`,
    );
  });
  return rows;
}

/** Path of a native variant's file. */
function libraryOf({ source }: Codec): string {
  return source.startsWith('file:') ? fileURLToPath(source) : source;
}

type NativeResult =
  | { readonly key: string; readonly skipped: string }
  | {
      readonly key: string;
      readonly peer: string;
      readonly nbytes: number;
      readonly oursBytes: number;
      readonly peerBytes: number;
      readonly encode: [number, number][];
      readonly decode: [number, number][];
    };

interface NumcodecsCodec {
  decode(data: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

async function wasm(context: Context): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const filter of context.filters) {
    if (!context.wanted('wasm', filter)) continue;
    const peer = NUMCODECS[filter.description.id];
    if (peer === undefined) {
      context.skipped.push(`numcodecs.js has no ${filter.name}`);
      continue;
    }
    context.log(`wasm: ${filter.name} beside numcodecs.js`);
    const encoder = await filter.module.load({ only: 'wasm', encode: true });
    const ours = await filter.module.load({ only: 'wasm' });
    const { default: NumcodecsClass } = (await import(peer.module)) as {
      default: { fromConfig(config: unknown): NumcodecsCodec };
    };
    const theirs = NumcodecsClass.fromConfig(peer.config);
    for (const array of context.index) {
      const chunks = chunksOf(array);
      const cdValues = encoder.derive(filter.module({}).cdValues, chunks.description);
      const pairs: { size: number; ours: Uint8Array; theirs: Uint8Array }[] = [];
      for (const chunk of readChunks(chunks)) {
        const encoded = encoder.encode(chunk, { cdValues });
        const repacked = peer.repack(encoded);
        if (repacked === undefined) continue;
        await checkPair(filter.name, ours, theirs, cdValues, chunk, encoded, repacked);
        pairs.push({ size: chunk.length, ours: encoded, theirs: repacked });
      }
      if (pairs.length === 0) {
        context.skipped.push(`${filter.name} of ${array.file}: stored raw, so there is nothing to decompress`);
        continue;
      }
      const sides = [
        async () => {
          for (const pair of pairs) ours.decode(pair.ours, { cdValues, size: pair.size });
        },
        async () => {
          for (const pair of pairs) await theirs.decode(pair.theirs);
        },
      ] as const;
      const total = pairs.reduce((sum, pair) => sum + pair.size, 0);
      rows.push({
        suite: 'wasm',
        filter: filter.name,
        config: '',
        direction: 'decode',
        array: array.file,
        nbytes: total,
        peer: 'numcodecs.js',
        ...summarise(await alternate(sides, context.rounds, total), total),
      });
    }
  }
  return rows;
}

async function checkPair(
  name: string,
  ours: Codec,
  theirs: NumcodecsCodec,
  cdValues: Uint32Array,
  chunk: Uint8Array,
  encoded: Uint8Array,
  repacked: Uint8Array,
): Promise<void> {
  const a = Buffer.from(ours.decode(encoded, { cdValues, size: chunk.length }));
  const b = Buffer.from(await theirs.decode(repacked));
  if (!a.equals(chunk) || !b.equals(chunk)) throw new Error(`${name}: ours and numcodecs.js decode to different bytes`);
}

/** Seconds that one timing of a slow codec may take: what takes longer is repeated less often than TIMED_BYTES asks for. */
const TIMED_SECONDS = 0.3;

/** [ours, theirs] seconds of one pass over `nbytes` per round, several timed together; the order swapped every round. */
async function alternate(
  sides: readonly [() => Promise<void>, () => Promise<void>],
  rounds: number,
  nbytes: number,
): Promise<[number, number][]> {
  const times: [number, number][] = [];
  let longest = 0;
  for (const side of sides) {
    await side();
    const start = cpuSeconds();
    await side();
    longest = Math.max(longest, cpuSeconds() - start);
  }
  const repeats = Math.max(1, Math.ceil(Math.min(TIMED_BYTES / nbytes, TIMED_SECONDS / longest)));
  for (let turn = 0; turn < rounds; turn++) {
    const row: [number, number] = [0, 0];
    for (const which of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const start = cpuSeconds();
      for (let repeat = 0; repeat < repeats; repeat++) await sides[which]();
      row[which] = (cpuSeconds() - start) / repeats;
    }
    times.push(row);
  }
  return times;
}

async function h5wasm(context: Context): Promise<{ rows: BenchRow[]; sizes: SizeRow[] }> {
  const rows: BenchRow[] = [];
  const sizes: SizeRow[] = [];
  const plugins = join(dirname(require.resolve('h5wasm-plugins/package.json')), 'plugins');
  const { scratch } = context;
  for (const filter of context.filters) {
    if (!context.wanted('h5wasm', filter)) continue;
    const codec = await filter.module.load({ only: 'native', encode: true });
    const side = await filter.module.sideModule();
    const peerFile = H5WASM_PLUGINS[filter.description.id];
    if (side === undefined || peerFile === undefined) {
      context.skipped.push(`${filter.name}: ${side === undefined ? 'no side module' : 'not in h5wasm-plugins'}`);
      continue;
    }
    context.log(`h5wasm: ${filter.name} beside h5wasm-plugins`);
    const folders = [join(scratch, filter.name, 'ours'), join(scratch, filter.name, 'theirs')] as const;
    for (const folder of folders) mkdirSync(folder, { recursive: true });
    copyFileSync(fileURLToPath(side.url), join(folders[0], `libh5z_${filter.name}.so`));
    copyFileSync(join(plugins, peerFile), join(folders[1], peerFile));
    sizes.push({
      filter: filter.name,
      ours: statSync(fileURLToPath(side.url)).size,
      theirs: statSync(join(plugins, peerFile)).size,
      peer: 'h5wasm-plugins',
    });
    const files = new Map<string, Work>();
    const jobs: object[] = [];
    for (const config of filter.configs) {
      for (const array of context.index) {
        const work = workFor(codec, (options) => filter.module(options).cdValues, config, array);
        if (work === undefined || array.precision !== undefined) continue;
        const out = join(scratch, filter.name, `${jobs.length}.h5`);
        files.set(out, work);
        jobs.push({
          out,
          data: work.chunks.file,
          offsets: work.chunks.offsets,
          chunkBytes: work.chunks.chunkBytes,
          dtype: array.dtype,
          shape: work.chunks.description.shape,
          chunk: work.chunks.chunk,
          id: config.id,
          cd: [...work.client],
          plugins: dirname(libraryOf(codec)),
        });
      }
    }
    await lines(context.python, [join(here, 'h5file.py')], JSON.stringify(jobs), (line) => {
      files.delete((JSON.parse(line) as { refused: string }).refused); // not for such data
    });
    const times = new Map<string, [number[], number[]]>([...files.keys()].map((file) => [file, [[], []]]));
    // Processes differ by where their memory lies: a fast filter, which that shows most in, gets more of them.
    const least = Math.max(3, context.rounds);
    const started = performance.now();
    for (let turn = 0; turn < least || (turn < 4 * least && performance.now() - started < 45_000); turn++) {
      const seen: Record<string, string>[] = [];
      for (const which of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const answer = await read(folders[which], files.keys());
        for (const file of answer.failed) {
          const { config, chunks } = files.get(file) as Work;
          const { array } = chunks;
          if (which === 0) throw new Error(`${filter.name}: our side module does not read ${array.file}`);
          context.skipped.push(`h5wasm-plugins does not read ${filter.name} ${config.config} of ${array.file}`);
          files.delete(file);
        }
        for (const [file, seconds] of Object.entries(answer.seconds)) times.get(file)?.[which].push(seconds);
        seen.push(answer.check);
      }
      if ([...files.keys()].some((file) => seen[0]?.[file] !== seen[1]?.[file])) {
        throw new Error(`${filter.name}: our side module and h5wasm-plugins' decode to different bytes`);
      }
    }
    for (const [file, { config, chunks }] of files) {
      const [ours, theirs] = times.get(file) ?? [[], []];
      rows.push({
        suite: 'h5wasm',
        filter: filter.name,
        config: config.config,
        direction: 'decode',
        array: chunks.array.file,
        nbytes: chunks.nbytes,
        peer: 'h5wasm-plugins',
        ...summarise(
          ours.map((seconds, at) => [seconds, theirs[at] ?? Number.NaN] as [number, number]),
          chunks.nbytes,
        ),
      });
    }
  }
  return { rows, sizes };
}

interface Reads {
  /** CPU seconds of one read of each file, the median of the timings of one process. */
  readonly seconds: Record<string, number>;
  readonly check: Record<string, string>;
  /** Files that could not be read. */
  readonly failed: string[];
}

/** Reads all files in one process; one at a time when that ends badly, to know which. */
async function read(folder: string, files: Iterable<string>): Promise<Reads> {
  const all = [...files];
  const run = async (list: readonly string[]): Promise<Reads> => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--no-warnings', '--expose-gc', join(here, 'h5wasm-read.ts'), folder, '8', ...list],
      { cwd: root, maxBuffer: 1 << 26 },
    );
    return { ...(JSON.parse(stdout) as Omit<Reads, 'failed'>), failed: [] };
  };
  try {
    return await run(all);
  } catch {
    const reads: Reads = { seconds: {}, check: {}, failed: [] };
    for (const file of all) {
      const one = await run([file]).catch(() => undefined);
      if (one === undefined) reads.failed.push(file);
      else {
        Object.assign(reads.seconds, one.seconds);
        Object.assign(reads.check, one.check);
      }
    }
    return reads;
  }
}

/** Runs a program with `input`, handing every line of its output to `each`; rejects with its stderr. */
function lines(program: string, args: string[], input: string, each: (line: string) => void): Promise<void> {
  return new Promise((resolvePromise, reject) => {
    const child = spawn(program, args, { env: { ...process.env, OMP_NUM_THREADS: '1' } });
    let rest = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (data: string) => {
      const parts = (rest + data).split('\n');
      rest = parts.pop() ?? '';
      try {
        for (const part of parts) each(part);
      } catch (cause) {
        child.kill();
        reject(cause);
      }
    });
    child.stderr.setEncoding('utf8').on('data', (data: string) => {
      errors = (errors + data).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolvePromise() : reject(new Error(`${args[0]} failed: ${errors}`))));
    child.stdin.end(input);
  });
}

async function versions(python: string, filters: readonly LoadedFilter[]): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)(python, [
    '-c',
    'import json, h5py, hdf5plugin, sys; print(json.dumps({"hdf5plugin": hdf5plugin.version, "h5py": h5py.__version__, "HDF5 of h5py": h5py.version.hdf5_version, "Python": sys.version.split()[0]}))',
  ]);
  const found = JSON.parse(stdout) as Record<string, string>;
  for (const name of ['numcodecs', 'h5wasm-plugins']) found[`${name} (npm)`] = npmVersion(name);
  found.h5wasm = npmVersion('h5wasm-0.8');
  for (const filter of filters) found[filter.module.package.name] = filter.module.package.version;
  return found;
}

function npmVersion(name: string): string {
  const file = join(root, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** Writes the result where `./farm docs` finds it; that of a part takes its place in what is there. */
export function saveResult(measured: BenchResult, part: boolean): string {
  const file = join(root, 'docs/data/bench.json');
  const result = part ? mergeResult(JSON.parse(readFileSync(file, 'utf8')) as BenchResult, measured) : measured;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}
