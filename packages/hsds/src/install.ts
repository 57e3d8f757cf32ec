// What `h5z hsds` does: checks first, then one of three places: the environment that HSDS runs in, a folder, or a wheel.

import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { H5zError } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { installed, type Registry } from '@h5z/registry';
import { DISTRIBUTION, type InstalledFilter, type Layout, layoutOf, supported, type WithoutLibrary } from './layout.js';
import { type Found, lookInto, type PlaceStep, placeInto, refuseForeign, removeFrom } from './place.js';
import {
  defaultPython,
  type Environment,
  exchange,
  isAtLeast,
  probe,
  quietEnvironment,
  runProgram,
  shellWord,
} from './python.js';
import { wheelBytes, wheelName } from './wheel.js';

/** Where something is or will be. With neither: the active environment (a venv's, conda's, else the first Python on PATH). */
export interface Where {
  /** The Python of an environment. */
  readonly python?: string;
  /** A folder of Python packages instead, such as one that a container build copies. */
  readonly target?: string;
}

export interface InstallOptions extends Where {
  /** A wheel instead: the file, or the folder that it goes to. */
  readonly wheel?: string;
  /** IDs or canonical names; every installed filter package when absent. HDF5's own filters come along in any case. */
  readonly filters?: readonly (number | string)[];
  /** For a folder or a wheel: the server's. Default: this process's. An environment has its own. */
  readonly platform?: string;
  /** The filter packages to choose from. Default: those installed for this application. */
  readonly registry?: Registry;
  /** Do not ask for a supported HSDS: one is installed later, or only numcodecs is to have the filters. */
  readonly anyHsds?: boolean;
  /** Check everything and report, write nothing. */
  readonly dryRun?: boolean;
  readonly onStep?: (step: PlaceStep) => void;
  /** The Python package instead of this one's own, and its version: for tests. */
  readonly source?: string;
  readonly version?: string;
}

export interface InstallReport {
  readonly kind: 'environment' | 'folder' | 'wheel';
  /** site-packages, the folder, or the wheel's file. */
  readonly place: string;
  readonly python?: string;
  /** The release of HSDS there. */
  readonly hsds?: string;
  readonly version: string;
  readonly platform: string;
  readonly filters: readonly InstalledFilter[];
  readonly without: readonly WithoutLibrary[];
  readonly files: number;
  readonly bytes: number;
  /** What was there before. */
  readonly replaced?: { readonly version: string; readonly filters: readonly string[] };
  /** False when all of it was there already, or with `dryRun`. */
  readonly changed: boolean;
  readonly dryRun: boolean;
}

/**
 * Installs; the same again changes nothing, another choice or version replaces what is there. Killed at any point it
 * leaves the old installation or the new one, and the next run clears up.
 *
 * Throws H5zErrors: H5Z_PYTHON (none, too old, the system's own), H5Z_HSDS_VERSION (absent, unsupported, edited),
 * H5Z_NO_PLATFORM, H5Z_MISSING_FILTER, H5Z_UNKNOWN_FILTER, H5Z_INTEGRITY, H5Z_FILE (read-only, or others' files in the
 * way), H5Z_PARAMETER.
 */
export async function install(options: InstallOptions = {}): Promise<InstallReport> {
  const { python, target, wheel, dryRun = false } = options;
  const given = Object.entries({ python, target, wheel }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new H5zError('H5Z_PARAMETER', `${given.map(([name]) => `--${name}`).join(' and ')} name different places`, {
      remedy: 'give one of them',
    });
  }
  const registry = options.registry ?? (await installed());
  const environment = target === undefined && wheel === undefined ? await usable(options) : undefined;
  const platform = platformOf(options, environment);
  const layout = await layoutOf({
    registry,
    platform,
    ...(options.filters === undefined ? {} : { filters: options.filters }),
    ...(wheel === undefined ? { installer: 'h5z' } : {}),
    ...(options.source === undefined ? {} : { source: options.source }),
    ...(options.version === undefined ? {} : { version: options.version }),
  });
  const facts = {
    version: layout.version,
    platform,
    filters: layout.filters,
    without: layout.without,
    files: layout.files.size,
    bytes: [...layout.files.values()].reduce((sum, { length }) => sum + length, 0),
    dryRun,
  };
  if (wheel !== undefined) {
    const place = await wheelPlace(wheel, layout);
    if (!dryRun) await writeWheel(place, layout);
    return { kind: 'wheel', place, ...facts, changed: !dryRun };
  }
  const folder = environment?.sitePackages ?? resolve(target as string);
  const before = await lookInto(folder);
  refuseForeign(folder, before);
  const program = environment?.python ?? defaultPython();
  const changed =
    !dryRun &&
    (await placeInto(folder, layout, {
      exchange: (a, b) => exchange(program, a, b),
      ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
    }));
  return {
    kind: environment === undefined ? 'folder' : 'environment',
    place: folder,
    ...(environment === undefined ? {} : { python: environment.python }),
    ...(environment?.hsds === undefined ? {} : { hsds: environment.hsds.version }),
    ...facts,
    ...(before.installed === undefined ? {} : { replaced: namesOf(before.installed) }),
    changed,
  };
}

