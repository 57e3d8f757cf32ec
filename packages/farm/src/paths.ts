// Where things lie: the repository, the cache, and what builds leave behind. Absolute paths, computed once.

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the repository this farm belongs to. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Folder for everything fetched or installed. `./farm` sets H5Z_CACHE; the default serves direct imports (tests). */
export const CACHE = resolve(
  process.env.H5Z_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'h5z'),
);

export const TOOLCHAINS = join(CACHE, 'toolchains');
export const SOURCES = join(CACHE, 'sources');

export const filterDir = (name: string): string => join(ROOT, 'filters', name);

/** CMake tree of one filter and target. Never cached by Nx: it holds absolute paths. */
export const buildDir = (name: string, target: string): string => join(ROOT, 'build', name, target);

/** True when nothing may be fetched: every step that would need a network fails with a sentence instead. */
export const offline = (): boolean => !['', '0', undefined].includes(process.env.H5Z_OFFLINE);
