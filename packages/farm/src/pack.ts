// Makes the npm packages: every folder of filters/ and every public workspace, staged, packed by npm itself into
// out/packages and checked. The same inputs give the same bytes: npm's tarballs carry no times, and the staged files
// carry no modes but their own.
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeShipped } from './catalogue.ts';
import { refuseLies } from './describe-check.ts';
import { filterPage } from './docs.ts';
import { run } from './exec.ts';
import { readFilters } from './filters.ts';
import { collectLicences } from './licences.ts';
import { FarmError } from './log.ts';
import { checkTarball } from './package-check.ts';
import { ROOT } from './paths.ts';
import { namesCxx, runtimesOf } from './runtimes.ts';
import { readUpstream, upstreamsOf } from './sources.ts';
import {
  filterRuntimes,
  finishFilter,
  notBuilt,
  npmPack,
  type PackageJson,
  readJson,
  type Staged,
  stageFolder,
  tarballName,
} from './stage.ts';
import { writeTree } from './tree.ts';
import { releasables } from './versions.ts';

export interface Packed {
  readonly name: string;
  readonly version: string;
  /** The folder it was made from. */
  readonly folder: string;
  /** Absolute path of the `.tgz`. */
  readonly tarball: string;
  readonly packedBytes: number;
  /** Why it must not be published; empty when it may. */
  readonly problems: readonly string[];
}

export { finishFilter } from './stage.ts';

/** Folders of the public workspaces. */
export function publicWorkspaces(): string[] {
  return releasables()
    .map(({ folder }) => folder)
    .filter((folder) => !folder.startsWith(join(ROOT, 'filters')))
    .sort();
}

/** Compiles the workspaces' TypeScript to their dist/ and tells the registry what filters/ holds; quick when nothing changed. */
export async function compile(): Promise<void> {
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b'], { cwd: ROOT });
  writeShipped();
}

/**
 * Packs everything (or what `only` names, by folder or npm name) into `out` and returns one entry per package.
 * The C side must have been built: a variant that filter.json promises and nobody built is a problem of the package.
 */
export async function pack(
  options: { out?: string; only?: readonly string[]; check?: boolean } = {},
): Promise<Packed[]> {
  refuseLies('packed');
  const out = options.out ?? join(ROOT, 'out/packages');
  const stage = join(out, 'stage');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  await compile();
  const wanted = (...names: string[]): boolean =>
    options.only === undefined || options.only.length === 0 || names.some((name) => options.only?.includes(name));

  const staged: Staged[] = [];
  for (const filter of await readFilters()) {
    if (!wanted(filter.name, filter.packageName)) continue;
    await finishFilter(filter);
    staged.push(
      stageFolder(filter.dir, stage, filterPage(filter.dir), await upstreamsOf(filter), await filterRuntimes(filter)),
    );
  }
  for (const folder of publicWorkspaces()) {
    const { name, description, h5z } = readJson<PackageJson>(join(folder, 'package.json'));
    if (!wanted(name)) continue;
    if (h5z?.tree !== undefined) await writeTree(h5z.tree, join(folder, 'dist'));
    const upstreams = await Promise.all((h5z?.upstreams ?? []).map((upstream) => readUpstream(upstream)));
    const runtimes = await runtimesOf(folder, await namesCxx(join(folder, 'CMakeLists.txt')));
    if (upstreams.length + runtimes.length > 0) await collectLicences(upstreams, runtimes, join(folder, 'LICENSES'));
    const readme = `# ${name}\n\n${String(description ?? '')}\n`;
    staged.push(stageFolder(folder, stage, readme, upstreams, runtimes));
  }
  if (staged.length === 0)
    throw new FarmError('nothing to pack. Name filters or packages as ls filters/ packages/ shows them.');
  await npmPack(staged, out);

  const packed: Packed[] = [];
  for (const { folder, target, absent } of staged) {
    const { name, version } = readJson<PackageJson>(join(target, 'package.json'));
    const tarball = join(out, tarballName(name, version));
    packed.push({
      name,
      version,
      folder,
      tarball,
      packedBytes: statSync(tarball).size,
      problems: options.check === false ? [] : [...absent.map(notBuilt), ...(await checkTarball(tarball))],
    });
  }
  rmSync(stage, { recursive: true, force: true });
  writeFileSync(join(out, 'packed.json'), `${JSON.stringify(packed, null, 1)}\n`);
  return packed;
}
