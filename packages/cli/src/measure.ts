// The one piece that measures, for `h5z bench` and `h5z tune`: chunks of the user's own data through a pipeline and back,
// on one thread, timed, compared.

import {
  type ChosenStage,
  canonicalBytes,
  type Dataset,
  describeDataset,
  hostCodec,
  loadPipeline,
  readBox,
} from '@h5z/chunks';
import { type Codec, createPipeline, fill, H5zError, type LoadedStage, type Pipeline } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { largestError, type MembersQuality, type Part, PartsComparison, partsOf, rangeOf } from './quality.js';
import { type Failure, failureOf } from './terminal.js';

/** A pipeline to measure: client cd_values, and the words that `h5z repack --filter` takes for it. */
export interface Candidate {
  readonly words: string;
  readonly stages: readonly ChosenStage[];
  /** Canonical name of the filter that it is about. */
  readonly filter: string;
}

/** Whole chunks of a dataset as stored before filters, and what there is to know of them. */
export interface Sample {
  readonly dataset: Dataset;
  /** In elements, slowest dimension first. */
  readonly chunk: readonly number[];
  readonly chunks: readonly Uint8Array[];
  /** What the elements are made of, and of each the largest value minus the smallest; none where nothing is a number. */
  readonly parts: readonly Part[];
  readonly ranges: readonly number[];
  /** The smallest of them that is not 0: an error small against it is small against all. */
  readonly range: number;
  readonly bytes: number;
}

export interface SampleOptions {
  readonly registry: Registry;
  /** Take about so many bytes, at least one chunk. */
  readonly bytes: number;
  /** Default: the dataset's own, or one of about 1 MiB. */
  readonly chunk?: readonly number[];
}

/** What a pipeline did to a sample. Speeds in bytes of values per second, on one thread. */
export interface Measurement {
  readonly words: string;
  readonly filter: string;
  /** Chunks measured, and those of the sample: time may run out before all of them. */
  readonly chunks: number;
  readonly of: number;
  readonly bytes: number;
  readonly stored: number;
  /** bytes / stored. */
  readonly ratio: number;
  readonly encode: number;
  readonly decode: number;
  /** Every value came back the same. */
  readonly exact: boolean;
  /** It gives as many bytes as it takes, but others: of use before what compresses. */
  readonly prepares: boolean;
  /** Where values changed, or could have; absent for types without numbers. */
  readonly quality?: MembersQuality;
}

/** A pipeline that does not take these data, or fails at them. */
export interface Refusal extends Pick<Measurement, 'words' | 'filter'> {
  readonly error: Failure;
}

export const DEFAULT_CHUNK_BYTES = 1024 * 1024;
const MOST_CHUNKS = 256;

/** The dataset asked for, or the one of most values that can be measured. Throws H5Z_PARAMETER where there is none. */
export function chooseDataset(datasets: readonly Dataset[], file: string): Dataset {
  const able = datasets.filter((dataset) => {
    try {
      checkType(dataset);
      return dataset.info.layout !== 'virtual' && !dataset.info.external?.length;
    } catch {
      return false;
    }
  });
  const [first, ...rest] = able;
  if (first === undefined) {
    throw new H5zError('H5Z_PARAMETER', `${file} has no array that filters could be tried on`, {
      remedy: `see its datasets with \`h5z inspect ${file}\``,
    });
  }
  return rest.reduce((largest, dataset) => (dataset.byteLength > largest.byteLength ? dataset : largest), first);
}

function checkType(dataset: Dataset): void {
  const { info } = dataset;
  if (info.space !== 'simple' || dataset.elements === 0) {
    throw dataset.error('H5Z_PARAMETER', 'it holds no array of values', 'name another one with --dataset');
  }
  try {
    canonicalBytes(new Uint8Array(0), info.type);
  } catch (error) {
    throw dataset.explain(error);
  }
}

