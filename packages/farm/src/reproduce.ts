// ./farm reproduce: the proof that what is published was made from what is in this repository. Everything is built from nothing
// in a copy of the repository, with a cache of its own, at a path nobody else has; and again at another path, or the package's
// tarball is fetched from a registry. Then every built file is compared.
// Compilers are shared between the builds, and so are zig's own runtimes unless `cold` is asked for.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Manifest } from '../../core/src/generated/schema.ts';
import { allPackagePlans, expandTargets } from './build.ts';
import { run } from './exec.ts';
import { type Filter, readFilters } from './filters.ts';
import { FarmError, step } from './log.ts';
import { ROOT, SOURCES, TOOLCHAINS } from './paths.ts';
import { ensureSource, readUpstream, type Upstream, upstreamsOf } from './sources.ts';
import { readTarball } from './tarball.ts';
import { filterPlans, type TargetPlan } from './targets.ts';
import { ensureEmscripten, ensureZig } from './tools.ts';

export interface Compared {
  /** Relative to the repository, such as filters/zstd/wasm/zstd.wasm. */
  readonly file: string;
  readonly target: string;
  /** SHA-256 of the first build, and of the second or the published one; undefined when it is not there. */
  readonly first: string | undefined;
  readonly second: string | undefined;
  readonly same: boolean;
  /** Why they are not the same; empty when they are. */
  readonly reason: string;
}

export interface ReproduceOptions {
  /** A filter's name or npm name with or without `@version`, or a package of ours with C; none: every filter. */
  readonly subject?: string | undefined;
  /** As for ./farm build. Of a published version: what it holds. */
  readonly targets?: readonly string[];
  /** Where the published version is fetched from; default: npm's own setting. */
  readonly registry?: string | undefined;
  /** Build zig's runtimes anew too. */
  readonly cold?: boolean;
  /** For npm. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Tracked files, and new ones that git does not ignore; relative to the repository. */
export function repositoryFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  return list
    .toString()
    .split('\0')
    .filter((file) => file !== '' && existsSync(join(ROOT, file)));
}

/** In words: how two builds of one file differ. `places` are folders that must not have left a trace. */
export function difference(first: Buffer, second: Buffer, places: readonly string[]): string {
  if (first.equals(second)) return '';
  const length = Math.min(first.length, second.length);
  let at = 0;
  while (at < length && first[at] === second[at]) at++;
  let count = Math.abs(first.length - second.length);
  for (let i = at; i < length; i++) if (first[i] !== second[i]) count++;
  const sizes = first.length === second.length ? '' : ` (${first.length} and ${second.length} bytes)`;
  const leak = places.find((place) => first.includes(place) || second.includes(place));
  const why = leak === undefined ? '' : `; it holds the path it was built in, ${leak}: map it with -ffile-prefix-map`;
  return `${count} bytes differ, the first at ${at}${sizes}${why}`;
}

interface Subject {
  /** Relative to the repository. */
  readonly folder: string;
  /** What ./farm task calls it. */
  readonly task: string;
  readonly plans: readonly TargetPlan[];
  readonly upstreams: readonly Upstream[];
}

async function ofFilter(filter: Filter): Promise<Subject> {
  const plans = filterPlans(filter.description).filter(({ target }) => target !== 'pack');
  return { folder: `filters/${filter.name}`, task: filter.name, plans, upstreams: await upstreamsOf(filter) };
}

async function ofPackage(name: string): Promise<Subject | undefined> {
  const plans = allPackagePlans().filter((plan) => plan.package === name);
  if (plans[0] === undefined) return undefined;
  const upstreams = await Promise.all(plans[0].upstreams.map((upstream) => readUpstream(upstream)));
  return { folder: `packages/${name}`, task: name, plans, upstreams };
}

