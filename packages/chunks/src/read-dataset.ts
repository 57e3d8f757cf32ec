// readDataset: the values of a dataset, or of a part of it, as a typed array. A helper and no HDF5 library: what it leaves
// as bytes and what it refuses is said at `readDataset`.

import { type BatchOptions, fill, H5zError, type Pipeline } from '@h5z/core';
import { canonicalBytes, halfFloats } from './canonical.js';
import { type Dataset, type FileInput, H5File, type OpenOptions, open } from './file.js';
import { type Box, decodeBox, loadPipeline, memory, type PipelineFinder } from './read.js';
import type { Datatype } from './types.js';

/**
 * What to take along one dimension: an index (the dimension goes away), `null` (all), or [start, stop, step]: `stop` not
 * included, step at least 1, each may be left out or null, negative ones count from the end and ranges are clipped, as
 * Python has it.
 */
export type Slice = number | null | readonly [start?: number | null, stop?: number | null, step?: number | null];

export type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

export interface ReadDatasetOptions extends BatchOptions {
  /** One entry per dimension, slowest first; what is left out at the end is taken whole. Default: everything. */
  readonly slice?: readonly Slice[];
  /** Decode with this variant alone. Default: native where it is installed, else WebAssembly. */
  readonly via?: 'native' | 'wasm';
  /** Where filters come from (`createRegistry`, `installed` of @h5z/registry). Default: only libhdf5's own filters. */
  readonly registry?: PipelineFinder;
  /** Filled and given back as `data` instead of a new array: of the class and length that `data` would have. */
  readonly into?: NumberArray;
}

export interface DatasetValues {
  /**
   * C order, in the byte order of this machine. Bytes as stored where `dtype` is no plain number. Over an ArrayBuffer of its
   * own, which can be transferred; pass `into` for shared memory.
   */
  readonly data: NumberArray;
  /** Of `data` in elements, slowest first; without the dimensions that an index took. */
  readonly shape: readonly number[];
  /** The class of `data`'s elements; `bytes`: whole elements as stored, `type.size` bytes each. */
  readonly dtype:
    | 'int8'
    | 'uint8'
    | 'int16'
    | 'uint16'
    | 'int32'
    | 'uint32'
    | 'int64'
    | 'uint64'
    | 'float32'
    | 'float64'
    | 'bytes';
  /** As the file has it. */
  readonly type: Datatype;
}

/**
 * Reads a dataset, or with `slice` a part of it. Only the chunks that the slice touches are read and decoded, several at
 * once; of contiguous data only the bytes of the slice (and gaps of a few KiB). Never written chunks are the fill value.
 *
 * `file`: an open file, which stays open, or what `open` takes, which is closed again. The result is the caller's.
 * Integers of 1, 2, 4 and 8 bytes (enums, bitfields too), floats of 4 and 8 come as the typed array of that name, floats
 * of 2 bytes as Float32Array; numbers that use part of their bits are widened. Everything else (compounds, strings,
 * arrays, complex numbers, opaque data, references, other sizes) comes as bytes.
 *
 * Not read: variable-length data, external files and virtual datasets (H5Z_E_UNSUPPORTED); not taken: negative steps,
 * lists of indexes, masks (H5Z_PARAMETER). H5Z_FILE without such a dataset, H5Z_E_MEMORY when the result is too large for
 * one array; all else is what decoding throws, with file, dataset and chunk named. `signal` rejects with its reason.
 */
export async function readDataset(
  file: H5File | FileInput,
  path: string,
  options: ReadDatasetOptions & OpenOptions = {},
): Promise<DatasetValues> {
  if (file instanceof H5File) return read(file.dataset(path), options);
  const opened = await open(file, options);
  try {
    return await read(opened.dataset(path), options);
  } finally {
    opened.close();
  }
}

/** One dimension of a request: `count` indexes from `start`, `step` apart. */
export interface Range {
  readonly start: number;
  readonly step: number;
  readonly count: number;
  readonly dropped: boolean;
}