/** A chunk shape of at most `bytes`: the slow dimensions are halved first, so that lines stay whole. */
export function smallerChunk(shape: readonly number[], itemSize: number, bytes: number): number[] {
  const chunk = shape.map((n) => Math.max(1, n));
  const size = () => chunk.reduce((product, n) => product * n, itemSize);
  for (let i = 0; i < chunk.length; i++) {
    while (size() > bytes && (chunk[i] as number) > 1) chunk[i] = Math.ceil((chunk[i] as number) / 2);
  }
  return chunk;
}

/**
 * Whole chunks spread over the dataset, those within its shape first; what sticks out is the fill value, as a writer pads
 * it. Chunks larger than the sample may be are cut smaller (`Sample.chunk` tells). Throws H5Z_PARAMETER for datasets
 * without values, what decoding throws for damaged ones.
 */
export async function takeSample(dataset: Dataset, options: SampleOptions): Promise<Sample> {
  checkType(dataset);
  const { shape, type } = dataset.info;
  const asked = options.chunk ?? dataset.info.chunk ?? smallerChunk(shape, type.size, DEFAULT_CHUNK_BYTES);
  const chunk = smallerChunk(asked, type.size, Math.max(options.bytes, type.size));
  const chunkBytes = chunk.reduce((product, n) => product * n, type.size);
  const count = Math.min(MOST_CHUNKS, Math.max(1, Math.floor(options.bytes / chunkBytes)));
  const pipeline = dataset.info.layout === 'chunked' ? await loadPipeline(dataset, options.registry) : undefined;
  const chunks: Uint8Array[] = [];
  for (const start of await placesOf(dataset, chunk, count))
    chunks.push(await chunkAt(dataset, start, chunk, pipeline));
  const all = partsOf(type);
  const parts = all.some(({ isNumber }) => isNumber) ? all : [];
  const ranges = parts.map((part) => (part.isNumber ? rangeOf(chunks.map((bytes) => part.valuesOf(bytes))) : 0));
  const some = ranges.filter((range) => range > 0);
  const range = some.length > 0 ? Math.min(...some) : 0;
  return { dataset, chunk, chunks, parts, ranges, range, bytes: chunks.length * chunkBytes };
}

/** The values of a chunk that begins at `start`, padded where it sticks out of the dataset. */
async function chunkAt(
  dataset: Dataset,
  start: readonly number[],
  chunk: readonly number[],
  pipeline: Pipeline | undefined,
): Promise<Uint8Array> {
  const inside = chunk.map((n, i) => Math.min(n, (dataset.info.shape[i] ?? 0) - (start[i] ?? 0)));
  const values = await readBox(dataset, { start, shape: inside }, pipeline);
  const whole = inside.every((n, i) => n === chunk[i]);
  return whole ? new Uint8Array(values) : padded(values, inside, chunk, dataset);
}

/** Where chunks of this shape begin, at most `count`, evenly spread over what is allocated. */
async function placesOf(dataset: Dataset, chunk: readonly number[], count: number): Promise<number[][]> {
  const { shape, layout } = dataset.info;
  const grid = shape.map((n, i) => Math.ceil(n / (chunk[i] ?? 1)));
  const stored = layout === 'chunked' ? await dataset.loadChunks() : undefined;
  const total = stored && stored.length > 0 ? stored.length : grid.reduce((product, n) => product * n, 1);
  const found = new Map<string, number[]>();
  const tries = Math.min(total, 4 * count);
  for (let i = 0; i < tries; i++) {
    const at = Math.floor(((i + 0.5) * total) / tries);
    const offset = stored?.at(at)?.offset ?? gridPlace(at, grid, chunk);
    const start = offset.map((n, d) => Math.floor(n / (chunk[d] ?? 1)) * (chunk[d] ?? 1));
    found.set(start.join(), start);
  }
  const places = [...found.values()];
  const isWhole = (start: readonly number[]) => start.every((n, i) => n + (chunk[i] ?? 1) <= (shape[i] ?? 0));
  const whole = places.filter(isWhole);
  const usable = whole.length > 0 ? whole : places;
  const taken = Math.min(count, usable.length);
  return Array.from({ length: taken }, (_, i) => usable[Math.floor(((i + 0.5) * usable.length) / taken)] as number[]);
}

