// Loads a standalone WebAssembly module of the ABI in packages/abi/src/wasm.c and makes a Codec of it.
//
// The module has no imports and one memory. Every call is the same few steps: forget the last call's allocations,
// allocate and copy in cd_values and input, allocate the output, call, copy the result out once. One instance serves
// all calls; after a trap (a codec bug) it is thrown away, because its stack pointer is lost, and the next call gets a new one.

import { filterError, H5zError } from './errors.js';
import { checkSha256, sriOf } from './integrity.js';
import { MAX_CD_VALUES, toWords } from './params.js';
import type {
  CdValues,
  Codec,
  DatasetDescription,
  DecodeOptions,
  EncodeOptions,
  TypeClass,
  Variant,
  WasmSource,
} from './types.js';

/**
 * The exports of packages/abi/src/wasm.c; the optional ones are missing from decode-only modules. (h5z_encode_bound is in
 * those too: a pipeline's later stages are bounded by it.)
 */
interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly _initialize?: () => void;
  readonly h5z_alloc: (size: number) => number;
  readonly h5z_reset: () => void;
  readonly h5z_info: () => number;
  readonly h5z_decode: (cd: number, ncd: number, input: number, nin: number, out: number, cap: number) => number;
  readonly h5z_decoded_size: (cd: number, ncd: number, input: number, nin: number) => number;
  readonly h5z_encode?: (cd: number, ncd: number, input: number, nin: number, out: number, cap: number) => number;
  readonly h5z_encode_bound?: (cd: number, ncd: number, nin: number) => number;
  readonly h5z_explain: (cd: number, ncd: number, input: number, nin: number, text: number, cap: number) => number;
  readonly h5z_restore: (stored: number, n: number, client: number, cap: number) => number;
  readonly h5z_derive?: (client: number, n: number, dataset: number, stored: number, cap: number) => number;
}

const REQUIRED = [
  'h5z_alloc',
  'h5z_reset',
  'h5z_info',
  'h5z_decode',
  'h5z_decoded_size',
  'h5z_explain',
  'h5z_restore',
] as const;
const ABI_VERSION = 1;
const E_OUTPUT = -3;
const E_UNSUPPORTED = -4;
const E_MEMORY = -6;
const E_INTERNAL = -8;
/** h5z_decoded_size's answer for "neither the header nor the cd_values say". */
const SIZE_UNKNOWN = -100;
/** An instance whose memory grew beyond this is dropped after the call: WebAssembly memory cannot shrink. */
const KEEP_BYTES = 256 * 1024 * 1024;
const MAX_BYTES = 0xffffffff;
/** Most bytes of a filter's explanation: H5Z_EXPLAIN_MAX of filter.h. */
const EXPLAIN_MAX = 200;
/** Results from this size on are worth the trouble of {@link copyOf}. */
const ZEROING_COUNTS = 65536;

export interface WasmOptions {
  /** Filter ID that the module must have. */
  readonly id?: number;
  /** SHA-256 (hex) that the bytes must have. Not applied to a compiled module. */
  readonly sha256?: string;
  /** What to call the source in messages. Default: its URL, or "module supplied by the caller". */
  readonly source?: string;
  /** Reads URLs that fetch cannot (file: in Node). */
  readonly readFile?: (url: URL) => Promise<Uint8Array>;
}

/** Compiles and instantiates a filter's WebAssembly. Throws H5Z_WASM_LOAD or H5Z_INTEGRITY. */
export async function loadWasm(source: WasmSource | Promise<WasmSource>, options: WasmOptions = {}): Promise<Codec> {
  const given = await source;
  const label = options.source ?? (given instanceof URL || typeof given === 'string' ? shortUrl(given) : undefined);
  const name = label ?? 'module supplied by the caller';
  try {
    const module = await compile(given, name, options);
    const instance = await WebAssembly.instantiate(checkModule(module, name), {});
    return new WasmCodec(module, instance, name, options.id);
  } catch (cause) {
    if (cause instanceof H5zError) throw cause;
    throw new H5zError('H5Z_WASM_LOAD', `${name} could not be loaded as WebAssembly (${messageOf(cause)})`, { cause });
  }
}

