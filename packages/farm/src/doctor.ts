// What ./farm needs and what this machine has: read-only, installs nothing.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, run, which } from './exec.ts';
import { readFilters } from './filters.ts';
import { CACHE, FILTER_FOLDER, ROOT, SOURCES, TOOLCHAINS } from './paths.ts';
import { listUpstreams, readUpstream, upstreamsOf } from './sources.ts';
import { compareVersions, environmentFolder, missingApt, readCargoPin, readEmscriptenPin, versionOf } from './tools.ts';

/** `auto`: not there, and the farm gets it by itself when it is needed. `missing`: only you can get it. */
export type State = 'ok' | 'auto' | 'missing';

export interface Finding {
  readonly tool: string;
  readonly version: string;
  readonly state: State;
  /** What it is for. */
  readonly use: string;
  /** The one command that fixes it; empty when there is nothing to fix. */
  readonly fix: string;
}

/** Outside the repository there is one filter, built by h5z-abi. */
const outside = FILTER_FOLDER !== undefined;
const farm = outside ? 'npx h5z-abi' : './farm';

const root = process.getuid?.() === 0;
const apt = (...packages: string[]): string => `${root ? '' : 'sudo '}apt-get install -y ${packages.join(' ')}`;

/** apt can do it here without asking anybody. */
const aptWorks = async (): Promise<boolean> => root && (await which('apt-get')) !== undefined;

async function program(tool: string, use: string, packages: string[], minimum?: string): Promise<Finding> {
  const path = await which(tool);
  const version = path === undefined ? undefined : ((await versionOf(path)) ?? 'unknown');
  const good = version !== undefined && (minimum === undefined || compareVersions(version, minimum) >= 0);
  const absent: State = (await aptWorks()) ? 'auto' : 'missing';
  return {
    tool: minimum === undefined ? tool : `${tool} >= ${minimum}`,
    version: version ?? '-',
    state: good ? 'ok' : absent,
    use,
    fix: good ? '' : apt(...packages),
  };
}

/** A tool that the farm keeps in its cache. */
async function cached(tool: string, folder: string, version: string, use: string, name: string): Promise<Finding> {
  const there = await exists(folder);
  return {
    tool,
    version: there ? version : '-',
    state: there ? 'ok' : 'auto',
    use,
    fix: there ? '' : `${farm} tools ${name}`,
  };
}

async function pinOf(requirements: string, name: string): Promise<string> {
  const text = await readFile(join(ROOT, requirements), 'utf8');
  return new RegExp(`^${name}==(\\S+)`, 'm').exec(text)?.[1] ?? '?';
}

async function emscripten(): Promise<Finding> {
  const pin = await readEmscriptenPin();
  const folder = join(TOOLCHAINS, `emscripten-${pin.version}`);
  const emcc = await which('emcc');
  const onPath = emcc === undefined ? undefined : await versionOf(emcc);
  const inRange =
    onPath !== undefined && compareVersions(onPath, pin.minimum) >= 0 && compareVersions(onPath, pin.below) < 0;
  const use = 'WebAssembly variants';
  if (!(await exists(folder)) && inRange) return { tool: 'emcc', version: onPath, state: 'ok', use, fix: '' };
  const found = await cached('emcc', folder, pin.version, use, 'emscripten');
  const debian = (await which('dpkg-deb')) !== undefined;
  return found.state === 'ok' || debian
    ? found
    : { ...found, state: 'missing', fix: `install emsdk ${pin.version} and put its emcc on PATH` };
}

async function cargo(): Promise<Finding> {
  const pin = await readCargoPin();
  const path = await which('cargo');
  const version = path === undefined ? undefined : await versionOf(path);
  const use = 'sources that only crates carry';
  if (version !== undefined && compareVersions(version, pin.minimum) >= 0)
    return { tool: 'cargo', version, state: 'ok', use, fix: '' };
  return cached('cargo', join(TOOLCHAINS, `cargo-${pin.version}`), pin.version, use, 'cargo');
}

async function cmake(): Promise<Finding[]> {
  const pin = await pinOf('toolchains/cmake/requirements.txt', 'cmake');
  const folder = join(TOOLCHAINS, `cmake-${pin}`);
  const findings: Finding[] = [];
  for (const [tool, minimum] of [
    ['cmake', '3.25'],
    ['ninja', '1.10'],
  ] as const) {
    const path = await which(tool);
    const version = path === undefined ? undefined : await versionOf(path);
    if (version !== undefined && compareVersions(version, minimum) >= 0)
      findings.push({ tool, version, state: 'ok', use: 'every C build', fix: '' });
    else findings.push(await cached(tool, folder, `with CMake ${pin}`, 'every C build', 'cmake'));
  }
  return findings;
}