async function read(dataset: Dataset, options: ReadDatasetOptions): Promise<DatasetValues> {
  const { type, space } = dataset.info;
  const kind = kindOf(type);
  canonicalCheck(dataset);
  dataset.refuseElsewhere();
  const ranges = rangesOf(dataset, options.slice ?? []);
  const shape = space === 'null' ? [0] : ranges.filter(({ dropped }) => !dropped).map(({ count }) => count);
  const elements = space === 'null' ? 0 : ranges.reduce((product, { count }) => product * count, 1);
  const { registry, via } = options;
  const pipeline =
    dataset.info.layout === 'chunked'
      ? await loadPipeline(dataset, registry, via === undefined ? undefined : { only: via })
      : undefined;
  const length = elements * kind.perElement;
  const { into } = options;
  if (into !== undefined && (into.length !== length || into.constructor !== kind.array)) {
    const problem = `\`into\` is a ${into.constructor.name} of ${into.length}, and the result a ${kind.array.name} of ${length}`;
    throw dataset.error('H5Z_PARAMETER', problem, 'pass one like that');
  }
  const result = (data: NumberArray) => ({ data, shape, dtype: kind.dtype, type });
  if (elements === 0) return result(into ?? new kind.array(new ArrayBuffer(0), 0, 0));
  const inPlace = into !== undefined && !kind.converts;
  const target = inPlace ? new Uint8Array(into.buffer, into.byteOffset, into.byteLength) : undefined;
  const stored = await readStoredPart(dataset, pipeline, ranges, target, options);
  if (!kind.converts) {
    if (kind.swap) swapInPlace(stored, type.size);
    return result(into ?? new kind.array(stored.buffer, stored.byteOffset, length));
  }
  const data = into ?? new kind.array(memory(dataset, length * kind.array.BYTES_PER_ELEMENT).buffer, 0, length);
  convert(stored, type, data);
  return result(data);
}

/**
 * The elements of a box (in elements, within the dataset's shape), C order, as stored: box elements x `type.size` bytes,
 * the caller's. For whoever puts them through filters again; `readDataset` gives numbers. `filters`: a registry, or the
 * dataset's loaded pipeline. Throws what `readDataset` throws.
 */
export async function readBox(dataset: Dataset, box: Box, filters?: PipelineFinder | Pipeline): Promise<Uint8Array> {
  dataset.refuseElsewhere();
  const bytes = box.shape.reduce((product, n) => product * n, dataset.info.type.size);
  if (dataset.info.layout !== 'chunked') {
    const out = new Uint8Array(bytes);
    if (bytes > 0) await readRuns(dataset, box, out);
    return out;
  }
  const pipeline = filters !== undefined && 'stages' in filters ? filters : await loadPipeline(dataset, filters);
  return decodeBox(dataset, pipeline, box, undefined);
}

/** The stored elements of the ranges, in C order, to `out` or a new array. Returns that. */
async function readStoredPart(
  dataset: Dataset,
  pipeline: Pipeline | undefined,
  ranges: readonly Range[],
  out: Uint8Array | undefined,
  options: ReadDatasetOptions,
): Promise<Uint8Array> {
  const unit = dataset.info.type.size;
  const box: Box = {
    start: ranges.map(({ start }) => start),
    shape: ranges.map(({ count, step }) => (count - 1) * step + 1),
  };
  const stepped = ranges.some(({ step, count }) => step > 1 && count > 1);
  const boxBytes = box.shape.reduce((product, n) => product * n, unit);
  let read = stepped ? undefined : out;
  if (pipeline !== undefined) {
    const { threads, signal, onChunk } = options;
    const { chunk = [] } = dataset.info;
    read = await decodeBox(dataset, pipeline, box, read, {
      ...(threads === undefined ? {} : { threads }),
      ...(signal === undefined ? {} : { signal }),
      ...(onChunk === undefined ? {} : { onChunk }),
      ...(stepped
        ? { wanted: ({ offset }) => ranges.every((range, i) => meets(range, offset[i] ?? 0, chunk[i] ?? 1)) }
        : {}),
    });
  } else {
    read ??= memory(dataset, boxBytes);
    await readRuns(dataset, box, read, options.signal);
  }
  if (!stepped) return read;
  const picked =
    out ??
    memory(
      dataset,
      ranges.reduce((product, { count }) => product * count, unit),
    );
  pick(read, box.shape, ranges, unit, picked);
  return picked;
}

/** Whether an index of the range lies in [at, at + size). */
function meets({ start, step, count }: Range, at: number, size: number): boolean {
  const first = start + Math.max(0, Math.ceil((at - start) / step)) * step;
  return first < at + size && first <= start + (count - 1) * step;
}

