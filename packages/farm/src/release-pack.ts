// What a release publishes beside what ./farm pack makes: the registry's static API and the docs pages, made from the same
// state and checked for every filter that ships.

import { join } from 'node:path';
import { writeStaticApi } from './catalogue.ts';
import { writeDocs } from './docs.ts';
import { readFilters } from './filters.ts';
import { FarmError, step } from './log.ts';
import { type Packed, pack } from './pack.ts';
import { dependenciesOf, releasables } from './versions.ts';

/** The npm names of what is named (by folder or npm name) and of all they depend on; nothing named is everything. */
export function withDependencies(names: readonly string[]): string[] {
  const all = releasables();
  const found = new Set<string>();
  const visit = (name: string): void => {
    const one = all.find((candidate) => candidate.name === name);
    if (one === undefined || found.has(name)) return;
    found.add(name);
    for (const dependency of Object.keys(dependenciesOf(one.packageJson))) visit(dependency);
  };
  for (const name of names) {
    const one = all.find((candidate) => candidate.name === name || candidate.folder.endsWith(join('filters', name)));
    if (one === undefined)
      throw new FarmError(`no package "${name}". Packages: ${all.map((known) => known.name).join(', ')}.`);
    visit(one.name);
  }
  return [...found].sort();
}

/** Packs into `out`/packages and writes the static API and the docs into `out`/site. */
export async function packForRelease(out: string, only: readonly string[] = []): Promise<Packed[]> {
  const packed = await step('packing and checking', () => pack({ out: join(out, 'packages'), only }));
  const site = join(out, 'site');
  const files = await writeStaticApi(site);
  const missing = (await readFilters())
    .filter(({ description }) => !files.includes(`v1/filters/${description.id}.json`))
    .map(({ description }) => `registry/filters has no ${description.id}.json`);
  writeDocs(join(site, 'docs'));
  return packed.map((one, i) => (i === 0 ? { ...one, problems: [...one.problems, ...missing] } : one));
}
