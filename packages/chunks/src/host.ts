// libhdf5's own filters as codecs of variant `host`: what any HDF5 library decodes without a plugin, done by the very
// code of libhdf5. They are here so that a chunk can be decoded where no package of ours is installed for one of its
// filters; nothing of it is ours to claim.

import {
  type CdValues,
  type Codec,
  type DatasetDescription,
  type DecodeOptions,
  type EncodeOptions,
  H5zError,
} from '@h5z/core';
import { Hdf5, loadModule, type WasmInput } from './module.js';

const NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'deflate'],
  [2, 'shuffle'],
  [3, 'fletcher32'],
  [5, 'nbit'],
  [6, 'scaleoffset'],
]);

/** IDs that {@link hostCodec} knows. */
export const HOST_FILTERS: readonly number[] = [...NAMES.keys()];

const DECODE = 0x0100;
const MAX_BYTES = 0x7fffffff;

let library: Promise<Hdf5> | undefined;

/**
 * libhdf5's built-in filter with this ID, or undefined when it has none (szip is left out of this build).
 * All host codecs of a program share one WebAssembly instance.
 */
export async function hostCodec(
  id: number,
  options: { wasm?: WasmInput | Promise<WasmInput> } = {},
): Promise<Codec | undefined> {
  const name = NAMES.get(id);
  if (name === undefined) return undefined;
  if (options.wasm !== undefined) return new HostCodec(id, name, new Hdf5(await loadModule(options.wasm)));
  library ??= loadModule().then((module) => new Hdf5(module));
  library.catch(() => {
    library = undefined;
  });
  return new HostCodec(id, name, await library);
}

class HostCodec implements Codec {
  readonly id: number;
  readonly name: string;
  readonly variant = 'host';
  readonly source = 'libhdf5 in @h5z/chunks';
  readonly canEncode = true;
  readonly #library: Hdf5;

  constructor(id: number, name: string, library: Hdf5) {
    this.id = id;
    this.name = name;
    this.#library = library;
  }

  decode(chunk: Uint8Array, options: DecodeOptions = {}): Uint8Array {
    const { size } = options;
    const data = this.#run('decode', DECODE, chunk, options.cdValues, Math.min(size ?? chunk.length * 4, MAX_BYTES));
    if (size !== undefined && data.length > size) {
      throw new H5zError('H5Z_E_OUTPUT', `${this.#label()} decode: the chunk holds more than ${size} bytes`, {
        details: { id: this.id, size, claimed: data.length },
      });
    }
    return data;
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options: DecodeOptions = {}): number {
    const data = this.decode(chunk, { ...options, size: Math.min(out.length, options.size ?? out.length) });
    out.set(data);
    return data.length;
  }

  decodedSize(chunk: Uint8Array): number | undefined {
    if (this.id === 2) return chunk.length;
    return this.id === 3 && chunk.length >= 4 ? chunk.length - 4 : undefined;
  }

  encode(data: Uint8Array, options: EncodeOptions = {}): Uint8Array {
    return this.#run('encode', 0, data, options.cdValues, this.encodeBound(data.length));
  }

  encodeInto(data: Uint8Array, out: Uint8Array, options: EncodeOptions = {}): number {
    const chunk = this.encode(data, options);
    if (chunk.length > out.length) {
      throw new H5zError('H5Z_E_OUTPUT', `${this.#label()} encode: ${chunk.length} bytes do not fit in ${out.length}`);
    }
    out.set(chunk);
    return chunk.length;
  }

  /** Ample for each of them: deflate adds 0.03 %, fletcher32 4 bytes, scaleoffset 22. */
  encodeBound(size: number): number {
    return size + (size >>> 8) + 64;
  }

  derive(client: CdValues, dataset: DatasetDescription): Uint32Array {
    if (this.id === 2) return Uint32Array.of(dataset.typeSize);
    if (this.id === 1 || this.id === 3) return Uint32Array.from(client);
    throw new H5zError('H5Z_E_UNSUPPORTED', `${this.#label()} derive: only libhdf5 itself can choose its parameters`, {
      remedy: 'create the dataset with h5py or h5wasm',
    });
  }

  restore(stored: CdValues): Uint32Array {
    return Uint32Array.from(stored);
  }

  async decodeAsync(chunk: Uint8Array, options?: DecodeOptions): Promise<Uint8Array> {
    return this.decode(chunk, options);
  }

  async encodeAsync(data: Uint8Array, options?: EncodeOptions): Promise<Uint8Array> {
    return this.encode(data, options);
  }

  #run(doing: string, flags: number, data: Uint8Array, cdValues: CdValues | undefined, room: number): Uint8Array {
    if (data.length === 0) throw new H5zError('H5Z_E_CORRUPT', `${this.#label()} ${doing}: the chunk is empty`);
    try {
      return this.#library.filter(this.id, flags, Uint32Array.from(cdValues ?? []), data, room);
    } catch (cause) {
      if (!(cause instanceof H5zError)) throw cause;
      const reason = cause.message.replace(/^libhdf5: /, '').replace(/; .*$/, '');
      throw new H5zError(cause.code, `${this.#label()} ${doing}: ${reason}`, { cause, details: { id: this.id } });
    }
  }

  #label(): string {
    return `${this.name} (${this.id}, host)`;
  }
}
