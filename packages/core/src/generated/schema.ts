// Types of filter.json and manifest.json, generated from registry/schema by packages/core/scripts/generate-schema.ts.
// Change the schemas, then run that script; do not edit here.

/**
 * HDF5 filter ID (uint16).
 */
export type FilterId = number;
/**
 * One choice of the caller.
 */
export type Parameter = {
  name: Identifier;
  /**
   * Its type in JavaScript; an enum is one of the words in `values`.
   */
  type: 'integer' | 'number' | 'boolean' | 'enum';
  /**
   * What it means, for the docs and the editor.
   */
  doc: string;
  /**
   * Unit of the number, such as elements or bytes.
   */
  unit?: string;
  default?: Scalar;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  /**
   * The words of an enum and the number each stands for.
   */
  values?: {
    [k: string]: number;
  };
  /**
   * The parameter exists only when these other parameters have this value (or one of these).
   */
  when?: {
    [k: string]: Scalar | Scalar[];
  };
  /**
   * True when the filter takes the default if the word is missing: left out of the client cd_values when nobody gave it and nothing follows it.
   */
  omittable?: boolean;
  /**
   * What a lossy encoder promises by this number b, for finite values: absolute |x - y| <= b; range |x - y| <= b (max - min); pointwise |x - y| <= b |x|; psnr 20 log10((max - min) / RMS error) >= b.
   */
  bounds?: 'absolute' | 'range' | 'pointwise' | 'psnr';
  client: Place;
  stored?: Place;
};
/**
 * A JavaScript identifier in camelCase.
 */
export type Identifier = string;
/**
 * A parameter's value in readable form.
 */
export type Scalar = number | string | boolean;
/**
 * Where a value lies in cd_values.
 */
export type Place = {
  /**
   * Index of the (first) word.
   */
  word: number;
  as?: Encoding;
  /**
   * Lowest bit; only with as: bits, fixed, log2.
   */
  shift?: number;
  /**
   * Number of bits; only with as: bits, fixed, log2.
   */
  width?: number;
  /**
   * How many of the bits lie behind the point; only with as: fixed, log2.
   */
  fraction?: number;
};
/**
 * How the value lies in its words: float64-le takes two words, low first; float64-be two words, high first; bits takes `width` bits from bit `shift` up. In such bits too: fixed, a number from 0 up with `fraction` bits behind the point, to the nearest; log2, a positive number's binary logarithm with `fraction` bits behind the point, its sign in the highest bit, rounded down.
 */
export type Encoding = 'uint32' | 'int32' | 'bool' | 'float64-le' | 'float64-be' | 'bits' | 'fixed' | 'log2';
/**
 * Whether the kernels ask for scratch as large as what they write: always, never, or by one of these rules. Default false.
 */
export type GpuScratch = boolean | GpuRule[];

/**
 * filter.json: the single source of truth about one HDF5 filter. Typed options, validation, cd_values, docs and the manifest are made from it.
 */
export interface FilterDescription {
  /**
   * Where this schema lies, for editors.
   */
  $schema?: string;
  id: FilterId;
  /**
   * Canonical name, case-sensitive: HDF5's rule for filter names. Also the name of the folder and of the built files.
   */
  name: string;
  /**
   * One line for people; HDF5 shows it in its error stack.
   */
  title: string;
  /**
   * One or two sentences for the docs page and npm.
   */
  summary: string;
  /**
   * True when decode(encode(x)) may differ from x.
   */
  lossy: boolean;
  /**
   * True when the filter may only be used with H5Z_FLAG_OPTIONAL. Default false.
   */
  onlyOptional?: boolean;
  /**
   * Other filter IDs under which old files keep the same bytes.
   */
  aliases?: Alias[];
  /**
   * SPDX expression of the filter's own code.
   */
  licence: string;
  /**
   * Upstream codecs: names of folders in upstreams/, or the upstream's description inline.
   */
  upstreams: (string | InlineUpstream)[];
  /**
   * What a caller may choose, in the order in which people should read it.
   */
  parameters: Parameter[];
  /**
   * Least number of client cd_values, filled up with zeros, for filters whose other implementations refuse fewer.
   */
  clientWords?: number;
  /**
   * True when the stored cd_values pack the parameters, so that only the filter's own `restore` (filter.h) turns them back into the client values that the parameters' places describe. Default false.
   */
  restore?: boolean;
  gpu?: GpuLaunch;
  /**
   * Stored cd_values that HDF5's set_local adds: facts about the dataset, not choices.
   */
  derived?: Derived[];
  zarr?: Zarr;
  variants: Variants;
  /**
   * What the format can hold.
   */
  limits?: {
    /**
     * Largest chunk, in bytes, that can be encoded.
     */
    maxChunkBytes?: number;
  };
  /**
   * Sizes that fail the build when exceeded.
   */
  sizeBudget?: {
    /**
     * Size of the npm tarball in bytes.
     */
    packedBytes?: number;
  };
}
/**
 * Another ID for the same bytes, and how to tell when the ID has a rightful owner too.
 */
