// What every packed package must be before anybody may install it: small enough, honest about its files, with native
// libraries that their platforms load and that show three symbols, with the licences of what is inside, without install
// scripts, and with types that resolve. Used by `./farm pack` and by tests/packages.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { FilterDescription, Manifest } from '../../core/src/types.ts';
import { libraryOf, libraryProblems } from './binary.ts';
import { ROOT } from './paths.ts';
import { SBOM_FILE } from './sbom.ts';
import { readTarball } from './tarball.ts';

/** Packed bytes a package may have unless its filter.json, or `h5z` in its package.json, says otherwise (`sizeBudget`). */
export const DEFAULT_SIZE_BUDGET = 10_000_000;

/** Bytes that the kernels of a filter may have as one text, PTX or WGSL: a driver reads all of it (docs/decisions/kernel-text.md). */
export const KERNEL_BUDGET = 92_000;

/** Scripts that npm runs on the machine of whoever installs the package. */
const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'preprepare', 'prepare', 'postprepare'];

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly h5z?: {
    readonly sizeBudget?: { readonly packedBytes: number };
    readonly upstreams?: readonly string[];
    readonly compiledIn?: readonly string[];
  };
}

let validateManifest: ValidateFunction | undefined;

/** Problems of a `.tgz`, in words; empty when it may be published. */
export async function checkTarball(path: string): Promise<string[]> {
  const { entryProblems } = await import('./entry-check.ts');
  return [...contentProblems(path), ...(await entryProblems(path))];
}

/** Those of them that the files alone show: all but what the entry points and types look like to other tools. */
export function contentProblems(path: string): string[] {
  const tarball = readFileSync(path);
  const files = readTarball(tarball);
  const problems: string[] = [];
  const json = <T>(name: string): T => JSON.parse(files.get(name)?.toString('utf8') ?? 'null') as T;
  const pkg = json<PackageJson>('package.json');
  const description = json<FilterDescription | null>('filter.json');

  const budget = (description ?? pkg.h5z)?.sizeBudget?.packedBytes ?? DEFAULT_SIZE_BUDGET;
  if (tarball.length > budget) {
    problems.push(`packed it is ${tarball.length} bytes, over its budget of ${budget}: slim it or split it`);
  }
  for (const [name, { length }] of files) {
    if (name.startsWith('gpu/') && length > KERNEL_BUDGET)
      problems.push(
        `${name} is ${length} bytes, over the budget of kernels, ${KERNEL_BUDGET}: share what is there twice`,
      );
  }
  for (const script of INSTALL_SCRIPTS) {
    if (pkg.scripts?.[script] !== undefined) problems.push(`it has an install script (${script})`);
  }
  if (files.has('binding.gyp')) problems.push('it holds binding.gyp, which makes npm compile on install');
  for (const name of ['LICENSE', 'README.md']) if (!files.has(name)) problems.push(`${name} is missing`);
  for (const [name, content] of files) {
    const library = libraryOf(name);
    if (library === undefined && name.startsWith('prebuilds/')) problems.push(`${name} is no library of a platform`);
    const found = library === undefined ? [] : libraryProblems(content, library.platform, library.kind);
    problems.push(...found.map((problem) => `${name}: ${problem}`));
  }
  const manifest = json<Manifest | null>('manifest.json');
  if (description !== null) problems.push(...checkManifest(description, manifest, files));
  const inside = manifest?.upstreams ?? (pkg.h5z?.upstreams ?? []).map((name) => ({ name }));
  for (const name of pkg.h5z?.compiledIn ?? []) {
    if (![...files.keys()].some((file) => file.startsWith(`LICENSES/${name}-`)))
      problems.push(`no licence text of ${name} is inside`);
  }
  problems.push(...checkSbom(pkg, inside, json<Sbom | null>(SBOM_FILE)));
  return problems;
}

