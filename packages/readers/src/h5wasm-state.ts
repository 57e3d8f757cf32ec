// What h5z remembers of each h5wasm module it was let into: the plugins in place and where they lie. The first time a
// module is seen its reading and writing functions are guarded (h5wasm-guard.ts).

import { H5zError } from '@h5z/core';
import { missingFilter } from '@h5z/registry';
import { guard } from './h5wasm-guard.js';
import { type H5FileSystem, type H5Module, hasRealFileSystem } from './h5wasm-module.js';

/** libhdf5's own filters, all of which h5wasm 0.8 and 0.10 have: deflate, shuffle, fletcher32, szip, nbit, scaleoffset. */
export const HOST_FILTERS: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6]);

export interface InstalledFilter {
  readonly id: number;
  readonly name: string;
  /** Folder in h5wasm's file system that was put on the plugin search path. */
  readonly folder: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface State {
  readonly module: H5Module;
  /** Folder of the plugin folders, made on first use. */
  folders(): string;
  /** By filter ID: side modules in place or on their way. */
  readonly installed: Map<number, Promise<InstalledFilter>>;
  /** IDs whose side module is in place. */
  readonly ready: Set<number>;
}

const states = new WeakMap<H5Module, State>();

/** The state of a module; the first call guards it. */
export function stateOf(module: H5Module): State {
  const known = states.get(module);
  if (known) return known;
  const state: State = { module, folders: once(() => pluginRoot(module.FS)), installed: new Map(), ready: new Set() };
  states.set(module, state);
  guard(module, {
    isHost: (id) => HOST_FILTERS.has(id),
    isInstalled: (id) => state.ready.has(id),
    missing: missingFilter,
  });
  return state;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/**
 * The folder for plugin folders. h5wasm's Node build works on the machine's own file system: there it is a new, private
 * temporary folder, removed when the process ends.
 */
function pluginRoot(fs: H5FileSystem): string {
  if (!hasRealFileSystem(fs)) return '/h5z/plugins';
  const builtin = globalThis.process?.getBuiltinModule;
  if (!builtin) {
    throw new H5zError(
      'H5Z_WASM_LOAD',
      "h5wasm's Node build needs a temporary folder, and this runtime cannot make one",
      {
        remedy: 'use Node 20.16 or newer',
      },
    );
  }
  const { mkdtempSync, rmSync } = builtin('node:fs');
  const folder = mkdtempSync(builtin('node:path').join(builtin('node:os').tmpdir(), 'h5z-'));
  if (temporary.length === 0) {
    globalThis.process.once('exit', () => {
      for (const one of temporary) rmSync(one, { recursive: true, force: true });
    });
  }
  temporary.push(folder);
  return folder;
}

/** Folders to remove when the process ends, all by one listener. */
const temporary: string[] = [];