/** The bytes of a source, checked against `sha256` when that is given. */
export async function readWasm(source: WasmSource, options: WasmOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const label = options.source ?? (source instanceof URL || typeof source === 'string' ? shortUrl(source) : 'module');
  if (source instanceof URL || typeof source === 'string')
    return readUrl(new URL(source, documentBase()), label, options);
  if (source instanceof WebAssembly.Module) {
    throw new H5zError('H5Z_WASM_LOAD', `${label} is a compiled module, whose bytes are gone`, {
      remedy: 'pass the bytes',
    });
  }
  return check(source instanceof Response ? await bodyOf(source, label) : toBytes(source), label, options);
}

async function compile(source: WasmSource, label: string, options: WasmOptions): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  return WebAssembly.compile(await readWasm(source, { ...options, source: label }));
}

async function readUrl(url: URL, label: string, options: WasmOptions): Promise<Uint8Array<ArrayBuffer>> {
  // Bundlers inline small modules as data: URLs, which a page's CSP may keep fetch from.
  if (url.protocol === 'data:') return check(dataBytes(url), label, options);
  if (url.protocol === 'file:' && options.readFile) return check(toBytes(await options.readFile(url)), label, options);
  if (options.sha256 === undefined) return bodyOf(await fetch(url), label);
  let response: Response;
  try {
    response = await fetch(url, { integrity: sriOf(options.sha256) });
  } catch (cause) {
    // The browser does not say whether the network or the hash failed; fetching again without the hash does.
    await check(await bodyOf(await fetch(url), label), label, options);
    throw cause;
  }
  return bodyOf(response, label);
}

async function check(
  bytes: Uint8Array<ArrayBuffer>,
  label: string,
  options: WasmOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  if (options.sha256 !== undefined) await checkSha256(bytes, options.sha256, label);
  return bytes;
}

async function bodyOf(response: Response, label: string): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.ok) {
    throw new H5zError('H5Z_WASM_LOAD', `${label} was answered with HTTP status ${response.status}`, {
      remedy: 'check that the file is deployed beside the script that asks for it',
      details: { status: response.status },
    });
  }
  return new Uint8Array(await response.arrayBuffer());
}

function dataBytes(url: URL): Uint8Array<ArrayBuffer> {
  const comma = url.href.indexOf(',');
  const body = url.href.slice(comma + 1);
  if (!/;base64$/i.test(url.href.slice(0, comma))) return new TextEncoder().encode(decodeURIComponent(body));
  return Uint8Array.from(atob(decodeURIComponent(body)), (c) => c.charCodeAt(0));
}

function toBytes(source: ArrayBuffer | Uint8Array): Uint8Array<ArrayBuffer> {
  if (source instanceof Uint8Array) {
    return source.buffer instanceof ArrayBuffer ? (source as Uint8Array<ArrayBuffer>) : new Uint8Array(source);
  }
  return new Uint8Array(source);
}

function documentBase(): string | undefined {
  return typeof document === 'object' ? document.baseURI : globalThis.location?.href;
}

function shortUrl(url: URL | string): string {
  const text = String(url);
  return text.startsWith('data:') ? 'module inlined by the bundler' : text;
}

function checkModule(module: WebAssembly.Module, label: string): WebAssembly.Module {
  const imports = WebAssembly.Module.imports(module).map(({ module: from, name }) => `${from}.${name}`);
  const exports = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = ['memory', ...REQUIRED].filter((name) => !exports.has(name));
  if (imports.length === 0 && missing.length === 0) return module;
  const problem =
    imports.length > 0 ? `wants imports (${imports.join(', ')})` : `lacks the exports ${missing.join(', ')}`;
  throw new H5zError('H5Z_WASM_LOAD', `${label} ${problem}, so it is no standalone h5z module`, {
    remedy: 'pass the wasm/<name>.wasm or wasm/<name>.decode.wasm of a filter package',
    details: { imports, missing },
  });
}

