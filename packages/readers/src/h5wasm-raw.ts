// A dataset's decoded bytes as libhdf5 inside h5wasm gives them, before h5wasm turns them into JavaScript values: what a
// digest needs, because compounds, strings and long integers survive unchanged.

import { H5zError, TYPE_CLASSES } from '@h5z/core';
import {
  type H5Location,
  type H5Metadata,
  type H5Module,
  type H5wasm,
  LibraryError,
  moduleOf,
  withErrorStack,
} from './h5wasm-module.js';
import { stateOf } from './h5wasm-state.js';

/** How one element lies in memory. Sizes and offsets in bytes. */
export type RawType =
  /** A number in `bytes`-long units of this order, or bytes without an order (strings, opaque, references). */
  | { readonly kind: 'number'; readonly size: number; readonly bigEndian: boolean }
  | { readonly kind: 'bytes'; readonly size: number }
  | { readonly kind: 'array'; readonly size: number; readonly base: RawType }
  | {
      readonly kind: 'compound';
      readonly size: number;
      readonly members: readonly { readonly name: string; readonly offset: number; readonly type: RawType }[];
    };

export interface RawDataset {
  /** Elements in C order, each laid out as `type` says (libhdf5's memory layout: compounds keep their padding). */
  readonly bytes: Uint8Array;
  readonly type: RawType;
  /** Empty for a scalar; undefined for a dataset without data (H5S_NULL). */
  readonly shape: readonly number[] | undefined;
  /** h5wasm's own description of the datatype. */
  readonly metadata: H5Metadata;
}

/**
 * Reads a whole dataset through libhdf5 in h5wasm. `file` is an open h5wasm File, `path` absolute in it.
 * Errors: `H5Z_E_UNSUPPORTED` for variable-length data (there is no raw form), `H5Z_E_MEMORY`, `H5Z_MISSING_FILTER`,
 * `H5Z_E_CORRUPT`.
 */
export async function readRaw(h5wasm: H5wasm, file: H5Location, path: string): Promise<RawDataset> {
  const { module } = stateOf(await moduleOf(h5wasm));
  const metadata = metadataOf(module, file, path);
  const type = inMemory(metadata, path);
  const shape = metadata.shape ?? undefined;
  const length = shape === undefined ? 0 : metadata.size * shape.reduce((product, n) => product * n, 1);
  if (length === 0) return { bytes: new Uint8Array(0), type, shape, metadata };

  const address = module._malloc(length) >>> 0;
  if (address === 0) {
    throw new H5zError('H5Z_E_MEMORY', `cannot read dataset ${path}: h5wasm has no room for its ${length} bytes`, {
      remedy: 'read it in slices (Dataset.slice)',
    });
  }
  try {
    module.get_dataset_data(file.file_id, path, null, null, null, BigInt(address));
    return { bytes: module.HEAPU8.slice(address, address + length), type, shape, metadata };
  } finally {
    module._free(address);
  }
}

/** h5wasm throws on a path that is no dataset, and traps on some datatypes (0.8.8: compounds with many 8-bit enums). */
function metadataOf(module: H5Module, file: H5Location, path: string): H5Metadata {
  try {
    return withErrorStack(module, () => module.get_dataset_metadata(file.file_id, path)).result;
  } catch (error) {
    const cause = error instanceof LibraryError ? error.cause : error;
    if (cause instanceof WebAssembly.RuntimeError) {
      throw new H5zError('H5Z_E_INTERNAL', `h5wasm trapped on the datatype of dataset ${path} (${cause.message})`, {
        cause,
        remedy: 'load h5wasm anew, its memory cannot be trusted any more, and try a newer version',
      });
    }
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new H5zError('H5Z_PARAMETER', `h5wasm finds no dataset ${path} (${message})`, {
      cause,
      remedy: 'pass the path of a dataset in this file',
    });
  }
}

/**
 * The same values as little-endian, C-order bytes with compounds packed: the form whose SHA-256 identifies a dataset's
 * content whatever software wrote it. A new array, or `raw.bytes` itself when it already has that form.
 */
export function canonicalBytes(raw: RawDataset): Uint8Array {
  if (isCanonical(raw.type)) return raw.bytes;
  const count = raw.bytes.length / raw.type.size;
  const packed = packedSize(raw.type);
  const out = new Uint8Array(count * packed);
  for (let i = 0; i < count; i++) copyCanonical(raw.type, raw.bytes, i * raw.type.size, out, i * packed);
  return out;
}

