// A dataset's values from its chunks: find, decode, clip, place; fill where nothing was written. Works in bands (all
// elements of one row of chunks along the first dimension), so that a digest of a large dataset needs little memory.

import {
  type BatchOptions,
  type ChunkFile,
  type ChunkRange,
  type Codec,
  createPipeline,
  fill,
  H5zError,
  type LoadedStage,
  type LoadOptions,
  type Pipeline,
  type PipelineStage,
} from '@h5z/core';
import type { Dataset } from './file.js';
import { hostCodec } from './host.js';
import type { Chunk } from './types.js';

/** Loads pipelines by filter ID: a Registry of @h5z/registry is one. */
export interface PipelineFinder {
  pipeline(stages: readonly PipelineStage[], options?: LoadOptions): Promise<Pipeline>;
  /** The package of a filter, undefined when there is none. Without this, what libhdf5 has itself is never asked for. */
  get?(id: number): unknown;
}

export interface ReadOptions {
  /** Called after every chunk, for progress. */
  readonly onChunk?: (done: number, total: number) => void;
}

/** The most bytes one band may have. */
const MAX_BAND_BYTES = 0x7fffffff;
/** Contiguous data are given in pieces of about this size. */
const PIECE_BYTES = 64 * 1024 * 1024;

/**
 * The dataset's pipeline, loaded: through `registry`, with `options`, what it has a package for; libhdf5's own filters
 * that it has none for as `host`.
 * Throws what the registry throws for a filter that is not there; H5Z_MISSING_FILTER without a registry.
 */
export async function loadPipeline(
  dataset: Dataset,
  registry?: PipelineFinder,
  options?: LoadOptions,
): Promise<Pipeline> {
  const { filters } = dataset.info;
  const hosts = await Promise.all(
    filters.map(({ id }) => (registry?.get?.(id) === undefined ? hostCodec(id) : undefined)),
  );
  const others = filters.filter((_, i) => hosts[i] === undefined);
  if (others.length > 0 && registry === undefined) {
    const names = others.map(({ id, name }) => (name ? `${id} (${name})` : String(id)));
    throw dataset.error(
      'H5Z_MISSING_FILTER',
      `it is filtered with ${names.join(', ')}`,
      'pass a registry that has this',
    );
  }
  try {
    const loaded = others.length > 0 ? ((await registry?.pipeline(others, options))?.stages ?? []) : [];
    const rest = [...loaded];
    return createPipeline(filters.map((stage, i) => ({ ...stage, codec: hosts[i] ?? next(rest) })));
  } catch (error) {
    throw dataset.explain(error);
  }
}

function next(rest: LoadedStage[]): Codec {
  const stage = rest.shift();
  if (stage === undefined) throw new H5zError('H5Z_E_INTERNAL', 'the registry left out a stage of the pipeline');
  return stage.codec;
}

/** All values of the dataset, C order, in stored form (see canonicalBytes). For data of up to 2 GiB. */
export async function readAll(
  dataset: Dataset,
  filters?: PipelineFinder | Pipeline,
  options: ReadOptions = {},
): Promise<Uint8Array> {
  if (dataset.byteLength > MAX_BAND_BYTES) {
    const problem = `${dataset.byteLength} bytes do not fit in one array`;
    throw dataset.error('H5Z_E_MEMORY', problem, 'read it with readBands');
  }
  const whole = new Uint8Array(dataset.byteLength);
  let at = 0;
  for await (const band of readBands(dataset, filters, options)) {
    whole.set(band, at);
    at += band.length;
  }
  return whole;
}

/**
 * The same in pieces, first to last; each piece belongs to the caller. Edge chunks are clipped, chunks that were never
 * written read as the fill value (zeros when none is defined). Errors name file, dataset and chunk.
 */
export async function* readBands(
  dataset: Dataset,
  filters?: PipelineFinder | Pipeline,
  options: ReadOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  if (dataset.elements === 0) return;
  if (dataset.info.layout !== 'chunked') {
    yield* readPieces(dataset);
    return;
  }
  const pipeline = filters !== undefined && 'stages' in filters ? filters : await loadPipeline(dataset, filters);
  const chunks = await dataset.loadChunks();
  const { shape, chunk = [] } = dataset.info;
  const [first = 1, ...rest] = shape;
  const [height = 1] = chunk;
  const rowBytes = rest.reduce((product, n) => product * n, dataset.info.type.size);
  let done = 0;
  for (let from = 0; from < first; from += height) {
    const rows = Math.min(height, first - from);
    if (rows * rowBytes > MAX_BAND_BYTES) {
      const problem = `a row of its chunks takes ${rows * rowBytes} bytes`;
      throw dataset.error('H5Z_E_MEMORY', problem, 'read a part of it with readDataset and `slice`');
    }
    const box = { start: [from, ...rest.map(() => 0)], shape: [rows, ...rest] };
    yield await decodeBox(dataset, pipeline, box, undefined, {
      onChunk: () => options.onChunk?.(++done, chunks.length),
    });
  }
}

async function* readPieces(dataset: Dataset): AsyncGenerator<Uint8Array> {
  const unit = dataset.info.type.size;
  const step = Math.max(1, Math.floor(PIECE_BYTES / unit)) * unit;
  for (let at = 0; at < dataset.byteLength; at += step) {
    const length = Math.min(step, dataset.byteLength - at);
    const piece = await dataset.fetchStored(at, length);
    yield piece ?? fill(new Uint8Array(length), dataset.info.fill.value);
  }
}