function gridPlace(at: number, grid: readonly number[], chunk: readonly number[]): number[] {
  const start = grid.map(() => 0);
  for (let i = grid.length - 1, rest = at; i >= 0; i--) {
    const n = grid[i] ?? 1;
    start[i] = (rest % n) * (chunk[i] ?? 1);
    rest = Math.floor(rest / n);
  }
  return start;
}

function padded(values: Uint8Array, inside: readonly number[], chunk: readonly number[], dataset: Dataset): Uint8Array {
  const unit = dataset.info.type.size;
  const out = fill(new Uint8Array(chunk.reduce((product, n) => product * n, unit)), dataset.info.fill.value);
  const line = (inside.at(-1) ?? 1) * unit;
  const rows = inside.slice(0, -1);
  for (let row = 0; row * line < values.length; row++) {
    let to = 0;
    let stride = (chunk.at(-1) ?? 1) * unit;
    for (let i = rows.length - 1, rest = row; i >= 0; i--) {
      const n = rows[i] ?? 1;
      to += (rest % n) * stride;
      stride *= chunk[i] ?? 1;
      rest = Math.floor(rest / n);
    }
    out.set(values.subarray(row * line, (row + 1) * line), to);
  }
  return out;
}

export interface MeasureOptions {
  readonly registry: Registry;
  /** Stop taking further chunks after this; the first is always measured. */
  readonly seconds: number;
  readonly via?: 'native' | 'wasm';
}

/** The shortest time that says something about speed: what is faster is repeated. */
const LEAST_SECONDS = 0.02;

/**
 * Encodes the sample's chunks and decodes them again. A filter that refuses these data, or breaks a promise (a lossless
 * filter that changes values), gives a Refusal; nothing is thrown.
 */
export async function measure(
  candidate: Candidate,
  sample: Sample,
  options: MeasureOptions,
): Promise<Measurement | Refusal> {
  const { words, filter } = candidate;
  try {
    return measured(candidate, sample, await loadStages(candidate, sample, options), options);
  } catch (error) {
    return { words, filter, error: failureOf(error) };
  }
}

/** What a lossy pipeline did to the chunks of a whole dataset. */
export interface Checked {
  readonly chunks: number;
  /** The largest absolute error met: of all chunks, or of those up to the one that broke the bound. */
  readonly maxError: number;
  /** The first element of the chunk that broke it. */
  readonly brokenAt?: readonly number[];
}

/**
 * Takes every chunk of the dataset, cut as `chunk`, through a pipeline and back, until one has an error above `bound`. Chunks
 * that were never written are left out, as their fill value is in no chunk. `first`: where to begin. Throws what filters throw.
 */
export async function checkAll(
  candidate: Candidate,
  dataset: Dataset,
  chunk: readonly number[],
  bound: number,
  options: Pick<MeasureOptions, 'registry' | 'via'> & {
    readonly first?: readonly (readonly number[])[];
    readonly onChunk?: (done: number, total: number) => void;
  },
): Promise<Checked> {
  const { shape, type, layout } = dataset.info;
  const source = layout === 'chunked' ? await loadPipeline(dataset, options.registry) : undefined;
  const pipeline = createPipeline(await loadStages(candidate, { dataset, chunk }, options));
  const grid = shape.map((n, i) => Math.ceil(n / (chunk[i] ?? 1)));
  const total = grid.reduce((product, n) => product * n, 1);
  const stored = chunk.join() === dataset.info.chunk?.join() ? await dataset.loadChunks() : undefined;
  const count = stored?.length ?? total;
  const { first = [], onChunk } = options;
  const size = chunk.reduce((product, n) => product * n, type.size);
  const parts = partsOf(type);
  if (!parts.some(({ isNumber }) => isNumber))
    throw dataset.error('H5Z_PARAMETER', 'its values are no numbers', 'tune it for speed or ratio');
  let maxError = 0;
  for (let i = -first.length; i < count; i++) {
    const start = i < 0 ? first[i + first.length] : (stored?.at(i)?.offset ?? gridPlace(i, grid, chunk));
    const data = await chunkAt(dataset, start as readonly number[], chunk, source);
    const decoded = pipeline.decode(pipeline.encode(data).data, { size });
    for (const { isNumber, valuesOf } of parts)
      maxError = Math.max(maxError, largestError(valuesOf(data), valuesOf(decoded), isNumber));
    if (maxError > bound) return { chunks: count, maxError, brokenAt: start as readonly number[] };
    onChunk?.(Math.max(0, i + 1), count);
    await new Promise((resolve) => setImmediate(resolve)); // lets signals and progress through
  }
  return { chunks: count, maxError };
}

