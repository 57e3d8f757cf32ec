// What a release publishes beside what ./farm pack makes: the registry's static API and the docs pages, made from the same
// state and checked for every filter that ships.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allPackagePlans, buildAll, expandTargets, task } from './build.ts';
import { writeStaticApi } from './catalogue.ts';
import { writeDocs } from './docs.ts';
import { readFilters } from './filters.ts';
import { FarmError, step } from './log.ts';
import { type Packed, pack } from './pack.ts';
import { readTarball } from './tarball.ts';
import { PLATFORMS } from './targets.ts';
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

/** Platforms that a package with native libraries lacks. A build for this machine alone is for rehearsals. */
export function missingPlatforms(files: readonly string[]): string[] {
  const there = new Set(files.flatMap((file) => /^prebuilds\/([^/]+)\//.exec(file)?.[1] ?? []));
  return there.size === 0 ? [] : PLATFORMS.filter((platform) => !there.has(platform));
}

/** The packages of a real release: as {@link packForRelease}, and for every platform. */
export async function packForEverybody(out: string): Promise<Packed[]> {
  return (await packForRelease(out)).map((one) => {
    const missing = missingPlatforms([...readTarball(readFileSync(one.tarball)).keys()]);
    if (missing.length === 0) return one;
    return { ...one, problems: [...one.problems, `nothing for ${missing.join(', ')}: ./farm build --targets all`] };
  });
}

/** The packages of a rehearsal, built before: all of them for every platform, or those named, for this machine. */
export async function packRehearsal(out: string, names: readonly string[]): Promise<Packed[]> {
  const only = withDependencies(names);
  if (only.length === 0) {
    await buildAll({ targets: ['all'] });
    return packForEverybody(out);
  }
  const filters = (await readFilters()).filter(({ packageName }) => only.includes(packageName)).map(({ name }) => name);
  for (const plan of allPackagePlans())
    if (only.includes(`@h5z/${plan.package}`) && expandTargets([]).includes(plan.target))
      await task(plan.package, plan.target);
  if (filters.length > 0) await buildAll({ filters });
  return packForRelease(out, only);
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
