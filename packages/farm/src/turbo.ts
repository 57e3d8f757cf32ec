// Turborepo shares builds between machines: turbo.json and one script a task, generated from targets.ts as the Nx plugin is,
// in a folder of their own. Filters are no workspaces (docs/decisions/filters-are-not-workspaces.md), so turbo sees one
// package whose tasks have one input each, the digest of what goes into it, and one folder of outputs; what comes back is put
// where it belongs. Nothing of a machine's paths is in a hash: two checkouts with the same sources share.

import { createHash } from 'node:crypto';
import { cp, glob, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expandTargets } from './build.ts';
import { run } from './exec.ts';
import { type Filter, selectFilters } from './filters.ts';
import { FarmError, say, step } from './log.ts';
import { CACHE, ROOT } from './paths.ts';
import { filterPlans, type TargetPlan } from './targets.ts';
import { ensureLocked } from './tools.ts';

/** Where turbo runs in this checkout: its package.json, turbo.json, inputs, outputs and local cache. */
const TURBO_DIR = join(CACHE, 'turbo', createHash('sha256').update(ROOT).digest('hex').slice(0, 12));

/** Environment that decides about bytes; the rest of it is passed through. */
const DECIDING = ['H5Z_COMPILER', 'H5Z_EMSCRIPTEN'];

export interface TurboTask {
  readonly filter: string;
  readonly target: string;
  /** Where its files came from. */
  readonly cache: 'local' | 'remote' | 'built';
}

interface Planned {
  readonly filter: Filter;
  readonly plan: TargetPlan;
  readonly name: string;
}

/** The programs of toolchains/turbo, installed once by their lock file. */
export async function ensureTurbo(): Promise<{ turbo: string; server: string }> {
  const bin = join(await ensureLocked('turbo', 'Turborepo'), 'node_modules');
  return { turbo: join(bin, 'turbo/bin/turbo'), server: join(bin, 'turborepo-remote-cache/dist/cli.js') };
}

/** SHA-256 over the paths and bytes of all that goes into a task. */
async function digestOf({ inputs }: TargetPlan, seen: Map<string, Promise<string>>): Promise<string> {
  const files = new Set<string>();
  for (const pattern of inputs)
    for await (const entry of glob(pattern, { cwd: ROOT, withFileTypes: true }))
      if (entry.isFile()) files.add(join(entry.parentPath, entry.name));
  const digest = createHash('sha256');
  for (const file of [...files].sort()) {
    const hash = seen.get(file) ?? readFile(file).then((bytes) => createHash('sha256').update(bytes).digest('hex'));
    seen.set(file, hash);
    digest.update(`${file.slice(ROOT.length)} ${await hash}\n`);
  }
  return digest.digest('hex');
}

async function writeProject(planned: readonly Planned[]): Promise<void> {
  // Outputs of before are not this run's: turbo restores what it has, tasks write the rest.
  for (const old of ['inputs', 'outputs']) await rm(join(TURBO_DIR, old), { recursive: true, force: true });
  await mkdir(join(TURBO_DIR, 'inputs'), { recursive: true });
  const seen = new Map<string, Promise<string>>();
  for (const { name, plan } of planned) await writeFile(join(TURBO_DIR, 'inputs', name), await digestOf(plan, seen));
  const all = (await selectFilters([])).flatMap((filter) => planTasks(filter, () => true));
  const json = async (file: string, value: unknown) =>
    writeFile(join(TURBO_DIR, file), `${JSON.stringify(value, null, 2)}\n`);
  await json('package.json', {
    name: 'h5z-filters',
    private: true,
    packageManager: 'npm@10.0.0',
    scripts: Object.fromEntries(
      all.map(({ filter, plan, name }) => [
        name,
        `node "$H5Z_FARM" task ${filter.name} ${plan.target} --copy outputs/${name}`,
      ]),
    ),
  });
  await json('package-lock.json', {
    name: 'h5z-filters',
    lockfileVersion: 3,
    packages: { '': { name: 'h5z-filters' } },
  });
  await json('turbo.json', {
    remoteCache: { signature: true },
    globalPassThroughEnv: ['*'],
    tasks: Object.fromEntries(
      all.map(({ name }) => [name, { inputs: [`inputs/${name}`], outputs: [`outputs/${name}/**`], env: DECIDING }]),
    ),
  });
}

