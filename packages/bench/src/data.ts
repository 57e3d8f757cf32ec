// What is benchmarked: the configurations of a filter, made from its filter.json, and chunks of real arrays that it takes.

import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Codec, DatasetDescription, FilterDescription, Parameter } from '../../core/src/types.ts';
import type { BenchArray, BenchFilter } from './types.ts';

/** An array and the folder of its file. */
export type Located = BenchArray & { readonly folder: string };

const CHUNK_BYTES = 1 << 20;
/** Most bytes of an array that are used: some codecs take a second for each of these. */
const ARRAY_BYTES = 4 << 20;
/** Arrays below this have too little to time. */
const LEAST_BYTES = 1 << 18;

/** Whole chunks of an array. All dimensions before the one that is cut are 1, so that each chunk is one piece of the file. */
export interface Chunks {
  readonly array: Located;
  readonly file: string;
  readonly chunk: readonly number[];
  readonly chunkBytes: number;
  /** Offsets of the chunks in the file. */
  readonly offsets: readonly number[];
  /** Of all the chunks. */
  readonly nbytes: number;
  readonly description: DatasetDescription;
}

/**
 * Arrays of the folder's index.json, and two made of its last stack of 16-bit images: in 8 bits, for filters that take nothing
 * else, and as 12 bits in 16, as cameras write them, for filters that look at a type's precision.
 */
export function readArrays(folder: string, scratch: string): Located[] {
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as BenchArray[];
  const arrays = index.filter(({ nbytes }) => nbytes >= LEAST_BYTES).map((array) => ({ ...array, folder }));
  const wide = arrays.filter(({ dtype, shape }) => dtype === '<u2' && shape.length === 3).at(-1);
  if (wide === undefined) return arrays;
  const bytes = readFileSync(join(folder, wide.file));
  const values = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const most = values.reduce((max, value) => Math.max(max, value), 1);
  const scaled = (suffix: string, limit: number, narrow: Uint8Array | Uint16Array) => {
    const file = wide.file.replace('.u2.', suffix);
    for (const [i, value] of values.entries()) narrow[i] = Math.floor((value * limit) / most);
    writeFileSync(join(scratch, file), new Uint8Array(narrow.buffer));
    return { ...wide, file, folder: scratch, nbytes: narrow.byteLength };
  };
  return [
    ...arrays,
    { ...scaled('.u1.', 255, new Uint8Array(values.length)), dtype: '|u1', kind: `${wide.kind}, scaled to 8 bits` },
    {
      ...scaled('.u12.', 4095, new Uint16Array(values.length)),
      precision: 12,
      kind: `${wide.kind}, scaled to 12 bits in 16`,
    },
  ];
}

/** What a configuration is tried on: the defaults (config '') on every array that the filter takes, others on one of each type. */
export function worksFor(
  codec: Codec,
  clientOf: (options: Record<string, unknown>) => Uint32Array,
  config: BenchFilter,
  arrays: readonly Located[],
): Work[] {
  const works = arrays.map((array) => workFor(codec, clientOf, config, array)).filter((work) => work !== undefined);
  if (config.config === '') return works;
  return oneOfEachType(works.map((work) => ({ ...work.chunks.array, work }))).map(({ work }) => work);
}

/** The first array of each type: for what takes too long to be done with all. */
export function oneOfEachType<A extends BenchArray>(arrays: readonly A[]): A[] {
  const typeOf = ({ dtype, precision }: BenchArray) => `${dtype} ${precision}`;
  return arrays.filter((array, i) => arrays.findIndex((other) => typeOf(other) === typeOf(array)) === i);
}

const sizeOf = (array: BenchArray): number => Number(/\d+$/.exec(array.dtype)?.[0] ?? '1');

/** Chunks of about 1 MiB: whole trailing dimensions, cut from the front. */
export function chunksOf(array: Located): Chunks {
  const size = sizeOf(array);
  const chunk = [...array.shape];
  let axis = 0;
  let rest = size;
  for (; axis < chunk.length; axis++) {
    rest = chunk.slice(axis + 1).reduce((product, n) => product * n, size);
    chunk[axis] = Math.max(1, Math.min(array.shape[axis] ?? 1, Math.floor(CHUNK_BYTES / rest)));
    if ((chunk[axis] ?? 1) > 1) break;
  }
  const cut = Math.min(axis, chunk.length - 1);
  const chunkBytes = chunk.reduce((product, n) => product * n, size);
  const outer = array.shape.slice(0, cut).reduce((product, n) => product * n, 1);
  const rows = array.shape[cut] ?? 1;
  const inner = Math.floor(rows / (chunk[cut] ?? 1));
  const offsets: number[] = [];
  for (let i = 0; i < outer; i++) for (let j = 0; j < inner; j++) offsets.push(i * rows * rest + j * chunkBytes);
  const used = offsets.slice(0, Math.max(1, Math.floor(ARRAY_BYTES / chunkBytes)));
  const kind = /[a-z]/.exec(array.dtype)?.[0];
  return {
    array,
    file: join(array.folder, array.file),
    chunk,
    chunkBytes,
    offsets: used,
    nbytes: used.length * chunkBytes,
    description: {
      typeClass: kind === 'f' ? 'float' : 'integer',
      typeSize: size,
      signed: kind === 'i',
      precision: array.precision ?? size * 8,
      chunk,
      shape: chunk.map((n, i) => (i === cut ? n * used.length : n)),
    },
  };
}

