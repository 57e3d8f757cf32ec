// From packed packages to an empty folder that has them installed: what the demo and the install tests share.

import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Packed } from './pack.ts';
import { type RunningRegistry, startRegistry } from './registry-server.ts';

/** Publishes `packages` and what they need of other people's to a new embedded registry. */
export async function publishAll(packages: readonly Packed[]): Promise<RunningRegistry> {
  const registry = await startRegistry();
  try {
    await mirrorForeign(registry, packages);
    for (const { tarball } of packages) await registry.publish(tarball);
  } catch (cause) {
    await registry.close();
    throw cause;
  }
  return registry;
}

/** Publishes the other people's packages that ours need at run time, as npm put them into node_modules. */
export async function mirrorForeign(registry: RunningRegistry, packages: readonly Packed[]): Promise<void> {
  const ours = new Set(packages.map(({ name }) => name));
  for (const { folder } of packages) {
    const pkg = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageDependencies;
    const names = Object.keys({ ...pkg.dependencies, ...pkg.optionalDependencies }).filter((name) => !ours.has(name));
    await registry.mirror(names, folder);
  }
}

interface PackageDependencies {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** `npm install NAMES` in a new empty folder. */
export async function installInto(registry: RunningRegistry, names: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'h5z-install-'));
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  await registry.npm(['install', ...names, '--registry', registry.url], folder);
  return folder;
}
