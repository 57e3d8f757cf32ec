// What an installation consists of, file by file, before anything is written: the Python package, the libraries of the
// filters chosen with their manifests, installed.json, and the metadata by which pip and importlib.metadata know it.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FilterPackage, H5zError, type Platform } from '@h5z/core';
import { catalogue, type Registry, type Resolved } from '@h5z/registry';

/** The folder in site-packages. */
export const PACKAGE = 'h5z_hsds';
/** The file beside it that Python reads at start. */
export const START_FILE = 'h5z_hsds.pth';
/** The name that pip knows. */
export const DISTRIBUTION = 'h5z-hsds';

/** One line of installed.json. */
export interface InstalledFilter {
  readonly id: number;
  readonly name: string;
  /** Other IDs that old files use for the same bytes. */
  readonly aliases: readonly number[];
  /** Path of the library below h5z_hsds/, with forward slashes. */
  readonly file: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** H5Z_ABI_VERSION. */
  readonly abi: number;
  readonly package: string;
  readonly packageVersion: string;
}

/** `h5z_hsds/installed.json`: what the Python package reads, and by which its files are known again. */
export interface InstalledJson {
  /** Of @h5z/hsds. */
  readonly version: string;
  readonly platform: string;
  readonly filters: readonly InstalledFilter[];
  /** Every file of the folder, with forward slashes. */
  readonly files: readonly string[];
}

/** A filter that an installation goes without, and why. */
export interface WithoutLibrary {
  readonly id: number;
  readonly name: string;
  readonly reason: string;
}

export interface Layout {
  readonly version: string;
  readonly platform: string;
  readonly filters: readonly InstalledFilter[];
  /** Not among them: installed packages without a library for the platform, and HDF5's own filters that are not installed. */
  readonly without: readonly WithoutLibrary[];
  /** Folder name of the metadata, such as h5z_hsds-0.1.0.dist-info. */
  readonly metadata: string;
  /** The tag of a wheel with these files, such as py3-none-manylinux_2_17_x86_64. */
  readonly tag: string;
  /** Path below site-packages, with forward slashes, to content. In order; RECORD is the last. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface LayoutOptions {
  /** The filter packages to choose from. */
  readonly registry: Registry;
  /** IDs or canonical names; every installed package when absent. */
  readonly filters?: readonly (number | string)[];
  readonly platform: string;
  /** Put into INSTALLER; absent in wheels, whose installer writes it. */
  readonly installer?: string;
  /** Where the Python package lies. Default: in this package. */
  readonly source?: string;
  /** Default: this package's. */
  readonly version?: string;
}

const OWN_SOURCE = fileURLToPath(new URL('../python/', import.meta.url));

const text = (content: Uint8Array | undefined): string => new TextDecoder().decode(content);
const bytes = (content: string): Uint8Array => new TextEncoder().encode(content);
export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** What the Python package supports. */
export interface Supported {
  /** By distribution and version, the SHA-256 of each file whose functions are replaced at run time. */
  readonly distributions: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;
  /** Lowest Python, such as 3.10. */
  readonly python: string;
}

interface OwnPackage {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly h5z: { readonly python: string };
}

const ownPackage = async (): Promise<OwnPackage> =>
  JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as OwnPackage;

/** Reads it from where the Python package lies. */
export async function supported(source = OWN_SOURCE): Promise<Supported> {
  const { h5z } = await ownPackage();
  const distributions = JSON.parse(await readFile(join(source, PACKAGE, 'versions.json'), 'utf8'));
  return { distributions, python: h5z.python };
}

/**
 * Puts an installation together in memory: every library read and held to its manifest's size and SHA-256.
 * Throws H5Z_MISSING_FILTER or H5Z_UNKNOWN_FILTER for a filter that is not installed here, H5Z_NO_PLATFORM for one without
 * a library for `platform`, H5Z_INTEGRITY for a file that is not the manifest's.
 */
