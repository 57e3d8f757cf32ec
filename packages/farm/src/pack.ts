// Makes the npm packages: every folder of filters/ and every public workspace, staged, packed by npm itself into
// out/packages and checked. The same inputs give the same bytes: npm's tarballs carry no times, and the staged files
// carry no modes but their own.
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeShipped } from './catalogue.ts';
import { descriptionProblems } from './describe-check.ts';
import { filterPage } from './docs.ts';
import { run } from './exec.ts';
import { type Filter, readFilters } from './filters.ts';
import { collectLicences } from './licences.ts';
import { FarmError } from './log.ts';
import { checkTarball } from './package-check.ts';
import { ROOT } from './paths.ts';
import { makeSbom, SBOM_FILE } from './sbom.ts';
import { readUpstream, type Upstream, upstreamsOf } from './sources.ts';
import { verifyFilter } from './verify.ts';
import { releasables } from './versions.ts';

export interface Packed {
  readonly name: string;
  readonly version: string;
  /** The folder it was made from. */
  readonly folder: string;
  /** Absolute path of the `.tgz`. */
  readonly tarball: string;
  readonly packedBytes: number;
  /** Why it must not be published; empty when it may. */
  readonly problems: readonly string[];
}

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly files?: readonly string[];
  readonly bin?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  /** In a workspace that holds other people's code: upstreams and npm packages, whose licence texts it carries. */
  readonly h5z?: { readonly upstreams?: readonly string[]; readonly compiledIn?: readonly string[] };
  readonly [field: string]: unknown;
}

const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

/** Folders of the public workspaces. */
export function publicWorkspaces(): string[] {
  return releasables()
    .map(({ folder }) => folder)
    .filter((folder) => !folder.startsWith(join(ROOT, 'filters')))
    .sort();
}

/** Compiles the workspaces' TypeScript to their dist/ and tells the registry what filters/ holds; quick when nothing changed. */
export async function compile(): Promise<void> {
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: ROOT });
  writeShipped();
}

/** Licence texts, JavaScript, types and manifest.json of one built filter, in its own folder, once its files have run. */
export async function finishFilter(filter: Filter): Promise<void> {
  const { writeDist } = await import('./template/index.ts');
  await collectLicences(await upstreamsOf(filter), join(filter.dir, 'LICENSES'));
  await verifyFilter(filter.dir);
  writeDist(filter.dir);
}

/**
 * Packs everything (or what `only` names, by folder or npm name) into `out` and returns one entry per package.
 * The C side must have been built: a variant that filter.json promises and nobody built is a problem of the package.
 */
export async function pack(
  options: { out?: string; only?: readonly string[]; check?: boolean } = {},
): Promise<Packed[]> {
  const lies = descriptionProblems();
  if (lies.length > 0) throw new FarmError(`nothing is packed before this is repaired:\n${lies.join('\n')}`);
  const out = options.out ?? join(ROOT, 'out/packages');
  const stage = join(out, 'stage');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  await compile();
  const wanted = (...names: string[]): boolean =>
    options.only === undefined || options.only.length === 0 || names.some((name) => options.only?.includes(name));

  const staged: Staged[] = [];
  for (const filter of await readFilters()) {
    if (!wanted(filter.name, filter.packageName)) continue;
    await finishFilter(filter);
    staged.push(stageFolder(filter.dir, stage, filterPage(filter.dir), await upstreamsOf(filter)));
  }
  for (const folder of publicWorkspaces()) {
    const { name, description, h5z } = readJson<PackageJson>(join(folder, 'package.json'));
    if (!wanted(name)) continue;
    const upstreams = await Promise.all((h5z?.upstreams ?? []).map((upstream) => readUpstream(upstream)));
    if (upstreams.length > 0) await collectLicences(upstreams, join(folder, 'LICENSES'));
    const readme = `# ${name}\n\n${String(description ?? '')}\n`;
    staged.push(stageFolder(folder, stage, readme, upstreams));
  }
  if (staged.length === 0)
    throw new FarmError('nothing to pack. Name filters or packages as ls filters/ packages/ shows them.');
  await run(
    'npm',
    ['pack', ...staged.map(({ target }) => target), '--ignore-scripts', '--silent', '--pack-destination', out],
    { cwd: out },
  );

  const packed: Packed[] = [];
  for (const { folder, target, absent } of staged) {
    const { name, version } = readJson<PackageJson>(join(target, 'package.json'));
    const tarball = join(out, `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`);
    packed.push({
      name,
      version,
      folder,
      tarball,
      packedBytes: statSync(tarball).size,
      problems: options.check === false ? [] : [...absent.map(notBuilt), ...(await checkTarball(tarball))],
    });
  }
  rmSync(stage, { recursive: true, force: true });
  writeFileSync(join(out, 'packed.json'), `${JSON.stringify(packed, null, 1)}\n`);
  return packed;
}

interface Staged {
  readonly folder: string;
  /** The copy that is packed. */
  readonly target: string;
  /** What package.json lists in `files` and the folder lacks. */
  readonly absent: readonly string[];
}

const notBuilt = (entry: string): string => `package.json lists ${entry}, which is not there: run ./farm build first`;

/** Entries of `files` may be globs; one that matches nothing stays as it is, to be reported. */
function expand(pattern: string, folder: string): string[] {
  if (!pattern.includes('*') || pattern.startsWith('!')) return [pattern];
  const found = globSync(pattern, { cwd: folder }).sort();
  return found.length > 0 ? found : [pattern];
}

/** Taken from the repository where a package has none of its own. */
const SUPPLIED = new Set(['LICENSE', 'README.md']);

/** What ./farm version writes for each package. */
const CHANGELOG = 'CHANGELOG.md';

/**
 * Copies what a package publishes to `stage`. LICENSE and README come from the repository where the folder has none, the bill
 * of materials from the upstreams' pins; the changelog travels where there is one.
 */
function stageFolder(folder: string, stage: string, readme: string, upstreams: readonly Upstream[]): Staged {
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
  writeFileSync(join(target, SBOM_FILE), makeSbom(pkg, upstreams, npm));
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
      filter: (path) => !/\.tsbuildinfo$|[/\\]node_modules$|[/\\]\.[^/\\]*$/.test(path),
    });
  }
  if (!existsSync(join(target, 'LICENSE'))) cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));
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
