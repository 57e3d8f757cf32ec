// decodeSparse: what lies above a threshold, and where, chunk by chunk as the batch gives them. For data that are mostly
// background (photons on a detector, rain on a map) that are too large to be held whole.

import { type BatchOptions, fill } from '@h5z/core';
import { type Dataset, type FileInput, H5File, type OpenOptions, open } from './file.js';
import { loadPipeline, type PipelineFinder, touchedBy } from './read.js';
import { canonicalCheck, type DatasetValues, kindOf, type NumberArray, numbersOf, rangesOf } from './read-dataset.js';
import type { Datatype } from './types.js';

export interface DecodeSparseOptions extends BatchOptions {
  /** Elements greater than this are kept, in the unit of the data; NaN never is. A bigint is compared exactly. */
  readonly threshold: number | bigint;
  /** Indexes [start, stop) of the first dimension, as Python has them (negative: from the end; clipped). Default: all. */
  readonly rows?: readonly [start?: number | null, stop?: number | null];
  /** Decode with this variant alone. Default: native where it is installed, else WebAssembly. */
  readonly via?: 'native' | 'wasm';
  /** Where filters come from (`createRegistry`, `installed` of @h5z/registry). Default: only libhdf5's own filters. */
  readonly registry?: PipelineFinder;
}

export interface SparseValues {
  /**
   * Of the elements kept, in the flattened dataset (C order, all of `shape`, with `rows` too): chunk by chunk, ascending
   * in each. The array is the caller's.
   */
  readonly indices: Float64Array;
  /** Their values, in the same order: of the class that `readDataset` gives. */
  readonly values: NumberArray;
  /** The chunks read, in C order: the first element of each and how many of its elements were kept. Data that are not
   * chunked count as one chunk. */
  readonly chunks: readonly { readonly offset: readonly number[]; readonly count: number }[];
  /** Of the dataset. */
  readonly shape: readonly number[];
  readonly dtype: DatasetValues['dtype'];
  /** As the file has it. */
  readonly type: Datatype;
}

/** Data that are not chunked are read in pieces of about this many bytes. */
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * The elements of a dataset greater than `threshold`, and where they are. Never holds more of the data than the chunks that
 * are decoded at once; the result takes 8 bytes and a value per element kept, up to three times that while it grows.
 *
 * `file`: an open file, which stays open, or what `open` takes, which is closed again. Chunks that nobody wrote are not
 * read: where the fill value is above the threshold that would leave out values, and H5Z_PARAMETER is thrown.
 * H5Z_PARAMETER too for a threshold or rows that are no numbers; H5Z_E_UNSUPPORTED for data that are no plain numbers,
 * virtual datasets and external files; H5Z_E_MEMORY when more is kept than fits in one array. All else is what
 * `readDataset` throws, with file, dataset and chunk named. `signal` rejects with its reason.
 */
export async function decodeSparse(
  file: H5File | FileInput,
  path: string,
  options: DecodeSparseOptions & OpenOptions,
): Promise<SparseValues> {
  if (file instanceof H5File) return decode(file.dataset(path), options);
  const opened = await open(file, options);
  try {
    return await decode(opened.dataset(path), options);
  } finally {
    opened.close();
  }
}

async function decode(dataset: Dataset, options: DecodeSparseOptions): Promise<SparseValues> {
  const { type, space, shape, layout } = dataset.info;
  const { threshold, rows } = options;
  if (typeof threshold !== 'bigint' && (typeof threshold !== 'number' || Number.isNaN(threshold))) {
    throw dataset.error('H5Z_PARAMETER', `threshold is ${String(threshold)}`, 'pass a number');
  }
  const kind = kindOf(type);
  if (kind.dtype === 'bytes') {
    throw dataset.error('H5Z_E_UNSUPPORTED', `its elements are no plain numbers (${type.class})`, 'use readDataset');
  }
  canonicalCheck(dataset);
  dataset.refuseElsewhere();
  if (rows !== undefined && (!Array.isArray(rows) || rows.length > 2)) {
    throw dataset.error('H5Z_PARAMETER', `rows is ${String(rows)}`, 'pass [start, stop]');
  }
  const ranges = rangesOf(dataset, rows === undefined ? [] : [rows]);
  const start = ranges.map((range) => range.start);
  const box = { start, shape: ranges.map(({ count }) => count) };
  const found = new Found(dataset, kind.array.BYTES_PER_ELEMENT, (length) => {
    return new kind.array(new ArrayBuffer(length * kind.array.BYTES_PER_ELEMENT), 0, length);
  });
  const chunks: { offset: readonly number[]; count: number }[] = [];
  const keep = (stored: Uint8Array, runs: Iterable<Run>): number => {
    return found.keep(numbersOf(stored, type, kind), runs, threshold);
  };
  if (space !== 'null' && !box.shape.includes(0)) {
    if (layout === 'chunked') await decodeChunks();
    else await readPieces();
  }
  return { ...found.result(), chunks, shape, dtype: kind.dtype, type };

  async function decodeChunks(): Promise<void> {
    const { registry, via, threads, signal, onChunk } = options;
    const { chunk = [] } = dataset.info;
    const pipeline = await loadPipeline(dataset, registry, via === undefined ? undefined : { only: via });
    const touched = await touchedBy(dataset, box);
    if (!touched.complete) {
      const [background = 0] = numbersOf(fill(new Uint8Array(type.size), dataset.info.fill.value), type, kind);
      if (background > threshold) {
        const problem = `chunks that nobody wrote are all ${background}, above the threshold ${threshold}`;
        throw dataset.error('H5Z_PARAMETER', problem, 'pass a threshold of at least that, or use readDataset');
      }
    }
    const batch = {
      size: dataset.chunkBytes,
      ...(threads === undefined ? {} : { threads }),
      ...(signal === undefined ? {} : { signal }),
      ...(onChunk === undefined ? {} : { onChunk }),
    };
    try {
      for await (const { data, offset = [] } of pipeline.decodeEach(touched.ranges, batch)) {
        chunks.push({ offset, count: keep(data, runsOf(shape, chunk, offset, box)) });
      }
    } catch (error) {
      throw dataset.explain(error);
    }
  }

  async function readPieces(): Promise<void> {
    const row = shape.slice(1).reduce((product, n) => product * n, 1);
    const end = ((box.start[0] ?? 0) + (box.shape[0] ?? 1)) * row;
    const step = Math.max(1, Math.floor(PIECE_BYTES / type.size));
    let count = 0;
    for (let at = (box.start[0] ?? 0) * row; at < end; at += step) {
      options.signal?.throwIfAborted();
      const length = Math.min(step, end - at);
      const stored = await dataset.fetchStored(at * type.size, length * type.size);
      const bytes = new Uint8Array(stored ?? fill(new Uint8Array(length * type.size), dataset.info.fill.value));
      count += keep(bytes, [{ at: 0, index: at, length }]);
    }
    chunks.push({ offset: start, count });
    options.onChunk?.(1);
  }
}

