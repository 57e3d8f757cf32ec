// @h5z/readers/h5wasm: h5z's filters inside h5wasm (HDF5 in WebAssembly), for reading and writing.
//
//   import * as h5wasm from 'h5wasm/node';
//   import zstd from '@h5z/zstd';
//   import { compression, install } from '@h5z/readers/h5wasm';
//
//   await install(h5wasm, { for: [32015], packages: [zstd] });
//   file.get('data').value;                                                       // decoded, or an error that says why
//   file.create_dataset({ name, data, shape, chunks, ...compression(zstd({ level: 9 })) });
//
// h5wasm loads plugins by a synchronous dlopen from folders of its virtual file system. Each side module gets a folder of
// its own: libhdf5 opens every file of a folder it searches, so that one folder for all would compile them all.

import { type FilterSpec, H5zError } from '@h5z/core';
import { type AnyFilterPackage, missingFilter, type Registry } from '@h5z/registry';
import {
  type H5FileSystem,
  type H5Location,
  type H5Module,
  type H5wasm,
  hasRealFileSystem,
  moduleOf,
} from './h5wasm-module.js';
import { HOST_FILTERS, type InstalledFilter, type State, stateOf } from './h5wasm-state.js';

export type { H5Filter, H5Location, H5Metadata, H5wasm } from './h5wasm-module.js';
export { canonicalBytes, type RawDataset, type RawType, readRaw } from './h5wasm-raw.js';
export { HOST_FILTERS, type InstalledFilter } from './h5wasm-state.js';

/** Something whose filters are wanted: a filter ID, a spec, or an h5wasm Dataset, Group or File. */
export type Wanted = number | FilterSpec | H5Location;

export interface InstallOptions {
  /** What will be read or written. A File or Group means every dataset in it. Default: every package given. */
  readonly for?: Wanted | readonly Wanted[];
  /** The filter packages to choose from. */
  readonly packages?: readonly AnyFilterPackage[];
  /** Or a registry that knows them: `createRegistry([...])`, or in Node `await installed()`. */
  readonly registry?: Registry;
}

export interface Installation {
  /** What this call asked for and is now in place, whether by this call or an earlier one. */
  readonly filters: readonly InstalledFilter[];
  /** Filters that datasets of a File or Group use and no package provides: reading those datasets will say so. */
  readonly missing: readonly { readonly id: number; readonly name: string }[];
}

/**
 * Puts the side modules that `for` needs into h5wasm, each once, their bytes checked against the package's manifest, and
 * from then on makes h5wasm throw an {@link H5zError} where it used to return garbage.
 *
 * Errors: `H5Z_PARAMETER` without packages; `H5Z_MISSING_FILTER` or `H5Z_UNKNOWN_FILTER` when an ID or Dataset that was asked for has no package (datasets
 * found inside a File or Group only fail when read), `H5Z_INTEGRITY`, `H5Z_WASM_LOAD`.
 */
export async function install(h5wasm: H5wasm, options: InstallOptions): Promise<Installation> {
  if (options.packages === undefined && options.registry === undefined) {
    throw new H5zError('H5Z_PARAMETER', 'install was given no filter packages', {
      remedy: "pass packages: [zstd] (import zstd from '@h5z/zstd'), or a registry",
    });
  }
  const module = await moduleOf(h5wasm);
  const state = stateOf(module);
  const packages = new Map<number, AnyFilterPackage>();
  for (const one of [...(options.registry?.packages ?? []), ...(options.packages ?? [])]) packages.set(one.id, one);

  const { required, found } = wantedIds(module, options.for ?? [...packages.keys()]);
  const absent = [...required].filter(([id]) => !packages.has(id) && !state.ready.has(id));
  if (absent.length > 0)
    throw missingFilter(
      absent.map(([id, name]) => ({ id, name })),
      'cannot install for h5wasm',
    );

  const filters: Promise<InstalledFilter>[] = [];
  const notProvided: { id: number; name: string }[] = [];
  for (const [id, name] of new Map([...found, ...required])) {
    const known = state.installed.get(id);
    const pkg = packages.get(id);
    if (known) filters.push(known);
    else if (pkg) filters.push(installOne(state, pkg));
    else notProvided.push({ id, name });
  }
  return { filters: await Promise.all(filters), missing: notProvided };
}

