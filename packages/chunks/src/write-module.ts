// The WebAssembly module h5c-write.wasm (packages/chunks/c/write.c) from JavaScript: libhdf5 with several files open, for
// writing. A trap or a failure in it leaves a file half done: who calls it throws the file away, or says so.

import { type Codec, H5zError } from '@h5z/core';
import { compileModule, type WasmInput } from './module.js';
import type { Storage } from './storage.js';

/** The exports of write.c, which explains them. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  h5w_time(now: number): number;
  h5w_open(number: number, writable: number): number;
  h5w_create(number: number, like: number): number;
  h5w_flush(number: number): number;
  h5w_close(number: number): number;
  h5w_filter_class(id: number, name: number): number;
  h5w_select(number: number, address: number): number;
  h5w_select_path(number: number, path: number): number;
  h5w_chunk(offset: number, rank: number, mask: number, data: number, size: number): number;
  h5w_extend(dims: number, rank: number): number;
  h5w_release(): number;
  h5w_storage(number: number, address: number): number;
  h5w_copy(from: number, to: number, skip: number, count: number): number;
  h5w_pipeline(number: number, address: number, filters: number, stages: number, chunk: number, rank: number): number;
  h5w_references(from: number, to: number): number;
  h5w_alloc(size: number): number;
  h5w_free(address: number): void;
  h5w_result(): number;
  h5w_result_size(): number;
  h5w_error(): number;
}

let shared: Promise<WebAssembly.Module> | undefined;

/** The compiled module: from `input`, or from the file beside this package, once. */
export function loadWriteModule(input?: WasmInput | Promise<WasmInput>): Promise<WebAssembly.Module> {
  if (input !== undefined) return compileModule(input);
  shared ??= compileModule(new URL('../wasm/h5c-write.wasm', import.meta.url));
  shared.catch(() => {
    shared = undefined;
  });
  return shared;
}

/** A stage as it is to be stored. */
export interface StoredStage {
  readonly id: number;
  readonly flags: number;
  readonly cdValues: readonly number[] | Uint32Array;
}

/** libhdf5 with files that it may write. Files are numbered from 0 in the order given. */
export class Hdf5Writer {
  readonly #x: Exports;
  readonly #files: readonly Storage[];
  readonly #codecs = new Map<number, Codec>();
  /** What the host threw while libhdf5, which only learns that something failed, was at work. */
  #hostError: unknown;
  #dead = false;

