// A file written anew with another pipeline for its datasets. libhdf5 copies the container (attributes, types, links and
// all) without the data of those datasets; their chunks are decoded, encoded and put in by direct chunk write here.

import {
  type ChunkRange,
  type Codec,
  createPipeline,
  type FilterPackage,
  H5zError,
  isH5zError,
  type LoadOptions,
  type Pipeline,
} from '@h5z/core';
import { describeDataset, pointsElsewhere } from './describe.js';
import { type Dataset, MAX_CHUNK_BYTES, open } from './file.js';
import { hostCodec } from './host.js';
import { loadPipeline, type PipelineFinder, readBands } from './read.js';
import { fileSource, fileSystem } from './source.js';
import { fileStorage, readOnlyStorage, type Storage } from './storage.js';
import type { Chunk } from './types.js';
import { MAX_WRITTEN_RANK } from './write.js';
import { Hdf5Writer, loadWriteModule } from './write-module.js';

/** A stage as a caller chooses it: *client* cd_values. A FilterSpec of a filter package is one. */
export interface ChosenStage {
  readonly id: number;
  readonly cdValues: readonly number[] | Uint32Array;
}

/** Where codecs come from: a Registry of @h5z/registry is one. */
export interface Codecs extends PipelineFinder {
  get(id: number): FilterPackage | undefined;
  load(id: number, options?: LoadOptions): Promise<Codec>;
}

export interface RepackProgress {
  readonly dataset: string;
  /** Bytes of values written so far, and those of all datasets that are to be changed. */
  readonly done: number;
  readonly total: number;
  /** What they take in the new file. */
  readonly stored: number;
  /** All is written: `done` are the bytes read again from the new file. */
  readonly verifying: boolean;
}

export interface RepackOptions {
  /** The new pipeline, in the order of encoding; none stores chunks as they are. */
  readonly stages: readonly ChosenStage[];
  readonly registry: Codecs;
  /** Only these datasets. Default: all that can be changed. */
  readonly datasets?: readonly string[];
  /** Another chunk shape, for datasets of that rank. Default: as they are; datasets without chunks stay so. */
  readonly chunk?: readonly number[];
  readonly load?: LoadOptions;
  /** Chunks at work at once. Default: as many as the machine has cores. */
  readonly threads?: number;
  /** Replace `output` when it exists. Default: that is H5Z_FILE. */
  readonly overwrite?: boolean;
  /** Tell what would be done, write nothing. */
  readonly dryRun?: boolean;
  /** Read the new file again and compare. Default true. */
  readonly verify?: boolean;
  readonly onProgress?: (progress: RepackProgress) => void;
  /** Stops the work; the promise rejects with its reason and nothing is left behind. */
  readonly signal?: AbortSignal;
}

/** What became of one dataset. */
export interface Repacked {
  readonly dataset: string;
  readonly changed: boolean;
  /** Why it was kept as it was. */
  readonly reason?: string;
  readonly bytes: number;
  readonly storedBefore: number;
  readonly storedAfter: number;
  /** `equal`: every chunk reads back the same, by its CRC-32; `decoded`: every chunk decodes, a lossy filter changed values. */
  readonly verified?: 'equal' | 'decoded';
}

export interface RepackReport {
  readonly datasets: readonly Repacked[];
  readonly fileBefore: number;
  /** 0 for a dry run. */
  readonly fileAfter: number;
  readonly seconds: number;
}

interface Job {
  readonly dataset: Dataset;
  readonly address: number;
  readonly stages: readonly { id: number; flags: number; cdValues: Uint32Array }[];
  readonly source: Pipeline;
  readonly target: Pipeline;
  readonly chunk: readonly number[];
  /** Chunk for chunk; otherwise the values are cut anew. */
  readonly sameChunks: boolean;
  readonly lossy: boolean;
  /** What each new chunk must decode to; undefined where it must only decode. */
  readonly digests: Map<string, string | number | undefined>;
  stored: number;
}

const OPTIONAL = 1;
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * Writes `input` to `output` with another pipeline for its datasets. The new file appears under its name when it is
 * whole, synced and verified; until then it is a temporary file beside it, which a failure or `signal` removes. Where
 * `output` is a symbolic link, what it leads to is written.
 *
 * Kept as they are, with a reason in the report: variable-length data and references, virtual datasets, external data,
 * datasets without chunks (unless `chunk` gives them some), and what the filter is not for.
 * Throws H5Z_FILE for files that cannot be read or written, what filters throw, H5Z_E_INTERNAL when verifying fails.
 */
