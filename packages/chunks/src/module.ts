// The WebAssembly module h5c.wasm (packages/chunks/c) from JavaScript: loading, calling, and surviving its traps.
// One instance reads one file at a time. A trap loses the instance's stack, so the next call gets another instance.

import { H5zError } from '@h5z/core';
import { type Exports, Instance } from './instance.js';
import { fileSystem, type Source } from './source.js';

export type WasmInput = WebAssembly.Module | ArrayBuffer | Uint8Array | URL | Response;

/** Instances whose memory grew beyond this are dropped after the call: WebAssembly memory cannot shrink. */
const KEEP_BYTES = 256 * 1024 * 1024;

const text = new TextDecoder();
let shared: Promise<WebAssembly.Module> | undefined;

/**
 * The compiled module: from `input`, or once from the file beside this package. Where there is no such file (workerd, a
 * bundle without it), the first that a caller gave serves the filters of libhdf5's own too.
 */
export function loadModule(input?: WasmInput | Promise<WasmInput>): Promise<WebAssembly.Module> {
  if (input !== undefined) {
    const given = compileModule(input);
    shared ??= keep(given);
    return given;
  }
  shared ??= keep(compileModule(new URL('../wasm/h5c.wasm', import.meta.url)));
  return shared;
}

/** The same, forgotten when it fails. */
function keep(module: Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  module.catch(() => {
    shared = undefined;
  });
  return module;
}

/** Compiles a module of this package. */
export async function compileModule(input: WasmInput | Promise<WasmInput>): Promise<WebAssembly.Module> {
  try {
    let given = await input;
    if (given instanceof WebAssembly.Module) return given;
    if (given instanceof URL) {
      const fs = given.protocol === 'file:' ? fileSystem() : undefined;
      given = fs ? fs.readFileSync(given) : await fetch(given);
    }
    // The name Response alone makes Node load its HTTP client, which takes longer than compiling.
    if (!isBytes(given) && given instanceof Response) {
      if (!given.ok) throw new Error(`HTTP status ${given.status}`);
      given = await given.arrayBuffer();
    }
    return await WebAssembly.compile(given as Uint8Array<ArrayBuffer>);
  } catch (cause) {
    throw new H5zError('H5Z_WASM_LOAD', `a module of @h5z/chunks could not be loaded (${messageOf(cause)})`, { cause });
  }
}

/** libhdf5 with at most one file open in it. */
export class Hdf5 {
  readonly #module: WebAssembly.Module;
  readonly #source: Source | undefined;
  #instance: Instance | undefined;
  #root = -1;

  constructor(module: WebAssembly.Module, source?: Source) {
    this.#module = module;
    this.#source = source;
  }

  /** Address of the root group. */
  root(): number {
    this.#call(() => 0);
    return this.#root;
  }

  links(group: number): unknown {
    return JSON.parse(text.decode(this.#call((x) => x.h5c_links(group))));
  }

  dataset(dataset: number): unknown {
    return JSON.parse(text.decode(this.#call((x) => x.h5c_dataset(dataset))));
  }

  /** Per chunk four numbers: its number in the grid of chunks (C order), address, size, filter mask. In blocks, all but the last as long as each other. */
  chunks(dataset: number): Float64Array[] {
    let taken: Float64Array[] = [];
    this.#call((x, instance) => {
      instance.taken = [];
      const result = x.h5c_chunks(dataset);
      taken = instance.taken;
      instance.taken = [];
      return result;
    });
    return taken;
  }

  compact(dataset: number): Uint8Array {
    return this.#call((x) => x.h5c_compact(dataset));
  }

  /** One call of a built-in filter; `room` is how large the result is expected to be. */
  filter(id: number, flags: number, cd: Uint32Array, data: Uint8Array, room: number): Uint8Array {
    return this.#call((x) => {
      const words = copyIn(x, new Uint8Array(cd.buffer, cd.byteOffset, cd.byteLength));
      const input = copyIn(x, data);
      const result = x.h5c_filter(id, flags, words, cd.length, input, data.length, room);
      x.h5c_free(words);
      x.h5c_free(input);
      return result;
    });
  }

  /** Lets go of the instance, which serves other files then. A later call takes another one. */
  close(): void {
    this.#instance?.giveBack();
    this.#instance = undefined;
  }

  /** Runs one question and copies its answer. */
  #call(work: (x: Exports, instance: Instance) => number): Uint8Array<ArrayBuffer> {
    try {
      this.#instance ??= this.#start();
      const instance = this.#instance;
      const x = instance.exports;
      instance.readError = undefined;
      if (work(x, instance) < 0) throw failure(instance);
      const at = x.h5c_result() >>> 0;
      const answer = new Uint8Array(x.memory.buffer, at, x.h5c_result_size() >>> 0).slice();
      if (x.memory.buffer.byteLength > KEEP_BYTES) this.#instance = undefined;
      return answer;
    } catch (cause) {
      if (cause instanceof H5zError) throw cause;
      this.#instance = undefined;
      throw new H5zError('H5Z_E_INTERNAL', `libhdf5 gave up (${messageOf(cause)})`, {
        cause,
        remedy: 'the file is damaged in a way libhdf5 does not expect: restore it from a copy, or report it',
      });
    }
  }

  #start(): Instance {
    const instance = Instance.take(this.#module);
    if (this.#source !== undefined) {
      instance.source = this.#source;
      this.#root = instance.exports.h5c_open(this.#source.size);
      if (this.#root < 0) {
        const problem = failure(instance);
        instance.giveBack();
        throw problem;
      }
    }
    return instance;
  }
}

function failure({ exports: x, readError }: Instance): unknown {
  if (readError !== undefined) return readError;
  const bytes = new Uint8Array(x.memory.buffer, x.h5c_error() >>> 0);
  const reason = text.decode(bytes.slice(0, Math.min(bytes.indexOf(0), 1024)));
  if (reason === 'out of memory') return new H5zError('H5Z_E_MEMORY', 'libhdf5 ran out of memory');
  return new H5zError('H5Z_E_CORRUPT', `libhdf5: ${reason}`, { remedy: 'restore the file from a copy' });
}

function isBytes(given: WasmInput): given is ArrayBuffer | Uint8Array {
  return given instanceof ArrayBuffer || ArrayBuffer.isView(given);
}

function copyIn(x: Exports, bytes: Uint8Array): number {
  const at = x.h5c_alloc(bytes.length) >>> 0;
  if (at === 0) throw new H5zError('H5Z_E_MEMORY', `no room for ${bytes.length} bytes`);
  new Uint8Array(x.memory.buffer, at, bytes.length).set(bytes);
  return at;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
