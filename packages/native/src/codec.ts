// A Codec over one native filter library. The addon returns numbers; limits, allocation and messages are here.

import {
  type CdValues,
  type Codec,
  type DatasetDescription,
  type DecodeOptions,
  datasetStruct,
  type EncodeOptions,
  FILTER_ERRORS,
  filterError,
  H5zError,
  MAX_CD_VALUES,
  type PipelineHost,
  toWords,
  type Variant,
} from '@h5z/core';
import {
  type Addon,
  type Batch,
  DETACHED,
  type Encoded,
  type Failure,
  type Handle,
  type LoadedLibrary,
  NOT_BYTES,
  type Plan,
  SIZE_UNKNOWN,
  type Words,
} from './addon.js';

/** What a chunk may decode to when the caller gives no `size`: HDF5's own limit for a chunk. */
export const DEFAULT_SIZE_LIMIT = 2 ** 32 - 1;

const E_OUTPUT = FILTER_ERRORS.H5Z_E_OUTPUT.value;

/** The lane of chunks that come one by one: as many at once as there are threads. */
let singles: Batch | undefined;
const NO_WORDS = new Uint32Array(0);

export class NativeCodec implements Codec {
  readonly id: number;
  readonly name: string;
  readonly variant: Variant = 'native';
  readonly source: string;
  readonly canEncode: boolean;
  readonly #addon: Addon;
  readonly #handle: Handle;
  /** The pipeline of this filter alone, with the cd_values that were asked for last. */
  #single: { readonly words: Uint32Array; readonly plan: Plan } | undefined;
  readonly host: PipelineHost;

  constructor(addon: Addon, library: LoadedLibrary, source: string, host: PipelineHost) {
    this.#addon = addon;
    this.#handle = library.handle;
    this.host = host;
    this.id = library.id;
    this.name = library.name;
    this.source = source;
    this.canEncode = library.canEncode;
  }

  decode(chunk: Uint8Array, options?: DecodeOptions): Uint8Array {
    const cd = wordsOf(options?.cdValues);
    const plan = this.#plan(chunk, cd, options?.size);
    for (let cap = plan.first; ; cap = Math.min(cap * 2, plan.limit)) {
      const out = this.#allocate(cap, 'decode');
      const n = this.#addon.decodeInto(this.#handle, chunk, out, cd);
      if (n === E_OUTPUT && cap < plan.last) continue;
      return this.#take(out, n, 'decode', chunk, cd);
    }
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options?: DecodeOptions): number {
    const size = options?.size;
    const room = size !== undefined && size < out?.length ? out.subarray(0, size) : out;
    const n = this.#addon.decodeInto(this.#handle, chunk, room, wordsOf(options?.cdValues));
    if (n < 0) throw this.#error(n, 'decode', chunk, { size: room?.length });
    return n;
  }

  decodedSize(chunk: Uint8Array, cdValues?: CdValues): number | undefined {
    const size = this.#addon.decodedSize(this.#handle, chunk, wordsOf(cdValues));
    if (size === SIZE_UNKNOWN) return undefined;
    if (size < 0) throw this.#error(size, 'read the header of a chunk', chunk);
    return size;
  }

  encode(data: Uint8Array, options?: EncodeOptions): Uint8Array {
    const cd = wordsOf(options?.cdValues);
    const out = this.#allocate(this.#bound(data, cd), 'encode');
    return this.#take(out, this.#addon.encodeInto(this.#handle, data, out, cd), 'encode', data);
  }

  encodeInto(data: Uint8Array, out: Uint8Array, options?: EncodeOptions): number {
    if (!this.canEncode) throw this.#readOnly();
    const n = this.#addon.encodeInto(this.#handle, data, out, wordsOf(options?.cdValues));
    if (n < 0) throw this.#error(n, 'encode', data, { size: out?.length });
    return n;
  }

  encodeBound(size: number, cdValues?: CdValues): number {
    const bound = this.#addon.encodeBound(this.#handle, size, wordsOf(cdValues));
    if (bound === FILTER_ERRORS.H5Z_E_UNSUPPORTED.value && !this.canEncode) throw this.#readOnly();
    if (bound < 0) throw this.#error(bound, 'bound', undefined, { size });
    return bound;
  }

  derive(client: CdValues, dataset: DatasetDescription): Uint32Array {
    if (!this.canEncode) throw this.#readOnly();
    const stored = new Uint32Array(MAX_CD_VALUES);
    const n = this.#addon.derive(this.#handle, wordsOf(client), datasetStruct(dataset), stored);
    if (n < 0) throw this.#error(n, 'derive cd_values', undefined, { client: Array.from(client) });
    return stored.slice(0, n);
  }

  restore(stored: CdValues): Uint32Array {
    const client = new Uint32Array(MAX_CD_VALUES);
    const n = this.#addon.restore(this.#handle, wordsOf(stored), client);
    if (n < 0) throw this.#error(n, 'read cd_values', undefined, { stored: Array.from(stored) });
    return client.slice(0, n);
  }

