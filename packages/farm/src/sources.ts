// Upstream sources: got by ordinary package clients, held to the hash of the tree of files used, kept in
// $H5Z_CACHE/sources/<tree hash>. The hash is over (path, content) pairs alone, so that the place they came from - a
// crate, an sdist, a Debian source package - does not matter. Where upstream.json has edits, a copy of the tree with them
// applied lies beside it.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exists, installOnce, run, which } from './exec.ts';
import type { Filter } from './filters.ts';
import { FarmError, say, step } from './log.ts';
import { CACHE, offline, ROOT, SOURCES } from './paths.ts';
import { ensureApt, ensureCargo, ensurePip, privateApt } from './tools.ts';

/** A place that holds the tree: `path` is the folder inside the package. Exactly one of cargo, pypi, debian. */
export interface Place {
  /** A crate's name; taken with cargo. */
  readonly cargo?: string;
  /** A PyPI project's name; its source distribution, taken with pip. */
  readonly pypi?: string;
  /** A Debian source package's name; its upstream tarball, taken with apt. */
  readonly debian?: string;
  /** Exact version, in the place's own spelling. */
  readonly version: string;
  readonly path: string;
}

/** A change to a fetched file before it is compiled: what cannot be had by a compiler's flag. */
export interface Edit {
  /** Path in the tree. */
  readonly file: string;
  /** Literal text, as short as can be told apart: it quotes upstream. It must occur exactly `count` times. */
  readonly find: string;
  readonly replace: string;
  /** Default 1. */
  readonly count?: number;
  /** Why upstream's own text does not do. */
  readonly why: string;
}

/** upstreams/<name>/upstream.json. */
export interface Upstream {
  readonly name: string;
  readonly version: string;
  /** SPDX expression of the part used. */
  readonly licence: string;
  /** Files of the tree, copied into packages as LICENSES/<name>-<file>. */
  readonly licenceFiles: readonly string[];
  /** Globs (`*`, `**`, `?`, `{a,b}`) of the files used, relative to the tree. They must match the licence files too. */
  readonly files: readonly string[];
  /** SHA-256 of the tree of these files: see {@link treeHash}. */
  readonly tree: string;
  /** Tried in this order; a place whose client is missing comes last. */
  readonly from: readonly Place[];
  /** Applied one after another to a copy of the tree, which is what is compiled. */
  readonly edits?: readonly Edit[];
}

function globToRegExp(glob: string): RegExp {
  let source = '';
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i] as string;
    if (glob.startsWith('**/', i)) {
      source += '(?:[^/]+/)*';
      i += 2;
    } else if (glob.startsWith('**', i)) {
      source += '.*';
      i++;
    } else if (c === '*') source += '[^/]*';
    else if (c === '?') source += '[^/]';
    else if (c === '{') source += '(?:';
    else if (c === '}') source += ')';
    else if (c === ',') source += '|';
    else source += c.replace(/[\\^$+.()|[\]]/, '\\$&');
  }
  return new RegExp(`^${source}$`);
}

/** Files below `folder` that match, as sorted paths with `/`. */
async function filesOf(folder: string, globs: readonly string[]): Promise<string[]> {
  const patterns = globs.map(globToRegExp);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .filter((path) => patterns.some((pattern) => pattern.test(path)))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** SHA-256 over one line `<sha256 of content>  <path>\n` for each file, sorted by path as bytes: what sha256sum prints. */
export async function treeHash(folder: string, globs: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const path of await filesOf(folder, globs)) {
    const content = createHash('sha256').update(await readFile(join(folder, path)));
    hash.update(`${content.digest('hex')}  ${path}\n`);
  }
  return hash.digest('hex');
}

const DOWNLOADS = join(CACHE, 'downloads');

/** Unpacks a tar archive without its top folder. */
async function untar(archive: string, folder: string): Promise<void> {
  if (archive.endsWith('.xz') && (await which('xz')) === undefined) await ensureApt(['xz-utils']);
  if (archive.endsWith('.bz2') && (await which('bzip2')) === undefined) await ensureApt(['bzip2']);
  await run('tar', ['-xf', archive, '-C', folder, '--strip-components=1', '--no-same-owner']);
}