/** None where nobody has made one yet. */
const filtersHere = async () =>
  FILTER_FOLDER === undefined || (await exists(join(FILTER_FOLDER, 'filter.json'))) ? readFilters() : [];

async function sources(): Promise<Finding> {
  const all = outside ? [] : await Promise.all((await listUpstreams()).map((name) => readUpstream(name)));
  for (const filter of await filtersHere()) all.push(...(await upstreamsOf(filter)));
  const trees = new Map(all.map(({ name, tree }) => [tree, name]));
  const absent: string[] = [];
  for (const [tree, name] of trees) if (!(await exists(join(SOURCES, tree)))) absent.push(name);
  const fix = outside ? `${farm} build` : `${farm} fetch ${absent.join(' ')}`;
  return {
    tool: 'upstream sources',
    version: `${trees.size - absent.length} of ${trees.size}`,
    state: absent.length === 0 ? 'ok' : 'auto',
    use: 'every C build',
    fix: absent.length === 0 ? '' : fix,
  };
}

async function python(): Promise<Finding[]> {
  const found = await program(
    'python3',
    'pip, Emscripten, peers in tests',
    ['python3', 'python3-pip', 'python3-venv'],
    '3.9',
  );
  const pip =
    found.state === 'ok' ? await run('python3', ['-m', 'pip', '--version'], { allowFailure: true }) : undefined;
  const version = /pip (\S+)/.exec(pip?.stdout ?? '')?.[1];
  const absent: State = (await aptWorks()) ? 'auto' : 'missing';
  return [
    found,
    {
      tool: 'pip',
      version: version ?? '-',
      state: version === undefined ? absent : 'ok',
      use: 'zig, CMake, source distributions',
      fix: version === undefined ? apt('python3-pip') : '',
    },
  ];
}

async function hsds(): Promise<Finding[]> {
  if ((await which('python3')) === undefined) return [];
  const requirements = 'tests/support/hsds-requirements.txt';
  const folder = join(await environmentFolder(requirements), '.complete');
  return [await cached('HSDS', folder, await pinOf(requirements, 'hsds'), 'tests of @h5z/hsds', 'hsds')];
}

async function debian(tool: string, use: string, packages: string[]): Promise<Finding> {
  const absent = await missingApt(packages);
  const state: State = absent.length === 0 ? 'ok' : (await aptWorks()) ? 'auto' : 'missing';
  return {
    tool,
    version: absent.length === 0 ? 'Debian' : '-',
    state,
    use,
    fix: absent.length === 0 ? '' : apt(...absent),
  };
}

async function nodeModules(): Promise<Finding> {
  const there = await exists(join(ROOT, 'node_modules/.package-lock.json'));
  return {
    tool: 'node_modules',
    version: there ? 'installed' : '-',
    state: there ? 'ok' : 'auto',
    use: 'Nx, TypeScript, tests',
    fix: there ? '' : 'npm ci --ignore-scripts',
  };
}

/** Everything that the commands use here: in the repository also what its tests compare with. */
export async function doctor(): Promise<Finding[]> {
  const zig = await pinOf('toolchains/zig/requirements.txt', 'ziglang');
  return [
    { tool: 'node', version: process.versions.node, state: 'ok', use: 'the farm itself', fix: '' },
    await program('npm', 'packages', ['npm']),
    ...(outside ? [] : [await nodeModules()]),
    ...(await python()),
    await cached('zig', join(TOOLCHAINS, `zig-${zig}`), zig, 'native variants, all platforms', 'zig'),
    await emscripten(),
    ...(await cmake()),
    await sources(),
    await cargo(),
    await debian('wine64', `Windows libraries in ${farm} verify`, ['wine64']),
    await debian('clang with libFuzzer', outside ? `${farm} fuzz` : 'fuzzing in ./farm test', [
      'clang',
      'libclang-rt-14-dev',
    ]),
    ...(outside ? [] : await peers()),
  ];
}

/** What only the repository's own tests and releases use. */
async function peers(): Promise<Finding[]> {
  return [
    ...(await hsds()),
    await program('git', 'lint and release', ['git']),
    await debian('h5dump', 'plugin tests', ['hdf5-tools']),
    await debian('nccopy', 'plugin tests', ['netcdf-bin']),
    await debian("Debian's h5py", 'plugin tests', ['python3-h5py']),
    await debian("Debian's h5py for MPI", 'plugin tests', ['python3-h5py-mpi', 'openmpi-bin']),
    await debian('PoCL', 'kernels as OpenCL C', ['pocl-opencl-icd', 'ocl-icd-opencl-dev']),
    await program('chromium', 'browser tests', ['chromium']),
    await program('ccache', 'compiling fuzzers of several filters', ['ccache']),
  ];
}

export const cacheFolder = CACHE;