export async function layoutOf(options: LayoutOptions): Promise<Layout> {
  const { registry, platform, source = OWN_SOURCE } = options;
  const own = await ownPackage();
  const version = options.version ?? own.version;
  const { chosen, without } = choose(options);
  const inPackage = new Map<string, Uint8Array>();
  for (const file of await pythonFiles(join(source, PACKAGE))) {
    inPackage.set(file, await readFile(join(source, PACKAGE, ...file.split('/'))));
  }
  const filters: InstalledFilter[] = [];
  let minimum: string | undefined;
  for (const one of chosen) {
    const filter = registry.get(one.id) as FilterPackage;
    const folder = `filters/${one.name}`;
    const file = `${folder}/${basename(one.file)}`;
    for (const name of ['manifest.json', 'filter.json']) {
      inPackage.set(`${folder}/${name}`, await contentOf(filter, name));
    }
    inPackage.set(file, await libraryOf(filter, one));
    filters.push({
      id: one.id,
      name: one.name,
      aliases: [...filter.aliases],
      file,
      sha256: one.sha256,
      size: one.size,
      abi: one.abi,
      package: one.package,
      packageVersion: one.version,
    });
    minimum = higher(minimum, minimumOf(filter, one));
  }
  const names = [...inPackage.keys(), 'installed.json'].sort();
  const installed: InstalledJson = { version, platform, filters, files: names };
  inPackage.set('installed.json', bytes(`${JSON.stringify(installed, null, 2)}\n`));

  const pythonVersion = toPythonVersion(version);
  const metadata = `${PACKAGE}-${pythonVersion}.dist-info`;
  const tag = `py3-none-${wheelPlatform(platform, minimum)}`;
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(`${PACKAGE}/${name}`, inPackage.get(name) as Uint8Array);
  files.set(START_FILE, await readFile(join(source, START_FILE)));
  const about = [
    'Metadata-Version: 2.1',
    `Name: ${DISTRIBUTION}`,
    `Version: ${pythonVersion}`,
    `Summary: ${own.description}`,
    `License: ${own.license}`,
    `Requires-Python: >=${own.h5z.python}`,
    '',
  ];
  files.set(`${metadata}/METADATA`, bytes(about.join('\n')));
  files.set(`${metadata}/entry_points.txt`, bytes(entryPoints(filters)));
  const wheel = ['Wheel-Version: 1.0', `Generator: @h5z/hsds ${version}`, 'Root-Is-Purelib: false', `Tag: ${tag}`, ''];
  files.set(`${metadata}/WHEEL`, bytes(wheel.join('\n')));
  if (options.installer !== undefined) files.set(`${metadata}/INSTALLER`, bytes(`${options.installer}\n`));
  files.set(`${metadata}/RECORD`, bytes(recordOf(files, `${metadata}/RECORD`)));
  return { version, platform, filters, without, metadata, tag, files };
}

/** HDF5's own filters are in most pipelines: they come along whatever is chosen. */
function choose({ registry, filters, platform }: LayoutOptions): { chosen: Resolved[]; without: WithoutLibrary[] } {
  const target = { target: 'hsds', platform: platform as Platform } as const;
  const isOwn = (id: number): boolean => registry.lookup(id)?.origin === 'library';
  const without: WithoutLibrary[] = [];
  const byId = new Map(
    (filters ?? []).map((idOrName) => registry.resolve(idOrName, target)).map((one) => [one.id, one]),
  );
  for (const filter of registry.packages) {
    if (byId.has(filter.id) || !(filters === undefined || isOwn(filter.id))) continue;
    const have = filter.manifest.variants.native.map((file) => file.platform);
    if (have.includes(target.platform)) byId.set(filter.id, registry.resolve(filter.id, target));
    else {
      const reason = `${filter.package.name} has libraries for ${have.join(', ') || 'no platform'} alone`;
      without.push({ id: filter.id, name: filter.canonicalName, reason });
    }
  }
  if (byId.size === 0) {
    const built = without.length > 0;
    const problem = built
      ? `no installed filter package has a library for ${platform}`
      : 'no filter package is installed here';
    throw new H5zError('H5Z_MISSING_FILTER', problem, {
      remedy: built
        ? 'install filter packages that were built for it'
        : 'install those that your files need in this folder, such as npm i @h5z/bitshuffle @h5z/shuffle @h5z/deflate',
    });
  }
  for (const { id, name, origin, status, package: npmName } of catalogue) {
    if (origin !== 'library' || status !== 'shipped' || registry.get(id) !== undefined) continue;
    without.push({ id, name, reason: `not installed here: npm i ${npmName}, for pipelines that have it` });
  }
  return { chosen: [...byId.values()].sort((a, b) => a.id - b.id), without };
}

/** Files of the Python package, relative to it, without what Python itself leaves behind. */
async function pythonFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((file) => !/(^|\/)(__pycache__|\.)|\.pyc$/.test(file) && file !== 'installed.json')
    .filter((file) => !file.startsWith('filters/'))
    .sort();
}

async function contentOf(filter: FilterPackage, file: string): Promise<Uint8Array> {
  const url = filter.locate(file);
  try {
    if (url?.protocol !== 'file:') throw new Error('the package has no folder');
    return await readFile(url);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new H5zError('H5Z_INTEGRITY', `${file} of ${filter.package.name} cannot be read (${why})`, { cause });
  }
}

