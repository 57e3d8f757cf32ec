// The one action, task(folder, target), and `./farm build`, which lets Nx decide which of these actions are due.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { exists, run } from './exec.ts';
import { type Filter, readFilters, selectFilters } from './filters.ts';
import { identity } from './identity.ts';
import { kept } from './kept.ts';
import { FarmError, say, step } from './log.ts';
import { buildDir, ROOT } from './paths.ts';
import { ensureSideRuntime } from './side-runtime.ts';
import { ensureSource, readUpstream, type Upstream, upstreamFolder, upstreamsOf } from './sources.ts';
import {
  CROSS,
  filterPlans,
  hostPlatform,
  isPlatform,
  nxName,
  type PackagePlan,
  PLATFORMS,
  type Platform,
  packagePlans,
  type Target,
  type TargetPlan,
  type Toolchain,
} from './targets.ts';
import { ensureCmake, ensureEmscripten, ensureZig } from './tools.ts';

/** `system` builds the host's native libraries with the machine's own C compiler instead of zig. */
export type Compiler = 'zig' | 'system';

/** Nx passes the environment to its tasks, and hashes this variable: see nx-plugin.mjs. */
const compilerWanted = (): Compiler => (process.env.H5Z_COMPILER === 'system' ? 'system' : 'zig');

/** Jobs of one ninja: Nx runs two tasks at a time. */
const jobs = (): number => Math.max(1, Math.floor(availableParallelism() / 2));

async function toolchainFlags(toolchain: Toolchain, target: string): Promise<string[]> {
  if (toolchain === 'zig') {
    if (compilerWanted() === 'system') {
      if (target !== hostPlatform())
        throw new FarmError(
          `the system compiler builds for ${hostPlatform()} only, not ${target}. Leave --compiler out.`,
        );
      return [`-DH5Z_PLATFORM=${target}`];
    }
    const zig = await ensureZig();
    return [
      `-DCMAKE_TOOLCHAIN_FILE=${join(ROOT, 'toolchains/zig/platform.cmake')}`,
      `-DH5Z_PLATFORM=${target}`,
      `-DH5Z_ZIG_BIN=${zig.bin}`,
    ];
  }
  if (toolchain === 'ptx') {
    const zig = await ensureZig();
    return [`-DCMAKE_TOOLCHAIN_FILE=${join(ROOT, 'toolchains/ptx/ptx.cmake')}`, `-DH5Z_ZIG=${zig.folder}`];
  }
  const emscripten = await ensureEmscripten();
  return [
    `-DCMAKE_TOOLCHAIN_FILE=${join(ROOT, 'toolchains/emscripten/emscripten.cmake')}`,
    `-DH5Z_EMSCRIPTEN_BIN=${emscripten.bin}`,
  ];
}

async function sourceFlags(upstreams: readonly Upstream[]): Promise<string[]> {
  const flags: string[] = [];
  for (const upstream of upstreams) flags.push(`-DH5Z_SOURCE_${upstream.name}=${await ensureSource(upstream)}`);
  return flags;
}

/** Configures and builds; a tree made with other settings (another toolchain, a moved repository) is started anew. */
async function cmakeBuild(source: string, tree: string, flags: readonly string[]): Promise<void> {
  const { cmake, ninja } = await ensureCmake();
  const settings = [
    '-S',
    source,
    '-B',
    tree,
    '-G',
    'Ninja',
    `-DCMAKE_MAKE_PROGRAM=${ninja}`,
    '-DCMAKE_BUILD_TYPE=Release',
    ...flags,
  ];
  const mark = join(tree, 'h5z-settings.json');
  const text = JSON.stringify(settings);
  if ((await readFile(mark, 'utf8').catch(() => '')) !== text) await rm(tree, { recursive: true, force: true });
  // Reproducible: nothing of this moment or this person's settings goes in.
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SOURCE_DATE_EPOCH: '0',
    ZERO_AR_DATE: '1',
    EM_NODE_JS: process.execPath,
  };
  for (const name of ['CFLAGS', 'CXXFLAGS', 'CPPFLAGS', 'LDFLAGS', 'EMCC_CFLAGS']) delete env[name];
  await run(cmake, settings, { env });
  await writeFile(mark, text);
  await run(cmake, ['--build', tree, '--parallel', String(jobs())], { env });
}

