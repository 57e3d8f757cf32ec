// The binding to src/addon: finds the prebuilt addon of this platform and types what it exports.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { H5zError } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import type { CudaAddon } from './cuda-addon.js';

/** A filter's table in the library, opaque to JavaScript. */
export interface Handle {
  readonly opaque: unique symbol;
}

export interface LoadedLibrary {
  readonly handle: Handle;
  readonly id: number;
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly flags: number;
  readonly canEncode: boolean;
}

/** cd_values; undefined when there are none. */
export type Words = Uint32Array | undefined;

/** Stages that run one after the other, with what each may give: see pipeline.h. */
export interface Plan {
  readonly plan: unique symbol;
}
/** A lane in the pool of threads, and the output of what goes through it. */
export interface Batch {
  readonly batch: unique symbol;
}
export interface OpenFile {
  readonly file: unique symbol;
}

/** Where and why a job failed. Numbers that are not known are -1, `why` is empty then. */
export interface Failure {
  readonly code: number;
  readonly stage: number;
  readonly bytes: number;
  readonly size: number;
  readonly claimed: number;
  readonly why: string;
}

export interface Encoded {
  readonly data: Uint8Array;
  readonly filterMask: number;
}

/** Numbers that come back are counts of bytes, or negative: a code of filter.h, or NOT_BYTES, DETACHED, SIZE_UNKNOWN. */
export interface Addon {
  /** A string says why the library would not load. */
  load(path: string): LoadedLibrary | string;
  decodedSize(handle: Handle, chunk: Uint8Array, cd: Words): number;
  decodeInto(handle: Handle, chunk: Uint8Array, out: Uint8Array, cd: Words): number;
  encodeInto(handle: Handle, data: Uint8Array, out: Uint8Array, cd: Words): number;
  encodeBound(handle: Handle, size: number, cd: Words): number;
  derive(handle: Handle, client: Words, dataset: Uint8Array, stored: Uint32Array): number;
  /** What the filter adds to its refusal of this chunk; empty when nothing. */
  explain(handle: Handle, chunk: Uint8Array, cd: Words): string;
  restore(handle: Handle, stored: Words, client: Uint32Array): number;
  /** `numbers`: for each step its stage, 1 when optional, and the most bytes it may decode to or -1. */
  plan(handles: readonly Handle[], cds: readonly Words[], numbers: Float64Array): Plan;
  runDecodeInto(plan: Plan, chunk: Uint8Array, out: Uint8Array): number | Failure;
  runDecode(plan: Plan, chunk: Uint8Array): Uint8Array | Failure;
  runEncode(plan: Plan, data: Uint8Array): Encoded | Failure;
  /**
   * `threads` 0: as many as there are. `own`: nobody else has `into` until the batch is closed. `unchanged`: nobody changes
   * inputs before their results are there.
   */
  openBatch(threads: number, into: Uint8Array | undefined, own: boolean, unchanged: boolean): Batch;
  /** Whether threads write straight into `into`. */
  direct(batch: Batch): boolean;
  closeBatch(batch: Batch): void;
  /** Tells the engine of `bytes` that go when `object` is collected. */
  count(object: object, bytes: number): void;
  /**
   * Memory that the addon owns, which goes back when the array's buffer is collected: zeros with `clear`, else what an array
   * of before held may lie in it. Undefined where the system has none or the engine takes none.
   */
  allocate(bytes: number, clear: boolean): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The most of it that lies idle for the next array: changed, or only asked for with a negative number. Negative where nobody
   * has said.
   */
  keep(bytes: number): number;
  /** What lies idle. */
  kept(): number;
  /** From now on large results of jobs are such memory, too. */
  lend(): void;
  /** A string says why not. */
  openFile(path: string): OpenFile | string;
  /** See batch.cc: what it resolves to depends on `target`. */
  submit(
    batch: Batch,
    plan: Plan,
    source: Uint8Array | OpenFile,
    address: number,
    length: number,
    target: Uint8Array | Float64Array | true | undefined,
    size: number,
  ): Promise<number | Uint8Array | Encoded | Failure>;
  /** See batch.cc: `count` chunks of a file to their places. The failure says which of them, `at`. */
  submitRun(
    batch: Batch,
    plan: Plan,
    file: OpenFile,
    numbers: Float64Array,
    count: number,
    size: number,
  ): Promise<number | (Failure & { readonly at: number })>;
  threads(): number;
  setThreads(threads: number): void;
  readonly cuda: CudaAddon;
}

export const NOT_BYTES = -1001;
export const DETACHED = -1002;
export const WRONG_SIZE = -1003;
export const READ_FAILED = -1004;
export const SIZE_UNKNOWN = -100;

let loaded: Addon | undefined;

/** The addon of this platform. Throws H5Z_NO_PLATFORM when the package has none, H5Z_NATIVE_LOAD when it will not load. */
export function addon(): Addon {
  loaded ??= loadAddon(currentPlatform());
  return loaded;
}

function loadAddon(platform: string): Addon {
  const path = fileURLToPath(new URL(`../prebuilds/${platform}/h5z_native.node`, import.meta.url));
  if (!existsSync(path)) {
    throw new H5zError('H5Z_NO_PLATFORM', `@h5z/native has no prebuilt addon for ${platform} (looked for ${path})`, {
      remedy: 'use the WebAssembly variant, or build the addon from the repository (docs/architecture.md)',
      details: { platform, path },
    });
  }
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new H5zError('H5Z_NATIVE_LOAD', `the addon of @h5z/native would not load (${reason})`, {
      cause,
      remedy: 'reinstall @h5z/native, or set H5Z_PREFER=wasm',
      details: { platform, path },
    });
  }
}
