// Newer versions of the pinned upstreams: what their registries have beside what upstream.json pins, and the change of the
// pin. Registries are asked by their own clients, as fetching is (sources.ts).

import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './exec.ts';
import { FarmError } from './log.ts';
import { ROOT } from './paths.ts';
import type { Proposal } from './pull-request.ts';
import { fetchPackage, listUpstreams, type Place, readUpstream, treeHash, type Upstream } from './sources.ts';
import { ensureCargo, ensurePip } from './tools.ts';

export interface Watched {
  readonly upstream: string;
  /** The codec's own version. */
  readonly version: string;
  readonly registry: 'cargo' | 'pypi' | 'debian';
  readonly package: string;
  readonly pinned: string;
  /** Absent where the registry was not asked: Debian's versions follow its releases, not the codec's. */
  readonly newest?: string;
}

/** The registry and the package that a place names. */
function placeOf(place: Place): Pick<Watched, 'registry' | 'package'> {
  for (const registry of ['cargo', 'pypi', 'debian'] as const) {
    const name = place[registry];
    if (name !== undefined) return { registry, package: name };
  }
  throw new FarmError(`a place names none of cargo, pypi, debian: ${JSON.stringify(place)}. Repair upstream.json.`);
}

/** The newest release that `cargo info` or `pip index versions` tells of. */
export function newestIn(registry: 'cargo' | 'pypi', output: string): string | undefined {
  if (registry === 'pypi') return /^\S+ \(([^)]+)\)/m.exec(output)?.[1];
  return /^version: (?:\S+ \(latest ([^)\s]+).*\)|(\S+))/m.exec(output)?.slice(1).find(Boolean);
}

async function newest(registry: Watched['registry'], name: string): Promise<string | undefined> {
  if (registry === 'debian') return undefined;
  const [program, args] =
    registry === 'cargo'
      ? [await ensureCargo(), ['info', '--color', 'never', name]]
      : [await ensurePip(), ['-m', 'pip', 'index', 'versions', '--disable-pip-version-check', name]];
  const { stdout } = await run(program, args, { cwd: tmpdir() });
  const found = newestIn(registry, stdout);
  if (found === undefined)
    throw new FarmError(
      `${registry} does not say which version of ${name} is the newest. Run ${program} ${args.join(' ')} to see what it says.`,
    );
  return found;
}

/** Every place of the named upstreams (all when none is named) beside the newest release there. */
export async function watchUpstreams(names: readonly string[] = []): Promise<Watched[]> {
  const rows: Watched[] = [];
  const asked = new Map<string, Promise<string | undefined>>();
  for (const name of names.length > 0 ? names : await listUpstreams()) {
    const upstream = await readUpstream(name);
    for (const place of upstream.from) {
      const where = placeOf(place);
      const key = `${where.registry} ${where.package}`;
      if (!asked.has(key)) asked.set(key, newest(where.registry, where.package));
      const found = await asked.get(key);
      rows.push({
        upstream: name,
        version: upstream.version,
        ...where,
        pinned: place.version,
        ...(found === undefined ? {} : { newest: found }),
      });
    }
  }
  return rows;
}

export const isOutdated = ({ pinned, newest: found }: Watched): boolean => found !== undefined && found !== pinned;

/**
 * An upstream.json with the newer release of one place: its tree, the places that hold the same tree, and the codec's version
 * where the crate's version tells it ("2.0.16+zstd.1.5.7"). `hashOf` fetches a place and hashes the files.
 */
export async function updatedPin(
  upstream: Upstream,
  outdated: Watched,
  hashOf: (place: Place) => Promise<string>,
): Promise<Upstream> {
  const places = upstream.from.map((place) => {
    const where = placeOf(place);
    const same = where.registry === outdated.registry && where.package === outdated.package;
    return same && outdated.newest !== undefined ? { ...place, version: outdated.newest } : place;
  });
  const changed = places.find((place, i) => place !== upstream.from[i]);
  if (changed === undefined) throw new FarmError(`${upstream.name} has no place ${outdated.package}.`);
  const tree = await hashOf(changed);
  const from: Place[] = [];
  for (const place of places) if (place === changed || (await hashOf(place)) === tree) from.push(place);
  const told = /\+[A-Za-z.]*?v?(\d[\w.]*)$/.exec(changed.version)?.[1];
  const version = told ?? (changed.cargo === undefined ? upstream.version : changed.version.replace(/\+.*/, ''));
  return { ...upstream, version, tree, from };
}

/** Writes the newer pin of an upstream; returns the path of its upstream.json, relative to the repository. */
export async function updateUpstream(outdated: Watched, root = ROOT): Promise<string> {
  const file = join('upstreams', outdated.upstream, 'upstream.json');
  const upstream = JSON.parse(await readFile(join(root, file), 'utf8')) as Upstream;
  const updated = await updatedPin(upstream, outdated, async (place) =>
    treeHash(join(await fetchPackage(place), place.path), upstream.files),
  );
  await writeFile(join(root, file), `${JSON.stringify(updated, null, 2)}\n`);
  return file;
}

/** The written pin as a pull request. */
export function proposalOf(
  { upstream, registry, package: name, pinned, newest: found }: Watched,
  file: string,
): Proposal {
  return {
    branch: `upstream/${upstream}-${found}`.replaceAll(/[^\w./-]/g, '-'),
    title: `Upstream ${upstream}: ${name} ${found}`,
    body: `${name} ${pinned} -> ${found} (${registry}). The checks say whether our edits still match and the golden chunks decode.`,
    files: [file],
  };
}