class WasmCodec implements Codec {
  readonly id: number;
  readonly name: string;
  readonly variant: Variant = 'wasm';
  readonly source: string;
  readonly canEncode: boolean;
  readonly module: WebAssembly.Module;
  #exports: Exports | undefined;
  #bytes = new Uint8Array(0);

  constructor(module: WebAssembly.Module, instance: WebAssembly.Instance, source: string, id: number | undefined) {
    this.module = module;
    this.#exports = start(instance);
    this.source = source;
    const info = readInfo(this.#exports);
    if (info.abi !== ABI_VERSION || (id !== undefined && info.id !== id)) {
      const problem =
        info.abi === ABI_VERSION
          ? `is filter ${info.id}, not ${id}`
          : `has ABI version ${info.abi}, not ${ABI_VERSION}`;
      throw new H5zError('H5Z_WASM_LOAD', `${source} ${problem}`, {
        remedy: 'use the WebAssembly file of the same package and version',
        details: { ...info, expected: id },
      });
    }
    this.id = info.id;
    this.name = info.name;
    this.canEncode = this.#exports.h5z_encode !== undefined;
  }

  decode(chunk: Uint8Array, options: DecodeOptions = {}): Uint8Array {
    return this.#decode(chunk, options, options.size, (address, size) =>
      copyOf(this.#view().subarray(address, address + size)),
    );
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options: DecodeOptions = {}): number {
    const limit = Math.min(out.length, options.size ?? out.length);
    return this.#decode(chunk, options, limit, (address, size) => {
      out.set(this.#view().subarray(address, address + size));
      return size;
    });
  }