/** Elements that follow each other in a chunk and in the dataset. */
interface Run {
  /** In the chunk, in elements. */
  readonly at: number;
  /** In the flattened dataset. */
  readonly index: number;
  readonly length: number;
}

/** The runs of a chunk that lie in the box and in the dataset, in C order. */
function* runsOf(
  shape: readonly number[],
  chunk: readonly number[],
  offset: readonly number[],
  box: { readonly start: readonly number[]; readonly shape: readonly number[] },
): Generator<Run> {
  // Dimensions after `last` are whole in every chunk: their elements follow each other.
  let last = shape.length - 1;
  let inner = 1;
  while (last > 0 && chunk[last] === shape[last]) inner *= shape[last--] ?? 1;
  const from = offset.slice(0, last + 1).map((at, i) => Math.max(at, box.start[i] ?? 0));
  const to = from.map((_, i) => {
    return Math.min((offset[i] ?? 0) + (chunk[i] ?? 1), (box.start[i] ?? 0) + (box.shape[i] ?? 1));
  });
  const length = ((to[last] ?? 1) - (from[last] ?? 0)) * inner;
  const place = [...from];
  for (;;) {
    let at = 0;
    let index = 0;
    for (let i = 0; i <= last; i++) {
      at = at * (chunk[i] ?? 1) + (place[i] ?? 0) - (offset[i] ?? 0);
      index = index * (shape[i] ?? 1) + (place[i] ?? 0);
    }
    yield { at: at * inner, index: index * inner, length };
    let i = last - 1;
    for (; i >= 0; i--) {
      place[i] = (place[i] ?? 0) + 1;
      if ((place[i] ?? 0) < (to[i] ?? 0)) break;
      place[i] = from[i] ?? 0;
    }
    if (i < 0) return;
  }
}

/** What was kept so far, in arrays that double. */
class Found {
  #indices = new Float64Array(0);
  #values: NumberArray;
  #length = 0;
  readonly #dataset: Dataset;
  readonly #bytes: number;
  readonly #make: (length: number) => NumberArray;

  constructor(dataset: Dataset, bytes: number, make: (length: number) => NumberArray) {
    this.#dataset = dataset;
    this.#bytes = bytes;
    this.#make = make;
    this.#values = make(0);
  }

  /** Keeps what is above the threshold; returns how many that were. */
  keep(numbers: NumberArray, runs: Iterable<Run>, threshold: number | bigint): number {
    const before = this.#length;
    for (const { at, index, length } of runs) {
      for (let i = 0; i < length; i++) {
        const value = numbers[at + i] as number;
        if (!(value > threshold)) continue;
        if (this.#length === this.#indices.length) this.#resize(Math.max(1024, 2 * this.#length));
        this.#indices[this.#length] = index + i;
        this.#values[this.#length++] = value;
      }
    }
    return this.#length - before;
  }

  result(): { readonly indices: Float64Array; readonly values: NumberArray } {
    this.#resize(this.#length);
    return { indices: this.#indices, values: this.#values };
  }

  #resize(length: number): void {
    if (length === this.#indices.length) return;
    try {
      const indices = new Float64Array(length);
      const values = this.#make(length);
      indices.set(this.#indices.subarray(0, this.#length));
      (values as Float64Array).set((this.#values as Float64Array).subarray(0, this.#length));
      this.#indices = indices;
      this.#values = values;
    } catch (cause) {
      const problem = `${this.#length} elements above the threshold do not fit (${8 + this.#bytes} bytes each)`;
      throw this.#dataset.error('H5Z_E_MEMORY', problem, 'raise the threshold, or read fewer `rows`', cause);
    }
  }
}