export interface Alias {
  id: FilterId;
  /**
   * Who wrote files with this ID, and when.
   */
  doc: string;
  /**
   * Regular expression (case-insensitive) that the name kept in the file must match. Absent: any name, or none.
   */
  storedName?: string;
  /**
   * Fewest stored cd_values of such files.
   */
  minWords?: number;
  /**
   * Most stored cd_values of such files.
   */
  maxWords?: number;
}
/**
 * The content of an upstream.json, for filters outside this repository.
 */
export interface InlineUpstream {
  name: string;
  version: string;
  /**
   * SPDX expression.
   */
  licence: string;
}
/**
 * What whoever launches the kernels has to know.
 */
export interface GpuLaunch {
  /**
   * Lanes of a group on CUDA: 32, a warp, where lanes wait for each other at every token. Default 128.
   */
  lanes?: number;
  scratch?: {
    decode?: GpuScratch;
    encode?: GpuScratch;
  };
  /**
   * cd_values of which no kernel takes any chunk: those go to the CPU unseen.
   *
   * @minItems 1
   */
  refuses?: GpuRule[];
  /**
   * Encoding makes any bytes longer by `adds`, where the rule holds: then the CPU may undo the stages behind and the GPU this one.
   */
  size?: {
    adds: number;
    rule?: GpuRule;
  };
}
/**
 * Stored cd_values of some kind. What a rule does not speak of may be anything; a word that is missing counts as 0.
 */
export interface GpuRule {
  /**
   * Parameters and derived words that have this value, or one of these.
   */
  when?: {
    [k: string]: Scalar | Scalar[];
  };
  /**
   * Parameters and derived words whose product is more than `above`.
   *
   * @minItems 1
   */
  product?: Identifier[];
  above?: number;
  /**
   * Why, for people.
   */
  reason?: string;
}
/**
 * A stored word that describes the dataset.
 */
export interface Derived {
  name: Identifier;
  type: 'integer' | 'number' | 'boolean' | 'enum';
  doc: string;
  unit?: string;
  values?: {
    [k: string]: number;
  };
  stored: Place;
}
/**
 * The codec of Zarr version 2 (numcodecs) whose chunks are the same bytes: the native library then serves netCDF-C's NCZarr too.
 */
export interface Zarr {
  /**
   * Its name in numcodecs.
   */
  id: string;
  /**
   * Members of its JSON beside id; of parameter, value and word each has one.
   */
  members?: ({
    [k: string]: unknown;
  } & {
    name: string;
    /**
     * A JavaScript identifier in camelCase.
     */
    parameter?: string;
    /**
     * An enum's number in place of its word.
     */
    as?: 'number';
    /**
     * Always this, and not looked at when read.
     */
    value?: number;
    /**
     * The stored word at this index: a fact about the variable, which must agree when read.
     */
    word?: number;
  })[];
}
/**
 * The forms the filter is built in.
 */
