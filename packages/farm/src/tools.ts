// One way to get each tool: what lies on PATH when it serves, else a pinned one in $H5Z_CACHE/toolchains, else apt.
// Every ensure...() is quick when the tool is there, safe when two farms call it at once, and resumable.

import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists, installOnce, run, which, withLock } from './exec.ts';
import { FarmError, say, step } from './log.ts';
import { CACHE, offline, ROOT, TOOLCHAINS } from './paths.ts';

/** `3.10.2` against `3.9`: by number, field by field. */
export function compareVersions(a: string, b: string): number {
  const fields = (version: string): number[] => (version.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  const [x, y] = [fields(a), fields(b)];
  for (let i = 0; i < 3; i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** First thing that looks like a version in what `program args` prints, or undefined when it cannot run. */
export async function versionOf(program: string, args: readonly string[] = ['--version']): Promise<string | undefined> {
  const result = await run(program, args, { allowFailure: true, timeout: 60_000 }).catch(() => undefined);
  if (result === undefined || result.status !== 0) return undefined;
  return /\d+\.\d+(\.\d+)?/.exec(result.stdout + result.stderr)?.[0];
}

const isRoot = (): boolean => process.getuid?.() === 0;

export function needsNetwork(what: string): void {
  if (offline())
    throw new FarmError(`H5Z_OFFLINE is set and ${what} is not in the cache. Run ./farm fetch with a network first.`);
}

// ---------------------------------------------------------------------------------------------------------------- apt

/** Which of these Debian packages are not installed. */
export async function missingApt(packages: readonly string[]): Promise<string[]> {
  if ((await which('dpkg-query')) === undefined) return [...packages];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
  const query = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...packages], {
    allowFailure: true,
  });
  const installed = new Set(
    query.stdout
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return packages.filter((name) => !installed.has(name));
}

/** Installs Debian packages. Not root: an error that names the one command. */
export async function ensureApt(packages: readonly string[]): Promise<void> {
  const absent = await missingApt(packages);
  if (absent.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${absent.join(' ')}`;
  if ((await which('apt-get')) === undefined)
    throw new FarmError(
      `needs ${absent.join(', ')} (Debian's names), and this machine has no apt-get. Install them by its own package manager.`,
    );
  if (!isRoot()) throw new FarmError(`needs Debian packages that only root can install. Run: sudo ${command}`);
  needsNetwork(`the Debian package ${absent[0]}`);
  await withLock(join(CACHE, 'apt.lock'), () =>
    step(`apt-get install ${absent.join(' ')}`, async () => {
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      const install = (allowFailure: boolean) =>
        run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', ...command.split(' ').slice(1)], { env, allowFailure });
      // A machine that was never updated has no lists; one with old lists names files that are gone.
      if ((await install(true)).status === 0) return;
      await run('apt-get', ['-o', 'DPkg::Lock::Timeout=600', 'update'], { env, allowFailure: true });
      await install(false);
    }),
  );
}

interface AptSource {
  readonly uri: string;
  /** The machine's own suite, such as bookworm. */
  readonly suite: string;
  readonly signedBy: string | undefined;
}

/** The place of Debian's own main archive in this machine's apt configuration: mirrors and proxies stay in force. */
async function debianSource(): Promise<AptSource> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(release)?.[1];
  const folder = '/etc/apt/sources.list.d';
  const files = [
    '/etc/apt/sources.list',
    ...(await readdir(folder).catch(() => [])).sort().map((file) => join(folder, file)),
  ];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.sources')) {
      for (const stanza of text.split(/\n\s*\n/)) {
        const field = (name: string): string | undefined =>
          new RegExp(`^${name}:[ \\t]*(.*)$`, 'mi').exec(stanza)?.[1]?.trim();
        const suites = field('Suites')?.split(/\s+/) ?? [];
        const uri = field('URIs')?.split(/\s+/)[0];
        if (
          uri !== undefined &&
          codename !== undefined &&
          suites.includes(codename) &&
          field('Components')?.includes('main')
        )
          return { uri, suite: codename, signedBy: field('Signed-By') };
      }
    } else {
      for (const line of text.split('\n')) {
        const match = /^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
        if (
          codename !== undefined &&
          match !== null &&
          match[3] === codename &&
          match[4]?.split(/\s+/).includes('main')
        )
          return { uri: match[2] as string, suite: codename, signedBy: /signed-by=(\S+)/.exec(match[1] ?? '')?.[1] };
      }
    }
  }
  throw new FarmError(
    'no Debian archive in /etc/apt to take Emscripten from. Put emcc (see toolchains/emscripten/README.md) on PATH.',
  );
}