async function libraryOf(filter: FilterPackage, one: Resolved): Promise<Uint8Array> {
  const content = await contentOf(filter, one.file);
  const actual = sha256(content);
  if (content.length === one.size && actual === one.sha256) return content;
  throw new H5zError(
    'H5Z_INTEGRITY',
    `${one.file} of ${one.package} has the SHA-256 ${actual}, its manifest says ${one.sha256}`,
    { remedy: `reinstall it: npm i ${one.package}` },
  );
}

/** The oldest system that a library runs on, as its manifest says it: glibc 2.17, musl 1.2, macOS 11.0. */
function minimumOf(filter: FilterPackage, one: Resolved): string | undefined {
  const { minimum } = filter.manifest.variants.native.find(({ file }) => file === one.file) ?? {};
  return minimum?.libc ?? minimum?.os;
}

/** Major and minor version out of such words. */
function numbersOf(minimum: string | undefined): [number, number] | undefined {
  const [, major, minor] = /(\d+)(?:\.(\d+))?/.exec(minimum ?? '') ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor ?? 0)];
}

function higher(a: string | undefined, b: string | undefined): string | undefined {
  const [x, y] = [numbersOf(a), numbersOf(b)];
  if (x === undefined || y === undefined) return x === undefined ? b : a;
  return (x[0] - y[0] || x[1] - y[1]) >= 0 ? a : b;
}

/** The platform tag of a wheel (PyPA's platform compatibility tags) for an h5z platform. */
function wheelPlatform(platform: string, minimum: string | undefined): string {
  const [system, cpu, libc] = platform.split('-');
  const [major, minor] = numbersOf(minimum) ?? [];
  const machine = cpu === 'x64' ? 'x86_64' : 'aarch64';
  if (system === 'linux' && libc === 'musl') return `musllinux_${major ?? 1}_${minor ?? 2}_${machine}`;
  if (system === 'linux') return `manylinux_${major ?? 2}_${minor ?? 17}_${machine}`;
  if (system === 'darwin') return `macosx_${major ?? 11}_${minor ?? 0}_${cpu === 'x64' ? 'x86_64' : 'arm64'}`;
  return cpu === 'x64' ? 'win_amd64' : 'win_arm64';
}

/** npm's version in the words of PEP 440: prereleases have letters there. */
export function toPythonVersion(version: string): string {
  const [, release = version, label, count] = /^(\d+\.\d+\.\d+)(?:-([A-Za-z]*)[.-]?(\d*).*)?$/.exec(version) ?? [];
  if (label === undefined) return release;
  const letters = { alpha: 'a', beta: 'b', rc: 'rc' }[label];
  return letters === undefined ? `${release}.dev${count || 0}` : `${release}${letters}${count || 0}`;
}

/**
 * numcodecs finds each filter by name and by ID (aliases too), and HSDS will by name, the day it looks for `hsds.filters`
 * (docs/decisions/hsds.md). A name's `-` is `_`, since what stands behind the colon is Python.
 */
function entryPoints(filters: readonly InstalledFilter[]): string {
  const owned = new Set(filters.map(({ id }) => id));
  const codecs = filters.flatMap(({ id, name, aliases }) => [
    pythonName(name),
    String(id),
    ...aliases.filter((alias) => !owned.has(alias)).map(String),
  ]);
  const lines = [
    '[numcodecs.codecs]',
    ...[...new Set(codecs)].map((name) => `h5z_${name} = h5z_hsds.numcodecs_codecs:h5z_${name}`),
    '',
    '[hsds.filters]',
    ...filters.map(({ name }) => `${pythonName(name)} = h5z_hsds.hsds_filters:${pythonName(name)}`),
    '',
  ];
  return lines.join('\n');
}

const pythonName = (name: string): string => name.replace(/[^A-Za-z0-9]/g, '_');

/** RECORD: every file with its hash and size, itself without. */
function recordOf(files: ReadonlyMap<string, Uint8Array>, self: string): string {
  const lines = [...files].map(([path, content]) => {
    const hash = createHash('sha256').update(content).digest('base64url');
    return `${path},sha256=${hash},${content.length}`;
  });
  return `${[...lines, `${self},,`].join('\n')}\n`;
}

/** installed.json of an installation, or undefined where the text is none. */
export function parseInstalled(content: Uint8Array): InstalledJson | undefined {
  try {
    const json = JSON.parse(text(content)) as Partial<InstalledJson>;
    const isText = (value: unknown): value is string => typeof value === 'string';
    if (!isText(json.version) || !isText(json.platform)) return undefined;
    if (!Array.isArray(json.files) || !json.files.every(isText) || !Array.isArray(json.filters)) return undefined;
    return json as InstalledJson;
  } catch {
    return undefined;
  }
}
