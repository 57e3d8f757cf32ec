// `h5z export`: the values of a dataset, or of a part of it, for programs that read no HDF5: as NumPy's .npy, or as plain
// bytes. What readDataset gives, written down.

import { createHash } from 'node:crypto';
import { type DatasetValues, readDataset, type Slice } from '@h5z/chunks';
import { H5zError } from '@h5z/core';
import type { Registry } from '@h5z/registry';

export interface ExportRequest {
  readonly registry: Registry;
  readonly slice?: readonly Slice[];
  readonly via?: 'native' | 'wasm';
  /** `npy`: NumPy's format, version 1.0; `raw`: the values alone, C order, little-endian numbers. */
  readonly format: 'npy' | 'raw';
}

export interface Exported {
  /** The file's content, the caller's. */
  readonly data: readonly Uint8Array[];
  readonly shape: readonly number[];
  readonly dtype: DatasetValues['dtype'];
  /** Of the values, without a header. */
  readonly bytes: number;
  readonly sha256: string;
  readonly seconds: number;
}

/** The values of one dataset as a file's content. Throws what readDataset throws. */
export async function exportDataset(file: string, dataset: string, request: ExportRequest): Promise<Exported> {
  const { registry, slice, via, format } = request;
  const started = performance.now();
  const values = await readDataset(file, dataset, {
    registry,
    ...(slice === undefined ? {} : { slice }),
    ...(via === undefined ? {} : { via }),
  });
  const { buffer, byteOffset, byteLength } = values.data;
  const data = new Uint8Array(buffer, byteOffset, byteLength);
  return {
    data: format === 'npy' ? [npyHeader(values), data] : [data],
    shape: values.shape,
    dtype: values.dtype,
    bytes: byteLength,
    sha256: createHash('sha256').update(data).digest('hex'),
    seconds: (performance.now() - started) / 1000,
  };
}

/** `5,100:200,::2,:` as numpy has it: one part per dimension, the rest whole. */
export function sliceOf(text: string): Slice[] {
  return text.split(',').map((part) => {
    const numbers = part.split(':').map((word) => (word.trim() === '' ? null : Number(word)));
    const fits = numbers.length <= 3 && numbers.every((n) => n === null || Number.isSafeInteger(n));
    if (fits && numbers.length > 1) return numbers as [number | null, number | null];
    if (fits && typeof numbers[0] === 'number') return numbers[0];
    throw new H5zError('H5Z_PARAMETER', `"${part}" is no part of a slice`, { remedy: 'write 5, 100:200, ::2 or :' });
  });
}

/** numpy.lib.format, version 1.0: magic, length, a Python dictionary padded with spaces to a multiple of 64 bytes. */
function npyHeader({ dtype, shape, type }: DatasetValues): Uint8Array {
  const kind = { i: 'i', u: 'u', f: 'f' }[dtype.charAt(0)];
  const bits = Number(/\d+$/.exec(dtype)?.[0] ?? 0);
  const descr = kind === undefined ? `|V${type.size}` : `${bits === 8 ? '|' : '<'}${kind}${bits / 8}`;
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const words = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const MAGIC = 10;
  const length = Math.ceil((MAGIC + words.length + 1) / 64) * 64 - MAGIC;
  const header = new Uint8Array(MAGIC + length);
  header.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, length & 255, length >> 8]);
  header.set(new TextEncoder().encode(`${words.padEnd(length - 1)}\n`), MAGIC);
  return header;
}