  #decode<T>(
    chunk: Uint8Array,
    options: DecodeOptions,
    size: number | undefined,
    take: (at: number, n: number) => T,
  ): T {
    const cd = toWords(options.cdValues);
    const limit = size ?? MAX_BYTES;
    return this.#call('decode', (x) => {
      let guess = 0;
      for (;;) {
        x.h5z_reset();
        const cdAt = this.#copyWords(x, cd);
        const inAt = this.#copyBytes(x, chunk);
        const claimed = x.h5z_decoded_size(cdAt, cd.length, inAt, chunk.length);
        const refuse = (code: number, details: Readonly<Record<string, unknown>>): H5zError =>
          this.#error(code, 'decode', { bytes: chunk.length, ...details }, [cdAt, cd.length, inAt, chunk.length]);
        if (claimed < 0 && claimed !== SIZE_UNKNOWN) throw refuse(claimed, {});
        if (claimed > limit) throw this.#error(E_OUTPUT, 'decode', { claimed, size: limit });
        const unbounded = claimed === SIZE_UNKNOWN && size === undefined;
        guess = unbounded ? Math.min(limit, guess > 0 ? guess * 2 : 4 * chunk.length + 4096) : 0;
        const cap = unbounded ? guess : claimed === SIZE_UNKNOWN ? limit : claimed;
        const outAt = this.#alloc(x, cap, 'decode');
        const n = x.h5z_decode(cdAt, cd.length, inAt, chunk.length, outAt, cap);
        if (n === E_OUTPUT && unbounded && cap < limit) continue;
        if (n < 0) throw refuse(n, { size: cap });
        if (n > cap) throw this.#error(E_INTERNAL, 'decode', { bytes: chunk.length, size: cap, returned: n });
        return take(outAt, n);
      }
    });
  }

  decodedSize(chunk: Uint8Array, cdValues?: CdValues): number | undefined {
    const cd = toWords(cdValues);
    return this.#call('read the header of a chunk', (x) => {
      x.h5z_reset();
      const cdAt = this.#copyWords(x, cd);
      const inAt = this.#copyBytes(x, chunk);
      const size = x.h5z_decoded_size(cdAt, cd.length, inAt, chunk.length);
      if (size === SIZE_UNKNOWN) return undefined;
      const input = [cdAt, cd.length, inAt, chunk.length] as const;
      if (size < 0) throw this.#error(size, 'read the header of a chunk', { bytes: chunk.length }, input);
      return size;
    });
  }

  encode(data: Uint8Array, options: EncodeOptions = {}): Uint8Array {
    return this.#encode(data, options, undefined, (address, size) =>
      copyOf(this.#view().subarray(address, address + size)),
    );
  }

  encodeInto(data: Uint8Array, out: Uint8Array, options: EncodeOptions = {}): number {
    return this.#encode(data, options, out.length, (address, size) => {
      out.set(this.#view().subarray(address, address + size));
      return size;
    });
  }

  #encode<T>(
    data: Uint8Array,
    options: EncodeOptions,
    room: number | undefined,
    take: (at: number, n: number) => T,
  ): T {
    const cd = toWords(options.cdValues);
    return this.#call('encode', (x) => {
      if (!x.h5z_encode || !x.h5z_encode_bound) throw this.#readOnly('encode');
      x.h5z_reset();
      const cdAt = this.#copyWords(x, cd);
      const bound = x.h5z_encode_bound(cdAt, cd.length, data.length);
      if (bound < 0) throw this.#error(bound, 'encode', { bytes: data.length });
      const inAt = this.#copyBytes(x, data);
      const cap = Math.min(bound, room ?? bound);
      const outAt = this.#alloc(x, cap, 'encode');
      const n = x.h5z_encode(cdAt, cd.length, inAt, data.length, outAt, cap);
      if (n < 0) throw this.#error(n, 'encode', { bytes: data.length, size: cap });
      if (n > cap) throw this.#error(E_INTERNAL, 'encode', { bytes: data.length, size: cap, returned: n });
      return take(outAt, n);
    });
  }

  encodeBound(size: number, cdValues?: CdValues): number {
    const cd = toWords(cdValues);
    return this.#call('bound', (x) => {
      if (!x.h5z_encode_bound) throw this.#readOnly('bound');
      if (!Number.isInteger(size) || size < 0 || size > MAX_BYTES) throw this.#error(-1, 'bound', { size });
      x.h5z_reset();
      const bound = x.h5z_encode_bound(this.#copyWords(x, cd), cd.length, size);
      if (bound === E_UNSUPPORTED && !this.canEncode) throw this.#readOnly('bound');
      if (bound < 0) throw this.#error(bound, 'bound', { size });
      return bound;
    });
  }

  derive(client: CdValues, dataset: DatasetDescription): Uint32Array {
    const cd = toWords(client);
    const struct = datasetStruct(dataset);
    return this.#call('derive', (x) => {
      if (!x.h5z_derive) throw this.#readOnly('derive');
      x.h5z_reset();
      const cdAt = this.#copyWords(x, cd);
      const structAt = this.#copyBytes(x, struct);
      const storedAt = this.#alloc(x, MAX_CD_VALUES * 4, 'derive');
      const n = x.h5z_derive(cdAt, cd.length, structAt, storedAt, MAX_CD_VALUES);
      if (n < 0) throw this.#error(n, 'derive cd_values', { client: Array.from(cd) });
      const stored = this.#view().slice(storedAt, storedAt + n * 4);
      return new Uint32Array(stored.buffer);
    });
  }

  restore(stored: CdValues): Uint32Array {
    const cd = toWords(stored);
    return this.#call('restore', (x) => {
      x.h5z_reset();
      const cdAt = this.#copyWords(x, cd);
      const clientAt = this.#alloc(x, MAX_CD_VALUES * 4, 'restore');
      const n = x.h5z_restore(cdAt, cd.length, clientAt, MAX_CD_VALUES);
      if (n < 0) throw this.#error(n, 'read cd_values', { stored: Array.from(cd) });
      return new Uint32Array(this.#view().slice(clientAt, clientAt + n * 4).buffer);
    });
  }

  async decodeAsync(chunk: Uint8Array, options?: DecodeOptions): Promise<Uint8Array> {
    return this.decode(chunk, options);
  }

  async encodeAsync(data: Uint8Array, options?: EncodeOptions): Promise<Uint8Array> {
    return this.encode(data, options);
  }

  /** Runs `work` on the instance; a trap costs the instance and becomes an internal error. */
  #call<T>(doing: string, work: (x: Exports) => T): T {
    this.#exports ??= start(new WebAssembly.Instance(this.module, {}));
    try {
      const result = work(this.#exports);
      if (this.#exports.memory.buffer.byteLength > KEEP_BYTES) this.#drop();
      return result;
    } catch (cause) {
      if (cause instanceof H5zError) throw cause;
      this.#drop();
      if (cause instanceof RangeError && /alloc|length/i.test(cause.message)) {
        throw filterError(E_MEMORY, `${this.#label()} ${doing}`, { cause }); // no room for the copy of the result
      }
      const problem = `${this.#label()} ${doing}: internal error: the codec trapped (${messageOf(cause)})`;
      throw new H5zError('H5Z_E_INTERNAL', problem, { cause });
    }
  }

  #drop(): void {
    this.#exports = undefined;
    this.#bytes = new Uint8Array(0);
  }

  /** All of the memory as it is now: growing it detaches earlier views. */
  #view(): Uint8Array {
    const buffer = this.#exports?.memory.buffer;
    if (buffer !== undefined && this.#bytes.buffer !== buffer) this.#bytes = new Uint8Array(buffer);
    return this.#bytes;
  }

  #alloc(x: Exports, size: number, doing: string): number {
    const address = size > MAX_BYTES ? 0 : x.h5z_alloc(Math.max(size, 1)) >>> 0;
    if (address === 0) throw this.#error(E_MEMORY, doing, { size });
    return address;
  }

  #copyBytes(x: Exports, bytes: Uint8Array): number {
    const address = this.#alloc(x, bytes.length, 'copy in');
    this.#view().set(bytes, address);
    return address;
  }

  #copyWords(x: Exports, words: Uint32Array): number {
    if (words.length === 0) return 0;
    return this.#copyBytes(x, new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }

  #label(): string {
    return `${this.name} (${this.id}, wasm)`;
  }

  /** `chunk`, where there is one: cd_values and bytes in memory, of which the filter may have more to say. */
  #error(
    code: number,
    doing: string,
    details: Readonly<Record<string, unknown>>,
    chunk?: readonly [cd: number, ncd: number, input: number, nin: number],
  ): H5zError {
    const explain = () => (chunk === undefined ? '' : this.#explain(...chunk));
    return filterError(code, `${this.#label()} ${doing}`, { explain, details: { id: this.id, ...details } });
  }

  #explain(cd: number, ncd: number, input: number, nin: number): string {
    const x = this.#exports;
    const address = x?.h5z_alloc(EXPLAIN_MAX) ?? 0;
    if (x === undefined || address === 0) return '';
    const length = x.h5z_explain(cd, ncd, input, nin, address, EXPLAIN_MAX);
    return new TextDecoder().decode(this.#view().slice(address, address + Math.max(0, length)));
  }

  #readOnly(doing: string): H5zError {
    return new H5zError(
      'H5Z_READ_ONLY',
      `${this.#label()} ${doing}: the module loaded from ${this.source} can only decode`,
    );
  }
}