/** Gaps of this many bytes are read along rather than skipped, in pieces of at most the second. */
const GAP_BYTES = 4096;
const SPAN_BYTES = 4 * 1024 * 1024;

/** A box of contiguous or compact data. */
async function readRuns(dataset: Dataset, box: Box, out: Uint8Array, signal?: AbortSignal): Promise<void> {
  const { shape, type, address, layout } = dataset.info;
  if (layout === 'contiguous' && address === undefined) {
    fill(out, dataset.info.fill.value);
    return;
  }
  const rank = shape.length;
  const steps = new Array<number>(rank);
  for (let i = rank - 1, step = type.size; i >= 0; i--) {
    steps[i] = step;
    step *= shape[i] ?? 1;
  }
  // Dimensions from `run` on are one run of bytes; those from `span` on are read at once.
  let run = rank - 1;
  while (run > 0 && box.shape[run] === shape[run]) run--;
  run = Math.max(run, 0);
  const runBytes = (box.shape[run] ?? 1) * (steps[run] ?? type.size);
  let span = run;
  let spanBytes = runBytes;
  while (span > 0) {
    const wider = ((box.shape[span - 1] ?? 1) - 1) * (steps[span - 1] ?? 0) + spanBytes;
    const gap = (steps[span - 1] ?? 0) - spanBytes;
    if (wider > SPAN_BYTES || gap > GAP_BYTES) break;
    spanBytes = wider;
    span--;
  }
  let base = 0;
  for (let i = 0; i < rank; i++) base += (box.start[i] ?? 0) * (steps[i] ?? 0);
  let to = 0;
  for (const from of positions(box.shape.slice(0, span), steps)) {
    signal?.throwIfAborted();
    const bytes = await dataset.fetchStored(base + from, spanBytes);
    if (bytes === undefined) throw new H5zError('H5Z_E_INTERNAL', 'data that were there are not');
    for (const at of positions(box.shape.slice(span, run), steps.slice(span))) {
      out.set(bytes.subarray(at, at + runBytes), to);
      to += runBytes;
    }
  }
}

/** Byte positions of all index combinations of `counts`, last dimension fastest. */
function* positions(counts: readonly number[], steps: readonly number[]): Generator<number> {
  const index = counts.map(() => 0);
  for (let at = 0; ; ) {
    yield at;
    let dim = counts.length - 1;
    for (; dim >= 0; dim--) {
      const next = (index[dim] ?? 0) + 1;
      at += steps[dim] ?? 0;
      if (next < (counts[dim] ?? 0)) {
        index[dim] = next;
        break;
      }
      at -= next * (steps[dim] ?? 0);
      index[dim] = 0;
    }
    if (dim < 0) return;
  }
}

/** Every `step`th element of a box. */
function pick(from: Uint8Array, shape: readonly number[], ranges: readonly Range[], unit: number, to: Uint8Array) {
  const rank = shape.length;
  const steps = new Array<number>(rank);
  for (let i = rank - 1, step = unit; i >= 0; i--) {
    steps[i] = step * (ranges[i]?.step ?? 1);
    step *= shape[i] ?? 1;
  }
  let at = 0;
  for (const position of positions(
    ranges.map(({ count }) => count),
    steps,
  )) {
    for (let i = 0; i < unit; i++) to[at + i] = from[position + i] ?? 0;
    at += unit;
  }
}

/** What `slice` means for a dataset's shape. Throws H5Z_PARAMETER. */
export function rangesOf(dataset: Dataset, slice: readonly Slice[]): Range[] {
  const { shape } = dataset.info;
  const refuse = (problem: string, remedy: string) => dataset.error('H5Z_PARAMETER', problem, remedy);
  if (!Array.isArray(slice) || slice.length > shape.length) {
    const given = Array.isArray(slice) ? `${slice.length} dimensions` : `a ${typeof slice}`;
    throw refuse(`slice has ${given}, the dataset ${shape.length}`, 'pass an array with at most one entry for each');
  }
  return shape.map((size, i) => {
    const given = slice[i];
    const whole = (value: unknown, what: string): number => {
      if (Number.isSafeInteger(value)) return value as number;
      throw refuse(`${what} of dimension ${i} is ${String(value)}`, 'pass a whole number');
    };
    if (given === undefined || given === null) return { start: 0, step: 1, count: size, dropped: false };
    if (!Array.isArray(given)) {
      const at = whole(given, 'the index');
      if (at < -size || at >= size)
        throw refuse(`index ${at} of dimension ${i} is outside 0..${size - 1}`, 'stay inside');
      return { start: at < 0 ? at + size : at, step: 1, count: 1, dropped: true };
    }
    if (given.length > 3) throw refuse(`dimension ${i} has ${given.length} numbers`, 'pass [start, stop, step]');
    const step = whole(given[2] ?? 1, 'the step');
    if (step < 1) throw refuse(`the step of dimension ${i} is ${step}`, 'pass at least 1 and reverse the result');
    const clip = (value: number) => Math.min(size, Math.max(0, value < 0 ? value + size : value));
    const start = clip(whole(given[0] ?? 0, 'start'));
    const stop = clip(whole(given[1] ?? size, 'stop'));
    return { start, step, count: Math.max(0, Math.ceil((stop - start) / step)), dropped: false };
  });
}

