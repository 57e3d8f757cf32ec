// A package's folder on its way into a tarball: finished (licences, JavaScript, manifest), staged, packed by npm. For every
// package of the repository, and for a filter outside it.

import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './exec.ts';
import type { Filter } from './filters.ts';
import { collectLicences } from './licences.ts';
import { FarmError } from './log.ts';
import { FILTER_FOLDER, ROOT } from './paths.ts';
import { type Runtime, runtimesOf } from './runtimes.ts';
import { makeSbom, SBOM_FILE } from './sbom.ts';
import { type Upstream, upstreamsOf } from './sources.ts';
import type { Tree } from './tree.ts';
import { verifyFilter } from './verify.ts';

export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly files?: readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  /** In a workspace that holds other people's code: upstreams and npm packages, whose licence texts it carries. */
  readonly h5z?: {
    readonly tree?: Tree;
    readonly upstreams?: readonly string[];
    readonly compiledIn?: readonly string[];
  };
  readonly [field: string]: unknown;
}

export const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

/** Licence texts, JavaScript, types and manifest.json of one built filter, in its own folder, once its files have run. */
export async function finishFilter(filter: Filter): Promise<void> {
  const { writeDist } = await import('./template/index.ts');
  const upstreams = await upstreamsOf(filter);
  await collectLicences(upstreams, await filterRuntimes(filter), join(filter.dir, 'LICENSES'));
  await verifyFilter(filter.dir);
  writeDist(filter.dir);
}

/** The compilers' runtimes in a filter's files. */
export async function filterRuntimes(filter: Filter): Promise<Runtime[]> {
  const { usesCxx } = await import('./build.ts');
  return runtimesOf(filter.dir, await usesCxx(filter, await upstreamsOf(filter)));
}

/** The file that npm packs a package into. */
export const tarballName = (name: string, version: string): string =>
  `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;

/** Packs staged folders into `out`. */
export async function npmPack(staged: readonly Staged[], out: string): Promise<void> {
  await run(
    'npm',
    ['pack', ...staged.map(({ target }) => target), '--ignore-scripts', '--silent', '--pack-destination', out],
    { cwd: out },
  );
}

export interface Staged {
  readonly folder: string;
  /** The copy that is packed. */
  readonly target: string;
  /** What package.json lists in `files` and the folder lacks. */
  readonly absent: readonly string[];
}

export const notBuilt = (entry: string): string =>
  `package.json lists ${entry}, which is not there: run ./farm build first`;

/** Entries of `files` may be globs; one that matches nothing stays as it is, to be reported. */
function expand(pattern: string, folder: string): string[] {
  if (!pattern.includes('*') || pattern.startsWith('!')) return [pattern];
  const found = globSync(pattern, { cwd: folder }).sort();
  return found.length > 0 ? found : [pattern];
}

/** Taken from the repository where a package of ours has none of its own. */
const SUPPLIED = new Set(FILTER_FOLDER === undefined ? ['LICENSE', 'README.md'] : []);

/** What ./farm version writes for each package. */
const CHANGELOG = 'CHANGELOG.md';

/**
 * Copies what a package publishes to `stage`. LICENSE and README come from the repository where the folder has none, the bill
 * of materials from the upstreams' pins and the compilers' runtimes; the changelog travels where there is one.
 */
export function stageFolder(
  folder: string,
  stage: string,
  readme: string,
  upstreams: readonly Upstream[],
  runtimes: readonly Runtime[],
): Staged {
  const pkg = readJson<PackageJson>(join(folder, 'package.json'));
  const target = join(stage, pkg.name.replace(/^@/, '').replace('/', '-'));
  mkdirSync(target);
  const { scripts: _scripts, devDependencies: _devDependencies, ...published } = pkg;
  const compiledIn = (pkg.h5z?.compiledIn ?? []).map((name) => join(ROOT, 'node_modules', name));
  const added = [
    SBOM_FILE,
    ...(existsSync(join(folder, CHANGELOG)) ? [CHANGELOG] : []),
    ...(compiledIn.length > 0 ? ['LICENSES'] : []),
  ];
  const whole = {
    ...published,
    files: [...(pkg.files ?? []), ...added],
    // Yarn Plug'n'Play leaves packages zipped, and no system loads a library out of a zip.
    ...(existsSync(join(folder, 'prebuilds')) ? { preferUnplugged: true } : {}),
  };
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(whole, null, 2)}\n`);
  const npm = compiledIn.map((place) => readJson<PackageJson>(join(place, 'package.json')));
  writeFileSync(join(target, SBOM_FILE), makeSbom(pkg, upstreams, runtimes, npm));
  for (const [i, place] of compiledIn.entries()) {
    const text = globSync('{LICENSE,LICENCE,COPYING}*', { cwd: place })[0];
    if (text === undefined) throw new FarmError(`${place} has no licence text. Do not compile it into ${pkg.name}.`);
    cpSync(join(place, text), join(target, 'LICENSES', `${npm[i]?.name}-${text}`));
  }
  if (added.includes(CHANGELOG)) cpSync(join(folder, CHANGELOG), join(target, CHANGELOG));
  const absent: string[] = [];
  for (const entry of (pkg.files ?? []).flatMap((pattern) => expand(pattern, folder))) {
    const from = join(folder, entry);
    if (entry.startsWith('!')) continue;
    if (!existsSync(from)) {
      if (!SUPPLIED.has(entry)) absent.push(entry);
      continue;
    }
    cpSync(from, join(target, entry), {
      recursive: true,
      filter: (path) =>
        !/\.tsbuildinfo$|[/\\](node_modules|__pycache__)$|[/\\]\.[^/\\]*$/.test(path.slice(folder.length)),
    });
  }
  if (SUPPLIED.has('LICENSE') && !existsSync(join(target, 'LICENSE')))
    cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));
  if (!existsSync(join(target, 'README.md'))) {
    const own = join(folder, 'README.md');
    if (existsSync(own)) cpSync(own, join(target, 'README.md'));
    else writeFileSync(join(target, 'README.md'), readme);
  }
  const programs = new Set(Object.values(pkg.bin ?? {}).map((path) => join(target, path)));
  for (const entry of readdirSync(target, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) chmodSync(path, programs.has(path) ? 0o755 : 0o644);
  }
  return { folder, target, absent };
}