/**
 * Makes an apt state of its own in `folder`, with this machine's Debian archive in suite `suite`, and returns the flags
 * that make apt-get use it: packages can be downloaded, as anybody, without touching the machine's own state.
 */
export async function privateApt(
  folder: string,
  kind: 'deb' | 'deb-src',
  suite?: string,
  architecture?: string,
): Promise<string[]> {
  const source = await debianSource();
  await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
  await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
  const signed = source.signedBy === undefined ? '' : `[signed-by=${source.signedBy}] `;
  const suites = suite === undefined ? [source.suite, ...SOURCE_SUITES] : [suite];
  const lines = [...new Set(suites)].map((name) => `${kind} ${signed}${source.uri} ${name} main\n`);
  await writeFile(join(folder, 'sources.list'), lines.join(''));
  await writeFile(join(folder, 'status'), '');
  const settings: Record<string, string> = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'APT::Sandbox::User': '',
    'APT::Update::Post-Invoke': '',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Debug::NoLocking': 'true',
    ...(architecture === undefined ? {} : { 'APT::Architecture': architecture, 'APT::Architectures': architecture }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Suites in which source packages are looked for beside the machine's own. */
const SOURCE_SUITES = ['trixie'];

/** Packages of a Debian suite that are unpacked into a folder, of this machine's processor or another's. */
export interface DebianPick {
  readonly suite: string;
  readonly packages: readonly string[];
  /** Debian's word for a processor, such as arm64; default: this machine's. */
  readonly architecture?: string;
  /** The only files wanted, as tar names them. */
  readonly only?: readonly string[];
  /** Globs of tar, relative to the root, of what nobody needs. */
  readonly leaveOut?: readonly string[];
}

/**
 * Downloads and unpacks Debian packages, as anybody, by the machine's own mirror and keyring. The suite's lists stay in the
 * cache, since reading them is most of the work; they are renewed when they name a file that is gone.
 */
export async function unpackDebian(pick: DebianPick, folder: string): Promise<void> {
  const apt = join(CACHE, 'apt', `${pick.suite}-${pick.architecture ?? 'here'}`);
  const debs = join(folder, 'debs');
  await mkdir(debs, { recursive: true });
  await withLock(`${apt}.lock`, async () => {
    const flags = await privateApt(apt, 'deb', pick.suite, pick.architecture);
    const download = (allowFailure: boolean) =>
      run('apt-get', [...flags, 'download', ...pick.packages], { cwd: debs, allowFailure });
    if ((await download(true)).status === 0) return;
    await run('apt-get', [...flags, 'update']);
    await download(false);
  });
  const chosen = [...(pick.leaveOut ?? []).map((glob) => `--exclude=${glob}`), ...(pick.only ?? [])];
  const unpack = 'deb=$1; root=$2; shift 2; dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --no-same-owner "$@"';
  for (const deb of (await readdir(debs)).sort())
    await run('sh', ['-c', unpack, 'sh', join(debs, deb), folder, ...chosen]);
  await rm(debs, { recursive: true, force: true });
}

/** What runs from the folder it was unpacked into. */
interface SuitePin extends DebianPick {
  /** They must include libc6 and patchelf. */
  readonly packages: readonly string[];
  readonly leaveOut: readonly string[];
}

/**
 * Unpacks packages into `temporary`, which will become `target`. Returns a function that points a program in there at
 * the libc and libraries unpacked beside it (by patchelf), so that it runs here, as anybody, without a chroot.
 */
async function unpackSuite(
  pin: SuitePin,
  temporary: string,
  target: string,
  libraries: readonly string[] = [],
): Promise<(program: string) => Promise<void>> {
  await unpackDebian(pin, temporary);
  const triplet = (await readdir(join(temporary, 'usr/lib'))).find((name) => name.endsWith('-linux-gnu')) ?? '';
  const lib = join('usr/lib', triplet);
  const loader = (await readdir(join(temporary, lib))).find((name) => /^ld-linux.*\.so\.\d+$/.test(name));
  if (loader === undefined)
    throw new FarmError(`no loader in ${lib} of ${pin.suite}'s libc6. Put the tool on PATH instead.`);
  const path = [lib, ...libraries].map((folder) => join(target, folder)).join(':');
  const patchelf = ['--library-path', join(temporary, lib), join(temporary, 'usr/bin/patchelf')];
  const settings = ['--set-interpreter', join(target, lib, loader), '--force-rpath', '--set-rpath', path];
  return async (program) => {
    await run(join(temporary, lib, loader), [...patchelf, ...settings, join(temporary, program)]);
  };
}

// ------------------------------------------------------------------------------------------------------------- Python

/** python3 with pip. */
export async function ensurePip(): Promise<string> {
  const python = await which('python3');
  if (python === undefined) await ensureApt(['python3', 'python3-pip', 'python3-venv']);
  else if ((await run(python, ['-m', 'pip', '--version'], { allowFailure: true })).status !== 0)
    await ensureApt(['python3-pip']);
  return python ?? '/usr/bin/python3';
}

const PIP_QUIET = ['--quiet', '--disable-pip-version-check', '--no-input', '--root-user-action=ignore'];

/**
 * Unpacks the wheels of a requirements file (all hashes given) into `folder`, nothing else of the machine touched. `wheels`:
 * pip's options that choose wheels for another platform or Python.
 */
export async function pipInto(folder: string, requirements: string, wheels: readonly string[] = []): Promise<void> {
  const python = await ensurePip();
  await run(
    python,
    [
      '-m',
      'pip',
      'install',
      ...PIP_QUIET,
      '--no-deps',
      '--no-compile',
      '--only-binary',
      ':all:',
      '--require-hashes',
      ...wheels,
      '--target',
      folder,
      '-r',
      requirements,
    ],
    {
      hint: `pip could not get what ${requirements} pins. A hash that does not agree means other bytes than we tested.`,
    },
  );
}

export async function pinIn(requirements: string, name: string): Promise<string> {
  const version = new RegExp(`^${name}==(\\S+)`, 'm').exec(await readFile(requirements, 'utf8'))?.[1];
  if (version === undefined) throw new FarmError(`${requirements} pins no ${name}. Repair the file.`);
  return version;
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** Python of a virtual environment with h5py, hdf5plugin, numpy as pinned in tests/support/requirements.txt. */
export function ensurePythonPeers(): Promise<string> {
  return ensureEnvironment('tests/support/requirements.txt', 'h5py, hdf5plugin and friends');
}

/** Python of a virtual environment with HSDS, h5pyd and numcodecs as pinned in tests/support/hsds-requirements.txt. */
export function ensureHsds(): Promise<string> {
  return ensureEnvironment('tests/support/hsds-requirements.txt', 'HSDS, h5pyd and numcodecs', ['--no-deps']);
}

/** libhdf5s of older series, as toolchains/hdf5 pins them: the libraries by series. None where PyPI has no such wheels. */
export async function ensureHdf5s(): Promise<Record<string, string>> {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string];
  if (process.platform !== 'linux' || machine === undefined)
    throw new FarmError('there are wheels with HDF5 1.12 and 1.14 for Linux on x64 and arm64 only');
  const pins = join(ROOT, 'toolchains/hdf5');
  const libraries: Record<string, string> = {};
  for (const file of (await readdir(pins)).filter((name) => name.endsWith('.txt')).sort()) {
    const requirements = join(pins, file);
    const series = basename(file, '.txt');
    const folder = join(TOOLCHAINS, `hdf5-${series}-${digestOf(await readFile(requirements, 'utf8'))}`);
    if (!(await exists(folder))) {
      needsNetwork(`HDF5 ${series}`);
      // Only the library is used, by whatever Python there is, so that of the wheel does not matter.
      const wheels = ['--platform', `manylinux2014_${machine}`, '--python-version', '3.11'];
      await step(`getting HDF5 ${series}`, () =>
        installOnce(folder, async (temporary) => {
          const whole = join(temporary, 'wheel');
          await pipInto(whole, requirements, wheels);
          await rename(join(whole, 'h5py.libs'), join(temporary, 'lib'));
          await rm(whole, { recursive: true });
        }),
      );
    }
    const library = (await readdir(join(folder, 'lib'))).find((name) => /^libhdf5-/.test(name));
    if (library === undefined) throw new FarmError(`${folder} has no libhdf5. Delete it and run again.`);
    libraries[series] = join(folder, 'lib', library);
  }
  return libraries;
}

/** Where the environment of a requirements file lies, whether or not it has been made. */
export async function environmentFolder(requirements: string): Promise<string> {
  const version = (await run(await ensurePip(), ['--version'])).stdout.trim();
  return join(CACHE, 'python', digestOf(version + (await readFile(join(ROOT, requirements), 'utf8'))));
}

/** The Python of a virtual environment in the cache with what a requirements file of this repository pins. */
async function ensureEnvironment(requirements: string, what: string, options: readonly string[] = []): Promise<string> {
  const base = await ensurePip();
  const folder = await environmentFolder(requirements);
  const python = join(folder, 'bin/python');
  const done = join(folder, '.complete');
  if (await exists(done)) return python;
  await withLock(`${folder}.lock`, async () => {
    if (await exists(done)) return;
    needsNetwork(`the Python environment with ${what}`);
    // A virtual environment holds its own path, so it is made in place; the marker, written last, says it is whole.
    await rm(folder, { recursive: true, force: true });
    await step(`installing ${what} for the tests`, async () => {
      if ((await run(base, ['-m', 'venv', folder], { allowFailure: true })).status !== 0) {
        await ensureApt(['python3-venv']);
        await rm(folder, { recursive: true, force: true });
        await run(base, ['-m', 'venv', folder]);
      }
      const from = ['--only-binary', ':all:', '-r', join(ROOT, requirements)];
      await run(python, ['-m', 'pip', 'install', ...PIP_QUIET, ...options, ...from]);
      await writeFile(done, '');
    });
  });
  return python;
}

// --------------------------------------------------------------------------------------------------------------- Node

/** The Nodes of toolchains/node/pin.json: their programs by version. None where npm has no Node for this machine. */
export async function ensureNodes(): Promise<Record<string, string>> {
  const { releases } = JSON.parse(await readFile(join(ROOT, 'toolchains/node/pin.json'), 'utf8')) as {
    releases: string[];
  };
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const programs: Record<string, string> = {};
  for (const version of releases) {
    const folder = join(TOOLCHAINS, `node-${version}`);
    if (!(await exists(folder))) {
      needsNetwork(`Node ${version}`);
      await step(`getting Node ${version}`, () =>
        installOnce(folder, async (temporary) => {
          const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
          await run('npm', ['install', '--prefix', temporary, ...options, `${name}@${version}`]);
        }),
      );
    }
    programs[version] = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  }
  return programs;
}

/** Bun, for ./farm test --nightly: the one that npm packages bring, as pinned beside the Nodes. */
export async function ensureBun(): Promise<string> {
  const { bun } = JSON.parse(await readFile(join(ROOT, 'toolchains/node/pin.json'), 'utf8')) as { bun: string };
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const name = `@oven/bun-${process.platform === 'win32' ? 'windows' : process.platform}-${architecture}`;
  const folder = join(TOOLCHAINS, `bun-${bun}`);
  if (!(await exists(folder))) {
    needsNetwork(`Bun ${bun}`);
    await step(`getting Bun ${bun}`, () =>
      installOnce(folder, async (temporary) => {
        const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
        await run('npm', ['install', '--prefix', temporary, ...options, `${name}@${bun}`]);
      }),
    );
  }
  return join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'bun.exe' : 'bun');
}

/** What the lock file in toolchains/<name> pins, installed once in the cache without running its scripts: the folder. */
export async function ensureLocked(name: string, what: string): Promise<string> {
  const pins = join(ROOT, 'toolchains', name);
  const lock = await readFile(join(pins, 'package-lock.json'), 'utf8');
  return installOnce(join(TOOLCHAINS, `${name}-${digestOf(lock)}`), async (temporary) => {
    needsNetwork(what);
    await step(`getting ${what}`, async () => {
      for (const file of ['package.json', 'package-lock.json']) await cp(join(pins, file), join(temporary, file));
      await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: temporary });
    });
  });
}

