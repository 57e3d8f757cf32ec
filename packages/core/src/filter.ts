// Makes a filter package of its description, its manifest and the places of its files. The dist/ of every package is a
// thin shell around defineFilter: which variant loads, in which order, what is checked and what is said lives here.

import { H5zError, isH5zError } from './errors.js';
import type { FilterDescription, Manifest, NativeFile, WasmFile } from './generated/schema.js';
import { checkSha256 } from './integrity.js';
import { fromStoredValues, toClientValues } from './params.js';
import type {
  CdValues,
  Codec,
  FilterPackage,
  FilterSpec,
  GpuKernels,
  LoadOptions,
  SideModule,
  WasmSource,
} from './types.js';
import { loadWasm, readWasm } from './wasm.js';

/** What a package says of itself: its dist/about.js. */
export interface FilterAbout {
  readonly package: { readonly name: string; readonly version: string };
  readonly description: FilterDescription;
  readonly manifest: Manifest;
}

/** Loads native libraries; @h5z/core/node makes one. */
export interface NativeHost {
  /** This process's platform, such as linux-x64-musl. */
  platform(): string;
  /** Loads the library `file` says, checked against its hash. Undefined when @h5z/native is not installed. */
  load(url: URL, file: NativeFile): Promise<Codec | undefined>;
}

/** Where the files of a package are, as one exports condition sees them. */
export interface FilterFiles {
  /** The decode-only module. A function, so that nothing is resolved before it is needed. */
  readonly decode?: () => WasmSource | Promise<WasmSource>;
  /** The module that can encode too. */
  readonly full?: () => WasmSource | Promise<WasmSource>;
  /** The side module for h5wasm. */
  readonly h5wasm?: () => URL;
  /** The WGSL kernels: dist/webgpu.js. */
  readonly webgpu?: () => Promise<{ readonly kernels: string }>;
  /** The package's root, where its files lie as they were packed. Absent in bundles. */
  readonly root?: () => URL;
  /** Reads file: URLs where fetch cannot. */
  readonly readFile?: (url: URL) => Promise<Uint8Array>;
  readonly native?: NativeHost;
}

type Choice = 'native' | 'wasm';
const CHOICES: readonly Choice[] = ['native', 'wasm'];

