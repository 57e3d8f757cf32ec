// `./farm bench`: every filter beside its peer, in alternating runs on the same chunks of real arrays. Three suites: native
// plugins against those of the hdf5plugin wheel, or libhdf5's own filters for what it has built in; standalone WebAssembly
// against numcodecs.js; h5wasm side modules against h5wasm-plugins. What is run is read from filters/*/filter.json; results
// are medians, never limits of a test.
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
import { arch, cpus, platform, release, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Codec, DatasetDescription, FilterDescription, FilterPackage } from '../../core/src/types.ts';
import { H5WASM_PLUGINS, NUMCODECS } from './peers.ts';
import {
  type BenchArray,
  type BenchFilter,
  type BenchResult,
  type BenchRow,
  cpuSeconds,
  type SizeRow,
  summarise,
  TIMED_BYTES,
} from './types.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');
const require = createRequire(import.meta.url);
const CHUNK_BYTES = 1 << 20;

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
  const index = JSON.parse(readFileSync(join(options.arrays, 'index.json'), 'utf8')) as BenchArray[];
  const context: Context = {
    ...options,
    rounds,
    skipped,
    filters,
    index: index.filter((array) => array.nbytes >= 1 << 18),
    wanted: (suite, filter) =>
      options.only === undefined || suite.includes(options.only) || filter.name.includes(options.only),
  };
  const rows = [...(await native(context)), ...(await wasm(context))];
  const side = await h5wasm(context);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: cpus().length,
      os: `${platform()} ${release()} ${arch()}`,
      node: process.version,
    },
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
  readonly index: readonly BenchArray[];
  wanted(suite: string, filter: LoadedFilter): boolean;
}

interface LoadedFilter {
  readonly name: string;
  readonly description: FilterDescription;
  readonly folder: string;
  readonly module: FilterPackage;
  readonly configs: readonly BenchFilter[];
}