function isCanonical(type: RawType): boolean {
  if (type.kind === 'number') return !type.bigEndian || type.size === 1;
  if (type.kind === 'array') return isCanonical(type.base);
  return (
    type.kind === 'bytes' || (packedSize(type) === type.size && inOrder(type) && type.members.every(memberIsCanonical))
  );
}

function memberIsCanonical(member: { readonly type: RawType }): boolean {
  return isCanonical(member.type);
}

function inOrder(type: RawType & { kind: 'compound' }): boolean {
  return type.members.every((m, i) => i === 0 || m.offset > (type.members[i - 1]?.offset ?? -1));
}

function packedSize(type: RawType): number {
  if (type.kind === 'array') return (type.size / type.base.size) * packedSize(type.base);
  if (type.kind === 'compound') return type.members.reduce((sum, m) => sum + packedSize(m.type), 0);
  return type.size;
}

/** Copies one element from `from[at]` to `to[target]`; returns the end of what it wrote. */
function copyCanonical(type: RawType, from: Uint8Array, at: number, to: Uint8Array, target: number): number {
  switch (type.kind) {
    case 'bytes':
      to.set(from.subarray(at, at + type.size), target);
      return target + type.size;
    case 'number':
      for (let i = 0; i < type.size; i++) to[target + i] = from[type.bigEndian ? at + type.size - 1 - i : at + i] ?? 0;
      return target + type.size;
    case 'array': {
      let end = target;
      for (let i = 0; i < type.size; i += type.base.size) end = copyCanonical(type.base, from, at + i, to, end);
      return end;
    }
    case 'compound': {
      let end = target;
      for (const m of type.members) end = copyCanonical(m.type, from, at + m.offset, to, end);
      return end;
    }
  }
}

type Order = 'le' | 'be' | 'none' | 'mixed';

/**
 * The type in memory. h5wasm reads into a copy of the file's type, and calls H5Tset_order(copy, LE) when H5Tget_order says
 * BE. On a compound that is BE only when every member with an order is; the setting then walks the members and stops with
 * an error (which h5wasm ignores) at an enum, whose order libhdf5 will not change once it has members.
 */
function inMemory(metadata: H5Metadata, path: string): RawType {
  const swap = orderOf(metadata) === 'be' ? { on: true } : { on: false };
  return layout(metadata, swap, path);
}

function layout(m: H5Metadata, swap: { on: boolean }, path: string): RawType {
  const { size } = m;
  if (m.vlen || m.type === TYPE_CLASSES.vlen) {
    throw new H5zError('H5Z_E_UNSUPPORTED', `dataset ${path} holds variable-length data, which has no raw form`, {
      remedy: 'read it through h5wasm (Dataset.value)',
    });
  }
  if (m.type === TYPE_CLASSES.array && m.array_type)
    return { kind: 'array', size, base: layout(m.array_type, swap, path) };
  if (m.type === TYPE_CLASSES.compound && m.compound_type) {
    const members = m.compound_type.members.map((member) => ({
      name: member.name,
      offset: member.offset,
      type: layout(member, swap, path),
    }));
    return { kind: 'compound', size, members };
  }
  if (m.type === TYPE_CLASSES.enum) {
    swap.on = false;
    return { kind: 'number', size, bigEndian: !m.littleEndian };
  }
  if (m.type === TYPE_CLASSES.string || m.type === TYPE_CLASSES.opaque || m.type === TYPE_CLASSES.reference)
    return { kind: 'bytes', size };
  return { kind: 'number', size, bigEndian: !m.littleEndian && !swap.on };
}

/** H5Tget_order. */
function orderOf(m: H5Metadata): Order {
  if (m.type === TYPE_CLASSES.array && m.array_type) return orderOf(m.array_type);
  if (m.type === TYPE_CLASSES.compound && m.compound_type) {
    let order: Order = 'none';
    for (const member of m.compound_type.members) {
      const own = orderOf(member);
      if (own === 'none') continue;
      if (order === 'none') order = own;
      else if (order !== own) return 'mixed';
    }
    return order;
  }
  if (m.type === TYPE_CLASSES.string || m.type === TYPE_CLASSES.opaque || m.type === TYPE_CLASSES.reference)
    return 'none';
  return m.littleEndian ? 'le' : 'be';
}