/** A copy for the caller to keep. Node can be asked not to zero the memory first, which costs nearly as much as the copy. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const { Buffer } = globalThis;
  if (bytes.length < ZEROING_COUNTS || typeof Buffer?.allocUnsafeSlow !== 'function') return bytes.slice();
  const copy = new Uint8Array(Buffer.allocUnsafeSlow(bytes.length).buffer);
  copy.set(bytes);
  return copy;
}

function start(instance: WebAssembly.Instance): Exports {
  const exports = instance.exports as unknown as Exports;
  exports._initialize?.();
  return exports;
}

/** h5z_info: six u32 at the address returned: abi_version, id, flags, and the addresses of name, title, version. */
function readInfo(x: Exports): { abi: number; id: number; name: string } {
  const address = x.h5z_info() >>> 0;
  const view = new DataView(x.memory.buffer, address, 24);
  const nameAt = view.getUint32(12, true);
  const bytes = new Uint8Array(x.memory.buffer, nameAt, Math.min(256, x.memory.buffer.byteLength - nameAt));
  const end = bytes.indexOf(0);
  const name = new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
  return { abi: view.getUint32(0, true), id: view.getUint32(4, true), name };
}

/** HDF5's numbers of the datatype classes, H5T_class_t. */
export const TYPE_CLASSES: Readonly<Record<TypeClass, number>> = {
  integer: 0,
  float: 1,
  time: 2,
  string: 3,
  bitfield: 4,
  opaque: 5,
  compound: 6,
  reference: 7,
  enum: 8,
  vlen: 9,
  array: 10,
};

