// The parts of h5wasm's Emscripten module that h5z uses, checked at run time: h5wasm is handed in by the caller, so its
// version is whatever they have (0.8.x and 0.10.x are tested). Only here does h5z depend on how h5wasm is built inside.

import { H5zError } from '@h5z/core';

/** A filter of a dataset's pipeline, as h5wasm reports it. */
export interface H5Filter {
  readonly id: number;
  readonly name: string;
  readonly cd_values: readonly number[];
}

/** A datatype, and for datasets its extent, as h5wasm reports it. Sizes in bytes, `type` is H5T_class_t. */
export interface H5Metadata {
  readonly type: number;
  readonly size: number;
  readonly signed: boolean;
  readonly littleEndian: boolean;
  /** True for variable-length strings. */
  readonly vlen: boolean;
  readonly shape?: readonly number[] | null;
  readonly chunks?: readonly number[] | null;
  readonly total_size?: number;
  readonly array_type?: H5Metadata;
  readonly compound_type?: { readonly members: readonly (H5Metadata & { readonly name: string; offset: number })[] };
}

/** h5wasm's virtual file system (in Node: the real one), as far as it is used here. */
export interface H5FileSystem {
  mkdirTree(path: string): void;
  writeFile(path: string, data: Uint8Array): void;
  analyzePath(path: string): { readonly exists: boolean };
  lookupPath(path: string): { readonly node: object };
  createPreloadedFile?: (
    parent: string,
    name: string,
    data: Uint8Array,
    canRead: boolean,
    canWrite: boolean,
    onload: () => void,
    onerror: (error?: unknown) => void,
  ) => void;
  write(
    stream: { readonly fd?: number },
    buffer: Uint8Array,
    offset: number,
    length: number,
    ...rest: unknown[]
  ): number;
}

/** The functions of h5wasm's `Module` that h5z calls or guards. `bigint`s are hid_t and addresses. */
export interface H5Module {
  readonly HEAPU8: Uint8Array;
  readonly FS: H5FileSystem;
  readonly H5G_DATASET: number;
  _malloc(size: number): number;
  _free(address: number): void;
  get_names(loc: bigint, path: string, recursive: boolean): string[];
  get_type(loc: bigint, path: string): number;
  get_dataset_filters(loc: bigint, path: string): H5Filter[];
  get_dataset_metadata(loc: bigint, path: string): H5Metadata;
  get_dataset_data(
    loc: bigint,
    path: string,
    count: bigint[] | null,
    offset: bigint[] | null,
    strides: bigint[] | null,
    address: bigint,
  ): number;
  set_dataset_data(
    loc: bigint,
    path: string,
    count: bigint[] | null,
    offset: bigint[] | null,
    strides: bigint[] | null,
    address: bigint,
  ): number;
  /** 0.10: one metadata object follows; 0.8: nine or ten values, the filter ID the eighth. */
  create_dataset(loc: bigint, path: string, address: bigint, ...description: unknown[]): number;
  get_region_data(loc: bigint, reference: Uint8Array, address: bigint): number;
  get_referenced_name(loc: bigint, reference: Uint8Array, isObject: boolean): string;
  get_plugin_search_paths(): string[];
  insert_plugin_search_path(path: string, index: number): number;
}

/** What callers pass: `import * as h5wasm from 'h5wasm'`, its default export, or the module that `ready` resolves to. */
export type H5wasm = object;

/** An open file or group of h5wasm. */
export interface H5Location {
  readonly file_id: bigint;
  readonly path: string;
}

const NEEDED = [
  '_malloc',
  '_free',
  'get_names',
  'get_type',
  'get_dataset_filters',
  'get_dataset_metadata',
  'get_dataset_data',
  'set_dataset_data',
  'create_dataset',
  'get_region_data',
  'get_referenced_name',
  'get_plugin_search_paths',
  'insert_plugin_search_path',
] as const satisfies readonly (keyof H5Module)[];

/** Waits until h5wasm is ready and gives its module. `H5Z_PARAMETER` when this is not h5wasm, or one too old for plugins. */
export async function moduleOf(h5wasm: H5wasm): Promise<H5Module> {
  const module: unknown = 'ready' in h5wasm ? await h5wasm.ready : h5wasm;
  const missing =
    typeof module === 'object' && module !== null
      ? NEEDED.filter((name) => typeof (module as Record<string, unknown>)[name] !== 'function')
      : [...NEEDED];
  if (missing.length > 0) {
    throw new H5zError('H5Z_PARAMETER', `this is not h5wasm, or one without ${missing.slice(0, 3).join(', ')}`, {
      remedy: "pass the import itself (import * as h5wasm from 'h5wasm/node'), version 0.8 or newer",
    });
  }
  return module as H5Module;
}

/**
 * True when h5wasm's file system is the machine's own (its Node build is compiled with NODERAWFS), false for the usual
 * one in memory.
 */
export function hasRealFileSystem(fs: H5FileSystem): boolean {
  return !('mount' in fs.lookupPath('/').node);
}

/** Runs `work` and catches what libhdf5 writes to stderr meanwhile: its error stack, which h5wasm offers no other way. */
export function withErrorStack<T>(module: H5Module, work: () => T): { readonly result: T; readonly stack: string } {
  const fs = module.FS;
  const write = fs.write;
  const decoder = new TextDecoder();
  let stack = '';
  fs.write = (stream, buffer, offset, length, ...rest) => {
    if (stream.fd !== 2) return write.call(fs, stream, buffer, offset, length, ...rest);
    stack += decoder.decode(buffer.slice(offset, offset + length), { stream: true });
    return length;
  };
  try {
    return { result: work(), stack };
  } catch (error) {
    // h5wasm's own throwing handler, when the caller has switched it on, throws the same text.
    throw new LibraryError(error, stack || (error instanceof Error ? error.message : String(error)));
  } finally {
    fs.write = write;
  }
}

/** Something thrown inside h5wasm, with libhdf5's error stack as far as it was caught. */
export class LibraryError extends Error {
  override readonly name = 'LibraryError';
  readonly stackOfLibrary: string;
  constructor(cause: unknown, stackOfLibrary: string) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stackOfLibrary = stackOfLibrary;
  }
}