/** All filters; those alone whose names hold `only`, when any does. */
async function readFilters(only?: string): Promise<LoadedFilter[]> {
  const found: LoadedFilter[] = [];
  const all = readdirSync(join(root, 'filters')).sort();
  const chosen = all.filter((name) => only !== undefined && name.includes(only));
  for (const name of chosen.length > 0 ? chosen : all) {
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

/**
 * The default options, and each other word of each enum parameter, one at a time. Defaults are written out, because not
 * every peer knows what a missing cd_value means.
 */
function configurations(description: FilterDescription, folder: string): BenchFilter[] {
  const base = { name: description.name, id: description.id, lossy: description.lossy, folder };
  const withDefaults = (chosen: Record<string, unknown>): Record<string, unknown> => {
    const options = { ...chosen };
    for (const parameter of description.parameters) {
      const { name, when } = parameter;
      const applies = Object.entries(when ?? {}).every(([other, wanted]) =>
        [wanted].flat().includes(options[other] as never),
      );
      const value = parameter.default ?? usual(parameter);
      if (applies) options[name] ??= value;
    }
    return options;
  };
  const configs: BenchFilter[] = [];
  for (const parameter of description.parameters) {
    if (parameter.type !== 'enum' || parameter.values === undefined) continue;
    for (const word of Object.keys(parameter.values)) {
      const options = withDefaults({ [parameter.name]: word });
      configs.push({ ...base, config: `${parameter.name}=${word}`, options });
    }
  }
  return configs.length > 0 ? configs : [{ ...base, config: '', options: withDefaults({}) }];
}

/** A number for a parameter that has no default: an eighth of the largest one, or a thousandth. */
function usual({ type, minimum, maximum }: FilterDescription['parameters'][number]): number {
  const value = maximum === undefined ? 1e-3 : Math.max(minimum ?? 0, maximum / 8);
  return type === 'integer' ? Math.ceil(value) : value;
}

/**
 * Chunks as the filter takes them: of the array's own dimensions where these make a difference to it, else lines. Undefined
 * when it takes none of the array's numbers.
 */
function chunkingFor(
  codec: Codec,
  client: Uint32Array,
  array: BenchArray,
): (ReturnType<typeof chunking> & { cdValues: Uint32Array }) | undefined {
  const tried = [undefined, fileChunk(array)].map((chunk) => {
    const found = chunking(array, chunk);
    try {
      return { ...found, cdValues: codec.derive(client, found.description) };
    } catch (error) {
      if (/^H5Z_E_(NOT_APPLICABLE|PARAM|UNSUPPORTED)$/.test((error as { code?: string }).code ?? '')) return undefined;
      throw error;
    }
  });
  const [line, shaped] = tried;
  return line !== undefined && shaped !== undefined && String(line.cdValues) === String(shaped.cdValues)
    ? line
    : (shaped ?? line);
}

/** Chunks of about 1 MiB, lines unless a shape is given; what does not fill a chunk at the end is left out. */
function chunking(
  array: BenchArray,
  shape?: readonly number[],
): { description: DatasetDescription; chunkBytes: number; nbytes: number } {
  const size = Number(/\d+$/.exec(array.dtype)?.[0] ?? '1');
  const chunkBytes =
    shape?.reduce((bytes, n) => bytes * n, size) ?? Math.min(Math.floor(CHUNK_BYTES / size) * size, array.nbytes);
  const nbytes = array.nbytes - (array.nbytes % chunkBytes);
  const kind = /[a-z]/.exec(array.dtype)?.[0];
  return {
    chunkBytes,
    nbytes,
    description: {
      typeClass: kind === 'f' ? 'float' : 'integer',
      typeSize: size,
      signed: kind === 'i',
      precision: size * 8,
      chunk: shape ?? [chunkBytes / size],
      shape: shape?.map((n, i) => (i === 0 ? n * (nbytes / chunkBytes) : n)) ?? [nbytes / size],
    },
  };
}

async function native(context: Context): Promise<BenchRow[]> {
  const jobs: { key: string; [field: string]: unknown }[] = [];
  const about = new Map<string, { config: BenchFilter; array: BenchArray }>();
  for (const filter of context.filters) {
    if (!context.wanted('native', filter)) continue;
    const codec = await filter.module.load({ only: 'native', encode: true });
    for (const config of filter.configs) {
      for (const array of context.index) {
        const found = chunkingFor(codec, filter.module(config.options).cdValues, array);
        if (found === undefined) continue;
        const { cdValues, chunkBytes, nbytes } = found;
        const key = String(jobs.length);
        about.set(key, { config, array });
        jobs.push({
          key,
          id: config.id,
          library: codec.source.startsWith('file:') ? fileURLToPath(codec.source) : codec.source,
          cd: [...cdValues],
          data: join(context.arrays, array.file),
          nbytes,
          chunkBytes,
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
        array: job.array.file,
        nbytes: result.nbytes,
        peer: result.peer,
        ...summarise(result[direction], result.nbytes),
        sizeRatio: result.oursBytes / result.peerBytes,
      });
    }
    context.log(`native: ${rows.length / 2}/${jobs.length} ${job.config.name} ${job.config.config} ${job.array.file}`);
  });
  return rows;
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
      const { description, chunkBytes, nbytes } = chunking(array);
      const cdValues = encoder.derive(filter.module({}).cdValues, description);
      const data = readFileSync(join(context.arrays, array.file)).subarray(0, nbytes);
      const pairs: { size: number; ours: Uint8Array; theirs: Uint8Array }[] = [];
      for (let at = 0; at < nbytes; at += chunkBytes) {
        const chunk = data.subarray(at, at + chunkBytes);
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
        ...summarise(await alternate(sides, context.rounds, Math.ceil(TIMED_BYTES / total)), total),
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

/** [ours, theirs] seconds of one pass per round, of `repeats` timed together; the order swapped every round, two passes to warm up. */
async function alternate(
  sides: readonly [() => Promise<void>, () => Promise<void>],
  rounds: number,
  repeats: number,
): Promise<[number, number][]> {
  const times: [number, number][] = [];
  for (const side of sides) {
    await side();
    await side();
  }
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
  const scratch = mkdtempSync(join(tmpdir(), 'h5z-bench-'));
  try {
    for (const filter of context.filters) {
      if (!context.wanted('h5wasm', filter)) continue;
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
      const files = new Map<string, { config: BenchFilter; array: BenchArray }>();
      const jobs: object[] = [];
      for (const config of filter.configs) {
        for (const array of context.index) {
          const out = join(scratch, filter.name, `${jobs.length}.h5`);
          files.set(out, { config, array });
          jobs.push({
            out,
            data: join(context.arrays, array.file),
            dtype: array.dtype,
            shape: array.shape,
            chunk: fileChunk(array),
            id: config.id,
            cd: [...filter.module(config.options).cdValues],
          });
        }
      }
      await lines(context.python, [join(here, 'h5file.py')], JSON.stringify(jobs), (line) => {
        files.delete((JSON.parse(line) as { refused: string }).refused); // not for such data
      });
      const times = new Map<string, [number[], number[]]>([...files.keys()].map((file) => [file, [[], []]]));
      const rounds = Math.max(2, Math.ceil(context.rounds / 2));
      for (let turn = 0; turn < rounds; turn++) {
        const seen: Record<string, string>[] = [];
        for (const which of turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
          const answer = await read(folders[which], files.keys());
          for (const file of answer.failed) {
            const { config, array } = files.get(file) as { config: BenchFilter; array: BenchArray };
            if (which === 0) throw new Error(`${filter.name}: our side module does not read ${array.file}`);
            context.skipped.push(`h5wasm-plugins does not read ${filter.name} ${config.config} of ${array.file}`);
            files.delete(file);
          }
          for (const [file, seconds] of Object.entries(answer.seconds)) times.get(file)?.[which].push(...seconds);
          seen.push(answer.check);
        }
        if ([...files.keys()].some((file) => seen[0]?.[file] !== seen[1]?.[file])) {
          throw new Error(`${filter.name}: our side module and h5wasm-plugins' decode to different bytes`);
        }
      }
      for (const [file, { config, array }] of files) {
        const [ours, theirs] = times.get(file) ?? [[], []];
        rows.push({
          suite: 'h5wasm',
          filter: filter.name,
          config: config.config,
          direction: 'decode',
          array: array.file,
          nbytes: array.nbytes,
          peer: 'h5wasm-plugins',
          ...summarise(
            ours.map((seconds, at) => [seconds, theirs[at] ?? Number.NaN] as [number, number]),
            array.nbytes,
          ),
        });
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return { rows, sizes };
}

/** A chunk shape of about 1 MiB: whole trailing dimensions, cut from the front. */
function fileChunk(array: BenchArray): number[] {
  const size = Number(/\d+$/.exec(array.dtype)?.[0] ?? '1');
  const chunk = [...array.shape];
  for (let axis = 0; axis < chunk.length; axis++) {
    const rest = chunk.slice(axis + 1).reduce((product, n) => product * n, size);
    chunk[axis] = Math.max(1, Math.min(array.shape[axis] ?? 1, Math.floor(CHUNK_BYTES / rest)));
    if ((chunk[axis] ?? 1) > 1) break;
  }
  return chunk;
}

interface Reads {
  readonly seconds: Record<string, number[]>;
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
      ['--no-warnings', join(here, 'h5wasm-read.ts'), folder, '2', ...list],
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

/** Writes the result where `./farm docs` finds it. */
export function saveResult(result: BenchResult): string {
  const file = join(root, 'docs/data/bench.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  return file;
}