  constructor(module: WebAssembly.Module, files: readonly Storage[]) {
    this.#files = files;
    const view = (at: number, size: number) => new Uint8Array(this.#x.memory.buffer, at >>> 0, size >>> 0);
    const done = (work: () => void): number => {
      try {
        work();
        return 0;
      } catch (error) {
        this.#hostError ??= error;
        return -1;
      }
    };
    const instance = new WebAssembly.Instance(module, {
      h5z: {
        h5z_file_size: (file: number) => this.#files[file]?.size ?? -1,
        h5z_file_read: (file: number, offset: number, size: number, to: number) =>
          done(() => this.#files[file]?.readInto(offset, view(to, size))),
        h5z_file_write: (file: number, offset: number, size: number, from: number) =>
          done(() => this.#files[file]?.write(offset, view(from, size))),
        h5z_file_truncate: (file: number, size: number) => done(() => this.#files[file]?.truncate(size)),
        h5z_filter: (id: number, decode: number, cd: number, n: number, at: number, size: number, result: number) => {
          let address = 0;
          done(() => {
            const codec = this.#codecs.get(id);
            if (codec === undefined) {
              throw new H5zError('H5Z_MISSING_FILTER', `libhdf5 must run filter ${id} on a chunk`, {
                remedy: `install its package; see \`h5z which ${id}\``,
              });
            }
            const cdValues = new Uint32Array(this.#x.memory.buffer.slice(cd >>> 0, (cd >>> 0) + 4 * (n >>> 0)));
            const input = view(at, size).slice();
            const data = decode ? codec.decode(input, { cdValues }) : codec.encode(input, { cdValues });
            address = this.#copyIn(data);
            new DataView(this.#x.memory.buffer).setUint32(result >>> 0, data.length, true);
          });
          return address;
        },
      },
    });
    this.#x = instance.exports as unknown as Exports;
    this.#x._initialize();
  }

  open(file: number, writable: boolean): void {
    this.#call((x) => x.h5w_open(file, writable ? 1 : 0));
  }

  /** A new file with the creation properties (user block, B-tree sizes, ...) and the format version of an open one. */
  create(file: number, like: number): void {
    this.#call((x) => x.h5w_create(file, like));
  }

  flush(file: number): void {
    this.#call((x) => x.h5w_flush(file));
  }

  close(file: number): void {
    this.#call((x) => x.h5w_close(file));
  }

  /** Lets datasets have filter `id`; `name` is kept in them. `codec` runs it where libhdf5 itself must: without one that fails. */
  addFilter(id: number, name: string, codec?: Codec): void {
    if (codec) this.#codecs.set(id, codec);
    this.#call((x) => this.#with([terminated(name)], ([at = 0]) => x.h5w_filter_class(id, at)));
  }

  /** The dataset that the next calls mean. */
  select(file: number, dataset: number | string): void {
    if (typeof dataset === 'number') this.#call((x) => x.h5w_select(file, dataset));
    else {
      this.#call((x) => this.#with([terminated(dataset)], ([at = 0]) => x.h5w_select_path(file, at)));
    }
  }

  /** Direct chunk write into the selected dataset. */
  writeChunk(offset: readonly number[], filterMask: number, data: Uint8Array): void {
    this.#call((x) =>
      this.#with([doubles(offset), data], ([at = 0, bytes = 0]) =>
        x.h5w_chunk(at, offset.length, filterMask, bytes, data.length),
      ),
    );
  }

  extend(shape: readonly number[]): void {
    this.#call((x) => this.#with([doubles(shape)], ([at = 0]) => x.h5w_extend(at, shape.length)));
  }

  /** Closes the selected dataset. */
  release(): void {
    this.#call((x) => x.h5w_release());
  }

  /** Where the chunk index or the contiguous data of a dataset lie; negative where nothing is allocated. */
  storageOf(file: number, dataset: number): number {
    return new Float64Array(this.#call((x) => x.h5w_storage(file, dataset)).buffer)[0] ?? -1;
  }

  /** Copies all of a file but the data that lie at `leaveOut`: addresses in the source -> addresses in the target. */
  copy(from: number, to: number, leaveOut: readonly number[]): Map<number, number> {
    const bytes = this.#call((x) =>
      this.#with([doubles(leaveOut)], ([at = 0]) => x.h5w_copy(from, to, at, leaveOut.length)),
    );
    const pairs = new Float64Array(bytes.buffer);
    const map = new Map<number, number>();
    for (let i = 0; i + 1 < pairs.length; i += 2) map.set(pairs[i] as number, pairs[i + 1] as number);
    return map;
  }

  /** Gives a dataset without data another pipeline, and another chunk shape where one is given. */
  setPipeline(file: number, dataset: number, stages: readonly StoredStage[], chunk?: readonly number[]): void {
    const words = stages.flatMap(({ id, flags, cdValues }) => [id, flags, cdValues.length, ...cdValues]);
    const filters = new Uint8Array(Uint32Array.from(words).buffer);
    this.#call((x) =>
      this.#with([filters, doubles(chunk ?? [])], ([at = 0, dims = 0]) =>
        x.h5w_pipeline(file, dataset, at, stages.length, chunk ? dims : 0, chunk?.length ?? 0),
      ),
    );
  }

  /** Points the references that `copy` copied at the copies. */
  fixReferences(from: number, to: number): void {
    this.#call((x) => x.h5w_references(from, to));
  }

  #call(work: (x: Exports) => number): Uint8Array<ArrayBuffer> {
    if (this.#dead) {
      throw new H5zError('H5Z_E_INTERNAL', 'libhdf5 gave up earlier on this file', { remedy: 'open the file anew' });
    }
    this.#hostError = undefined;
    try {
      const x = this.#x;
      x.h5w_time(Date.now());
      if (work(x) < 0) throw this.#hostError ?? this.#failure(x);
      const at = x.h5w_result() >>> 0;
      return new Uint8Array(x.memory.buffer, at, x.h5w_result_size() >>> 0).slice();
    } catch (cause) {
      if (cause instanceof H5zError) throw cause;
      this.#dead = true;
      throw new H5zError('H5Z_E_INTERNAL', `libhdf5 gave up (${cause instanceof Error ? cause.message : cause})`, {
        cause,
        remedy: 'the file may be half written: restore it from a copy, and report it',
      });
    }
  }

  /** Runs `work` with copies of `inputs` in the module's memory. */
  #with(inputs: readonly Uint8Array[], work: (addresses: number[]) => number): number {
    const addresses = inputs.map((input) => this.#copyIn(input));
    const result = work(addresses);
    for (const address of addresses) this.#x.h5w_free(address);
    return result;
  }

  #copyIn(bytes: Uint8Array): number {
    const at = this.#x.h5w_alloc(bytes.length) >>> 0;
    if (at === 0) throw new H5zError('H5Z_E_MEMORY', `no room for ${bytes.length} bytes`);
    new Uint8Array(this.#x.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  #failure(x: Exports): H5zError {
    const bytes = new Uint8Array(x.memory.buffer, x.h5w_error() >>> 0);
    const reason = new TextDecoder().decode(bytes.slice(0, Math.min(bytes.indexOf(0), 1024)));
    if (/already open for write/.test(reason)) {
      return new H5zError('H5Z_FILE', `libhdf5: ${reason}`, {
        remedy: 'close it where it is being written; h5clear -s clears the mark of a writer that died',
      });
    }
    return new H5zError('H5Z_E_CORRUPT', `libhdf5: ${reason}`, { remedy: 'check the file, or restore it from a copy' });
  }
}

const terminated = (text: string) => new TextEncoder().encode(`${text}\0`);
const doubles = (numbers: readonly number[]) => new Uint8Array(Float64Array.from(numbers).buffer);