export async function repack(input: string, out: string, options: RepackOptions): Promise<RepackReport> {
  const fs = fileSystem();
  if (fs === undefined) throw new H5zError('H5Z_FILE', 'there is no file system here to repack files in', {});
  const output = destination(fs, out);
  const started = performance.now();
  if (!options.dryRun) refuseTarget(fs, input, output, options.overwrite === true);
  const file = await open(input);
  try {
    for (const { path, error } of file.problems) {
      throw new H5zError(error.code, `${path} cannot be read (${error.message})`, { remedy: 'repair the file first' });
    }
    for (const path of options.datasets ?? []) file.dataset(path);
    const only = options.datasets && new Set(options.datasets.map((path) => file.dataset(path).path));
    const jobs: Job[] = [];
    const kept = new Map<Dataset, string>();
    for (const dataset of file.datasets) {
      const planned = only && !only.has(dataset.path) ? 'not asked for' : await plan(dataset, options);
      if (typeof planned === 'string') kept.set(dataset, planned);
      else jobs.push(planned);
    }
    const report = (fileAfter: number): RepackReport => ({
      datasets: file.datasets.map((dataset) => {
        const job = jobs.find((one) => one.dataset === dataset);
        const before = dataset.info.storageSize;
        const facts = { dataset: dataset.path, bytes: dataset.byteLength, storedBefore: before };
        if (!job) return { ...facts, changed: false, reason: kept.get(dataset) ?? '', storedAfter: before };
        const verified = options.dryRun || options.verify === false ? undefined : job.lossy ? 'decoded' : 'equal';
        return { ...facts, changed: true, storedAfter: job.stored, ...(verified ? { verified } : {}) } as const;
      }),
      fileBefore: file.size,
      fileAfter,
      seconds: (performance.now() - started) / 1000,
    });
    if (options.dryRun) return report(0);
    const temporary = `${output}.${process.pid}.h5z-partial`;
    try {
      await write(input, temporary, file.datasets, jobs, options);
      if (options.verify !== false) await verify(temporary, jobs, options);
      options.signal?.throwIfAborted();
      fs.chmodSync(temporary, fs.statSync(input).mode & 0o777);
      const { size } = fs.statSync(temporary);
      fs.renameSync(temporary, output);
      return report(size);
    } finally {
      fs.rmSync(temporary, { force: true });
    }
  } finally {
    file.close();
  }
}

/** Linux follows as many. */
const MAX_LINKS = 40;

type Files = NonNullable<ReturnType<typeof fileSystem>>;

/** The file that `path` names: what a symbolic link leads to, there or not, rather than the link. */
function destination(fs: Files, path: string): string {
  const { dirname, isAbsolute, sep } = process.getBuiltinModule('node:path');
  let place = path;
  for (let links = 0; fs.lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink(); links++) {
    if (links === MAX_LINKS) throw new H5zError('H5Z_FILE', `${path} is a symbolic link that leads nowhere`);
    const target = fs.readlinkSync(place);
    // Its `..` are the system's to follow: they go up from where a linked folder really is.
    place = isAbsolute(target) ? target : `${dirname(place)}${sep}${target}`;
  }
  return place;
}

function refuseTarget(fs: Files, input: string, output: string, replace: boolean) {
  const there = fs.statSync(output, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isFile()) throw new H5zError('H5Z_FILE', `${output} is no file`, { remedy: 'name a file to write' });
  if (fs.existsSync(input) && fs.realpathSync.native(input) === fs.realpathSync.native(output)) {
    throw new H5zError('H5Z_FILE', `${output} is the file to read`, { remedy: 'give the new file another name' });
  }
  if (!replace) throw new H5zError('H5Z_FILE', `${output} exists`, { remedy: 'remove it, or allow overwriting' });
}

