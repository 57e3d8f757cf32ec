// Finds installed filter packages: every package whose package.json says "h5z": { "filter": "./filter.json" }.
//
// Two ways, because package managers differ. Folders: node_modules beside and above the application are listed (npm,
// Yarn's node_modules linker). Dependencies: package.json's dependencies are resolved one by one, and those of h5z's own
// packages in turn (pnpm, where only direct dependencies have folders; Plug'n'Play, where nothing has).

import { readFileSync } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, parse, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type FilterPackage, H5zError } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { makeRegistry, type Registry, type RegistryOptions } from './registry.js';

export interface InstalledOptions extends RegistryOptions {
  /**
   * Folder (or file: URL) to look from; several are searched in turn. Default: the working directory, then the folder
   * of the program that runs.
   */
  readonly from?: string | URL | readonly (string | URL)[];
  /** Called for a package that says it is a filter but would not load. Default: a process warning. */
  readonly onWarning?: (warning: Error & { code: string }) => void;
}

interface PackageJson {
  readonly name?: string;
  readonly h5z?: { readonly filter?: unknown };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** A registry of the filter packages installed for this application, in the order of their IDs. */
export async function installed(options: InstalledOptions = {}): Promise<Registry> {
  const { from, onWarning, ...rest } = options;
  const found = new Map<string, string>();
  for (const start of startFolders(from)) {
    await searchFolders(start, found);
    await searchDependencies(start, found);
  }
  const packages: FilterPackage[] = [];
  for (const [name, folder] of found) {
    try {
      packages.push(await importFilter(name, folder));
    } catch (cause) {
      const problem = `the filter package ${name} in ${folder} could not be imported (${messageOf(cause)})`;
      const warning = new H5zError('H5Z_MISSING_FILTER', problem, { cause, remedy: 'reinstall it, or remove it' });
      if (onWarning) onWarning(warning);
      else process.emitWarning(warning);
    }
  }
  return makeRegistry(
    packages.sort((a, b) => a.id - b.id),
    rest,
    currentPlatform,
  );
}

function startFolders(from: InstalledOptions['from']): string[] {
  if (from !== undefined)
    return [from].flat().map((place) => resolve(place instanceof URL ? fileURLToPath(place) : String(place)));
  const program = process.argv[1] === undefined ? [] : [dirname(resolve(process.argv[1]))];
  return [process.cwd(), ...program];
}

/** Lists node_modules in `start` and above; the nearest folder of a name counts, as for Node itself. */
async function searchFolders(start: string, found: Map<string, string>): Promise<void> {
  for (let folder = start; ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules');
    const names = await namesIn(modules);
    await Promise.all(names.map((name) => note(join(modules, name), found)));
    if (folder === parse(folder).root) return;
  }
}

async function namesIn(modules: string): Promise<string[]> {
  const entries = (await listing(modules)).filter((name) => !name.startsWith('.'));
  const nested = await Promise.all(
    entries.map(async (name) =>
      name.startsWith('@') ? (await listing(join(modules, name))).map((inner) => `${name}/${inner}`) : [name],
    ),
  );
  return nested.flat();
}

async function listing(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch {
    return []; // no such folder: nothing installed there
  }
}

/** Resolves the dependencies of the nearest package.json, and in turn those of @h5z's packages among them. */
async function searchDependencies(start: string, found: Map<string, string>): Promise<void> {
  const queue: string[] = [];
  for (let folder = start; queue.length === 0; folder = dirname(folder)) {
    if (readPackage(folder)) queue.push(folder);
    else if (folder === parse(folder).root) return;
  }
  const seen = new Set(queue);
  for (let folder = queue.shift(); folder !== undefined; folder = queue.shift()) {
    const json = readPackage(folder);
    const names = Object.keys({
      ...json?.dependencies,
      ...json?.optionalDependencies,
      ...(folder === start ? json?.devDependencies : {}),
    });
    for (const name of names) {
      const place = resolveFolder(name, folder);
      if (place === undefined || seen.has(place)) continue;
      seen.add(place);
      const inner = await note(place, found);
      if (inner?.name?.startsWith('@h5z/') || inner?.h5z) queue.push(place);
    }
  }
}

/** The folder of a dependency, through Node's own resolution (which Plug'n'Play replaces). */
function resolveFolder(name: string, from: string): string | undefined {
  const require = createRequire(join(from, 'package.json'));
  try {
    return dirname(require.resolve(`${name}/package.json`));
  } catch {
    return undefined; // not installed, or hides its package.json: no filter package of ours
  }
}

/** Reads a package and keeps it if it is a filter that was not found nearer. */
async function note(folder: string, found: Map<string, string>): Promise<PackageJson | undefined> {
  const json = readPackage(folder, 'h5z');
  if (json?.name !== undefined && typeof json.h5z?.filter === 'string' && !found.has(json.name)) {
    found.set(json.name, await realpath(folder));
  }
  return json;
}

/**
 * `word`: those that do not have it are none for us. Read at once, as Node reads what it imports: there may be hundreds, and to ask
 * a thread for each takes eight times as long.
 */
function readPackage(folder: string, word = ''): PackageJson | undefined {
  try {
    const text = readFileSync(join(folder, 'package.json'), 'utf8');
    return text.includes(word) ? (JSON.parse(text) as PackageJson) : undefined;
  } catch {
    return undefined; // no package there, or not one for us
  }
}

/** Imports a package by its folder through its own "exports": resolving its name from inside itself needs no node_modules. */
async function importFilter(name: string, folder: string): Promise<FilterPackage> {
  const entry = createRequire(join(folder, 'package.json')).resolve(name);
  const module = (await import(pathToFileURL(entry).href)) as { default?: FilterPackage };
  if (typeof module.default?.load === 'function') return module.default;
  throw new Error('its default export is no filter package');
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
