// A release: packed packages become published ones, all of them or, for whoever installs, none.
//
//   look      ask the registry for every package: absent, there with these bytes, or there with others (a stop)
//   publish   what is absent, dependencies first, under the dist-tag h5z-staging
//   confirm   read every package back; from here on nothing can be missing
//   latest    move `latest`, dependencies first
//   unstage   take h5z-staging away again
//   tag       NAME@VERSION in git
//
// Each step asks what is and does only what lacks, so that a release killed anywhere goes on when it is started again, on
// this machine from the journal's own tarballs, on another one from a rebuild with the same bytes.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PackageJSON } from '@changesets/types';
import { run } from './exec.ts';
import { FarmError, say } from './log.ts';
import { explainDisk, type Journal, type JournalPackage, readJournal, writeJournal } from './release-journal.ts';
import { askRegistry, download, explainNpm, type Published, type Target } from './release-target.ts';
import { readTarball } from './tarball.ts';
import { dependenciesOf, inDependencyOrder } from './versions.ts';

/** The dist-tag that a package wears until the whole set is there. */
export const STAGING = 'h5z-staging';

export interface Step {
  readonly name: string;
  /** Called before a step, and again when it is done and not yet noted in the journal. */
  readonly done: boolean;
  readonly number: number;
  readonly of: number;
}

export interface ReleaseOptions {
  /** Makes the tarballs; called only when there is no unfinished journal. */
  readonly pack: () => Promise<readonly Tarball[]>;
  readonly target: Target;
  /** For the journal and the tarballs it names. */
  readonly folder: string;
  /** Root of the git repository to tag; undefined for none. */
  readonly repository?: string | undefined;
  readonly onStep?: (step: Step) => void;
  /** How often a package that was just published is looked for, a second apart and more. */
  readonly patience?: number;
}

export interface Tarball {
  readonly tarball: string;
  /** Why it must not be published. */
  readonly problems: readonly string[];
}

export interface Released {
  readonly registry: string;
  readonly commit: string;
  readonly resumed: boolean;
  readonly packages: readonly {
    readonly name: string;
    readonly version: string;
    readonly integrity: string;
    readonly tarball: string;
    /** False when these bytes were published already. */
    readonly published: boolean;
  }[];
}

const integrityOf = (bytes: Uint8Array): string => `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
const label = ({ name, version }: { name: string; version: string }): string => `${name}@${version}`;

/** Publishes, or goes on publishing. Throws a FarmError whenever it stops, and may then be called again. */
export async function release(options: ReleaseOptions): Promise<Released> {
  const { target, folder, repository } = options;
  const file = join(folder, 'journal.json');
  let journal = readJournal(file);
  const resumed = journal !== undefined && !journal.finished;
  if (journal === undefined || journal.finished) {
    const ready = await begin(options);
    journal = {
      journalVersion: 1,
      registry: target.url,
      commit: repository === undefined ? '' : await head(repository),
      packages: ready,
      done: [],
      finished: false,
    };
    writeJournal(file, journal);
  } else resume(journal, options);
  const { packages } = journal;
  const found = await look(packages, target, folder);
  if (repository !== undefined) await tagsAgree(packages, repository);

  const absent = packages.filter((one) => found.get(one.name)?.versions[one.version] === undefined);
  const published = new Set(absent.map(({ name }) => name));
  type Work = readonly [name: string, work: () => Promise<void>];
  const works: Work[] = [
    ...packages.map((one): Work => [`publish ${label(one)}`, () => publish(one, options)]),
    ['confirm', () => confirm(packages, options)],
    ...packages.map((one): Work => [`latest ${label(one)}`, () => moveLatest(one, target)]),
    ...packages.map((one): Work => [`unstage ${label(one)}`, () => unstage(one, target)]),
    ...(repository === undefined
      ? []
      : packages.map((one): Work => [`tag ${label(one)}`, () => tag(one, repository, journal?.commit ?? '')])),
  ];
  for (const [index, [name, work]] of works.entries()) {
    const step = { name, number: index + 1, of: works.length };
    options.onStep?.({ ...step, done: false });
    await work();
    options.onStep?.({ ...step, done: true });
    journal = { ...journal, done: [...journal.done.filter((one) => one !== name), name] };
    writeJournal(file, journal);
  }
  writeJournal(file, { ...journal, finished: true });
  return {
    registry: target.url,
    commit: journal.commit,
    resumed,
    packages: packages.map(({ name, version, integrity, tarball }) => ({
      name,
      version,
      integrity,
      tarball: join(folder, 'packages', tarball),
      published: published.has(name),
    })),
  };
}

/** Packs, checks what can be checked without the registry, and puts the tarballs in the journal's folder. */
async function begin({ pack, target, folder, repository }: ReleaseOptions): Promise<JournalPackage[]> {
  if (repository !== undefined) {
    const { stdout } = await run('git', ['status', '--porcelain'], { cwd: repository });
    if (stdout.trim() !== '')
      throw new FarmError(`the working tree differs from its commit:\n${stdout.trimEnd()}\nCommit or undo it first.`);
  }
  const tarballs = await pack();
  const problems = tarballs.flatMap((one) => one.problems.map((text) => `${basename(one.tarball)}: ${text}`));
  const packages = tarballs.map(({ tarball }) => {
    const bytes = readFileSync(tarball);
    const files = readTarball(bytes);
    const packageJson = JSON.parse(files.get('package.json')?.toString() ?? '{}') as PackageJSON;
    const { name, version } = packageJson;
    return {
      name,
      version,
      files,
      packageJson,
      from: tarball,
      tarball: basename(tarball),
      integrity: integrityOf(bytes),
    };
  });
  const versions = new Map(packages.map(({ name, version }) => [name, version]));
  if (versions.size !== packages.length) problems.push('two packages have the same name');
  for (const { name, version, files, packageJson } of packages) {
    for (const [dependency, range] of Object.entries(dependenciesOf(packageJson))) {
      const ours = versions.get(dependency);
      if (ours !== undefined && ours !== range)
        problems.push(
          `${name}: depends on ${dependency} "${range}", not exactly on ${ours}, which is released with it`,
        );
    }
    const { versions: before } = await askRegistry(target, name);
    const changelog = files.get('CHANGELOG.md')?.toString() ?? '';
    // A pre-release needs no entry, and does not make the release after it a second one.
    const first = Object.keys(before).every((known) => known === version || known.includes('-'));
    if (!first && !changelog.split('\n').includes(`## ${version}`))
      problems.push(`${name}: CHANGELOG.md has no "## ${version}". Versions come from ./farm version --apply`);
  }
  if (problems.length > 0) throw new FarmError(`nothing was published:\n  ${problems.join('\n  ')}`);
  try {
    const store = join(folder, 'packages');
    mkdirSync(store, { recursive: true });
    for (const { from, tarball } of packages)
      if (from !== join(store, tarball)) copyFileSync(from, join(store, tarball));
  } catch (error) {
    throw explainDisk(folder, error);
  }
  return inDependencyOrder(packages).map(({ name, version, tarball, integrity }) => ({
    name,
    version,
    tarball,
    integrity,
  }));
}