async function writeIfChanged(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

/** Puts a finished file in its place at once: nobody ever loads half of it, and a farm that is killed leaves nothing beside it. */
async function place(from: string, to: string): Promise<void> {
  if (!(await exists(from)))
    throw new FarmError(`the build left no ${from}. Does CMakeLists.txt name the filter as its folder does?`);
  await mkdir(dirname(to), { recursive: true });
  const temporary = `${from}.${process.pid}.tmp`;
  try {
    await copyFile(from, temporary);
    await rename(temporary, to);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Whether C++ takes part: its compilers and runtimes cost minutes that a filter in C does not pay. */
export async function usesCxx(filter: Filter, upstreams: readonly Upstream[]): Promise<boolean> {
  const folders = [filter.dir, ...upstreams.map(({ name }) => upstreamFolder(filter.dir, name))];
  const texts = await Promise.all(
    folders.map((folder) => {
      const file = join(folder, 'CMakeLists.txt');
      return readFile(file, 'utf8').catch(() => {
        throw new FarmError(`there is no ${file}, which says how this is compiled. Write it.`);
      });
    }),
  );
  return texts.some((text) => /\.(cc|cpp|cxx)\b/.test(text));
}

/** What packages/abi/cmake must be told to build `kinds` of a filter into `tree`, beside the toolchain. */
async function filterFlags(filter: Filter, kinds: readonly string[], tree: string, simd = false): Promise<string[]> {
  const upstreams = await upstreamsOf(filter);
  const identityFile = `${tree}-identity.h`;
  await writeIfChanged(identityFile, identity(filter, upstreams));
  const cxx = await usesCxx(filter, upstreams);
  return [
    `-DH5Z_LANGUAGES=${cxx ? 'C;CXX' : 'C'}`,
    ...(kinds.includes('h5wasm') ? [`-DH5Z_SIDE_RUNTIME=${await ensureSideRuntime()}`] : []),
    ...(await sourceFlags(upstreams)),
    `-DH5Z_FILTER_DIR=${filter.dir}`,
    `-DH5Z_KINDS=${kinds.join(';')}`,
    `-DH5Z_OUTPUT_DIR=${join(tree, 'out')}`,
    `-DH5Z_IDENTITY=${identityFile}`,
    `-DH5Z_WASM_SIMD=${simd ? 'ON' : 'OFF'}`,
    `-DH5Z_UPSTREAMS_DIR=${join(ROOT, 'upstreams')}`,
  ];
}

/** Builds one target of a filter, wherever its folder lies; returns the folder that holds the finished files. */
export async function buildTarget(filter: Filter, plan: TargetPlan): Promise<string> {
  const tree = buildDir(filter.name, plan.target);
  const { wasm, h5wasm } = filter.description.variants;
  const simd = (plan.target === 'wasm' && wasm?.simd === true) || (plan.target === 'h5wasm' && h5wasm?.simd === true);
  await cmakeBuild(join(ROOT, 'packages/abi/cmake'), tree, [
    ...(await toolchainFlags(plan.toolchain, plan.target)),
    ...(await filterFlags(filter, plan.kinds, tree, simd)),
  ]);
  return join(tree, 'out');
}

async function buildFilter(filter: Filter, plan: TargetPlan): Promise<void> {
  const out = await buildTarget(filter, plan);
  for (const output of plan.outputs)
    await place(join(out, output.split('/').at(-1) as string), join(filter.dir, output));
}

/** Builds the filter and packages/abi/fuzz into one libFuzzer program with sanitizers; returns its path. */
export async function buildFuzzer(filter: Filter, clang: string): Promise<string> {
  const tree = buildDir(filter.name, 'fuzz');
  const sanitizers = '-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined';
  await cmakeBuild(join(ROOT, 'packages/abi/cmake'), tree, [
    `-DCMAKE_C_COMPILER=${clang}`,
    `-DCMAKE_ASM_COMPILER=${clang}`,
    `-DCMAKE_CXX_COMPILER=${clang.replace(/clang(?=[^/]*$)/, 'clang++')}`,
    `-DCMAKE_C_FLAGS=${sanitizers} -fno-omit-frame-pointer`,
    `-DCMAKE_CXX_FLAGS=${sanitizers} -fno-omit-frame-pointer`,
    ...(await filterFlags(filter, ['fuzz'], tree)),
  ]);
  return join(tree, 'out', `h5z-fuzz-${filter.name}`);
}

/** Builds packages/abi/harness for a platform, once for this machine; returns the program's path. */
export async function buildHarness(platform: Platform): Promise<string> {
  const { version } = await ensureZig();
  const folder = await kept(
    {
      name: `harness-${platform}`,
      inputs: ['packages/abi/harness', 'packages/abi/include/h5z/filter.h', 'toolchains/zig'],
      compiler: `zig ${version} ${platform}`,
      outputs: ['h5z-harness'],
    },
    async (work) => {
      const out = join(work, 'out');
      const flags = [...(await toolchainFlags('zig', platform)), `-DH5Z_OUTPUT_DIR=${out}`];
      await cmakeBuild(join(ROOT, 'packages/abi/harness'), work, flags);
      return out;
    },
  );
  return join(folder, 'h5z-harness');
}

async function buildPackage(plan: PackagePlan): Promise<void> {
  const folder = join(ROOT, 'packages', plan.package);
  const tree = buildDir(plan.package, plan.target);
  const out = join(tree, 'out');
  const compile = async (): Promise<string> => {
    const upstreams = await Promise.all(plan.upstreams.map((name) => readUpstream(name)));
    await cmakeBuild(folder, tree, [
      ...(await toolchainFlags(plan.toolchain, plan.target)),
      ...(await sourceFlags(upstreams)),
      `-DH5Z_NODE=${process.execPath}`,
      `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${out}`,
      `-DCMAKE_RUNTIME_OUTPUT_DIRECTORY=${out}`,
    ]);
    return out;
  };
  const keep = async (): Promise<string> =>
    kept(
      {
        name: plan.package,
        inputs: [
          `packages/${plan.package}/CMakeLists.txt`,
          `packages/${plan.package}/c`,
          ...plan.upstreams.map((name) => `upstreams/${name}`),
          `toolchains/${plan.toolchain}`,
          'packages/farm/src/build.ts',
        ],
        compiler: `emscripten ${(await ensureEmscripten()).version}`,
        outputs: plan.outputs.map((output) => output.split('/').at(-1) as string),
      },
      compile,
    );
  const from = plan.toolchain === 'emscripten' ? await keep() : await compile();
  for (const output of plan.outputs) {
    // A CMakeLists.txt that is also built by others may set its own place; else the file is in out/.
    const built = join(from, output.split('/').at(-1) as string);
    if (await exists(built)) await place(built, join(folder, output));
    else if (!(await exists(join(folder, output))))
      throw new FarmError(`the build left no packages/${plan.package}/${output}.`);
  }
}

/** Every package with C of its own and its targets. */
export const allPackagePlans = (): PackagePlan[] =>
  readdirSync(join(ROOT, 'packages'))
    .sort()
    .flatMap((name) => packagePlans(name, ROOT));

/** The one action: builds one target of one filter (or of a package with C of its own). */
export async function task(name: string, target: string): Promise<void> {
  const filter = (await readFilters()).find((candidate) => candidate.name === name);
  if (filter !== undefined) {
    const plans = filterPlans(filter.description);
    const plan = plans.find((candidate) => candidate.target === target);
    if (plan === undefined)
      throw new FarmError(
        `filter ${name} has no target "${target}". Targets: ${plans.map((known) => known.target).join(', ')}.`,
      );
    if (plan.target === 'pack') {
      const { finishFilter } = await import('./pack.ts');
      await finishFilter(filter);
    } else await buildFilter(filter, plan);
    return;
  }
  const plan = allPackagePlans().find((candidate) => candidate.package === name && candidate.target === target);
  if (plan === undefined) {
    const known = (await readFilters()).map((candidate) => candidate.name);
    throw new FarmError(`nothing named "${name}" has a target "${target}". Filters: ${known.join(', ')}.`);
  }
  await buildPackage(plan);
}

export interface BuildOptions {
  /** Filters by name; none: all filters and the packages. */
  readonly filters?: readonly string[];
  /** `host` (default), `cross`, `all`, or targets by name. */
  readonly targets?: readonly string[];
  readonly compiler?: Compiler;
}

export interface Built {
  /** Folder relative to the repository, such as filters/zstd. */
  readonly folder: string;
  readonly target: string;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** Target names from words: host = this platform, wasm, h5wasm, ptx; cross = what tests run on too; all = every platform. */
export function expandTargets(words: readonly string[]): Target[] {
  const host: Target[] = [hostPlatform(), 'wasm', 'h5wasm', 'ptx'];
  const known = [...PLATFORMS, 'wasm', 'h5wasm', 'ptx', 'pack'] as const;
  const targets = (words.length === 0 ? ['host'] : words).flatMap((word): Target[] => {
    if (word === 'host') return host;
    if (word === 'cross') return [...host, ...CROSS];
    if (word === 'all') return [...host, ...PLATFORMS];
    const target = known.find((candidate) => candidate === word);
    if (target === undefined)
      throw new FarmError(`no target "${word}". Targets: host, cross, all, ${known.join(', ')}.`);
    return [target];
  });
  return [...new Set(targets)];
}

async function facts(folder: string, plan: TargetPlan): Promise<Built> {
  const files = [];
  for (const output of plan.outputs) {
    const path = join(ROOT, folder, output);
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    files.push({ path: `${folder}/${output}`, bytes: (await stat(path)).size, sha256 });
  }
  return { folder, target: plan.target, files };
}

/** Builds what is due, through Nx; then the TypeScript packages and the filters' JavaScript and manifests. */
export async function buildAll(options: BuildOptions = {}): Promise<Built[]> {
  const targets = expandTargets(options.targets ?? []);
  const filters = await selectFilters(options.filters ?? []);
  const everything = (options.filters ?? []).length === 0;
  const wanted: { folder: string; project: string; plan: TargetPlan }[] = [];
  for (const filter of filters) {
    for (const plan of filterPlans(filter.description))
      if (plan.target !== 'pack' && targets.includes(plan.target))
        wanted.push({ folder: `filters/${filter.name}`, project: filter.packageName, plan });
  }
  if (everything) {
    // A C++ runtime for another platform takes zig minutes: the packages' own addons are crossed when asked for.
    const crossed = (target: Target) =>
      isPlatform(target) &&
      target !== hostPlatform() &&
      !options.targets?.includes(target) &&
      !options.targets?.includes('all');
    for (const plan of allPackagePlans())
      if (targets.includes(plan.target) && !crossed(plan.target))
        wanted.push({ folder: `packages/${plan.package}`, project: `@h5z/${plan.package}`, plan });
  }

  // Compilers and sources first, here, where their progress can be seen; the tasks then find them.
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    H5Z_COMPILER: options.compiler ?? 'zig',
    NX_DAEMON: 'false',
    NX_TUI: 'false',
    NX_NO_CLOUD: 'true',
    NX_SKIP_LOG_GROUPING: 'true',
    NX_VERBOSE_LOGGING: 'false',
  };
  const uses = (toolchain: Toolchain): boolean => wanted.some(({ plan }) => plan.toolchain === toolchain);
  const upstreams = new Map<string, Upstream>();
  for (const filter of filters)
    for (const upstream of await upstreamsOf(filter)) upstreams.set(`${upstream.name} ${upstream.tree}`, upstream);
  for (const plan of everything ? allPackagePlans() : [])
    for (const name of targets.includes(plan.target) ? plan.upstreams : []) {
      const upstream = await readUpstream(name);
      upstreams.set(`${upstream.name} ${upstream.tree}`, upstream);
    }
  // Side by side: some wait for the network, some unpack.
  const [emscripten] = await Promise.all([
    uses('emscripten') ? ensureEmscripten() : undefined,
    (uses('zig') && options.compiler !== 'system') || uses('ptx') ? ensureZig() : undefined,
    ensureCmake(),
    ...[...upstreams.values()].map((upstream) => ensureSource(upstream)),
  ]);
  if (emscripten !== undefined) env.H5Z_EMSCRIPTEN = emscripten.version;

  if (wanted.length > 0) {
    const projects = [...new Set(wanted.map(({ project }) => project))];
    const names = [...new Set(wanted.map(({ folder, plan }) => nxName(folder.startsWith('packages/'), plan.target)))];
    await step(`building ${projects.length} folders for ${targets.join(', ')}`, () =>
      run(
        process.execPath,
        [
          join(ROOT, 'node_modules/nx/dist/bin/nx.js'),
          'run-many',
          '--targets',
          names.join(','),
          '--projects',
          projects.join(','),
          '--parallel',
          '2',
          '--outputStyle',
          'static',
          '--nxBail',
        ],
        { cwd: ROOT, env, show: true },
      ),
    );
  }

  const { compile, finishFilter } = await import('./pack.ts');
  await step('TypeScript', compile);
  for (const filter of filters) await finishFilter(filter);
  const built: Built[] = [];
  for (const { folder, plan } of wanted) built.push(await facts(folder, plan));
  if (!existsSync(join(ROOT, 'packages/core/dist')))
    say('packages/core/dist is missing after tsc -b: is it a reference of tsconfig.json?');
  return built;
}