/** A part of a dataset, in elements. */
export interface Box {
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/**
 * The elements of a box of a chunked dataset (C order, box.shape x element size bytes), to `out` or a new array,
 * which is given back: every chunk that it touches and that `wanted` does not turn down is read and decoded, several at once; the
 * fill value elsewhere.
 */
export async function decodeBox(
  dataset: Dataset,
  pipeline: Pipeline,
  box: Box,
  out: Uint8Array | undefined,
  options: BatchOptions & { readonly wanted?: (chunk: Chunk) => boolean } = {},
): Promise<Uint8Array> {
  const { chunk = [], type } = dataset.info;
  const { wanted, ...batch } = options;
  const bytes = box.shape.reduce((product, n) => product * n, type.size);
  if (bytes === 0) return out ?? new Uint8Array(0);
  const { ranges, complete } = await touchedBy(dataset, box, wanted);
  const layout = { shape: box.shape, chunk, itemSize: type.size, origin: box.start };
  const { value } = dataset.info.fill;
  try {
    if (out === undefined) {
      const how = { ...(value === undefined || complete ? {} : { fill: value }), covered: complete };
      return await pipeline.decodeMany(ranges, { ...batch, ...how, layout });
    }
    if (!complete) fill(out, value);
    return await pipeline.decodeMany(ranges, { ...batch, into: out, layout });
  } catch (error) {
    throw dataset.explain(error);
  }
}

/** `bytes` of memory for values of a dataset. Throws H5Z_E_MEMORY. */
export function memory(dataset: Dataset, bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    const problem = `${bytes} bytes do not fit in one array`;
    throw dataset.error('H5Z_E_MEMORY', problem, 'read a part of it with `slice`', cause);
  }
}

/** What a box touches of a chunked dataset. */
export interface Touched {
  /** Its chunks in C order, as batches take them; one that cannot lie in the file throws when its turn comes. */
  readonly ranges: Iterable<ChunkRange & { readonly offset: readonly number[] }>;
  /** Somebody wrote every chunk of the box, and none can be turned down. */
  readonly complete: boolean;
}

/** The chunks that a box of at least one element touches. */
export async function touchedBy(dataset: Dataset, box: Box, wanted?: (chunk: Chunk) => boolean): Promise<Touched> {
  const { shape, chunk = [], rawEdgeChunks } = dataset.info;
  const chunks = await dataset.loadChunks();
  const placeOf = (at: number, i: number) => Math.floor(at / (chunk[i] ?? 1));
  const first = box.start.map(placeOf);
  const last = box.start.map((at, i) => placeOf(at + (box.shape[i] ?? 1) - 1, i));
  const places = first.reduce((product, at, i) => product * ((last[i] ?? 0) - at + 1), 1);
  const { file } = dataset;
  // What a remote file fetches together is known beforehand; else a chunk is looked up when its turn comes.
  const listed = file.remote ? [...chunks.within(first, last)].filter((one) => wanted?.(one) ?? true) : undefined;
  const chunkFile = listed === undefined ? file.chunkFile : coalesced(file.chunkFile, listed);
  function* ranges() {
    for (const stored of listed ?? chunks.within(first, last)) {
      if (listed === undefined && !(wanted?.(stored) ?? true)) continue;
      dataset.checkChunk(stored);
      const { address, size: length, offset } = stored;
      const sticksOut = offset.some((at, i) => at + (chunk[i] ?? 1) > (shape[i] ?? 0));
      const filterMask = rawEdgeChunks === true && sticksOut ? 0xffffffff : stored.filterMask;
      yield { file: chunkFile, address, length, offset, filterMask };
    }
  }
  return { ranges: ranges(), complete: wanted === undefined && chunks.countWithin(first, last) === places };
}

/** Chunks of a remote file that lie this close are fetched as one range, up to so many bytes. */
const GAP_BYTES = 64 * 1024;
const RANGE_BYTES = 8 * 1024 * 1024;

/** A remote file that fetches neighbours among `chunks`, which are read in this order, as one range and the next one ahead. */
function coalesced(file: ChunkFile, chunks: readonly Chunk[]): ChunkFile {
  interface Group {
    readonly start: number;
    end: number;
    left: number;
    bytes?: Promise<Uint8Array>;
  }
  const groups: Group[] = [];
  const groupOf = new Map<number, number>();
  for (const { address, size } of chunks) {
    const last = groups.at(-1);
    const near = last !== undefined && address >= last.end && address - last.end <= GAP_BYTES;
    if (near && address + size - last.start <= RANGE_BYTES && !groupOf.has(address)) {
      last.end = address + size;
      last.left++;
    } else if (!groupOf.has(address)) groups.push({ start: address, end: address + size, left: 1 });
    if (!groupOf.has(address)) groupOf.set(address, groups.length - 1);
  }
  const fetched = (group: Group): Promise<Uint8Array> => {
    group.bytes ??= Promise.resolve(file.read(group.start, group.end - group.start));
    group.bytes.catch(() => undefined); // whoever waits for it is told
    return group.bytes;
  };
  return {
    async read(address, length) {
      const at = groupOf.get(address) ?? -1;
      const group = groups[at];
      if (group === undefined || group.left === 0 || address + length > group.end) return file.read(address, length);
      const bytes = fetched(group);
      const next = groups[at + 1];
      if (next !== undefined && next.left > 0) fetched(next);
      const part = (await bytes).slice(address - group.start, address - group.start + length);
      if (--group.left === 0) delete group.bytes;
      return part;
    },
  };
}