/** A journal is gone on with only to the same registry and with the same bytes. */
function resume(journal: Journal, { target, folder }: ReleaseOptions): void {
  const anew = 'Or start anew with --forget: what is published already is found and left.';
  if (journal.registry !== target.url)
    throw new FarmError(
      `a release to ${journal.registry} is not finished. Finish it first: --registry ${journal.registry}. ${anew}`,
    );
  for (const { tarball, integrity } of journal.packages) {
    const path = join(folder, 'packages', tarball);
    if (!existsSync(path) || integrityOf(readFileSync(path)) !== integrity)
      throw new FarmError(`${path} is not the file that the unfinished release began with. Put it back. ${anew}`);
  }
  say(
    `going on with the release of ${journal.commit.slice(0, 12) || 'these packages'}: ${journal.done.length} steps done`,
  );
}

/** What the registry has of each package. Throws, before anything is changed, when one cannot become what is wanted. */
async function look(
  packages: readonly JournalPackage[],
  target: Target,
  folder: string,
): Promise<Map<string, Published>> {
  const found = new Map<string, Published>();
  const problems: string[] = [];
  for (const one of packages) {
    const published = await askRegistry(target, one.name);
    found.set(one.name, published);
    const { latest } = published.tags;
    if (latest !== undefined && isNewer(latest, one.version))
      problems.push(
        `${one.name}: latest is ${latest}, newer than ${one.version}. Rebase, or raise it with a changeset`,
      );
    const problem = await otherBytes(one, published, target, folder);
    if (problem !== undefined) problems.push(problem);
  }
  if (problems.length > 0) throw new FarmError(`nothing more was published:\n  ${problems.join('\n  ')}`);
  return found;
}

/** Why a published version is not the one here; undefined when it is, or is not published. */
async function otherBytes(
  one: JournalPackage,
  published: Published,
  target: Target,
  folder: string,
): Promise<string | undefined> {
  const there = published.versions[one.version];
  if (there === undefined || there.integrity === one.integrity) return undefined;
  const contents = (bytes: Uint8Array): Map<string, string> =>
    new Map([...readTarball(bytes)].map(([name, content]) => [name, integrityOf(content)]));
  const theirs = contents(await download(target, there.tarball));
  const ours = contents(readFileSync(join(folder, 'packages', one.tarball)));
  const differ = [...new Set([...ours.keys(), ...theirs.keys()])].filter((name) => ours.get(name) !== theirs.get(name));
  // The same files, compressed by another npm.
  if (differ.length === 0) return undefined;
  return (
    `${label(one)} is published with other bytes (${there.integrity.slice(0, 20)}... there, ` +
    `${one.integrity.slice(0, 20)}... here; different: ${differ.sort().slice(0, 6).join(', ')}). ` +
    'Raise its version with a changeset, or find out with ./farm reproduce'
  );
}