/** h5web's viewer, for the browser test of HSDS. */
export const ensureH5web = (): Promise<string> => ensureLocked('h5web', 'h5web');

// ---------------------------------------------------------------------------------------------------- zig, CMake, Ninja

export interface Zig {
  readonly version: string;
  readonly folder: string;
  /** Wrappers for build systems: zig-cc, zig-c++, zig-ar, zig-ranlib, zig. */
  readonly bin: string;
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}

/** The pinned zig, from PyPI. */
export async function ensureZig(): Promise<Zig> {
  const requirements = join(ROOT, 'toolchains/zig/requirements.txt');
  const version = await pinIn(requirements, 'ziglang');
  const folder = join(TOOLCHAINS, `zig-${version}`);
  if (!(await exists(folder))) {
    needsNetwork(`zig ${version}`);
    await step(`getting zig ${version}`, () =>
      installOnce(folder, async (temporary) => {
        await pipInto(temporary, requirements);
        await rm(join(temporary, 'bin'), { recursive: true, force: true });
        await mkdir(join(temporary, 'bin'));
        // zig keeps what it builds of its runtimes (libc, compiler-rt) in a cache of its own; ours, so that it is found again.
        const prelude =
          // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own syntax
          'here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)\nexport ZIG_GLOBAL_CACHE_DIR="${ZIG_GLOBAL_CACHE_DIR:-$here/../cache}"';
        await script(join(temporary, 'bin/zig'), `${prelude}\nexec "$here/../ziglang/zig" "$@"`);
        for (const tool of ['cc', 'c++', 'ar', 'ranlib', 'objcopy', 'dlltool'])
          await script(join(temporary, 'bin', `zig-${tool}`), `${prelude}\nexec "$here/../ziglang/zig" ${tool} "$@"`);
      }),
    );
  }
  return { version, folder, bin: join(folder, 'bin') };
}