/** What to do with a dataset, or why nothing. */
async function plan(dataset: Dataset, options: RepackOptions): Promise<Job | string> {
  const { info } = dataset;
  const { registry } = options;
  if (info.layout === 'virtual') return 'virtual';
  if (info.external?.length) return 'its data lie in external files';
  if (info.space !== 'simple') return 'not an array';
  if (pointsElsewhere(info.type)) return 'variable-length data or references';
  if (info.shape.length > MAX_WRITTEN_RANK)
    return `${info.shape.length} dimensions, of which libhdf5 writes no single chunks`;
  const asked = options.chunk?.length === info.shape.length ? options.chunk : undefined;
  const chunk = asked?.map((n, i) => Math.min(n, Math.max(1, info.maxShape[i] ?? n))) ?? info.chunk;
  if (chunk === undefined) return `${info.layout}, not chunked`;
  if (chunk.reduce((product, n) => product * n, info.type.size) > MAX_CHUNK_BYTES) {
    throw dataset.error('H5Z_PARAMETER', `chunks of ${chunk.join('x')} are too large`, 'choose chunks below 2 GiB');
  }
  const load: LoadOptions = { ...options.load, encode: true };
  const stages: { id: number; flags: number; cdValues: Uint32Array; codec: Codec }[] = [];
  for (const { id, cdValues } of options.stages) {
    const codec = (registry.get(id) === undefined ? await hostCodec(id) : undefined) ?? (await registry.load(id, load));
    try {
      const stored = codec.derive(cdValues, describeDataset(info, chunk));
      stages.push({ id, flags: OPTIONAL, cdValues: stored, codec });
    } catch (error) {
      if (isH5zError(error) && error.code === 'H5Z_E_NOT_APPLICABLE') return error.message;
      throw dataset.explain(error);
    }
  }
  const sameChunks = info.layout === 'chunked' && chunk.every((n, i) => n === info.chunk?.[i]);
  const same =
    sameChunks &&
    stages.length === info.filters.length &&
    stages.every(({ id, cdValues }, i) => {
      const now = info.filters[i];
      return id === now?.id && cdValues.join() === Array.from(now.cdValues).join();
    });
  if (same) return 'it has this pipeline already';
  return {
    dataset,
    address: dataset.address,
    stages: stages.map(({ id, flags, cdValues }) => ({ id, flags, cdValues })),
    source: await loadPipeline(dataset, registry, options.load),
    target: createPipeline(stages),
    chunk,
    sameChunks,
    lossy: stages.some(({ id }) => registry.get(id)?.description.lossy === true),
    digests: new Map(),
    stored: 0,
  };
}

async function write(
  input: string,
  temporary: string,
  datasets: readonly Dataset[],
  jobs: readonly Job[],
  options: RepackOptions,
): Promise<void> {
  const source = readOnlyStorage(fileSource(input));
  const target = fileStorage(temporary, 'wx');
  try {
    const library = new Hdf5Writer(await loadWriteModule(), [source, target]);
    library.open(0, false);
    library.create(1, 0);
    await addFilters(library, datasets, jobs, options);
    const storage = jobs.map(({ address }) => library.storageOf(0, address)).filter((at) => at >= 0);
    const addresses = library.copy(0, 1, storage);
    library.close(1); // the root group is another now
    library.open(1, true);
    let done = 0;
    for (const job of jobs) {
      const at = addresses.get(job.address);
      if (at === undefined) throw job.dataset.error('H5Z_E_INTERNAL', 'it was not copied', 'report this');
      const own = job.stages;
      library.setPipeline(1, at, own, job.sameChunks ? undefined : job.chunk);
      library.select(1, at);
      for await (const { offset, filterMask, data, bytes } of encoded(job, options)) {
        library.writeChunk(offset, filterMask, data);
        job.stored += data.length;
        done += bytes;
        tell(job, done, jobs, options, false);
      }
      library.release();
    }
    library.fixReferences(0, 1);
    library.close(1);
    library.close(0);
    copyUserBlock(source, target);
    target.sync();
  } finally {
    source.close();
    target.close();
  }
}

/** `done`: bytes of chunks, which stick out of the dataset at its edges. */
function tell(job: Job, done: number, jobs: readonly Job[], { onProgress }: RepackOptions, verifying: boolean): void {
  const total = jobs.reduce((sum, { dataset }) => sum + dataset.byteLength, 0);
  const stored = jobs.reduce((sum, job) => sum + job.stored, 0);
  onProgress?.({ dataset: job.dataset.path, done: Math.min(done, total), total, stored, verifying });
}