  async decodeAsync(chunk: Uint8Array, options?: DecodeOptions): Promise<Uint8Array> {
    const cd = wordsOf(options?.cdValues);
    const plan = this.#plan(chunk, cd, options?.size);
    for (let cap = plan.first; ; cap = Math.min(cap * 2, plan.limit)) {
      const out = this.#allocate(cap, 'decode');
      const result = (await this.#submit(chunk, cd, out)) as number | Failure;
      const n = typeof result === 'number' ? result : result.code;
      if (n === E_OUTPUT && cap < plan.last) continue;
      return this.#take(out, n, 'decode', chunk, cd);
    }
  }

  async encodeAsync(data: Uint8Array, options?: EncodeOptions): Promise<Uint8Array> {
    const cd = wordsOf(options?.cdValues);
    const size = this.#bound(data, cd);
    const result = (await this.#submit(data, cd, true)) as Encoded | Failure;
    if ('code' in result) throw this.#error(result.code, 'encode', data, { size });
    return result.data;
  }

  /** A job of the addon's pool: the filter as a pipeline of one stage, made anew when the cd_values are others. */
  #submit(input: Uint8Array, cd: Words, target: Uint8Array | true): ReturnType<Addon['submit']> {
    const words = cd ?? NO_WORDS;
    let single = this.#single;
    if (single?.words.length !== words.length || !words.every((word, i) => word === single?.words[i])) {
      single = { words: words.slice(), plan: this.#addon.plan([this.#handle], [cd], Float64Array.of(0, 0, -1)) };
      this.#single = single;
    }
    singles ??= this.#addon.openBatch(0, undefined, false, false);
    return this.#addon.submit(singles, single.plan, input, 0, 0, target, 0);
  }

  /**
   * How large an output to try: `first`, then twice that and so on, never above `limit`, while it is smaller than `last`.
   * A chunk that says its size is tried once with just that.
   */
  #plan(chunk: Uint8Array, cd: Words, size: number | undefined): { first: number; last: number; limit: number } {
    const limit = size ?? DEFAULT_SIZE_LIMIT;
    if (!Number.isInteger(limit) || limit < 0) {
      throw new H5zError('H5Z_PARAMETER', `${this.#label()} decode: size is ${limit}`, {
        remedy: "pass the chunk's full size in bytes",
      });
    }
    const claimed = this.#addon.decodedSize(this.#handle, chunk, cd);
    if (claimed === SIZE_UNKNOWN) {
      if (size !== undefined) return { first: size, last: 0, limit };
      return { first: Math.min(limit, 4 * chunk.length + 4096), last: limit, limit };
    }
    if (claimed < 0) throw this.#error(claimed, 'decode', chunk, {}, cd);
    if (claimed > limit) throw this.#error(E_OUTPUT, 'decode', chunk, { claimed, size: limit });
    return { first: claimed, last: 0, limit };
  }

  #bound(data: Uint8Array, cd: Words): number {
    if (!this.canEncode) throw this.#readOnly();
    if (!ArrayBuffer.isView(data) || typeof data.length !== 'number') throw this.#error(NOT_BYTES, 'encode');
    const bound = this.#addon.encodeBound(this.#handle, data.length, cd);
    if (bound < 0) throw this.#error(bound, 'encode', data);
    return bound;
  }

  #allocate(size: number, doing: string): Uint8Array {
    return allocate(size, `${this.#label()} ${doing}`);
  }

  #take(out: Uint8Array, n: number, doing: string, input: Uint8Array, cd?: Words): Uint8Array {
    if (n === out.length) return out;
    if (n < 0) throw this.#error(n, doing, input, { size: out.length }, cd);
    return out.slice(0, n);
  }

  /** What the addon knows this filter by: for whoever runs whole pipelines. */
  static handleOf(codec: Codec): Handle {
    return (codec as NativeCodec).#handle;
  }

  /** `input` may be anything here: the addon found out what it is. Of a chunk the filter may have more to say. */
  #error(code: number, doing: string, input?: Uint8Array, facts: Record<string, unknown> = {}, cd?: Words): H5zError {
    const details = { ...facts, bytes: input?.length };
    if (code === NOT_BYTES || code === DETACHED) return argumentError(code, `${this.#label()} ${doing}`, details);
    const explain = () => (input === undefined ? '' : this.#addon.explain(this.#handle, input, cd));
    return filterError(code, `${this.#label()} ${doing}`, { explain, details });
  }

  #readOnly(): H5zError {
    return new H5zError('H5Z_READ_ONLY', `${this.#label()} can only decode`, {
      remedy: 'use a build of the library that has its encoder',
    });
  }

  #label(): string {
    return `${this.name} (${this.id}, native)`;
  }
}

/** Memory that is not cleared first: what is returned of it was written by the codec, the rest is cut off. */
export function allocate(size: number, doing: string): Uint8Array {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  } catch (cause) {
    throw filterError(FILTER_ERRORS.H5Z_E_MEMORY.value, doing, { cause, details: { size } });
  }
}

/** The error for what is no bytes, or bytes no more. */
export function argumentError(code: number, doing: string, details: Record<string, unknown>): H5zError {
  const problem = code === DETACHED ? 'the buffer of an argument was transferred away' : 'an argument is no Uint8Array';
  const remedy = code === DETACHED ? 'pass it before transferring it, or pass a copy' : 'pass a Uint8Array';
  return new H5zError('H5Z_PARAMETER', `${doing}: ${problem}`, { remedy, details });
}

export function wordsOf(cdValues: CdValues | undefined): Words {
  if (cdValues === undefined || cdValues.length === 0) return undefined;
  return toWords(cdValues);
}