const namesOf = ({ version, filters }: { version: string; filters: readonly InstalledFilter[] }) => ({
  version,
  filters: filters.map(({ name }) => name),
});

function platformOf({ platform }: InstallOptions, environment: Environment | undefined): string {
  if (environment === undefined) return platform ?? currentPlatform();
  if (platform === undefined || platform === environment.platform) return environment.platform;
  throw new H5zError(
    'H5Z_NO_PLATFORM',
    `${environment.python} is a Python for ${environment.platform}, not ${platform}`,
    {
      remedy: 'leave --platform out, or give --target or --wheel to prepare for another machine',
    },
  );
}

/** The environment, once it is known to take the package. */
async function usable({ python, anyHsds = false, source }: InstallOptions): Promise<Environment> {
  const { distributions, python: lowest } = await supported(source);
  const wanted = Object.fromEntries(
    Object.entries(distributions).map(([name, versions]) => [
      name,
      [...new Set(Object.values(versions).flatMap((files) => Object.keys(files)))],
    ]),
  );
  const environment = await probe(python, { hsds: [], ...wanted });
  if (!isAtLeast(environment.version, lowest)) {
    throw new H5zError(
      'H5Z_PYTHON',
      `${environment.python} is Python ${environment.version}, and ${lowest} is needed`,
      {
        remedy: `make an environment with Python ${lowest} or newer for HSDS`,
      },
    );
  }
  if (environment.managed) {
    throw new H5zError('H5Z_PYTHON', `${environment.python} belongs to the operating system (EXTERNALLY-MANAGED)`, {
      remedy: 'make a virtual environment for HSDS (python3 -m venv DIR) and name its Python with --python',
    });
  }
  if (!anyHsds) checkHsds(environment, distributions.hsds ?? {});
  return environment;
}

function checkHsds(
  { python, hsds }: Environment,
  versions: Readonly<Record<string, Readonly<Record<string, string>>>>,
) {
  const known = Object.keys(versions).join(', ');
  const otherwise = 'or pass --any-hsds, if something else is to use the filters (HSDS itself stays as it is)';
  if (hsds === undefined) {
    throw new H5zError('H5Z_HSDS_VERSION', `HSDS is not installed for ${python}`, {
      remedy: `install it (pip install hsds==${Object.keys(versions).at(-1)}), name its Python with --python, ${otherwise}`,
    });
  }
  const files = versions[hsds.version];
  if (files === undefined) {
    throw new H5zError('H5Z_HSDS_VERSION', `HSDS ${hsds.version} of ${python} is not a supported version (${known})`, {
      remedy: `install one of those, update @h5z/hsds, ${otherwise}`,
      details: { version: hsds.version, supported: Object.keys(versions) },
    });
  }
  const edited = Object.entries(files).filter(([name, hash]) => hsds.files[name] !== hash);
  if (edited.length > 0) {
    const names = edited.map(([name]) => name).join(', ');
    throw new H5zError('H5Z_HSDS_VERSION', `HSDS ${hsds.version} of ${python} was changed (${names})`, {
      remedy: `reinstall it (pip install --force-reinstall --no-deps hsds==${hsds.version}), ${otherwise}`,
    });
  }
}

async function wheelPlace(wheel: string, layout: Layout): Promise<string> {
  const name = wheelName(layout);
  const place = resolve(wheel);
  const isFolder = !wheel.endsWith('.whl') || (await stat(place).catch(() => undefined))?.isDirectory();
  if (isFolder) return join(place, name);
  if (basename(place) === name) return place;
  throw new H5zError('H5Z_PARAMETER', `pip takes this wheel only under the name ${name}`, {
    remedy: `name that file, or the folder that it goes to: --wheel ${dirname(wheel)}`,
  });
}

/** Under its name once it is whole. */
async function writeWheel(place: string, layout: Layout): Promise<void> {
  const part = `${place}.${process.pid}.part`;
  try {
    await mkdir(dirname(place), { recursive: true });
    await writeFile(part, wheelBytes(layout));
    await rename(part, place);
  } catch (cause) {
    await rm(part, { force: true }).catch(() => undefined);
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new H5zError('H5Z_FILE', `${place} cannot be written (${why})`, { cause });
  }
}

export interface UninstallReport {
  readonly place: string;
  readonly removed: boolean;
  readonly version?: string;
  readonly filters: readonly string[];
}

/**
 * Removes what install put in, also what pip installed from a wheel of ours; nothing there is no error. HSDS in that
 * environment cannot read data that was written through the removed filters. Throws H5Z_PYTHON and H5Z_FILE as install.
 */
