// Instances of the WebAssembly module h5c.wasm (packages/chunks/c), kept from file to file: to make one and start libhdf5
// in it takes longer than to read what a small file says of itself, and leaves megabytes to collect. What a file left
// behind is gone before the next one: the whole memory is put back to how it was when libhdf5 had started.

import { H5zError } from '@h5z/core';
import type { Source } from './source.js';

/** The exports of packages/chunks/c/h5c.c, which explains them. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  h5c_open(size: number): number;
  h5c_links(group: number): number;
  h5c_dataset(dataset: number): number;
  h5c_chunks(dataset: number): number;
  h5c_compact(dataset: number): number;
  h5c_filter(id: number, flags: number, cd: number, ncd: number, data: number, size: number, room: number): number;
  h5c_alloc(size: number): number;
  h5c_free(address: number): void;
  h5c_result(): number;
  h5c_result_size(): number;
  h5c_error(): number;
}

/** Instances that wait for a file, of one module; each holds 4 MiB. */
const KEPT = 4;
/** One whose memory grew beyond this is not kept: it cannot shrink, and to clear it takes as long as a new one. */
const KEEP_BYTES = 16 * 1024 * 1024;
const PAGE = 64 * 1024;

const waiting = new WeakMap<WebAssembly.Module, Instance[]>();

/** libhdf5, started, with no file open or the one that `source` reads. */
export class Instance {
  readonly exports: Exports;
  /** What libhdf5's reads of its file go to. */
  source: Source | undefined;
  /** What the last read threw: libhdf5 only learns that it failed. */
  readError: unknown;
  /** What h5c_chunks gave. */
  taken: Float64Array[] = [];
  readonly #module: WebAssembly.Module;
  /** The pages of memory that are not all zeros when libhdf5 has started. */
  readonly #image: readonly { readonly at: number; readonly bytes: Uint8Array }[];

  /** One that waits, or a new one. Throws what WebAssembly throws where it cannot be made. */
  static take(module: WebAssembly.Module): Instance {
    const kept = waiting.get(module)?.pop();
    if (kept === undefined) return new Instance(module);
    kept.#restore();
    return kept;
  }

  private constructor(module: WebAssembly.Module) {
    const h5z_read = (offset: number, size: number, to: number): number => {
      try {
        if (this.source === undefined) throw new H5zError('H5Z_E_INTERNAL', 'libhdf5 reads, and no file is open');
        this.source.readInto(offset, new Uint8Array(this.exports.memory.buffer, to >>> 0, size >>> 0));
        return 0;
      } catch (error) {
        this.readError = error;
        return -1;
      }
    };
    const h5z_take = (from: number, count: number): void => {
      const start = from >>> 0;
      this.taken.push(new Float64Array(this.exports.memory.buffer.slice(start, start + 8 * count)));
    };
    this.#module = module;
    this.exports = new WebAssembly.Instance(module, { h5z: { h5z_read, h5z_take } }).exports as unknown as Exports;
    this.exports._initialize();
    this.exports.h5c_filter(0, 0, 0, 0, 0, 0, 0); // no filter has this number; libhdf5 has started when it says so
    const { buffer } = this.exports.memory;
    const image: { at: number; bytes: Uint8Array }[] = [];
    for (let at = 0; at < buffer.byteLength; at += PAGE) {
      if (new BigUint64Array(buffer, at, PAGE / 8).some((word) => word !== 0n)) {
        image.push({ at, bytes: new Uint8Array(buffer.slice(at, at + PAGE)) });
      }
    }
    this.#image = image;
  }

  /**
   * Keeps it for the next file. Whoever gives it back uses it no more, and gives none back in which WebAssembly trapped:
   * that has lost its stack.
   */
  giveBack(): void {
    this.source = undefined;
    this.readError = undefined;
    this.taken = [];
    if (this.exports.memory.buffer.byteLength > KEEP_BYTES) return;
    const kept = waiting.get(this.#module) ?? [];
    waiting.set(this.#module, kept);
    if (kept.length < KEPT) kept.push(this);
  }

  #restore(): void {
    const memory = new Uint8Array(this.exports.memory.buffer);
    memory.fill(0);
    for (const { at, bytes } of this.#image) memory.set(bytes, at);
  }
}