/** The manifest holds to its schema and describes the package's files, all of them and no others. */
function checkManifest(
  description: FilterDescription,
  manifest: Manifest | null,
  files: ReadonlyMap<string, Buffer>,
): string[] {
  if (manifest === null) return ['manifest.json is missing'];
  if (validateManifest === undefined) {
    const schema = JSON.parse(readFileSync(join(ROOT, 'registry/schema/manifest.schema.json'), 'utf8')) as object;
    validateManifest = new Ajv2020({ allErrors: true, strict: false }).compile(schema);
  }
  if (!validateManifest(manifest)) {
    return (validateManifest.errors ?? []).map((e) => `manifest.json${e.instancePath} ${e.message ?? e.keyword}`);
  }
  const problems: string[] = [];
  if (manifest.filter.id !== description.id || manifest.filter.name !== description.name) {
    problems.push('manifest.json and filter.json name different filters');
  }
  const { native, wasm, h5wasm, cuda, webgpu } = manifest.variants;
  const kernels = [cuda, webgpu].flatMap(({ file, size, sha256 }) =>
    file === undefined || size === undefined || sha256 === undefined ? [] : [{ file, size, sha256 }],
  );
  const listed = [...native, ...wasm, ...h5wasm, ...kernels];
  for (const { file, size, sha256 } of listed) {
    const content = files.get(file);
    if (content === undefined) problems.push(`manifest.json lists ${file}, which is not in the package`);
    else if (content.length !== size) problems.push(`${file} is ${content.length} bytes, manifest.json says ${size}`);
    else if (createHash('sha256').update(content).digest('hex') !== sha256) {
      problems.push(`${file} does not have the SHA-256 that manifest.json gives`);
    }
  }
  const known = new Set(listed.map(({ file }) => file));
  for (const name of files.keys()) {
    if (/^(prebuilds|wasm|gpu)\//.test(name) && !known.has(name)) problems.push(`${name} is not in manifest.json`);
  }
  for (const [variant, built] of Object.entries({ native, wasm, h5wasm })) {
    if (variant in description.variants && built.length === 0) problems.push(`no ${variant} variant was built`);
  }
  for (const [variant, { mode, file }] of Object.entries({ cuda, webgpu })) {
    if (mode !== 'none' && file === undefined)
      problems.push(`manifest.json has no kernels for ${variant}, mode ${mode}`);
  }
  for (const licence of manifest.licences) {
    if ((files.get(licence)?.length ?? 0) === 0) problems.push(`the licence text ${licence} is missing or empty`);
  }
  for (const upstream of manifest.upstreams) {
    if (!manifest.licences.some((licence) => licence.includes(upstream.name))) {
      problems.push(`no licence text of ${upstream.name} is inside`);
    }
  }
  return problems;
}

interface Sbom {
  readonly specVersion?: string;
  readonly metadata?: { readonly component?: { readonly name?: string; readonly version?: string } };
  readonly components?: readonly {
    readonly name: string;
    readonly version?: string;
    readonly licenses?: readonly { readonly expression?: string }[];
    readonly properties?: readonly { readonly name: string; readonly value?: string }[];
  }[];
}

interface Inside {
  readonly name: string;
  readonly version?: string;
  readonly licence?: string;
  readonly tree?: string;
}

/** The bill of materials is of this package and lists what the manifest says is inside, as the manifest says it. */
function checkSbom(pkg: PackageJson, inside: readonly Inside[], sbom: Sbom | null): string[] {
  if (sbom === null) return [`${SBOM_FILE} is missing`];
  const problems: string[] = [];
  const subject = sbom.metadata?.component;
  if (subject?.name !== pkg.name || subject.version !== pkg.version) {
    problems.push(`${SBOM_FILE} is of ${subject?.name}@${subject?.version}, not of ${pkg.name}@${pkg.version}`);
  }
  for (const { name, version, licence, tree } of inside) {
    const listed = (sbom.components ?? []).find((component) => component.name === name);
    const says = {
      version: listed?.version,
      licence: listed?.licenses?.[0]?.expression,
      tree: listed?.properties?.find((property) => property.name === 'h5z:tree-sha256')?.value,
    };
    if (listed === undefined) problems.push(`${SBOM_FILE} does not list ${name}, which is inside`);
    else {
      for (const [field, value] of Object.entries({ version, licence, tree })) {
        const said = says[field as keyof typeof says];
        if (said === undefined || (value !== undefined && value !== said)) {
          problems.push(`${SBOM_FILE} gives ${name} the ${field} ${said}, manifest.json ${value}`);
        }
      }
    }
  }
  const needed = Object.keys({ ...pkg.dependencies, ...pkg.optionalDependencies });
  for (const name of [...needed, ...(pkg.h5z?.compiledIn ?? [])]) {
    if (!(sbom.components ?? []).some((component) => component.name === name)) {
      problems.push(`${SBOM_FILE} does not list ${name}, which package.json names`);
    }
  }
  return problems;
}