export async function uninstall(
  where: Where & { readonly onStep?: (step: PlaceStep) => void } = {},
): Promise<UninstallReport> {
  const { folder } = await placeOf(where);
  const found = await removeFrom(folder, where.onStep === undefined ? {} : { onStep: where.onStep });
  return {
    place: folder,
    removed: found !== undefined,
    ...(found?.installed === undefined ? {} : { version: found.installed.version }),
    filters: found?.installed?.filters.map(({ name }) => name) ?? [],
  };
}

async function placeOf({ python, target }: Where): Promise<{ folder: string; environment?: Environment }> {
  if (python !== undefined && target !== undefined) {
    throw new H5zError('H5Z_PARAMETER', '--python and --target name different places', { remedy: 'give one of them' });
  }
  if (target !== undefined) return { folder: resolve(target) };
  const environment = await probe(python);
  return { folder: environment.sitePackages, environment };
}

/** What `python -m h5z_hsds status --json` says; the Python package owns its shape. */
export type PythonStatus = Readonly<Record<string, unknown>>;

export interface StatusReport {
  readonly environment?: Environment;
  readonly place: string;
  readonly installed: boolean;
  readonly version?: string;
  readonly platform?: string;
  readonly filters: readonly InstalledFilter[];
  /** In words, each ending with what to do; empty when all is well. */
  readonly problems: readonly string[];
  /** The package's own words, where it is installed in an environment and answers. */
  readonly python?: PythonStatus;
}

/** What is installed there and whether it is whole. Throws H5Z_PYTHON where no Python answers. */
export async function status(where: Where = {}): Promise<StatusReport> {
  const { folder, environment } = await placeOf(where);
  const found = await lookInto(folder);
  const problems = problemsOf(folder, found);
  const own = environment && found.installed ? await askPackage(environment, 'status') : undefined;
  if (own !== undefined && 'problem' in own) problems.push(own.problem);
  return {
    ...(environment === undefined ? {} : { environment }),
    place: folder,
    installed: found.installed !== undefined && found.startFile,
    ...(found.installed === undefined ? {} : { version: found.installed.version, platform: found.installed.platform }),
    filters: found.installed?.filters ?? [],
    problems,
    ...(own !== undefined && 'json' in own ? { python: own.json } : {}),
  };
}

function problemsOf(folder: string, { interrupted, altered, foreign, installed: json }: Found): string[] {
  const again = 'run h5z hsds install again';
  const problems: string[] = [];
  if (interrupted) problems.push(`an installation or removal in ${folder} was interrupted: ${again}`);
  if (json !== undefined && altered.length > 0 && !interrupted) {
    problems.push(`files are not as they were installed (${altered.slice(0, 5).join(', ')}): ${again}`);
  }
  if (foreign.length > 0) {
    problems.push(`things lie in the way that are not of h5z (${foreign.slice(0, 5).join(', ')}): move them away`);
  }
  return problems;
}

type Asked = { readonly json: PythonStatus; readonly status: number } | { readonly problem: string };

/** Runs `python -m h5z_hsds COMMAND --json`. */
async function askPackage(environment: Environment, command: string): Promise<Asked> {
  const { H5Z_HSDS } = process.env;
  const env = { ...quietEnvironment(), ...(H5Z_HSDS === undefined ? {} : { H5Z_HSDS }) };
  const answer = await runProgram(environment.python, ['-m', 'h5z_hsds', command, '--json'], env);
  try {
    return { json: JSON.parse(answer?.stdout ?? '') as PythonStatus, status: answer?.status ?? 1 };
  } catch {
    const said = answer?.stderr.trim().split('\n').at(-1) || 'no answer';
    return { problem: `${environment.python} -m h5z_hsds ${command} failed (${said}): run h5z hsds install again` };
  }
}

export interface SelfTestReport {
  readonly environment: Environment;
  readonly ok: boolean;
  /** What `python -m h5z_hsds self-test --json` says. */
  readonly python: PythonStatus;
}

/**
 * Has the installed package load every filter and run it, in the environment's own Python. Throws H5Z_PYTHON where the
 * environment or the package does not answer, H5Z_FILE where it is not installed.
 */
export async function selfTest({ python }: { readonly python?: string } = {}): Promise<SelfTestReport> {
  const environment = await probe(python);
  const found = await lookInto(environment.sitePackages);
  if (found.installed === undefined) {
    throw new H5zError('H5Z_FILE', `${DISTRIBUTION} is not installed in ${environment.sitePackages}`, {
      remedy: `run h5z hsds install --python ${shellWord(environment.python)}`,
    });
  }
  const asked = await askPackage(environment, 'self-test');
  if ('problem' in asked)
    throw new H5zError('H5Z_PYTHON', asked.problem, { remedy: 'see what it says without --json' });
  return { environment, ok: asked.status === 0 && asked.json.ok === true, python: asked.json };
}