/** Every filter that a dataset has or will have; with its code where libhdf5 itself must run it: for pointers in chunks. */
async function addFilters(
  library: Hdf5Writer,
  datasets: readonly Dataset[],
  jobs: readonly Job[],
  options: RepackOptions,
): Promise<void> {
  for (const { target } of jobs) {
    for (const { id, codec } of target.stages) {
      library.addFilter(id, options.registry.get(id)?.description.title ?? codec.name);
    }
  }
  for (const dataset of datasets) {
    const pointers = pointsElsewhere(dataset.info.type) && dataset.info.storageSize > 0;
    const needed = pointers && dataset.info.filters.length > 0;
    const load = { ...options.load, encode: true };
    const pipeline = needed ? await loadPipeline(dataset, options.registry, load) : undefined;
    for (const [i, { id, name }] of dataset.info.filters.entries()) {
      library.addFilter(id, name, pipeline?.stages[i]?.codec);
    }
  }
}

interface Encoded {
  readonly offset: readonly number[];
  readonly filterMask: number;
  readonly data: Uint8Array;
  /** Of its values. */
  readonly bytes: number;
}

/** The chunks of a job as they are to be stored, several at work. */
async function* encoded(job: Job, options: RepackOptions): AsyncGenerator<Encoded> {
  const { dataset } = job;
  const size = chunkBytes(job);
  const batch = batchOptions(options);
  const isRaw = (offset: readonly number[]) =>
    dataset.info.rawEdgeChunks === true &&
    offset.some((at, i) => at + (job.chunk[i] ?? 0) > (dataset.info.shape[i] ?? 0));
  const raw: Encoded[] = [];
  const keep = (offset: readonly number[], data: Uint8Array) =>
    raw.push({ offset, filterMask: 0, data, bytes: data.length });
  function* stored() {
    for (const chunk of dataset.chunks) {
      if (isRaw(chunk.offset)) keep(chunk.offset, dataset.readChunk(chunk));
      else yield rangeOf(dataset, chunk, size);
    }
  }
  async function* decoded() {
    if (job.sameChunks) {
      for await (const { data, offset = [] } of job.source.decodeEach(stored(), batch)) yield { data, offset };
      return;
    }
    for await (const next of cutAnew(dataset, job.source, job.chunk)) {
      if (isRaw(next.offset)) keep(next.offset, next.data);
      else yield next;
    }
  }
  const underWay: Uint8Array[] = [];
  async function* noted() {
    for await (const next of decoded()) {
      if (options.verify !== false) job.digests.set(next.offset.join(), job.lossy ? undefined : digestOf(next.data));
      underWay.push(next.data);
      yield next;
    }
  }
  try {
    for await (const { offset = [], data, filterMask } of job.target.encodeEach(noted(), {
      ...batch,
      unchanged: true,
    })) {
      yield { offset, filterMask, data, bytes: size };
      for (const done of new Set([data, underWay.shift()])) if (done) release(done);
    }
    yield* raw;
  } catch (error) {
    throw isH5zError(error) ? dataset.explain(error) : error;
  }
}

/** Of a chunk's values: a CRC-32, or where this Node has none (before 20.15) their SHA-256. */
function digestOf(data: Uint8Array): string | number {
  const { crc32 } = process.getBuiltinModule('node:zlib');
  return crc32?.(data) ?? process.getBuiltinModule('node:crypto').createHash('sha256').update(data).digest('hex');
}

/** Gives the memory of bytes that nobody needs any more back now: V8 would collect garbage for every 64 MB of it. */
function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength === 0 || !(buffer instanceof ArrayBuffer) || byteLength !== buffer.byteLength) return;
  (buffer as { transfer?(length: number): ArrayBuffer }).transfer?.(0); // Node 22
}

/** A stored chunk for whoever decodes it to read: native code does so off this thread. */
function rangeOf(dataset: Dataset, chunk: Chunk, size: number): ChunkRange {
  dataset.checkChunk(chunk);
  const { address, size: length, offset, filterMask } = chunk;
  return { file: dataset.file.chunkFile, address, length, offset, filterMask, size };
}

const batchOptions = ({ threads, signal }: RepackOptions) => ({
  ...(threads === undefined ? {} : { threads }),
  ...(signal === undefined ? {} : { signal }),
});

/** The bytes of one whole new chunk. */
const chunkBytes = ({ dataset, chunk }: Job): number =>
  chunk.reduce((product, n) => product * n, dataset.info.type.size);