export interface Variants {
  /**
   * Native library, one per platform.
   */
  native?: {};
  /**
   * Standalone WebAssembly, in two modules: everything, and decode only.
   */
  wasm?: {
    /**
     * Built with 128-bit SIMD. Default false.
     */
    simd?: boolean;
  };
  /**
   * Side module for h5wasm.
   */
  h5wasm?: {
    /**
     * Built with 128-bit SIMD. Default false.
     */
    simd?: boolean;
  };
  cuda?: GpuVariant;
  webgpu?: GpuVariant;
}
/**
 * Whether and how far the filter decodes on a GPU.
 */
export interface GpuVariant {
  mode: 'full' | 'partial' | 'none';
  /**
   * What is missing and why.
   */
  reason?: string;
}

export type Platform =
  | 'linux-x64'
  | 'linux-x64-musl'
  | 'linux-arm64'
  | 'linux-arm64-musl'
  | 'darwin-x64'
  | 'darwin-arm64'
  | 'win32-x64'
  | 'win32-arm64';
/**
 * Path relative to the package's root, with forward slashes.
 */
export type File = string;
/**
 * SHA-256 in hex.
 */
export type Sha256 = string;
/**
 * How far the file was tried: built only, loaded, or its code ran on its platform and gave the golden bytes.
 */
export type Verified = 'built' | 'loaded' | 'executed';
/**
 * What loaded or executed it, such as Node, qemu-user and musl 1.2.5, or wine 8.0. Absent when it was built only.
 */
export type VerifiedOn = string;

/**
 * manifest.json: what a published filter package holds. Made from filter.json and the built files when the package is packed.
 */
export interface Manifest {
  $schema?: string;
  /**
   * Version of this format.
   */
  manifestVersion: 1;
  package: {
    /**
     * npm name.
     */
    name: string;
    /**
     * npm version.
     */
    version: string;
  };
  filter: {
    /**
     * HDF5 filter ID.
     */
    id: number;
    /**
     * Canonical name.
     */
    name: string;
    title: string;
    lossy: boolean;
    /**
     * SPDX expression of the filter's own code.
     */
    licence: string;
    /**
     * Other IDs for the same bytes.
     */
    aliases: number[];
  };
  /**
   * H5Z_ABI_VERSION of the built files.
   */
  abi: number;
  variants: {
    native: NativeFile[];
    wasm: WasmFile[];
    h5wasm: SideModuleFile[];
    cuda: Gpu;
    webgpu: Gpu;
  };
  /**
   * The codecs inside, as fetched.
   */
  upstreams: {
    name: string;
    version: string;
    /**
     * SPDX expression.
     */
    licence: string;
    /**
     * SHA-256 in hex.
     */
    tree: string;
  }[];
  /**
   * Licence texts in the package, relative to its root.
   */
  licences: string[];
}
export interface NativeFile {
  platform: Platform;
  file: File;
  size: number;
  sha256: Sha256;
  encode: boolean;
  decode: boolean;
  /**
   * The oldest system it runs on.
   */
  minimum: {
    /**
     * Such as macOS 11.0 or Windows 10.
     */
    os?: string;
    /**
     * Such as glibc 2.17 or musl 1.2.
     */
    libc?: string;
  };
  verified: Verified;
  verifiedOn?: VerifiedOn;
}
export interface WasmFile {
  file: File;
  size: number;
  sha256: Sha256;
  encode: boolean;
  decode: boolean;
  simd: boolean;
  verified: Verified;
  verifiedOn?: VerifiedOn;
}
export interface SideModuleFile {
  file: File;
  size: number;
  sha256: Sha256;
  encode: boolean;
  decode: boolean;
  simd: boolean;
  /**
   * Range of h5wasm versions it loads into.
   */
  host: string;
  verified: Verified;
  verifiedOn?: VerifiedOn;
}
export interface Gpu {
  mode: 'full' | 'partial' | 'none';
  reason: string;
  /**
   * The kernels, as text: PTX 6.0 for sm_70 and later, or WGSL.
   */
  file?: string;
  size?: number;
  sha256?: Sha256;
  /**
   * The kernels can encode too; they can always decode.
   */
  encode?: boolean;
  /**
   * GPUs on which the file decoded the golden chunks. Empty: it ran nowhere but on processors (built for them, or on a GPU's stand-in).
   */
  verifiedOn?: string[];
}