async function publish(one: JournalPackage, { target, folder }: ReleaseOptions): Promise<void> {
  if ((await askRegistry(target, one.name)).versions[one.version] !== undefined) return;
  const tarball = join(folder, 'packages', one.tarball);
  const flags = ['--ignore-scripts', '--access', 'public', '--tag', STAGING];
  try {
    await target.npm(['publish', tarball, ...flags, ...(target.provenance ? ['--provenance'] : [])]);
  } catch (error) {
    // The answer may have been lost after the package arrived, and another release may have been quicker.
    const now = await askRegistry(target, one.name).catch(() => undefined);
    if (now?.versions[one.version] === undefined) throw explainNpm(`publishing ${label(one)}`, target, error);
    const problem = await otherBytes(one, now, target, folder);
    if (problem !== undefined) throw new FarmError(problem);
  }
}

/** Registries answer from caches: what was published is looked for until it is seen. */
async function confirm(packages: readonly JournalPackage[], options: ReleaseOptions): Promise<void> {
  const { target, folder, patience = 10 } = options;
  for (const one of packages) {
    for (let turn = 1; ; turn++) {
      const published = await askRegistry(target, one.name);
      if (published.versions[one.version] !== undefined) {
        const problem = await otherBytes(one, published, target, folder);
        if (problem !== undefined) throw new FarmError(`${problem}. latest was not moved`);
        break;
      }
      if (turn > patience)
        throw new FarmError(
          `the registry ${target.url} took ${label(one)} and does not show it. latest was not moved; run it again later.`,
        );
      await sleep(1000 * Math.min(turn, 6));
    }
  }
}

async function moveLatest(one: JournalPackage, target: Target): Promise<void> {
  if ((await askRegistry(target, one.name)).tags.latest === one.version) return;
  await distTag(['add', label(one), 'latest'], one, target);
}

async function unstage(one: JournalPackage, target: Target): Promise<void> {
  if ((await askRegistry(target, one.name)).tags[STAGING] === undefined) return;
  await distTag(['rm', one.name, STAGING], one, target);
}

async function distTag(args: readonly string[], one: JournalPackage, target: Target): Promise<void> {
  await target.npm(['dist-tag', ...args]).catch((error: unknown) => {
    throw explainNpm(`npm dist-tag ${args[0]} of ${label(one)}`, target, error);
  });
}

const git = (repository: string, ...args: string[]) => run('git', args, { cwd: repository, allowFailure: true });

async function head(repository: string): Promise<string> {
  const { status, stdout } = await git(repository, 'rev-parse', 'HEAD');
  if (status !== 0) throw new FarmError(`${repository} has no commit to release. Commit first.`);
  return stdout.trim();
}

/** A tag must lead to the commit it was made from, or be one that HEAD comes after. */
async function tagsAgree(packages: readonly JournalPackage[], repository: string): Promise<void> {
  for (const one of packages) {
    const known = await git(repository, 'rev-parse', '--verify', '--quiet', `refs/tags/${label(one)}^{commit}`);
    if (known.status !== 0) continue;
    const { status } = await git(repository, 'merge-base', '--is-ancestor', known.stdout.trim(), 'HEAD');
    if (status !== 0)
      throw new FarmError(
        `the git tag ${label(one)} is on another branch. Rebase, or raise the version with a changeset.`,
      );
  }
}

async function tag(one: JournalPackage, repository: string, commit: string): Promise<void> {
  const name = `refs/tags/${label(one)}`;
  if ((await git(repository, 'rev-parse', '--verify', '--quiet', name)).status === 0) return;
  const { status, stderr } = await git(repository, 'tag', '--no-sign', label(one), commit);
  if (status !== 0)
    throw new FarmError(`git tag ${label(one)} failed: ${stderr.trim()}. Repair it and run this again.`);
}

/** Forgets an unfinished release. What it published stays published, under its staging tag. */
export const forget = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** True when version `a` comes after `b`, as semantic versioning orders them. */
export function isNewer(a: string, b: string): boolean {
  const parts = (version: string): [string[], string[]] => {
    const [core = '', ...rest] = (version.split('+')[0] ?? '').split('-');
    return [core.split('.'), rest.length === 0 ? [] : rest.join('-').split('.')];
  };
  const compare = (x: string, y: string): number => {
    const numbers = [x, y].map((part) => (/^\d+$/.test(part) ? Number(part) : Number.POSITIVE_INFINITY)) as [
      number,
      number,
    ];
    if (numbers[0] !== numbers[1]) return numbers[0] - numbers[1];
    return x === y || Number.isFinite(numbers[0]) ? 0 : x < y ? -1 : 1;
  };
  const list = (x: readonly string[], y: readonly string[]): number => {
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      const order = compare(x[i] ?? '', y[i] ?? '');
      if (order !== 0) return order;
    }
    return x.length - y.length;
  };
  const [[coreA, preA], [coreB, preB]] = [parts(a), parts(b)];
  const core = list(coreA, coreB);
  if (core !== 0) return core > 0;
  if (preA.length === 0 || preB.length === 0) return preA.length === 0 && preB.length > 0;
  return list(preA, preB) > 0;
}