export interface Cmake {
  readonly cmake: string;
  readonly ninja: string;
}

const CMAKE_MINIMUM = '3.25';

/** CMake >= 3.25 and Ninja: from PATH, else pinned wheels in the cache. */
export async function ensureCmake(): Promise<Cmake> {
  const [cmake, ninja] = await Promise.all([which('cmake'), which('ninja')]);
  const version = cmake === undefined ? undefined : await versionOf(cmake);
  if (
    cmake !== undefined &&
    ninja !== undefined &&
    version !== undefined &&
    compareVersions(version, CMAKE_MINIMUM) >= 0
  )
    return { cmake, ninja };
  const requirements = join(ROOT, 'toolchains/cmake/requirements.txt');
  const pin = await pinIn(requirements, 'cmake');
  const folder = join(TOOLCHAINS, `cmake-${pin}`);
  if (!(await exists(folder))) {
    needsNetwork(`CMake ${pin}`);
    await step(`getting CMake ${pin} and Ninja`, () =>
      installOnce(folder, (temporary) => pipInto(temporary, requirements)),
    );
  }
  const found = { cmake: join(folder, 'cmake/data/bin/cmake'), ninja: join(folder, 'bin/ninja') };
  if (!(await exists(found.ninja))) throw new FarmError(`${found.ninja} is missing. Delete ${folder} and run again.`);
  return found;
}

