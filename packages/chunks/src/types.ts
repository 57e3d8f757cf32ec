// What a dataset is, as libhdf5 describes it: datatype tree, layout, pipeline, chunks. Sizes and offsets in bytes,
// dimensions in elements and slowest first, unless a comment says otherwise.

import type { PipelineStage } from '@h5z/core';

export type ByteOrder = 'le' | 'be' | 'vax' | 'mixed' | 'none';

interface TypeBase {
  /** Bytes of one element as stored (a variable-length element: of its reference to the heap). */
  readonly size: number;
}

interface Bits {
  readonly order: ByteOrder;
  /** Significant bits, and where they start counted from the least significant bit. */
  readonly precision: number;
  readonly offset: number;
}

export interface IntegerType extends TypeBase, Bits {
  readonly class: 'integer';
  readonly signed: boolean;
}

export interface FloatType extends TypeBase, Bits {
  readonly class: 'float';
  /** Bit position of the sign, counted from the least significant bit like all of these. */
  readonly signAt: number;
  /** First bit and number of bits. */
  readonly exponent: readonly [number, number];
  readonly mantissa: readonly [number, number];
  readonly bias: number;
  /** True: the mantissa's leading one is not stored, as in IEEE 754. */
  readonly implied: boolean;
}

export interface BitsType extends TypeBase, Bits {
  readonly class: 'time' | 'bitfield';
}

export interface StringType extends TypeBase {
  readonly class: 'string';
  readonly charset: 'ascii' | 'utf-8';
  readonly pad: 'nul-terminated' | 'nul-padded' | 'space-padded';
  /** True: the text lies in a heap elsewhere in the file. */
  readonly variable: boolean;
}

export interface OpaqueType extends TypeBase {
  readonly class: 'opaque';
  readonly tag: string;
}

export interface CompoundType extends TypeBase {
  readonly class: 'compound';
  readonly members: readonly { readonly name: string; readonly offset: number; readonly type: Datatype }[];
}

export interface ReferenceType extends TypeBase {
  readonly class: 'reference';
}

export interface EnumType extends TypeBase {
  readonly class: 'enum';
  readonly base: Datatype;
  /** `value`: the base type's bytes in hex, as stored. */
  readonly members: readonly { readonly name: string; readonly value: string }[];
}

export interface VariableType extends TypeBase {
  readonly class: 'vlen';
  readonly base: Datatype;
}

export interface ComplexType extends TypeBase {
  readonly class: 'complex';
  readonly base: Datatype;
}

export interface ArrayType extends TypeBase {
  readonly class: 'array';
  readonly dims: readonly number[];
  readonly base: Datatype;
}

export type Datatype =
  | IntegerType
  | FloatType
  | BitsType
  | StringType
  | OpaqueType
  | CompoundType
  | ReferenceType
  | EnumType
  | VariableType
  | ComplexType
  | ArrayType;

export type Layout = 'chunked' | 'contiguous' | 'compact' | 'virtual';

/** A dataset's description. */
export interface DatasetInfo {
  readonly type: Datatype;
  /** `null`: a dataset without a single element. */
  readonly space: 'simple' | 'scalar' | 'null';
  readonly shape: readonly number[];
  /** null: unlimited. */
  readonly maxShape: readonly (number | null)[];
  readonly layout: Layout;
  /** Chunk dims; only with layout `chunked`. */
  readonly chunk?: readonly number[];
  /** True: chunks that stick out of the dataset were stored unfiltered. */
  readonly rawEdgeChunks?: boolean;
  /** Stages in the order they encode. cdValues are the stored ones, however many there are. */
  readonly filters: readonly Required<PipelineStage>[];
  readonly fill: {
    /** `undefined`: the file has no fill value; missing data read as zeros here. */
    readonly status: 'user' | 'default' | 'undefined';
    /** One element in stored byte order; absent means zeros. */
    readonly value?: Uint8Array;
  };
  /** Bytes allocated for the data in the file. */
  readonly storageSize: number;
  /** Where contiguous data lie; absent while nothing is allocated. */
  readonly address?: number;
  /** External files that hold contiguous data, in order; empty when the data lie in this file. */
  readonly external?: readonly ExternalFile[];
  /** Where the data of a virtual dataset come from. */
  readonly sources?: readonly VirtualSource[];
}

/** A piece of contiguous data in another file. */
export interface ExternalFile {
  readonly file: string;
  /** First byte in that file. */
  readonly offset: number;
  /** Bytes; -1: to the end of the data. */
  readonly size: number;
}

/** Blocks of elements at regular steps, as H5Sselect_hyperslab takes them; null: unlimited. */
export interface Hyperslab {
  readonly start: readonly number[];
  readonly stride: readonly number[];
  readonly count: readonly (number | null)[];
  readonly block: readonly (number | null)[];
}

/** One mapping of a virtual dataset. */
export interface VirtualSource {
  /** As it lies in the file: "." is the file itself; `%b` in it stands for a block's number. */
  readonly file: string;
  /** Path in that file. */
  readonly dataset: string;
  /** The elements of the virtual dataset that it gives; null: all. An irregular selection is its blocks. */
  readonly here: readonly Hyperslab[] | null;
  /** The elements of the source that they are. */
  readonly there: readonly Hyperslab[] | null;
}

/** One allocated chunk. */
export interface Chunk {
  /** Of its first element in the dataset, in elements. */
  readonly offset: readonly number[];
  /** Of its bytes in the file (a user block counts). */
  readonly address: number;
  /** Stored bytes. */
  readonly size: number;
  /** Bit i set: stage i was skipped when the chunk was written. */
  readonly filterMask: number;
}

/** A link that is not the first hard link to an object. */
export interface Link {
  readonly path: string;
  readonly kind: 'hard' | 'soft' | 'external' | 'user-defined' | 'broken';
  /** Path the link points to: for `hard` the first path of the same object. */
  readonly target?: string;
  /** File that an external link names. */
  readonly file?: string;
}
