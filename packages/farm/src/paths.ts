// Where things lie: the repository, the cache, and what builds leave behind. Absolute paths, computed once.

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository this farm belongs to, or of the same tree as @h5z/abi carries it. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Folder for everything fetched or installed. `./farm` sets H5Z_CACHE; the default serves direct imports (tests). */
export const CACHE = resolve(
  process.env.H5Z_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'h5z'),
);

export const TOOLCHAINS = join(CACHE, 'toolchains');
export const SOURCES = join(CACHE, 'sources');

/** The one filter there is, where somebody works on a filter outside the repository: h5z-abi.ts sets it. */
export const FILTER_FOLDER =
  process.env.H5Z_FILTER_FOLDER === undefined ? undefined : resolve(process.env.H5Z_FILTER_FOLDER);

export const filterDir = (name: string): string => FILTER_FOLDER ?? join(ROOT, 'filters', name);

/** CMake tree of one filter and target. Never cached by Nx: it holds absolute paths. */
export const buildDir = (name: string, target: string): string =>
  FILTER_FOLDER === undefined ? join(ROOT, 'build', name, target) : join(FILTER_FOLDER, 'build', target);

/** What commands leave for people to look at: packages, inputs that a fuzzer found. */
export const OUT = join(FILTER_FOLDER ?? ROOT, 'out');

/** True when nothing may be fetched: every step that would need a network fails with a sentence instead. */
export const offline = (): boolean => !['', '0', undefined].includes(process.env.H5Z_OFFLINE);