// --------------------------------------------------------------------------------------------------------- Emscripten

interface EmscriptenPin extends SuitePin {
  readonly version: string;
  readonly minimum: string;
  readonly below: string;
  readonly llvm: string;
}

export interface Emscripten {
  readonly version: string;
  /** Folder that holds emcc, em++, emar, emranlib, emcmake, llvm-nm ... */
  readonly bin: string;
}

/** emcc on PATH when its version is in range (emsdk, Homebrew, a container), or undefined, and why it is not used. */
async function emscriptenOnPath(pin: EmscriptenPin): Promise<Emscripten | undefined> {
  const emcc = await which('emcc');
  if (emcc === undefined) return undefined;
  const version = await versionOf(emcc);
  if (version !== undefined && compareVersions(version, pin.minimum) >= 0 && compareVersions(version, pin.below) < 0)
    return { version, bin: join(emcc, '..') };
  say(
    `${emcc} is ${version ?? 'of no known version'} and not used: the builds need >= ${pin.minimum} and < ${pin.below}`,
  );
  return undefined;
}

export const readEmscriptenPin = async (): Promise<EmscriptenPin> =>
  JSON.parse(await readFile(join(ROOT, 'toolchains/emscripten/pin.json'), 'utf8')) as EmscriptenPin;

/** Unpacks a Debian suite's Emscripten and LLVM into `temporary`. Scripts run on our Python and Node. */
async function unpackEmscripten(pin: EmscriptenPin, temporary: string, target: string): Promise<void> {
  const llvm = `usr/lib/llvm-${pin.llvm}`;
  const settle = await unpackSuite(pin, temporary, target, [join(llvm, 'lib')]);
  const programs = [
    'clang',
    'lld',
    'llvm-ar',
    'llvm-nm',
    'llvm-objcopy',
    'llvm-symbolizer',
    'llvm-dwarfdump',
    'llvm-dwp',
    'llvm-objdump',
    'llvm-readobj',
  ]
    .map((name) => join(llvm, 'bin', name))
    .concat(
      (await readdir(join(temporary, 'usr/bin')))
        .filter((name) => /^wasm-(?!ld)|^wasm2js$/.test(name))
        .map((name) => join('usr/bin', name)),
    );
  for (const program of programs) await settle(program);

  const scripts = join(temporary, 'usr/share/emscripten');
  await mkdir(join(scripts, 'node_modules'));
  await symlink('../../nodejs/acorn', join(scripts, 'node_modules/acorn'));
  await writeFile(
    join(temporary, 'config.py'),
    [
      '# Emscripten settings of the farm; EM_NODE_JS names the Node that runs its JavaScript.',
      'import os',
      'here = os.path.dirname(os.path.realpath(__file__))',
      "LLVM_ROOT = os.path.join(here, 'usr/bin')",
      "BINARYEN_ROOT = os.path.join(here, 'usr')",
      "NODE_JS = os.environ.get('EM_NODE_JS', 'node')",
      'FROZEN_CACHE = True',
      `LLVM_ADD_VERSION = '${pin.llvm}'`,
      `CLANG_ADD_VERSION = '${pin.llvm}'`,
      '',
    ]
      .join('\n')
      .replace('os.path.realpath(__file__)', `'${target}/x'`),
  );
  await mkdir(join(temporary, 'bin'));
  // The interpreter itself: what pyenv and its kin put on PATH costs every compilation a third more.
  const python = (await run('python3', ['-c', 'import sys; print(sys.executable)'])).stdout.trim();
  for (const tool of [
    'emcc',
    'em++',
    'emar',
    'emranlib',
    'emcmake',
    'emconfigure',
    'emmake',
    'emnm',
    'emstrip',
    'emsize',
  ])
    await script(
      join(temporary, 'bin', tool),
      [
        'here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)',
        `export EM_CONFIG="$here/../config.py" EM_NODE_JS="\${EM_NODE_JS:-${process.execPath}}"`,
        `python="${python}"; [ -x "$python" ] || python=python3`,
        `exec "$python" -E -s "$here/../usr/share/emscripten/${tool}.py" "$@"`,
      ].join('\n'),
    );
  for (const tool of ['llvm-nm', 'llvm-objdump', 'llvm-readobj'])
    await symlink(`../${llvm}/bin/${tool}`, join(temporary, 'bin', tool));
}