async function loadStages(
  candidate: Candidate,
  sample: Pick<Sample, 'dataset' | 'chunk'>,
  options: Pick<MeasureOptions, 'registry' | 'via'>,
): Promise<LoadedStage[]> {
  const { registry, via } = options;
  const described = describeDataset(sample.dataset.info, sample.chunk);
  const stages: LoadedStage[] = [];
  for (const { id, cdValues } of candidate.stages) {
    const load = { encode: true, ...(via === undefined ? {} : { only: via }) };
    const host = registry.get(id) === undefined ? await hostCodec(id) : undefined;
    const codec: Codec = host ?? (await registry.load(id, load));
    stages.push({ id, cdValues: codec.derive(cdValues, described), codec });
  }
  return stages;
}

function measured(
  { words, filter, stages }: Candidate,
  { dataset, chunk, chunks, parts, ranges }: Sample,
  loaded: readonly LoadedStage[],
  { registry, seconds }: MeasureOptions,
): Measurement {
  const pipeline = createPipeline(loaded);
  const encoded: Uint8Array[] = [];
  const { type } = dataset.info;
  const lossy = stages.some(({ id }) => registry.get(id)?.description.lossy === true);
  const size = chunks[0]?.length ?? 0;
  let encodeSeconds = 0;
  for (const data of chunks) {
    const started = performance.now();
    encoded.push(pipeline.encode(data).data);
    encodeSeconds += (performance.now() - started) / 1000;
    if (encodeSeconds > seconds) break;
  }
  const taken = chunks.slice(0, encoded.length);
  const comparison = lossy ? new PartsComparison(parts, chunk, ranges) : undefined;
  let exact = true;
  for (const [i, data] of taken.entries()) {
    const decoded = pipeline.decode(encoded[i] as Uint8Array, { size });
    if (!sameBytes(canonicalBytes(data, type), canonicalBytes(decoded, type))) exact = false;
    comparison?.add(data, decoded);
  }
  if (!exact && !lossy) {
    throw new H5zError('H5Z_E_INTERNAL', `${words} changed values, though it is lossless`, { remedy: 'report this' });
  }
  const quality = comparison?.quality;
  const again = { least: LEAST_SECONDS, most: seconds };
  const encode = fastest(again, encodeSeconds, () => {
    for (const data of taken) pipeline.encode(data);
  });
  const out = pipeline.allocate(size);
  const decode = fastest(again, undefined, () => {
    for (const data of encoded) pipeline.decodeInto(data, out, { size });
  });
  const bytes = taken.length * size;
  const stored = encoded.reduce((sum, data) => sum + data.length, 0);
  return {
    words,
    filter,
    chunks: taken.length,
    of: chunks.length,
    bytes,
    stored,
    ratio: bytes / stored,
    encode: bytes / encode,
    decode: bytes / decode,
    exact,
    prepares: encoded.every((data) => data.length === size) && encoded.some((data, i) => !sameBytes(data, taken[i])),
    ...(quality ? { quality } : {}),
  };
}

/** The least seconds of several runs of `work`, `before` being one already: three or so, more for short ones. */
function fastest({ least, most }: { least: number; most: number }, before: number | undefined, work: () => void) {
  let best = before ?? Number.POSITIVE_INFINITY;
  let spent = before ?? 0;
  for (let run = 0; run < 100 && (best === Number.POSITIVE_INFINITY || (spent < most && spent < 3 * least)); run++) {
    const started = performance.now();
    work();
    const took = (performance.now() - started) / 1000;
    best = Math.min(best, took);
    spent += took;
  }
  return Math.max(best, 1e-7);
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  if (b === undefined || a.length !== b.length) return false;
  return Buffer.compare(a, b) === 0;
}
