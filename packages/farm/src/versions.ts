// Which packages there are to publish, in which order, and which versions the changesets ask for. The list is ours, because
// filters are not npm workspaces; what follows from a changeset is decided by changesets' own libraries
// (docs/decisions/versions.md).

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { applyReleasePlan } from '@changesets/apply-release-plan';
import { assembleReleasePlan } from '@changesets/assemble-release-plan';
import { readConfig } from '@changesets/config';
import { readChangesets } from '@changesets/read';
import type { Config, NewChangeset, PackageJSON, Packages, ReleasePlan } from '@changesets/types';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';

export interface Releasable {
  readonly name: string;
  readonly version: string;
  /** Absolute. */
  readonly folder: string;
  readonly packageJson: PackageJSON;
}

/** Every public package of the repository: `filters/*`, the workspaces below `packages/`, and `registry`. */
export function releasables(root = ROOT): Releasable[] {
  const below = (place: string): string[] =>
    existsSync(join(root, place)) ? readdirSync(join(root, place)).map((name) => join(root, place, name)) : [];
  return [...below('filters'), ...below('packages'), join(root, 'registry')]
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => ({ folder, packageJson: readPackageJson(folder) }))
    .filter(({ packageJson }) => packageJson.private !== true)
    .map(({ folder, packageJson }) => ({ name: packageJson.name, version: packageJson.version, folder, packageJson }));
}

/** Dependencies before what depends on them, names in order otherwise. A circle is an error that shows it. */
export function inDependencyOrder<T extends { readonly name: string; readonly packageJson: PackageJSON }>(
  packages: readonly T[],
): T[] {
  const byName = new Map(packages.map((one) => [one.name, one]));
  const ordered = new Set<T>();
  const visit = (one: T, from: readonly string[]): void => {
    if (ordered.has(one)) return;
    const path = [...from, one.name];
    if (from.includes(one.name))
      throw new FarmError(`packages depend on each other in a circle: ${path.join(' -> ')}. Break it.`);
    for (const name of Object.keys(dependenciesOf(one.packageJson)).sort()) {
      const dependency = byName.get(name);
      if (dependency !== undefined) visit(dependency, path);
    }
    ordered.add(one);
  };
  for (const name of [...byName.keys()].sort()) visit(byName.get(name) as T, []);
  return [...ordered];
}

/** What is installed with a package. */
export function dependenciesOf(pkg: PackageJSON): Readonly<Record<string, string>> {
  return { ...pkg.dependencies, ...pkg.optionalDependencies, ...pkg.peerDependencies };
}

export interface PlannedVersion {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly type: string;
  /** Files of .changeset/ that ask for it; none where it only follows a dependency. */
  readonly changesets: readonly string[];
}

export interface VersionPlan {
  readonly packages: readonly PlannedVersion[];
  /** Writes versions and changelogs and removes the changesets; returns the files touched, relative to the repository. */
  apply(): Promise<string[]>;
}

/** What the changesets in `root` come to. Throws when one of them cannot be read or names no package. */
export async function planVersions(root = ROOT): Promise<VersionPlan> {
  const packages: Packages = {
    rootDir: root,
    rootPackage: { dir: root, packageJson: readPackageJson(root) },
    packages: releasables(root).map(({ folder, packageJson }) => ({ dir: folder, packageJson })),
    tool: { type: 'root' },
  };
  const config = await readSettings(root, packages);
  const changesets = await readAll(root, packages);
  const plan: ReleasePlan = assembleReleasePlan(changesets, packages, config, undefined);
  const planned = plan.releases
    .filter(({ type }) => type !== 'none')
    .map(({ name, type, oldVersion, newVersion, changesets: asked }) => ({
      name,
      from: oldVersion ?? '',
      to: newVersion ?? '',
      type,
      changesets: asked.map((id) => `.changeset/${id}.md`),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    packages: planned,
    async apply() {
      const touched = await applyReleasePlan(plan, packages, config, undefined, root);
      const lock = updateLock(root);
      return [...touched, ...lock].map((file) => relative(root, file)).sort();
    },
  };
}

async function readSettings(root: string, packages: Packages): Promise<Config> {
  const answer = await readConfig(root, packages).catch((error: unknown) => ({
    errors: [error instanceof Error ? error.message : String(error)],
  }));
  if (answer.errors !== undefined)
    throw new FarmError(`.changeset/config.json: ${answer.errors.join('; ')}. Repair the file.`);
  return answer.config;
}

async function readAll(root: string, packages: Packages): Promise<NewChangeset[]> {
  let changesets: NewChangeset[];
  try {
    changesets = await readChangesets(root);
  } catch (error) {
    throw new FarmError(`.changeset: ${(error as Error).message}. Repair it: .changeset/README.md shows the format.`);
  }
  const names = packages.packages.map(({ packageJson }) => packageJson.name);
  for (const { id, releases } of changesets) {
    for (const { name } of releases) {
      if (!names.includes(name))
        throw new FarmError(
          `.changeset/${id}.md names ${name}, which is no package here. Packages: ${names.sort().join(', ')}.`,
        );
    }
  }
  return changesets.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The lock file repeats what the workspaces' package.json say; npm ci refuses it when it says otherwise. */
function updateLock(root: string): string[] {
  const file = join(root, 'package-lock.json');
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const lock = JSON.parse(text) as { packages?: Record<string, Record<string, unknown>> };
  for (const { folder, packageJson } of releasables(root)) {
    const entry = lock.packages?.[relative(root, folder).replaceAll('\\', '/')];
    if (entry === undefined) continue;
    entry.version = packageJson.version;
    for (const field of ['dependencies', 'optionalDependencies', 'peerDependencies'] as const) {
      const sorted = Object.entries(packageJson[field] ?? {}).sort(([a], [b]) => a.localeCompare(b, 'en'));
      if (sorted.length > 0) entry[field] = Object.fromEntries(sorted);
    }
  }
  const updated = `${JSON.stringify(lock, null, 2)}\n`;
  if (updated === text) return [];
  writeFileSync(file, updated);
  return [file];
}

function readPackageJson(folder: string): PackageJSON {
  const file = join(folder, 'package.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PackageJSON;
  } catch (error) {
    throw new FarmError(`${file}: ${(error as Error).message}. Repair the file.`);
  }
}