/** Emscripten: `emcc` on PATH when in range, else a Debian suite's packages unpacked into the cache. */
export async function ensureEmscripten(): Promise<Emscripten> {
  const pin = await readEmscriptenPin();
  const folder = join(TOOLCHAINS, `emscripten-${pin.version}`);
  const ours = { version: pin.version, bin: join(folder, 'bin') };
  if (await exists(folder)) return ours;
  const onPath = await emscriptenOnPath(pin);
  if (onPath !== undefined) return onPath;
  if ((await which('apt-get')) === undefined || (await which('dpkg-deb')) === undefined)
    throw new FarmError(
      `needs emcc >= ${pin.minimum} and < ${pin.below} on PATH. See toolchains/emscripten/README.md for ways to get it.`,
    );
  needsNetwork(`Emscripten ${pin.version}`);
  await step(`getting Emscripten ${pin.version} (about 330 MB to fetch, 1 GB on disk)`, () =>
    installOnce(folder, (temporary, target) => unpackEmscripten(pin, temporary, target)),
  );
  return ours;
}

// -------------------------------------------------------------------------------------------------------------- cargo

interface CargoPin extends SuitePin {
  readonly version: string;
  readonly minimum: string;
}

export const readCargoPin = async (): Promise<CargoPin> =>
  JSON.parse(await readFile(join(ROOT, 'toolchains/cargo/pin.json'), 'utf8')) as CargoPin;

