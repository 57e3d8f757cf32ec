// A dataset's values from its chunks: find, decode, clip, place; fill where nothing was written. Works in bands (all
// elements of one row of chunks along the first dimension), so that a digest of a large dataset needs little memory.

import {
  type Codec,
  createPipeline,
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
  const { shape } = dataset.info;
  const chunk = dataset.info.chunk as readonly number[];
  if (chunk.length !== shape.length || chunk.some((n) => n < 1)) {
    const problem = `its chunks have shape ${chunk.join('x')}, the dataset ${shape.join('x')}`;
    throw dataset.error('H5Z_E_CORRUPT', problem, 'restore the file from a copy');
  }
  const grid = new Grid(dataset, chunk);
  const total = dataset.chunks.length;
  const rows = grid.rows(dataset.chunks);
  let done = 0;
  for (let row = 0; row < grid.rowCount; row++) {
    const band = grid.blankBand(row);
    for (const stored of rows.get(row) ?? []) {
      grid.place(decodeChunk(dataset, pipeline, stored, grid), stored, band);
      options.onChunk?.(++done, total);
    }
    yield band;
  }
}

function* readPieces(dataset: Dataset): Generator<Uint8Array> {
  const unit = dataset.info.type.size;
  const step = Math.max(1, Math.floor(PIECE_BYTES / unit)) * unit;
  for (let at = 0; at < dataset.byteLength; at += step) {
    const length = Math.min(step, dataset.byteLength - at);
    yield dataset.readStored(at, length) ?? filled(length, dataset.info.fill.value);
  }
}

function decodeChunk(dataset: Dataset, pipeline: Pipeline, stored: Chunk, grid: Grid): Uint8Array {
  const label = `chunk ${stored.offset.join(',')}`;
  const bytes = dataset.readChunk(stored);
  try {
    const raw = dataset.info.rawEdgeChunks === true && grid.sticksOut(stored);
    const filterMask = raw ? 0xffffffff : stored.filterMask;
    return pipeline.decode(bytes, { filterMask, size: dataset.chunkBytes });
  } catch (cause) {
    if (!(cause instanceof H5zError)) throw cause;
    const [problem = '', ...remedy] = cause.message.split('; ');
    throw dataset.error(cause.code, `${label}: ${problem}`, remedy.join('; ') || 'restore the file from a copy', cause);
  }
}

/** Where chunks lie in the dataset. */
class Grid {
  readonly rowCount: number;
  readonly #dataset: Dataset;
  readonly #shape: readonly number[];
  readonly #chunk: readonly number[];
  readonly #unit: number;
  /** Bytes of one index step of the first dimension. */
  readonly #rowBytes: number;

  constructor(dataset: Dataset, chunk: readonly number[]) {
    this.#dataset = dataset;
    this.#shape = dataset.info.shape;
    this.#chunk = chunk;
    this.#unit = dataset.info.type.size;
    const [first = 1, ...rest] = this.#shape;
    this.#rowBytes = rest.reduce((product, n) => product * n, this.#unit);
    this.rowCount = Math.ceil(first / (chunk[0] ?? 1));
  }

  /** The chunks by row; a chunk outside the dataset or twice at one place is an error. */
  rows(chunks: readonly Chunk[]): Map<number, Chunk[]> {
    const rows = new Map<number, Chunk[]>();
    const seen = new Set<string>();
    for (const chunk of chunks) {
      const fits = chunk.offset.every((at, i) => at % this.#at(i) === 0 && at < (this.#shape[i] ?? 0));
      const place = chunk.offset.join(',');
      if (!fits || seen.has(place)) {
        const problem = `chunk ${place} ${fits ? 'is there twice' : 'lies outside the chunk grid'}`;
        throw this.#dataset.error('H5Z_E_CORRUPT', problem, 'restore the file from a copy');
      }
      seen.add(place);
      const row = (chunk.offset[0] ?? 0) / this.#at(0);
      const list = rows.get(row);
      if (list) list.push(chunk);
      else rows.set(row, [chunk]);
    }
    return rows;
  }

  blankBand(row: number): Uint8Array {
    const [first = 1] = this.#shape;
    const height = Math.min(this.#at(0), first - row * this.#at(0));
    const bytes = height * this.#rowBytes;
    if (bytes > MAX_BAND_BYTES) {
      const problem = `a row of its chunks takes ${bytes} bytes`;
      throw this.#dataset.error('H5Z_E_MEMORY', problem, 'read the chunks one by one with readChunk');
    }
    return filled(bytes, this.#dataset.info.fill.value);
  }

  sticksOut(chunk: Chunk): boolean {
    return chunk.offset.some((at, i) => at + this.#at(i) > (this.#shape[i] ?? 0));
  }

  /** Copies the part of a decoded chunk that lies in the dataset into its band. */
  place(data: Uint8Array, chunk: Chunk, band: Uint8Array): void {
    const rank = this.#shape.length;
    const counts = this.#chunk.map((n, i) => Math.min(n, (this.#shape[i] ?? 0) - (chunk.offset[i] ?? 0)));
    // The longest run that is whole in both: trailing dimensions that the chunk covers entirely, and one more.
    let run = rank - 1;
    while (run > 0 && this.#at(run) === this.#shape[run]) run--;
    let unit = this.#unit;
    const chunkStep = new Array<number>(rank);
    const bandStep = new Array<number>(rank);
    for (let i = rank - 1, inChunk = unit, inBand = unit; i >= 0; i--) {
      chunkStep[i] = inChunk;
      bandStep[i] = inBand;
      inChunk *= this.#at(i);
      inBand *= this.#shape[i] ?? 1;
    }
    unit = (counts[run] ?? 1) * (chunkStep[run] ?? this.#unit);
    const index = new Array<number>(run).fill(0);
    let to = 0;
    for (let i = 1; i < rank; i++) to += (chunk.offset[i] ?? 0) * (bandStep[i] ?? 0);
    let from = 0;
    for (;;) {
      band.set(data.subarray(from, from + unit), to);
      let dim = run - 1;
      for (; dim >= 0; dim--) {
        from += chunkStep[dim] ?? 0;
        to += bandStep[dim] ?? 0;
        const next = (index[dim] ?? 0) + 1;
        if (next < (counts[dim] ?? 0)) {
          index[dim] = next;
          break;
        }
        from -= next * (chunkStep[dim] ?? 0);
        to -= next * (bandStep[dim] ?? 0);
        index[dim] = 0;
      }
      if (dim < 0) return;
    }
  }

  #at(dimension: number): number {
    return this.#chunk[dimension] ?? 1;
  }
}

/** `length` bytes of the fill value repeated; zeros without one. */
function filled(length: number, value: Uint8Array | undefined): Uint8Array {
  const bytes = new Uint8Array(length);
  if (value === undefined || value.length === 0 || value.every((byte) => byte === 0)) return bytes;
  bytes.set(value.subarray(0, length));
  for (let done = Math.min(value.length, length); done < length; done *= 2) {
    bytes.copyWithin(done, 0, Math.min(done, length - done));
  }
  return bytes;
}
