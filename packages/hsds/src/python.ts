// Finds the Python that HSDS runs in and asks it what it is: its version, platform, site-packages, and the release of HSDS
// there. Nothing of the environment is imported or changed.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { H5zError } from '@h5z/core';

/** A word as a POSIX shell reads it back: for commands that are to be copied. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A Python environment as it describes itself. */
export interface Environment {
  /** The program, as it was named or found. */
  readonly python: string;
  /** Such as 3.11.7. */
  readonly version: string;
  /** h5z's name of what its programs load, such as linux-x64: the interpreter counts, not the processor. */
  readonly platform: string;
  /** Absolute path of the folder that packages with native libraries go to. */
  readonly sitePackages: string;
  /** The system's package manager owns it (PEP 668), and it is no virtual environment. */
  readonly managed: boolean;
  readonly hsds?: Distribution;
  readonly h5pyd?: Distribution;
}

/** An installed release, and the SHA-256 of those of its files that were asked for (absent: the file is not there). */
export interface Distribution {
  readonly version: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Run by the Python that is asked; every line works from Python 3.6 on, so that an old one can say how old it is. */
const PROBE = `
import hashlib, json, os, platform, struct, sys, sysconfig
asked = json.loads(sys.argv[1])
machine = {'x86_64': 'x64', 'amd64': 'x64', 'aarch64': 'arm64', 'arm64': 'arm64'}
name = machine.get(platform.machine().lower(), platform.machine().lower())
if struct.calcsize('P') != 8:
    name += '-32bit'
if 'win-arm64' == sysconfig.get_platform():
    name = 'arm64'
system = 'linux' if sys.platform.startswith('linux') else sys.platform
if system == 'linux':
    try:
        glibc = bool(os.confstr('CS_GNU_LIBC_VERSION'))
    except (AttributeError, OSError, ValueError):
        glibc = False
    name += '' if glibc else '-musl'
answer = {
    'version': platform.python_version(),
    'platform': system + '-' + name,
    'sitePackages': sysconfig.get_path('platlib'),
    'managed': sys.prefix == getattr(sys, 'base_prefix', sys.prefix)
    and os.path.exists(os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')),
}
try:
    from importlib.metadata import PackageNotFoundError, distribution
except ImportError:
    asked = {}
for name in asked:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        continue
    files = {}
    for file in asked[name]:
        try:
            with open(str(found.locate_file(os.path.join(name, *file.split('/')))), 'rb') as content:
                files[file] = hashlib.sha256(content.read()).hexdigest()
        except OSError:
            pass
    answer[name] = {'version': found.version, 'files': files}
print(json.dumps(answer))
`;

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MAX_OUTPUT = 1 << 26;

/** Runs a program; `undefined` when it cannot be started, never throws for its exit status. */
export function runProgram(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Answer | undefined> {
  return new Promise((done) => {
    execFile(program, [...args], { env, maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number' && error.signal === undefined) done(undefined);
      else if (error !== null && error.code === 'ENOENT') done(undefined);
      else done({ status: error === null ? 0 : typeof error.code === 'number' ? error.code : 128, stdout, stderr });
    });
  });
}

/** The environment without what would start our hook in a Python that only answers questions. */
export const quietEnvironment = (): NodeJS.ProcessEnv => {
  const { H5Z_HSDS: _off, PYTHONHOME: _home, ...rest } = process.env;
  return rest;
};

/** The Python of the active environment: a venv's, conda's, then the first on PATH. */
export function defaultPython(): string {
  const bin = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python'];
  if (process.env.VIRTUAL_ENV) return join(process.env.VIRTUAL_ENV, ...bin);
  if (process.env.CONDA_PREFIX) {
    return process.platform === 'win32'
      ? join(process.env.CONDA_PREFIX, 'python.exe')
      : join(process.env.CONDA_PREFIX, ...bin);
  }
  return process.platform === 'win32' ? 'python' : 'python3';
}

/**
 * Asks `python` (default: the active environment's) what it is. `files` names, by distribution, files of it whose hashes
 * are wanted. Throws H5Z_PYTHON where it cannot be run or does not answer.
 */
export async function probe(
  python = defaultPython(),
  files: Readonly<Record<string, readonly string[]>> = { hsds: [], h5pyd: [] },
): Promise<Environment> {
  const answer = await runProgram(python, ['-I', '-c', PROBE, JSON.stringify(files)], quietEnvironment());
  if (answer === undefined) {
    throw new H5zError('H5Z_PYTHON', `no Python can be started as ${python}`, {
      remedy: 'activate the environment that HSDS runs in, or name its Python with --python',
    });
  }
  try {
    const facts = JSON.parse(answer.stdout) as Omit<Environment, 'python'>;
    if (typeof facts.sitePackages !== 'string') throw new Error('no site-packages');
    return { python, ...facts };
  } catch (cause) {
    const said = answer.stderr.trim().split('\n').at(-1) || `exit status ${answer.status}`;
    throw new H5zError('H5Z_PYTHON', `${python} does not answer as a Python does (${said})`, {
      cause,
      remedy: 'name the Python of the environment that HSDS runs in with --python',
    });
  }
}

/** `a` is at least `b`, both like 3.11 or 3.11.7. */
export function isAtLeast(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (x?.[i] ?? 0) - (y?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * Puts `a` in `b`'s place and the other way round in one step, which only the system can do: by Python, since Node has no
 * function for it. False where the system or the file system cannot; then nothing has changed.
 */
export async function exchange(python: string, a: string, b: string): Promise<boolean> {
  return (await runProgram(python, ['-I', '-c', EXCHANGE, a, b], quietEnvironment()))?.status === 0;
}

const EXCHANGE = `
import ctypes, os, platform, sys
a, b = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
libc = ctypes.CDLL(None)
AT_FDCWD, EXCHANGE, SWAP = -100, 2, 2
if sys.platform == 'darwin':
    sys.exit(0 if libc.renamex_np(a, b, SWAP) == 0 else 1)
try:
    answer = libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, EXCHANGE)
except AttributeError:
    number = {'x86_64': 316, 'aarch64': 276}.get(platform.machine())
    answer = -1 if number is None else libc.syscall(number, AT_FDCWD, a, AT_FDCWD, b, EXCHANGE)
sys.exit(0 if answer == 0 else 1)
`;