/** cargo, to fetch crates: from PATH when new enough, else a Debian suite's in the cache. */
export async function ensureCargo(): Promise<string> {
  const pin = await readCargoPin();
  const cargo = await which('cargo');
  const version = cargo === undefined ? undefined : await versionOf(cargo);
  if (cargo !== undefined && version !== undefined && compareVersions(version, pin.minimum) >= 0) return cargo;
  const folder = join(TOOLCHAINS, `cargo-${pin.version}`);
  const ours = join(folder, 'usr/bin/cargo');
  if (await exists(folder)) return ours;
  if ((await which('apt-get')) === undefined || (await which('dpkg-deb')) === undefined)
    throw new FarmError(`needs cargo >= ${pin.minimum} on PATH. Install Rust.`);
  needsNetwork(`cargo ${pin.version}`);
  await step(`getting cargo ${pin.version}`, () =>
    installOnce(folder, async (temporary, target) => {
      const settle = await unpackSuite(pin, temporary, target);
      await settle('usr/bin/cargo');
    }),
  );
  // Debian's cargo trusts the machine's certificates.
  if (!(await exists('/etc/ssl/certs/ca-certificates.crt'))) await ensureApt(['ca-certificates']);
  return ours;
}

// -------------------------------------------------------------------------------------------------- clang, for fuzzing

/** A clang with libFuzzer, AddressSanitizer and UBSan, or an error that says how to get one. */
export async function ensureClang(): Promise<string> {
  const works = async (clang: string): Promise<boolean> => {
    const folder = join(CACHE, 'tmp');
    await mkdir(folder, { recursive: true });
    const out = join(folder, `fuzzer-${process.pid}`);
    const source =
      'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { (void)d; (void)n; return 0; }';
    const result = await run(clang, ['-x', 'c', '-', '-fsanitize=fuzzer,address,undefined', '-o', out], {
      input: source,
      allowFailure: true,
    });
    await rm(out, { force: true });
    return result.status === 0;
  };
  const candidates = async (): Promise<string[]> => {
    const named = await Promise.all(
      ['clang', 'clang-19', 'clang-16', 'clang-15', 'clang-14'].map((name) => which(name)),
    );
    return named.filter((path) => path !== undefined);
  };
  for (const clang of await candidates()) if (await works(clang)) return clang;
  // Debian's clang recommends its sanitizer runtimes only from version 16 on; name both.
  const stable = ['clang', 'libclang-rt-14-dev', 'libc6-dev', 'libgcc-12-dev', 'libstdc++-12-dev'];
  await ensureApt(stable);
  for (const clang of await candidates()) if (await works(clang)) return clang;
  throw new FarmError(
    'found no clang that can link libFuzzer. Install clang with its compiler-rt (Debian: clang libclang-rt-14-dev).',
  );
}

/** Debian's ccache; undefined, with a line that says why, where it cannot be had: then everything is compiled. */
export async function ensureCcache(): Promise<string | undefined> {
  try {
    if ((await which('ccache')) === undefined) await ensureApt(['ccache']);
  } catch (error) {
    if (!(error instanceof FarmError)) throw error;
    say(`no ccache, so that fuzzers take longer to compile: ${error.message}`);
  }
  return which('ccache');
}
