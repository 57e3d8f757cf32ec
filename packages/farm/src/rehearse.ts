// A release from beginning to end without anybody seeing it: everything is packed and published to the embedded registry,
// first as the version before and then, as an upgrade of that, as what it is; then installed back with each package
// manager, without scripts and again without a network, and asked to decode.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { run } from './exec.ts';
import { readFilters } from './filters.ts';
import { golden } from './golden.ts';
import { FarmError, step } from './log.ts';
import type { Packed } from './pack.ts';
import { decodeSamples, emptyApplication, packageManagers, type Sample } from './package-managers.ts';
import { mirrorForeign } from './publish.ts';
import { type RunningRegistry, startRegistry } from './registry-server.ts';
import { type Released, release, type Step, type Tarball } from './release.ts';
import { embeddedTarget } from './release-target.ts';
import { readTarball } from './tarball.ts';

export interface InstalledBack {
  readonly manager: string;
  readonly packages: number;
  /** How many decoded natively; the others in WebAssembly. */
  readonly native: number;
  readonly offline: boolean;
  /** `FROM -> TO` of an application that had the version before; npm only. */
  readonly upgraded?: string;
}

export interface Rehearsal {
  readonly released: Released;
  readonly installed: readonly InstalledBack[];
}

/** Rehearses with packages that `./farm pack` made. Throws when any part fails. */
export async function rehearse(packed: readonly Packed[], onStep: (step: Step) => void): Promise<Rehearsal> {
  const scratch = mkdtempSync(join(tmpdir(), 'h5z-rehearsal-'));
  let registry: RunningRegistry | undefined;
  try {
    registry = await step('starting the embedded registry', () => startRegistry());
    await mirrorForeign(registry, packed);
    const target = embeddedTarget(registry, scratch);
    const repository = await emptyRepository(join(scratch, 'repository'));
    const set = (name: string, pack: () => Promise<readonly Tarball[]>): Promise<Released> =>
      release({ pack, target, folder: join(scratch, name), repository, onStep });

    const before = await step('packing the version before', () => previousVersions(packed, join(scratch, 'before')));
    await set('first', async () => before);
    const samples = await samplesOf(packed);
    const names = samples.map((sample) => sample.package);
    const managers = packageManagers(registry, scratch);
    const [npm] = managers;
    if (npm === undefined || samples.length === 0)
      throw new FarmError('a rehearsal needs at least one filter to install. Name one, or none for all.');
    const application = join(scratch, 'upgraded');
    emptyApplication(application);
    await npm.install(application, names);
    const old = await decodeSamples(npm, application, samples);

    const released = await set('second', async () => packed);

    const installed: InstalledBack[] = [];
    for (const manager of managers) {
      const folder = join(scratch, manager.name);
      emptyApplication(folder);
      const decoded = await step(
        `${manager.name}: installing ${names.length} filters, decoding, once more offline`,
        async () => {
          await manager.install(folder, names);
          await decodeSamples(manager, folder, samples);
          await manager.again(folder);
          return decodeSamples(manager, folder, samples);
        },
      );
      installed.push({
        manager: manager.name,
        packages: names.length,
        native: decoded.filter(({ variant }) => variant === 'native').length,
        offline: true,
        ...(manager === npm ? { upgraded: await upgrade() } : {}),
      });
    }
    return { released, installed };

    async function upgrade(): Promise<string> {
      await npm?.install(
        application,
        names.map((name) => `${name}@latest`),
      );
      const now = await decodeSamples(npm as NonNullable<typeof npm>, application, samples);
      for (const { package: name, version } of now) {
        const wanted = packed.find((one) => one.name === name)?.version;
        if (version !== wanted) throw new FarmError(`upgrading left ${name} at ${version}; latest is ${wanted}.`);
      }
      return `${old[0]?.version} -> ${now[0]?.version}`;
    }
  } finally {
    await registry?.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function samplesOf(packed: readonly Packed[]): Promise<Sample[]> {
  const names = new Set(packed.map(({ name }) => name));
  const filters = (await readFilters()).filter(({ packageName }) => names.has(packageName));
  return filters.flatMap(({ packageName, dir }) => {
    const sample = golden({ folder: dir })[0];
    if (sample === undefined) return [];
    const { file, cdValues, size, sha256 } = sample;
    return [{ package: packageName, file, cdValues, size, sha256 }];
  });
}

/** Somewhere for git tags to go. */
async function emptyRepository(folder: string): Promise<string> {
  mkdirSync(folder);
  const author = ['-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@localhost'];
  await run('git', ['init', '-q'], { cwd: folder });
  await run('git', [...author, 'commit', '-q', '--no-gpg-sign', '--allow-empty', '-m', 'Rehearsal'], { cwd: folder });
  return folder;
}

/** The same packages under a version that comes before theirs, with dependencies on each other to match. */
async function previousVersions(packed: readonly Packed[], out: string): Promise<Tarball[]> {
  const before = new Map(packed.map(({ name, version }) => [name, `${version}-rehearsal.0`]));
  const tarballs: Tarball[] = [];
  for (const { name, tarball } of packed) {
    const folder = join(out, basename(tarball, '.tgz'));
    for (const [file, content] of readTarball(readFileSync(tarball))) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), content);
    }
    const file = join(folder, 'package.json');
    const pkg = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, string>>;
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies']) {
      for (const on of Object.keys(pkg[kind] ?? {})) {
        const version = before.get(on);
        if (version !== undefined && pkg[kind] !== undefined) pkg[kind][on] = version;
      }
    }
    const version = before.get(name);
    writeFileSync(file, JSON.stringify({ ...pkg, version }, null, 2));
    const { stdout } = await run('npm', ['pack', folder, '--ignore-scripts', '--silent', '--pack-destination', out], {
      cwd: out,
    });
    tarballs.push({ tarball: join(out, stdout.trim()), problems: [] });
  }
  return tarballs;
}