async function findSubject(name: string): Promise<Subject> {
  const filters = await readFilters();
  const filter = filters.find((candidate) => candidate.name === name || candidate.packageName === name);
  if (filter !== undefined) return ofFilter(filter);
  const found = await ofPackage(name.replace(/^@h5z\//, ''));
  if (found !== undefined) return found;
  throw new FarmError(`nothing named "${name}" is built here. Filters: ${filters.map((one) => one.name).join(', ')}.`);
}

/** A copy of the repository with nothing built, and a cache beside it that shares the compilers alone. */
function cleanRoom(name: string, subjects: readonly Subject[]): string {
  const room = mkdtempSync(join(tmpdir(), name));
  const wanted = subjects.map(({ folder }) => `${folder}/`);
  for (const file of repositoryFiles()) {
    if (/^(docs|tests)\//.test(file)) continue;
    if (file.startsWith('filters/') && !wanted.some((folder) => file.startsWith(folder))) continue;
    mkdirSync(dirname(join(room, 'repository', file)), { recursive: true });
    cpSync(join(ROOT, file), join(room, 'repository', file));
  }
  symlinkSync(join(ROOT, 'node_modules'), join(room, 'repository/node_modules'));
  for (const workspace of readdirSync(join(ROOT, 'packages'))) {
    const own = join(ROOT, 'packages', workspace, 'node_modules');
    if (existsSync(own)) symlinkSync(own, join(room, 'repository/packages', workspace, 'node_modules'));
  }
  mkdirSync(join(room, 'cache/sources'), { recursive: true });
  symlinkSync(TOOLCHAINS, join(room, 'cache/toolchains'));
  // The pinned trees; edits are applied anew there.
  for (const tree of new Set(subjects.flatMap(({ upstreams }) => upstreams.map((upstream) => upstream.tree))))
    cpSync(join(SOURCES, tree), join(room, 'cache/sources', tree), { recursive: true, preserveTimestamps: true });
  return room;
}

/** Builds in a clean room and returns what came out: path in the repository -> bytes. */
async function buildIn(
  room: string,
  work: readonly { subject: Subject; plan: TargetPlan }[],
  cold: boolean,
): Promise<Map<string, Buffer>> {
  const repository = join(room, 'repository');
  const files = new Map<string, Buffer>();
  const env: NodeJS.ProcessEnv = { ...process.env, H5Z_CACHE: join(room, 'cache'), H5Z_COMPILER: 'zig' };
  delete env.ZIG_GLOBAL_CACHE_DIR;
  if (cold) env.ZIG_GLOBAL_CACHE_DIR = join(room, 'cache/zig');
  for (const { subject, plan } of work) {
    const farm = join(repository, 'packages/farm/src/main.ts');
    await step(`${subject.task} for ${plan.target} in ${room}`, () =>
      run(process.execPath, [farm, 'task', subject.task, plan.target], { cwd: repository, env }),
    );
    for (const output of plan.outputs) {
      const file = `${subject.folder}/${output}`;
      files.set(file, readFileSync(join(repository, file)));
    }
  }
  return files;
}

/** What the published package holds of built files, and the targets they are of. Throws when it is of another state. */
async function published(
  subject: Subject,
  spec: { name: string; version: string },
  options: ReproduceOptions,
): Promise<Map<string, Buffer>> {
  const label = `${spec.name}@${spec.version}`;
  const own = JSON.parse(readFileSync(join(ROOT, subject.folder, 'package.json'), 'utf8')) as { version: string };
  if (own.version !== spec.version)
    throw new FarmError(
      `this checkout has version ${own.version} of ${spec.name}, so it cannot make ${label}. Check out its tag, "${label}", and run this again.`,
    );
  const folder = mkdtempSync(join(tmpdir(), 'h5z-published-'));
  try {
    const registry = options.registry === undefined ? [] : ['--registry', options.registry];
    // npm holds the tarball to the registry's integrity hash.
    await step(`getting ${label}`, () =>
      run('npm', ['pack', label, '--silent', '--ignore-scripts', '--pack-destination', folder, ...registry], {
        cwd: folder,
        env: options.env ?? process.env,
        hint: `npm could not get ${label}. Is it published there?`,
      }),
    );
    const [tarball] = readdirSync(folder).filter((file) => file.endsWith('.tgz'));
    if (tarball === undefined) throw new FarmError(`npm pack left no tarball of ${label}.`);
    const files = readTarball(readFileSync(join(folder, tarball)));
    const manifest = JSON.parse(files.get('manifest.json')?.toString() ?? 'null') as Manifest | null;
    for (const { name, tree } of manifest?.upstreams ?? []) {
      const here = subject.upstreams.find((upstream) => upstream.name === name);
      if (here?.tree !== tree)
        throw new FarmError(
          `${label} was made from another ${name} (tree ${tree.slice(0, 12)}) than this checkout pins. Check out the tag "${label}".`,
        );
    }
    return new Map([...files].filter(([file]) => /^(prebuilds|wasm|gpu)\//.test(file)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const hash = (bytes: Buffer | undefined): string | undefined =>
  bytes === undefined ? undefined : createHash('sha256').update(bytes).digest('hex');

/** Builds, builds again or fetches, and compares every file. */
export async function reproduce(options: ReproduceOptions): Promise<Compared[]> {
  const [, name, version] = /^(@?[^@]+)(?:@(.+))?$/.exec(options.subject ?? '') ?? [];
  const subjects =
    name === undefined
      ? await Promise.all((await readFilters()).map((filter) => ofFilter(filter)))
      : [await findSubject(name)];
  const [only] = subjects;
  const held =
    version === undefined || name === undefined || only === undefined
      ? undefined
      : await published(only, { name: name.startsWith('@') ? name : `@h5z/${name}`, version }, options);

  const words = options.targets ?? [];
  const targets = held !== undefined && words.length === 0 ? undefined : expandTargets(words);
  const work = subjects
    .flatMap((subject) => subject.plans.map((plan) => ({ subject, plan })))
    .filter(({ plan }) => targets === undefined || targets.includes(plan.target))
    .filter(({ plan }) => targets !== undefined || plan.outputs.some((file) => held?.has(file)));
  if (work.length === 0) throw new FarmError(`nothing to build of ${options.subject ?? 'filters/'} for these targets.`);

  for (const { upstreams } of subjects) for (const upstream of upstreams) await ensureSource(upstream);
  if (work.some(({ plan }) => plan.toolchain === 'zig' || plan.toolchain === 'ptx')) await ensureZig();
  if (work.some(({ plan }) => plan.toolchain === 'emscripten')) await ensureEmscripten();

  const rooms: string[] = [];
  try {
    // Both at once, so that nobody's edit falls between them.
    for (const prefix of held === undefined ? ['h5z-a-', 'h5z-another-place-'] : ['h5z-a-'])
      rooms.push(cleanRoom(prefix, subjects));
    const [here, there] = rooms as [string, string];
    const first = await buildIn(here, work, options.cold === true);
    const second =
      held === undefined
        ? await buildIn(there, work, options.cold === true)
        : new Map([...held].map(([file, bytes]) => [`${only?.folder}/${file}`, bytes]));
    return work.flatMap(({ subject, plan }) =>
      plan.outputs.map((output): Compared => {
        const file = `${subject.folder}/${output}`;
        const [a, b] = [first.get(file), second.get(file)];
        const reason =
          a !== undefined && b !== undefined
            ? difference(a, b, rooms)
            : `the published package does not hold it, and this repository makes it`;
        return { file, target: plan.target, first: hash(a), second: hash(b), same: reason === '', reason };
      }),
    );
  } finally {
    for (const room of rooms) rmSync(room, { recursive: true, force: true });
  }
}
