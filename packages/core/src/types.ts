// The shapes every h5z package speaks: a filter in a pipeline, a loaded codec, a filter package, a dataset's description.
// Nothing here does anything; core imports nothing of the project.

import type { FilterDescription, Manifest } from './generated/schema.js';
import type { PipelineHost } from './pipeline.js';

/** Which built form of a filter decodes. `host` is libhdf5's own built-in, never ours. */
export type Variant = 'native' | 'wasm' | 'h5wasm' | 'host';

/** Where a native variant runs: the eight names of the manifest's schema. */
export type { Platform } from './generated/schema.js';

/** cd_values: unsigned 32-bit words. Signed parameters and doubles lie in them as their bit patterns. */
export type CdValues = Uint32Array | readonly number[];

/** One stage of a dataset's pipeline, as HDF5 and its readers report it. */
export interface PipelineStage {
  /** HDF5 filter ID. */
  readonly id: number;
  /** *Stored* cd_values, as they lie in the file. */
  readonly cdValues: CdValues;
  /** H5Z_FLAG_*: bit 0 = optional. Default 0. */
  readonly flags?: number;
  /** Name kept in the file, for messages. */
  readonly name?: string;
}

/** What a caller asks for when creating a dataset: *client* cd_values, made from readable options. */
export interface FilterSpec {
  readonly id: number;
  readonly name: string;
  readonly cdValues: Uint32Array;
  readonly options: Readonly<Record<string, unknown>>;
}

/** HDF5 datatype classes by name; the numbers are H5T_class_t's, see packages/abi/include/h5z/filter.h. */
export type TypeClass =
  | 'integer'
  | 'float'
  | 'time'
  | 'string'
  | 'bitfield'
  | 'opaque'
  | 'compound'
  | 'reference'
  | 'enum'
  | 'vlen'
  | 'array';

/** What `derive` (HDF5's set_local) may know of the dataset being created. Sizes in bytes, dims in elements, slowest first. */
export interface DatasetDescription {
  readonly typeClass: TypeClass;
  readonly typeSize: number;
  readonly baseClass?: TypeClass;
  readonly baseSize?: number;
  readonly signed?: boolean;
  readonly bigEndian?: boolean;
  readonly precision?: number;
  readonly bitOffset?: number;
  readonly chunk: readonly number[];
  readonly shape?: readonly number[];
  /** Fill value in the stored byte order, at most 64 bytes. */
  readonly fill?: Uint8Array;
}

export interface DecodeOptions {
  /** Stored cd_values. Default: none. */
  readonly cdValues?: CdValues;
  /** Upper bound of the output in bytes: the chunk's size. A chunk that asks for more is refused. */
  readonly size?: number;
}

export interface EncodeOptions {
  /** Stored cd_values (what `derive` returned). Default: none. */
  readonly cdValues?: CdValues;
}

/**
 * A filter loaded in one variant. Safe to keep for the life of the program; methods are synchronous and re-entrant,
 * returned arrays belong to the caller, arguments are only read. Every failure is an {@link H5zError} with a `code`.
 */
export interface Codec {
  readonly id: number;
  readonly name: string;
  readonly variant: Variant;
  /** File or URL the code came from, for messages and `h5z which`. */
  readonly source: string;
  readonly canEncode: boolean;
  /** Decoded chunk, exactly as long as its content. */
  decode(chunk: Uint8Array, options?: DecodeOptions): Uint8Array;
  /** Decodes into `out`, returns bytes written; never writes past `out`. */
  decodeInto(chunk: Uint8Array, out: Uint8Array, options?: DecodeOptions): number;
  /** Size the chunk claims, or undefined when neither header nor cd_values say. */
  decodedSize(chunk: Uint8Array, cdValues?: CdValues): number | undefined;
  encode(data: Uint8Array, options?: EncodeOptions): Uint8Array;
  encodeInto(data: Uint8Array, out: Uint8Array, options?: EncodeOptions): number;
  /** Most bytes `encode` may need for `size` bytes of input. Most decode-only modules can say it too. */
  encodeBound(size: number, cdValues?: CdValues): number;
  /** Client cd_values -> stored cd_values for this dataset. */
  derive(client: CdValues, dataset: DatasetDescription): Uint32Array;
  /** Stored cd_values -> the client cd_values that stand for the same choices; the same values where the two do not differ. */
  restore(stored: CdValues): Uint32Array;
  /** Off the calling thread where the variant can (native); elsewhere the same work in a resolved promise. */
  decodeAsync(chunk: Uint8Array, options?: DecodeOptions): Promise<Uint8Array>;
  encodeAsync(data: Uint8Array, options?: EncodeOptions): Promise<Uint8Array>;
  /** Runs pipelines whose codecs all have the same one as single jobs. Absent: their stages run one after the other. */
  readonly host?: PipelineHost;
  /** The compiled standalone module that this codec runs, where it runs one: workers can run it too. */
  readonly module?: WebAssembly.Module;
}

