// A package's bill of materials, CycloneDX 1.6: which other people's code was compiled into it, from which sources, under
// which licence. Made when a package is staged, from the same pins that the build used; the same inputs give the same bytes
// (no time of day, and a serial number that is a hash of the rest).

import { createHash } from 'node:crypto';
import type { Runtime } from './runtimes.ts';
import type { Place, Upstream } from './sources.ts';

/** The file's name in a package: what CycloneDX's own tools look for. */
export const SBOM_FILE = 'sbom.cdx.json';

export interface Described {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Package URL (purl): the name with its scope, escaped as the purl specification asks. */
export function purl(type: string, name: string, version: string): string {
  const escaped = name.split('/').map(encodeURIComponent).join('/');
  return `pkg:${type}/${escaped}@${encodeURIComponent(version)}`;
}

/** The package that a place of upstream.json names. */
function placePurl(place: Place): string {
  if (place.cargo !== undefined) return purl('cargo', place.cargo, place.version);
  if (place.pypi !== undefined) return purl('pypi', place.pypi, place.version);
  return `${purl('deb', `debian/${place.debian}`, place.version)}?arch=source`;
}

function component(upstream: Upstream) {
  const reference = purl('generic', upstream.name, upstream.version);
  const notes = (upstream.edits ?? []).map(({ file, why }) => `${file}: ${why}`);
  return {
    type: 'library',
    'bom-ref': reference,
    name: upstream.name,
    version: upstream.version,
    scope: 'required',
    licenses: [{ expression: upstream.licence }],
    purl: reference,
    externalReferences: upstream.from.map((place) => ({
      type: 'source-distribution',
      url: placePurl(place),
      comment: place.path === '' ? 'the whole package' : `folder ${place.path}`,
    })),
    ...(notes.length > 0 ? { pedigree: { notes: `Edited before it was compiled. ${notes.join(' ')}` } } : {}),
    // Of the files used, wherever they came from: `./farm fetch --print-tree NAME` prints it.
    properties: [{ name: 'h5z:tree-sha256', value: upstream.tree }],
  };
}

/** An npm package whose code was compiled in: headers, of an addon. */
function compiledIn({ name, version, license = 'NONE' }: Described) {
  const reference = purl('npm', name, version);
  const licenses = [{ expression: license }];
  return { type: 'library', 'bom-ref': reference, name, version, scope: 'required', licenses, purl: reference };
}

/** What a compiler brought along. */
function brought({ name, version, licence, inside }: Runtime) {
  const reference = purl('generic', name, version);
  return {
    type: 'library',
    'bom-ref': reference,
    name,
    version,
    scope: 'required',
    licenses: [{ expression: licence }],
    purl: reference,
    properties: [{ name: 'h5z:inside', value: inside }],
  };
}

/** The npm packages that are installed beside it: what they hold, their own bills of materials say. */
function dependency(name: string, version: string, scope: 'required' | 'optional') {
  const reference = purl('npm', name, version);
  return { type: 'library', 'bom-ref': reference, name, version, scope, purl: reference };
}

/** The bill of materials of `pkg`, which has `upstreams`, runtimes and npm packages compiled into it: the text of its file. */
export function makeSbom(
  pkg: Described,
  upstreams: readonly Upstream[],
  runtimes: readonly Runtime[] = [],
  npm: readonly Described[] = [],
): string {
  const self = purl('npm', pkg.name, pkg.version);
  const components = [
    ...upstreams.map(component),
    ...runtimes.map(brought),
    ...npm.map(compiledIn),
    ...Object.entries(pkg.dependencies ?? {}).map(([name, version]) => dependency(name, version, 'required')),
    ...Object.entries(pkg.optionalDependencies ?? {}).map(([name, version]) => dependency(name, version, 'optional')),
  ].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const references = components.map((one) => one['bom-ref']);
  const body = {
    metadata: {
      component: {
        type: 'library',
        'bom-ref': self,
        name: pkg.name,
        version: pkg.version,
        ...(pkg.description === undefined ? {} : { description: pkg.description }),
        ...(pkg.license === undefined ? {} : { licenses: [{ expression: pkg.license }] }),
        purl: self,
      },
    },
    components,
    dependencies: [{ ref: self, dependsOn: references }, ...references.map((ref) => ({ ref }))],
  };
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(body))}`,
    version: 1,
    ...body,
  };
  return `${JSON.stringify(bom, null, 1)}\n`;
}

/** A UUID (version 8: the maker's own) out of the SHA-256 of a text. */
function uuidOf(text: string): string {
  const hash = createHash('sha256').update(text).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