/** A dataset's values in chunks of another shape; what sticks out of the dataset is the fill value, or zero. */
async function* cutAnew(
  dataset: Dataset,
  pipeline: Pipeline,
  chunk: readonly number[],
): AsyncGenerator<{ offset: readonly number[]; data: Uint8Array }> {
  const { shape, type, fill } = dataset.info;
  const rowBytes = shape.slice(1).reduce((product, n) => product * n, type.size);
  const height = chunk[0] ?? 1;
  const blank = new Uint8Array(chunk.reduce((product, n) => product * n, type.size));
  if (fill.value) for (let at = 0; at < blank.length; at += type.size) blank.set(fill.value, at);
  let rows = new Uint8Array(0);
  let first = 0;
  for await (const band of readBands(dataset, pipeline)) {
    const joined = new Uint8Array(rows.length + band.length);
    joined.set(rows);
    joined.set(band, rows.length);
    rows = joined;
    while (rows.length >= height * rowBytes || (rows.length > 0 && first + rows.length / rowBytes === shape[0])) {
      const count = Math.min(height, rows.length / rowBytes);
      yield* cutRow(rows.subarray(0, count * rowBytes), [count, ...shape.slice(1)], first, chunk, type.size, blank);
      rows = rows.slice(count * rowBytes);
      first += count;
    }
  }
}

function* cutRow(
  values: Uint8Array,
  shape: readonly number[],
  first: number,
  chunk: readonly number[],
  unit: number,
  blank: Uint8Array,
): Generator<{ offset: readonly number[]; data: Uint8Array }> {
  const rank = shape.length;
  const at = new Array<number>(rank).fill(0);
  for (;;) {
    const data = blank.slice();
    const counts = chunk.map((n, i) => Math.min(n, (shape[i] ?? 0) - (at[i] ?? 0)));
    const run = (counts[rank - 1] ?? 1) * unit;
    const lines = counts.slice(0, -1).reduce((product, n) => product * n, 1);
    for (let line = 0; line < lines; line++) {
      let from = 0;
      let to = 0;
      for (let i = rank - 2, rest = line, fromStep = shape[rank - 1] ?? 1, toStep = chunk[rank - 1] ?? 1; i >= 0; i--) {
        const index = rest % (counts[i] ?? 1);
        rest = Math.floor(rest / (counts[i] ?? 1));
        from += ((at[i] ?? 0) + index) * fromStep;
        to += index * toStep;
        fromStep *= shape[i] ?? 1;
        toStep *= chunk[i] ?? 1;
      }
      const start = (from + (at[rank - 1] ?? 0)) * unit;
      data.set(values.subarray(start, start + run), to * unit);
    }
    yield { offset: [first, ...at.slice(1)], data };
    let i = rank - 1;
    for (; i > 0; i--) {
      at[i] = (at[i] ?? 0) + (chunk[i] ?? 1);
      if ((at[i] ?? 0) < (shape[i] ?? 0)) break;
      at[i] = 0;
    }
    if (i <= 0) return;
  }
}

/** Reads the new file from the beginning: every changed dataset decodes to the values that were encoded. */
async function verify(path: string, jobs: readonly Job[], options: RepackOptions): Promise<void> {
  const file = await open(path);
  let done = 0;
  try {
    for (const job of jobs) {
      const dataset = file.dataset(job.dataset.path);
      const wrong = (what: string) => dataset.error('H5Z_E_INTERNAL', what, 'nothing was written: report this');
      const expected = new Map(job.digests);
      const size = chunkBytes(job);
      const chunks = function* () {
        for (const chunk of dataset.chunks) {
          if (expected.has(chunk.offset.join())) yield rangeOf(dataset, chunk, size);
        }
      };
      for await (const { offset = [], data } of job.target.decodeEach(chunks(), batchOptions(options))) {
        const digest = expected.get(offset.join());
        expected.delete(offset.join());
        if (digest !== undefined && digest !== digestOf(data)) {
          throw wrong(`chunk ${offset.join()} reads back as other values`);
        }
        done += data.length;
        release(data);
        tell(job, done, jobs, options, true);
      }
      if (expected.size > 0) throw wrong(`${expected.size} chunks are missing in the new file`);
    }
  } finally {
    file.close();
  }
}

/** What lies before the HDF5 part of a file is the user's. */
function copyUserBlock(source: Storage, target: Storage): void {
  const head = new Uint8Array(8);
  let base = 0;
  for (; base + 8 <= source.size; base = base === 0 ? 512 : base * 2) {
    source.readInto(base, head);
    if (SIGNATURE.every((byte, i) => head[i] === byte)) break;
  }
  if (base === 0 || base >= source.size) return;
  const block = new Uint8Array(base);
  source.readInto(0, block);
  target.write(0, block);
}
