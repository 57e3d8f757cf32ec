// The list of filters is `ls filters/`: read here, named nowhere else.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FilterDescription } from '../../core/src/generated/schema.ts';
import { exists } from './exec.ts';
import { FarmError } from './log.ts';
import { FILTER_FOLDER, filterDir, ROOT } from './paths.ts';

export interface Filter {
  /** Name of the folder; equals `description.name`. */
  readonly name: string;
  readonly dir: string;
  readonly description: FilterDescription;
  /** From the filter's package.json. */
  readonly packageName: string;
  readonly version: string;
}

async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    throw new FarmError(`${path}: ${(error as Error).message}. Repair the file.`);
  }
}

async function readFilter(dir: string): Promise<Filter> {
  const description = await readJson<FilterDescription>(join(dir, 'filter.json'));
  const pack = await readJson<{ name: string; version: string }>(join(dir, 'package.json'));
  return { name: description.name, dir, description, packageName: pack.name, version: pack.version };
}

/** Every filter of the repository, sorted by name; outside it, the one that is worked on. */
export async function readFilters(root = ROOT): Promise<Filter[]> {
  if (FILTER_FOLDER !== undefined && root === ROOT) return [await readFilter(FILTER_FOLDER)];
  const folders = await readdir(join(root, 'filters'), { withFileTypes: true }).catch(() => []);
  const names = folders.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const filters: Filter[] = [];
  for (const name of names.sort()) {
    const dir = root === ROOT ? filterDir(name) : join(root, 'filters', name);
    if (!(await exists(join(dir, 'filter.json')))) continue;
    const filter = await readFilter(dir);
    if (filter.name !== name)
      throw new FarmError(`filters/${name}/filter.json says name "${filter.name}". Make folder and name agree.`);
    filters.push(filter);
  }
  return filters;
}

/** The filters named, or all when none is named; an unknown name is an error that lists the known ones. */
export async function selectFilters(names: readonly string[], root = ROOT): Promise<Filter[]> {
  const filters = await readFilters(root);
  if (names.length === 0) return filters;
  return names.map((name) => {
    const filter = filters.find((candidate) => candidate.name === name);
    if (filter !== undefined) return filter;
    throw new FarmError(`no filter "${name}". Known: ${filters.map((known) => known.name).join(', ')}.`);
  });
}