/** The bytes of the chunks. */
export function readChunks({ file, offsets, chunkBytes }: Chunks): Uint8Array[] {
  const handle = openSync(file, 'r');
  try {
    return offsets.map((offset) => {
      const bytes = new Uint8Array(chunkBytes);
      readSync(handle, bytes, 0, chunkBytes, offset);
      return bytes;
    });
  } finally {
    closeSync(handle);
  }
}

/** Chunks and cd_values of one configuration, as the filter takes them; undefined when it is not for such data. */
export interface Work {
  readonly config: BenchFilter;
  readonly chunks: Chunks;
  /** client cd_values, as a program passes them. */
  readonly client: Uint32Array;
  /** stored cd_values, as the file keeps them. */
  readonly stored: Uint32Array;
}

/** A filter for images may take no dimensions of 1 before them: then the chunk is tried without these. */
export function workFor(
  codec: Codec,
  clientOf: (options: Record<string, unknown>) => Uint32Array,
  config: BenchFilter,
  array: Located,
): Work | undefined {
  const found = chunksOf(array);
  const client = clientOf(optionsFor(config, found));
  for (const chunks of [found, squeezed(found)]) {
    try {
      return { config, chunks, client, stored: codec.derive(client, chunks.description) };
    } catch (error) {
      if (!/^H5Z_E_(NOT_APPLICABLE|PARAM|UNSUPPORTED)$/.test((error as { code?: string }).code ?? '')) throw error;
    }
  }
  return undefined;
}

function squeezed(chunks: Chunks): Chunks {
  const { chunk, shape = [] } = chunks.description;
  const kept = chunk.map((n, i) => n > 1 || (shape[i] ?? 1) > 1);
  const keep = <T>(values: readonly T[]): T[] => values.filter((_, i) => kept[i]);
  const description = { ...chunks.description, chunk: keep(chunk), shape: keep(shape) };
  return { ...chunks, chunk: description.chunk, description };
}

/** A configuration's options; bounds of a lossy filter are a ten thousandth of the data's range. */
export function optionsFor({ options, bounds }: BenchFilter, chunks: Chunks): Record<string, unknown> {
  if (bounds.length === 0) return { ...options };
  const range = chunks.description.typeClass === 'float' ? rangeOf(chunks) : 2 ** 14;
  return { ...options, ...Object.fromEntries(bounds.map((name) => [name, range * 1e-4])) };
}

const ranges = new Map<string, number>();

function rangeOf(chunks: Chunks): number {
  const known = ranges.get(chunks.file);
  if (known !== undefined) return known;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const bytes of readChunks(chunks)) {
    const values = sizeOf(chunks.array) === 8 ? new Float64Array(bytes.buffer) : new Float32Array(bytes.buffer);
    for (const value of values) {
      if (!Number.isFinite(value) || Math.abs(value) > 1e18) continue; // fill values
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const range = high > low ? high - low : 1;
  ranges.set(chunks.file, range);
  return range;
}

/**
 * The default options, and each other word of each enum parameter, one at a time. Defaults are written out, because not
 * every peer knows what a missing cd_value means; a number without one gets a value in the middle of what people use.
 */
export function configurations(description: FilterDescription, folder: string): BenchFilter[] {
  const base = { name: description.name, id: description.id, lossy: description.lossy, folder };
  const complete = (chosen: Record<string, unknown>): Pick<BenchFilter, 'options' | 'bounds'> => {
    const options = { ...chosen };
    const bounds: string[] = [];
    for (const parameter of description.parameters) {
      const { name, default: value, when } = parameter;
      const applies = Object.entries(when ?? {}).every(([other, wanted]) =>
        [wanted].flat().includes(options[other] as never),
      );
      if (!applies || options[name] !== undefined) continue;
      if (value !== undefined) options[name] = value;
      else if (parameter.bounds === 'absolute') bounds.push(name);
      else options[name] = usual(parameter);
    }
    return { options, bounds };
  };
  const configs: BenchFilter[] = [{ ...base, config: '', ...complete({}) }];
  const seen = new Set([JSON.stringify(complete({}))]);
  for (const parameter of description.parameters) {
    if (parameter.type !== 'enum' || parameter.values === undefined || parameter.when !== undefined) continue;
    for (const word of Object.keys(parameter.values)) {
      const made = complete({ [parameter.name]: word });
      if (seen.has(JSON.stringify(made))) continue;
      seen.add(JSON.stringify(made));
      configs.push({ ...base, config: `${parameter.name}=${word}`, ...made });
    }
  }
  return configs;
}

/** A number for a parameter that has no default. */
function usual({ bounds, minimum = 0, maximum = 16, exclusiveMinimum, type }: Parameter): number {
  if (bounds === 'psnr') return 80;
  if (bounds !== undefined) return 1e-3;
  const value = Math.min(Math.max(minimum, 16), maximum);
  return exclusiveMinimum !== undefined && value <= exclusiveMinimum ? (type === 'integer' ? 1 : 0.5) : value;
}