const STRUCT_SIZE = 624;
const MAX_RANK = 32;
const MAX_FILL = 64;

/** The 624 bytes of filter.h's h5z_dataset; offsets are drawn there. */
export function datasetStruct(dataset: DatasetDescription): Uint8Array {
  const { typeClass, typeSize, chunk, shape, fill } = dataset;
  const bad = (problem: string, remedy: string) => {
    throw new H5zError('H5Z_PARAMETER', `dataset description: ${problem}`, { remedy });
  };
  if (!Object.hasOwn(TYPE_CLASSES, typeClass))
    bad(`typeClass is "${typeClass}"`, `use ${Object.keys(TYPE_CLASSES).join(', ')}`);
  if (!Number.isInteger(typeSize) || typeSize < 1 || typeSize > MAX_BYTES) {
    bad(`typeSize is ${typeSize}`, 'use the size of one element in bytes');
  }
  for (const dims of [chunk, shape ?? []]) {
    if (dims.length > MAX_RANK) bad(`there are ${dims.length} dimensions`, `use at most ${MAX_RANK}`);
    if (!dims.every((n) => Number.isSafeInteger(n) && n >= 0))
      bad(`dimensions are ${dims.join(' x ')}`, 'use counts of elements');
  }
  if (fill && fill.length > MAX_FILL)
    bad(`the fill value has ${fill.length} bytes`, `leave out fill values over ${MAX_FILL} bytes`);

  const bytes = new Uint8Array(STRUCT_SIZE);
  const view = new DataView(bytes.buffer);
  const words = [
    STRUCT_SIZE,
    TYPE_CLASSES[typeClass],
    typeSize,
    TYPE_CLASSES[dataset.baseClass ?? typeClass],
    dataset.baseSize ?? typeSize,
    dataset.signed ? 1 : 0,
    dataset.bigEndian ? 1 : 0,
    dataset.precision ?? (typeClass === 'integer' || typeClass === 'float' ? typeSize * 8 : 0),
    dataset.bitOffset ?? 0,
    chunk.length,
  ];
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, true);
  for (const [i, n] of chunk.entries()) view.setBigUint64(40 + i * 8, BigInt(n), true);
  for (const [i, n] of (shape ?? []).entries()) view.setBigUint64(296 + i * 8, BigInt(n), true);
  if (fill) {
    view.setUint32(552, 1, true);
    view.setUint32(556, fill.length, true);
    bytes.set(fill, 560);
  }
  return bytes;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