/** The unpacked package a place names, from the cache or by its client. The same package serves several upstreams. */
export async function fetchPackage(place: Place): Promise<string> {
  const [kind, name] = Object.entries(place).find(([key]) => ['cargo', 'pypi', 'debian'].includes(key)) ?? [];
  if (kind === undefined || typeof name !== 'string')
    throw new FarmError(`a place names none of cargo, pypi, debian: ${JSON.stringify(place)}. Repair upstream.json.`);
  const folder = join(DOWNLOADS, `${kind}-${name}-${place.version.replace(/[^\w.+~-]/g, '_')}`);
  if (await exists(folder)) return folder;
  if (offline())
    throw new FarmError(
      `H5Z_OFFLINE is set and ${kind} package ${name} ${place.version} is not in the cache. Run ./farm fetch with a network.`,
    );
  return installOnce(folder, (temporary) =>
    step(`getting ${name} ${place.version} (${kind})`, async () => {
      const work = `${temporary}.work`;
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      try {
        if (kind === 'cargo') {
          // A crate that depends on the one we want: cargo vendors it unpacked and checks the registry's checksum.
          await mkdir(join(work, 'src'));
          await writeFile(join(work, 'src/lib.rs'), '');
          await writeFile(
            join(work, 'Cargo.toml'),
            `[package]\nname = "h5z-sources"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n${name} = "=${place.version}"\n`,
          );
          await run(await ensureCargo(), ['vendor', '--quiet', '--versioned-dirs', 'vendor'], { cwd: work });
          await cp(join(work, 'vendor', `${name}-${place.version}`), temporary, { recursive: true });
        } else if (kind === 'pypi') {
          const python = await ensurePip();
          const pip = [
            '-m',
            'pip',
            'download',
            '--quiet',
            '--disable-pip-version-check',
            '--no-deps',
            '--no-binary',
            name,
            '--dest',
            work,
          ];
          await run(python, [...pip, `${name}==${place.version}`]);
          const archive = (await readdir(work)).find((file) => file.endsWith('.tar.gz'));
          if (archive === undefined)
            throw new FarmError(`pip brought no .tar.gz of ${name} ${place.version}. Try another place.`);
          await untar(join(work, archive), temporary);
        } else {
          const apt = await privateApt(join(work, 'apt'), 'deb-src');
          await run('apt-get', [...apt, 'update']);
          await run('apt-get', [...apt, 'source', '--download-only', `${name}=${place.version}`], { cwd: work });
          const archive = (await readdir(work)).find((file) => /\.orig\.tar\.\w+$/.test(file));
          if (archive === undefined)
            throw new FarmError(`apt brought no upstream tarball of ${name} ${place.version}. Try another place.`);
          await untar(join(work, archive), temporary);
        }
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    }),
  );
}

// Programs of which one must be on PATH. cargo can be unpacked from Debian's archive (tools.ts).
const CLIENTS = { cargo: ['cargo', 'apt-get'], pypi: ['python3'], debian: ['apt-get'] } as const;

async function hasClient(place: Place): Promise<boolean> {
  for (const [kind, programs] of Object.entries(CLIENTS))
    if (kind in place) return (await Promise.all(programs.map((program) => which(program)))).some(Boolean);
  return false;
}

const wrongHash = (upstream: Upstream, where: string, found: string): FarmError =>
  new FarmError(
    `${upstream.name} ${upstream.version} from ${where} is not the tree that upstreams/${upstream.name}/upstream.json pins.\n` +
      `  pinned ${upstream.tree}\n  found  ${found}\n` +
      'Either the place was changed or the pin is wrong: compare the files before changing the pin.',
  );

/** The bytes of a file as one character each, so that text in any encoding is found and kept. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

async function applyEdits(upstream: Upstream, folder: string): Promise<void> {
  for (const { file, find, replace, count = 1 } of upstream.edits ?? []) {
    const path = join(folder, file);
    const text = await readFile(path, 'latin1').catch(() => undefined);
    const where = `upstreams/${upstream.name}/upstream.json edits ${file} of ${upstream.name} ${upstream.version}`;
    if (text === undefined) throw new FarmError(`${where}, which its tree has not. Repair the edit's "file".`);
    const parts = text.split(bytesOf(find));
    if (find === '' || parts.length !== count + 1)
      throw new FarmError(
        `${where}: ${JSON.stringify(find)} occurs ${find === '' ? 'anywhere' : `${parts.length - 1} times`}, not ${count}. ` +
          'Upstream has changed, or an edit before it: read the file and write the edit anew.',
      );
    await writeFile(path, parts.join(bytesOf(replace)), 'latin1');
  }
}

/** The tree with its edits applied, in a folder named by both, beside a file with its hash. */
async function ensureEdited(upstream: Upstream, tree: string, sources: string): Promise<string> {
  const edits = createHash('sha256').update(JSON.stringify(upstream.edits));
  const folder = join(sources, `${upstream.tree}-${edits.digest('hex').slice(0, 16)}`);
  await installOnce(folder, async (temporary) => {
    await cp(tree, temporary, { recursive: true });
    await applyEdits(upstream, temporary);
    await writeFile(`${folder}.sha256`, await treeHash(temporary, ['**']));
  });
  const found = await treeHash(folder, ['**']);
  if (found !== (await readFile(`${folder}.sha256`, 'utf8').catch(() => '')))
    throw new FarmError(`${folder} was changed since it was made. Delete it and build again.`);
  return folder;
}

/**
 * The folder to compile: the upstream's verified tree, exactly the files used, with its edits if it has any. Fetches when
 * it is not in the cache.
 */
export async function ensureSource(upstream: Upstream, sources = SOURCES): Promise<string> {
  const tree = await ensureTree(upstream, sources);
  return (upstream.edits ?? []).length === 0 ? tree : ensureEdited(upstream, tree, sources);
}

async function ensureTree(upstream: Upstream, sources: string): Promise<string> {
  if (!/^[0-9a-f]{64}$/.test(upstream.tree))
    throw new FarmError(
      `upstreams/${upstream.name}/upstream.json: tree is not a SHA-256 in hexadecimal. Repair the file.`,
    );
  const folder = join(sources, upstream.tree);
  if (await exists(folder)) {
    const found = await treeHash(folder, ['**']);
    if (found !== upstream.tree) throw wrongHash(upstream, `${folder} (delete it and run ./farm fetch)`, found);
    return folder;
  }
  const here = await Promise.all(upstream.from.map(hasClient));
  const places = [...upstream.from.filter((_, i) => here[i]), ...upstream.from.filter((_, i) => !here[i])];
  const failures: string[] = [];
  for (const place of places) {
    let origin: string;
    try {
      origin = join(await fetchPackage(place), place.path);
    } catch (error) {
      if (!(error instanceof FarmError)) throw error;
      failures.push(error.message);
      say(`${upstream.name}: ${error.message.split('\n')[0]}`);
      continue;
    }
    const found = await treeHash(origin, upstream.files);
    if (found !== upstream.tree) throw wrongHash(upstream, JSON.stringify(place), found);
    return installOnce(folder, async (temporary) => {
      for (const path of await filesOf(origin, upstream.files)) {
        await mkdir(dirname(join(temporary, path)), { recursive: true });
        await cp(join(origin, path), join(temporary, path));
      }
    });
  }
  throw new FarmError(
    `no place gave ${upstream.name} ${upstream.version}:\n${failures.map((text) => `- ${text}`).join('\n')}`,
  );
}

export async function readUpstream(name: string, root = ROOT): Promise<Upstream> {
  const path = join(root, 'upstreams', name, 'upstream.json');
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Upstream;
  } catch (error) {
    throw new FarmError(
      `${path}: ${(error as Error).message}. Known upstreams: ${(await listUpstreams(root)).join(', ')}.`,
    );
  }
}

/** Where the filter in `filterDir` has the pin and CMakeLists.txt of an upstream: its own upstreams/ goes before the repository's. */
export function upstreamFolder(filterDir: string, name: string, root = ROOT): string {
  const own = join(filterDir, 'upstreams', name);
  return existsSync(own) ? own : join(root, 'upstreams', name);
}

/** Names of all upstreams of the repository. */
export async function listUpstreams(root = ROOT): Promise<string[]> {
  const entries = await readdir(join(root, 'upstreams'), { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The upstreams of a filter, named or inline. */
export const upstreamsOf = (filter: Filter, root = ROOT): Promise<Upstream[]> =>
  Promise.all(
    filter.description.upstreams.map(async (entry) =>
      typeof entry === 'string'
        ? readUpstream(entry, existsSync(join(filter.dir, 'upstreams', entry)) ? filter.dir : root)
        : (entry as unknown as Upstream),
    ),
  );