/** The package that a filter's dist/ exports: callable for a FilterSpec, with `load()` and the rest of {@link FilterPackage}. */
export function defineFilter<O extends object = Record<string, unknown>>(
  about: FilterAbout,
  files: FilterFiles,
): FilterPackage<O> {
  const { description, manifest } = about;
  const loaded = new Map<string, Promise<Codec>>();
  const warned = new Set<string>();
  const label = `${description.name} (${description.id})`;

  const once = (key: string, load: () => Promise<Codec>): Promise<Codec> => {
    const codec = loaded.get(key) ?? load();
    loaded.set(key, codec);
    codec.catch(() => loaded.delete(key));
    return codec;
  };

  const warn = (problem: H5zError, options: LoadOptions) => {
    if (warned.has(problem.message)) return;
    warned.add(problem.message);
    emitWarning(problem, options);
  };

  /** The native codec; undefined when there is none to be had and nobody asked for it by name. */
  const loadNative = async (): Promise<Codec> => {
    const { native, root } = files;
    const nowhere = (problem: string, remedy: string) =>
      new H5zError('H5Z_NO_PLATFORM', `${label}: ${problem}`, { remedy });
    if (native === undefined || root === undefined) {
      throw nowhere(
        'native libraries do not load here',
        'use the WebAssembly variant, or run in Node with addons allowed',
      );
    }
    const platform = native.platform();
    const file = manifest.variants.native.find((entry) => entry.platform === platform);
    if (file === undefined) {
      const have = manifest.variants.native.map((entry) => entry.platform).join(', ') || 'none';
      throw nowhere(
        `${about.package.name} has no native library for ${platform} (it has ${have})`,
        'use the WebAssembly variant',
      );
    }
    return once('native', async () => {
      const codec = await native.load(new URL(file.file, root()), file);
      if (codec === undefined)
        throw nowhere('@h5z/native is not installed', 'run npm i @h5z/native, or use the WebAssembly variant');
      if (codec.id === description.id) return codec;
      throw new H5zError('H5Z_NATIVE_LOAD', `${label}: ${file.file} holds filter ${codec.id}`, {
        remedy: 'reinstall the package',
      });
    });
  };

  const wasmFile = (kind: 'decode' | 'full'): WasmFile | undefined =>
    manifest.variants.wasm.find((entry) => entry.encode === (kind === 'full'));

  const loadModule = async (options: LoadOptions): Promise<Codec> => {
    const kind = options.encode || files.decode === undefined ? 'full' : 'decode';
    const full = loaded.get('full');
    if (kind === 'decode' && full !== undefined) return full;
    const source = files[kind];
    if (source === undefined) {
      throw new H5zError('H5Z_NO_PLATFORM', `${label}: this build of ${about.package.name} has no WebAssembly`, {
        remedy: 'use the native variant, or pass the module as load({ wasm })',
      });
    }
    return once(kind, async () => {
      const given = await source();
      const file = wasmFile(kind);
      const label = given instanceof WebAssembly.Module && file ? { source: `${about.package.name}/${file.file}` } : {};
      return loadWasm(given, { id: description.id, ...label, ...checks(files, file?.sha256) });
    });
  };

  const load = async (options: LoadOptions = {}): Promise<Codec> => {
    if (options.wasm !== undefined) {
      return loadWasm(options.wasm, { id: description.id, ...checks(files, undefined) });
    }
    const { order, asked } = variantOrder(description.name, options);
    let failure: unknown;
    for (const variant of order) {
      try {
        return await (variant === 'native' ? loadNative() : loadModule(options));
      } catch (error) {
        // Damaged or exchanged files are refused, never worked around: what else in the package is not what it was?
        if (!isH5zError(error) || error.code === 'H5Z_INTEGRITY' || order.length === 1) throw error;
        // Absence is no fault unless native was asked for; a library that is there and fails is.
        if (variant === 'native' && (error.code !== 'H5Z_NO_PLATFORM' || asked)) {
          warn(
            new H5zError(error.code, error.message, { cause: error, remedy: 'decoding goes on in WebAssembly' }),
            options,
          );
        }
        failure ??= error;
        if (variant === 'wasm') failure = error;
      }
    }
    throw failure;
  };

  const sideModule = async (): Promise<SideModule | undefined> => {
    const entry = manifest.variants.h5wasm[0];
    if (entry === undefined || files.h5wasm === undefined) return undefined;
    const url = files.h5wasm();
    const bytes = () => readWasm(url, checks(files, entry.sha256));
    return Object.freeze({ id: description.id, name: description.name, url, sha256: entry.sha256, bytes });
  };

  const kernels = async (kind: 'cuda' | 'webgpu'): Promise<GpuKernels> => {
    const entry = manifest.variants[kind];
    const { mode, reason, file, sha256, encode = false } = entry;
    const none = (why: string): GpuKernels => ({ kind, mode: 'none', reason: why, encode: false });
    if (mode === 'none' || file === undefined || sha256 === undefined) return none(reason);
    const text = async (): Promise<string | undefined> => {
      if (kind === 'webgpu') return (await files.webgpu?.())?.kernels;
      if (files.root === undefined || files.readFile === undefined) return undefined;
      return new TextDecoder().decode(await files.readFile(new URL(file, files.root())));
    };
    const found = await text();
    if (found === undefined) return none(`this build of ${about.package.name} carries no kernels for ${kind}`);
    await checkSha256(new TextEncoder().encode(found), sha256, `${about.package.name}/${file}`);
    return { kind, mode, reason, encode, text: found };
  };

  const spec = (options: object = {}): FilterSpec =>
    Object.freeze({
      id: description.id,
      name: description.name,
      cdValues: toClientValues(description, options),
      options: Object.freeze({ ...options }),
    });

  return Object.freeze(
    Object.assign(spec, {
      id: description.id,
      canonicalName: description.name,
      title: description.title,
      aliases: Object.freeze((description.aliases ?? []).map((alias) => alias.id)),
      package: about.package,
      description,
      manifest,
      load,
      sideModule,
      kernels,
      locate: (file: string): URL | undefined => (files.root ? new URL(file, files.root()) : undefined),
      describe: async (stored: CdValues) =>
        fromStoredValues(description, stored, description.restore ? (await load()).restore(stored) : undefined),
    }),
  );
}

function checks(files: FilterFiles, sha256: string | undefined) {
  return {
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(files.readFile === undefined ? {} : { readFile: files.readFile }),
  };
}

/** Variants in the order of trying; `asked` when somebody named the first one. Options go before H5Z_PREFER. */
export function variantOrder(name: string, options: LoadOptions = {}): { order: readonly Choice[]; asked: boolean } {
  if (options.only !== undefined) return { order: [checkChoice(options.only, 'only')], asked: true };
  const first = options.prefer === undefined ? preferred(name) : checkChoice(options.prefer, 'prefer');
  return { order: first === 'wasm' ? ['wasm', 'native'] : CHOICES, asked: first !== undefined };
}

/** H5Z_PREFER=wasm, or per filter: H5Z_PREFER="zstd=wasm,native" (the last word without a name is for all others). */
function preferred(name: string): Choice | undefined {
  const setting = globalThis.process?.env?.H5Z_PREFER ?? '';
  let general: Choice | undefined;
  let own: Choice | undefined;
  for (const entry of setting.split(',').map((word) => word.trim())) {
    if (entry === '') continue;
    const [left, right] = entry.split('=').map((word) => word.trim());
    if (right === undefined) general = checkChoice(left, 'H5Z_PREFER');
    else if (left === name) own = checkChoice(right, 'H5Z_PREFER');
    else checkChoice(right, 'H5Z_PREFER');
  }
  return own ?? general;
}

function checkChoice(value: string | undefined, from: string): Choice {
  if (value === 'native' || value === 'wasm') return value;
  throw new H5zError('H5Z_PARAMETER', `${from} names the variant "${value}"`, { remedy: 'use native or wasm' });
}

function emitWarning(problem: H5zError, options: LoadOptions): void {
  if (options.onWarning) options.onWarning(problem);
  else if (typeof globalThis.process?.emitWarning === 'function') globalThis.process.emitWarning(problem);
  else console.warn(problem.message);
}