type ArrayClass = {
  new (buffer: ArrayBufferLike, offset: number, length: number): NumberArray;
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
};

/** How elements of a datatype come. */
export interface Kind {
  readonly dtype: DatasetValues['dtype'];
  readonly array: ArrayClass;
  /** Items of the array per element. */
  readonly perElement: number;
  /** More than a change of byte order has to be done. */
  readonly converts: boolean;
  readonly swap: boolean;
}

const INTEGERS: Readonly<Record<string, ArrayClass>> = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
};

export function kindOf(type: Datatype): Kind {
  const bytes: Kind = { dtype: 'bytes', array: Uint8Array, perElement: type.size, converts: false, swap: false };
  if (type.class === 'enum') return kindOf(type.base);
  if (type.class !== 'integer' && type.class !== 'float' && type.class !== 'bitfield') return bytes;
  if (type.order !== 'le' && type.order !== 'be' && type.size > 1) return bytes;
  const partial = type.precision < type.size * 8;
  const swap = type.order === 'be';
  if (type.class === 'float') {
    if (type.size === 2) {
      return { dtype: 'float32', array: Float32Array, perElement: 1, converts: true, swap };
    }
    if (type.size !== 4 && type.size !== 8) return bytes;
    const array = type.size === 4 ? Float32Array : Float64Array;
    return { dtype: type.size === 4 ? 'float32' : 'float64', array, perElement: 1, converts: partial, swap };
  }
  const dtype = `${type.class === 'integer' && type.signed ? 'int' : 'uint'}${type.size * 8}`;
  const array = INTEGERS[dtype];
  if (array === undefined) return bytes;
  return { dtype: dtype as Kind['dtype'], array, perElement: 1, converts: type.class === 'integer' && partial, swap };
}

/** Whole stored elements as numbers: over `stored` itself, which is changed, or a new array. */
export function numbersOf(stored: Uint8Array, type: Datatype, kind: Kind): NumberArray {
  const { BYTES_PER_ELEMENT } = kind.array;
  const length = (stored.length / type.size) * kind.perElement;
  if (kind.converts) {
    const data = new kind.array(new ArrayBuffer(length * BYTES_PER_ELEMENT), 0, length);
    convert(stored, type, data);
    return data;
  }
  const aligned = stored.byteOffset % BYTES_PER_ELEMENT === 0 ? stored : new Uint8Array(stored);
  if (kind.swap) swapInPlace(aligned, type.size);
  return new kind.array(aligned.buffer, aligned.byteOffset, length);
}

/** Numbers of full width to the array; floats of two bytes are widened. */
function convert(stored: Uint8Array, type: Datatype, data: NumberArray): void {
  const bytes = canonicalBytes(stored, type);
  if (type.class === 'float' && type.size === 2) (data as Float32Array).set(halfFloats(bytes, type));
  else new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(bytes);
}

function swapInPlace(bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) {
    for (let low = at, high = at + size - 1; low < high; low++, high--) {
      const byte = bytes[low] ?? 0;
      bytes[low] = bytes[high] ?? 0;
      bytes[high] = byte;
    }
  }
}

/** Refuses what cannot be given even as bytes. */
export function canonicalCheck(dataset: Dataset): void {
  const { type } = dataset.info;
  const kind = kindOf(type);
  try {
    if (kind.converts || kind.dtype === 'bytes') canonicalBytes(new Uint8Array(0), type);
  } catch (error) {
    throw dataset.explain(error);
  }
}