/** The tasks of a filter that are worth sharing; names without what has a meaning in globs. */
function planTasks(filter: Filter, wanted: (plan: TargetPlan) => boolean): Planned[] {
  return filterPlans(filter.description)
    .filter((plan) => plan.cache && wanted(plan))
    .map((plan) => ({ filter, plan, name: `${filter.name}.${plan.target}` }));
}

/** Puts the files of a filter's built target into `folder`, at their paths in the filter: where turbo takes them from. */
export async function copyOutputs(name: string, target: string, folder: string): Promise<void> {
  const [filter] = await selectFilters([name]);
  const plan = filter && filterPlans(filter.description).find((one) => one.target === target);
  if (filter === undefined || plan === undefined)
    throw new FarmError(`${name} has no target ${target}. See ./farm matrix.`);
  await copyFiles(plan, filter.dir, folder);
}

async function copyFiles({ outputs }: TargetPlan, from: string, to: string): Promise<void> {
  for (const output of outputs) await cp(join(from, output), join(to, output), { recursive: true });
}

interface Summary {
  readonly tasks: readonly {
    readonly task: string;
    readonly cache: { readonly status: string; readonly local?: boolean; readonly remote?: boolean };
  }[];
}

/** Builds through turbo: from its local cache, from the remote one that TURBO_API names, or here. */
export async function turbo(names: readonly string[], targets: readonly string[]): Promise<TurboTask[]> {
  const remote = process.env.TURBO_API !== undefined;
  if (remote && !process.env.TURBO_REMOTE_CACHE_SIGNATURE_KEY)
    throw new FarmError(
      'TURBO_API names a remote cache, but TURBO_REMOTE_CACHE_SIGNATURE_KEY is not set: unsigned builds of others are not taken. Set the key that your machines share.',
    );
  const chosen = expandTargets(targets);
  const filters = await selectFilters(names);
  const planned = filters.flatMap((filter) => planTasks(filter, ({ target }) => chosen.includes(target)));
  const programs = await ensureTurbo();
  await writeProject(planned);
  const runs = join(TURBO_DIR, '.turbo/runs');
  await rm(runs, { recursive: true, force: true });
  const args = [
    'run',
    ...planned.map(({ name }) => name),
    '--summarize',
    '--output-logs=new-only',
    '--no-update-notifier',
  ];
  await step(`turbo: ${planned.length} tasks`, () =>
    run(process.execPath, [programs.turbo, ...args, '--ui=stream'], {
      cwd: TURBO_DIR,
      env: {
        ...process.env,
        H5Z_FARM: join(ROOT, 'packages/farm/src/main.ts'),
        TURBO_TELEMETRY_DISABLED: '1',
        DO_NOT_TRACK: '1',
        ...(remote ? { TURBO_TEAM: process.env.TURBO_TEAM ?? 'h5z' } : {}),
      },
    }),
  );
  const [file] = await readdir(runs);
  if (file === undefined)
    throw new FarmError(`turbo left no summary of its run. Delete ${TURBO_DIR} and run this again.`);
  const summary = JSON.parse(await readFile(join(runs, file), 'utf8')) as Summary;
  const results: TurboTask[] = [];
  for (const { filter, plan, name } of planned) {
    const found = summary.tasks.find(({ task }) => task === name);
    if (found === undefined) throw new FarmError(`turbo did not run ${name}. Delete ${TURBO_DIR} and run this again.`);
    await copyFiles(plan, join(TURBO_DIR, 'outputs', name), filter.dir);
    const { status, local } = found.cache;
    results.push({
      filter: filter.name,
      target: plan.target,
      cache: status !== 'HIT' ? 'built' : local ? 'local' : 'remote',
    });
  }
  say(`turbo: ${results.filter(({ cache }) => cache !== 'built').length} of ${results.length} from a cache`);
  return results;
}