/** WASM handed in by the caller: bytes, a compiled module, a URL, or a fetch Response. */
export type WasmSource = WebAssembly.Module | ArrayBuffer | Uint8Array | URL | string | Response;

export interface LoadOptions {
  /** Variant to try first, or the only one with `only`. `H5Z_PREFER` does the same where there is an environment. */
  readonly prefer?: 'native' | 'wasm';
  /** Fail instead of falling through to another variant. */
  readonly only?: 'native' | 'wasm';
  /** Needs the encoder: loads the full module instead of the decode-only one. */
  readonly encode?: boolean;
  /** WASM supplied by the caller; used as given, without a hash check. */
  readonly wasm?: WasmSource | Promise<WasmSource>;
  /** Called once per problem that was survived, such as a native file that would not load. Default: console.warn / process warning. */
  readonly onWarning?: (warning: Error & { code: string }) => void;
}

/** The side module a filter package carries for h5wasm (HDF5 itself in WebAssembly), as `@h5z/readers/h5wasm` takes it. */
export interface SideModule {
  readonly id: number;
  readonly name: string;
  /** Literal `new URL('../wasm/<name>.h5wasm.wasm', import.meta.url)`, so that bundlers carry the file along. */
  readonly url: URL;
  /** Lower-case hex, from the manifest. */
  readonly sha256: string;
  /** Reads (file system) or fetches (elsewhere) the file and checks it; `H5Z_INTEGRITY` names both hashes. */
  bytes(): Promise<Uint8Array>;
}

/** What a filter package has for a kind of GPU. `@h5z/gpu` runs it. */
export interface GpuKernels {
  readonly kind: 'cuda' | 'webgpu';
  /** none: there is no `text`, and `reason` says why. */
  readonly mode: 'full' | 'partial' | 'none';
  /** What is missing and why, as the manifest says it. */
  readonly reason: string;
  readonly encode: boolean;
  /** PTX or WGSL, of the manifest's hash. */
  readonly text?: string;
}

/** What `import zstd from '@h5z/zstd'` gives: call it with options for a {@link FilterSpec}, or `load()` the codec. */
export interface FilterPackage<O extends object = Record<string, unknown>> {
  (options?: O): FilterSpec;
  readonly id: number;
  /** Canonical name. (A function's own `name` is its identifier in the source, hence the longer word.) */
  readonly canonicalName: string;
  readonly title: string;
  readonly aliases: readonly number[];
  /** npm name and version. */
  readonly package: { readonly name: string; readonly version: string };
  /** filter.json as published. */
  readonly description: FilterDescription;
  /** manifest.json: the package's files with sizes and hashes. */
  readonly manifest: Manifest;
  load(options?: LoadOptions): Promise<Codec>;
  /** The h5wasm side module; undefined when the package has none. Loads nothing until `bytes()`. */
  sideModule(): Promise<SideModule | undefined>;
  /** The kernels for a kind of GPU, or why there are none. Throws H5Z_INTEGRITY for a text that is not the manifest's. */
  kernels(kind: 'cuda' | 'webgpu'): Promise<GpuKernels>;
  /** Where a file of the manifest lies; undefined where the package was bundled and only its parts have URLs. */
  locate(file: string): URL | undefined;
  /**
   * Stored cd_values of a file -> the words `filter.json` gives them. Loads the codec when the filter packs its parameters
   * ("restore" in filter.json); throws the filter's error for values that it never wrote.
   */
  describe(stored: CdValues): Promise<Readonly<Record<string, unknown>>>;
}

export type {
  Derived,
  FilterDescription,
  Manifest,
  NativeFile,
  Parameter,
  Place,
  SideModuleFile,
  WasmFile,
} from './generated/schema.js';