/** What h5wasm's `create_dataset` takes for a filter: `{ ...compression(zstd({ level: 9 })) }` beside `chunks`. */
export function compression(spec: FilterSpec): { compression: number; compression_opts: number[] } {
  return { compression: spec.id, compression_opts: Array.from(spec.cdValues) };
}

/** IDs that must be there (asked for by ID, spec or Dataset) and IDs found in the datasets of Files and Groups, with names. */
function wantedIds(module: H5Module, wanted: Wanted | readonly Wanted[]) {
  const required = new Map<number, string>();
  const found = new Map<number, string>();
  const add = (to: Map<number, string>, id: number, name: string) => {
    if (!HOST_FILTERS.has(id)) to.set(id, name);
  };
  for (const one of Array.isArray(wanted) ? (wanted as readonly Wanted[]) : [wanted as Wanted]) {
    if (typeof one === 'number') add(required, one, '');
    else if ('file_id' in one) {
      if (module.get_type(one.file_id, one.path) === module.H5G_DATASET) {
        for (const f of module.get_dataset_filters(one.file_id, one.path)) add(required, f.id, f.name);
        continue;
      }
      for (const name of module.get_names(one.file_id, one.path, true)) {
        const path = `${one.path.replace(/\/$/, '')}/${name}`;
        if (module.get_type(one.file_id, path) !== module.H5G_DATASET) continue;
        for (const f of module.get_dataset_filters(one.file_id, path)) add(found, f.id, f.name);
      }
    } else add(required, one.id, one.name);
  }
  return { required, found };
}

function installOne(state: State, pkg: AnyFilterPackage): Promise<InstalledFilter> {
  const work = putInPlace(state, pkg);
  state.installed.set(pkg.id, work);
  // A failure (offline, a flipped byte) is not remembered: the next call tries again.
  work.catch(() => state.installed.delete(pkg.id));
  return work;
}

async function putInPlace(state: State, pkg: AnyFilterPackage): Promise<InstalledFilter> {
  const { module } = state;
  const side = await pkg.sideModule();
  if (!side) {
    throw new H5zError('H5Z_MISSING_FILTER', `${pkg.package.name} has no side module for h5wasm`, {
      remedy: 'update the package, or decode its chunks outside h5wasm with load()',
    });
  }
  const bytes = await side.bytes();
  const folder = `${state.folders()}/${side.id}`;
  // libhdf5 looks only at files called lib*.so*.
  const file = `libh5z_${side.id}.so`;
  module.FS.mkdirTree(folder);
  await place(module.FS, folder, file, bytes);
  if (module.insert_plugin_search_path(folder, 0) < 0) {
    throw new H5zError('H5Z_WASM_LOAD', `libhdf5 in h5wasm refused the plugin folder ${folder}`, {
      remedy: 'load h5wasm anew: it allows a limited number of search paths',
    });
  }
  state.ready.add(side.id);
  return { id: side.id, name: side.name, folder, bytes: bytes.length, sha256: side.sha256 };
}

/**
 * Writes the side module where dlopen finds it. In h5wasm's in-memory file system Emscripten compiles it now, off the
 * thread, so that dlopen finds it ready: on the main thread browsers compile synchronously only up to a limit (Chromium
 * 8 MB, formerly 4 KB).
 */
async function place(fs: H5FileSystem, folder: string, file: string, bytes: Uint8Array): Promise<void> {
  const { createPreloadedFile } = fs;
  if (!createPreloadedFile || hasRealFileSystem(fs)) {
    fs.writeFile(`${folder}/${file}`, bytes);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const failed = (cause?: unknown) =>
      reject(new H5zError('H5Z_WASM_LOAD', `h5wasm could not compile ${file}`, cause === undefined ? {} : { cause }));
    createPreloadedFile.call(fs, folder, file, bytes, true, false, resolve, failed);
  });
}
