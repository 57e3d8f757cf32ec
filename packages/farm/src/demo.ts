// `./farm demo`: from C to `npm install` to real files, in front of your eyes. Builds for this machine, publishes to an
// embedded npm registry, installs into an empty folder with plain `npm install`, decodes real HDF5 files through every
// variant with the installed `h5z`, and compares each digest with an independent one.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FilterPackage } from '../../core/src/types.ts';
import { buildAll } from './build.ts';
import {
  corpusData,
  type DemoData,
  type ExpectedDataset,
  type PeerFilter,
  publishedData,
  sharedFolder,
} from './demo-data.ts';
import { type Filter, readFilters } from './filters.ts';
import { elapsed, FarmError, say, step, table } from './log.ts';
import { pack } from './pack.ts';
import { ROOT } from './paths.ts';
import { installInto, publishAll } from './publish.ts';

/** What libhdf5 decodes where no package of ours is installed; the only filters besides ours that a dataset may use. */
const BUILT_INS = new Map([
  [1, 'deflate'],
  [2, 'shuffle'],
  [3, 'fletcher32'],
]);

/** IDs below are libhdf5's own: it never asks for a plugin, so through h5wasm its code decodes them (`host`). */
export const FIRST_PLUGIN_ID = 256;

const VARIANTS = ['native', 'wasm', 'h5wasm'] as const;
type Via = (typeof VARIANTS)[number];

/** What `h5z digest --json` prints per dataset. */
interface Digest {
  readonly file: string;
  readonly dataset: string;
  readonly sha256?: string;
  readonly error?: { readonly code: string; readonly message: string };
  readonly filters?: readonly { readonly id: number; readonly variant?: string }[];
  readonly via: string;
  readonly bytes: number;
  readonly seconds: number;
}

export interface DemoRow {
  readonly file: string;
  readonly dataset: string;
  readonly filters: string;
  readonly variant: string;
  readonly megabytesPerSecond: number | undefined;
  readonly match: boolean;
  readonly why?: string;
}

/** Names of the filters by ID, aliases too. */
export function namesById(filters: readonly Filter[]): ReadonlyMap<number, string> {
  return new Map(
    filters.flatMap(({ name, description }) =>
      [description.id, ...(description.aliases ?? []).map((alias) => alias.id)].map((id) => [id, name] as const),
    ),
  );
}

/** A dataset's filters for people: "2 shuffle + 32015 zstd". */
export function pipelineWords(dataset: ExpectedDataset, ours: ReadonlyMap<number, string>): string {
  return dataset.filters.map(({ id }) => `${id} ${BUILT_INS.get(id) ?? ours.get(id)}`).join(' + ');
}

/** True when every filter of the dataset is ours or a built-in, and there is a digest to compare with. */
export function covered(dataset: ExpectedDataset, ours: ReadonlyMap<number, string>): boolean {
  return (
    typeof dataset.sha256 === 'string' &&
    dataset.filters.length > 0 &&
    dataset.filters.every(({ id }) => BUILT_INS.has(id) || ours.has(id))
  );
}

/** Client cd_values of a filter's default options, for files that a peer writes. */
export async function peerFilters(filters: readonly Filter[]): Promise<PeerFilter[]> {
  // h5py takes small numbers for levels of gzip; what libhdf5 has itself the fetched files use anyway.
  const plugins = filters.filter(({ description }) => description.id >= FIRST_PLUGIN_ID);
  return Promise.all(
    plugins.map(async ({ name, dir, description }) => {
      const entry = pathToFileURL(join(dir, 'dist/node.js')).href;
      const module = ((await import(entry)) as { default: FilterPackage }).default;
      return { id: description.id, name, cd: [...module({}).cdValues] };
    }),
  );
}

/** What a demo starts from. */
export interface Installed {
  /** A folder that has h5z and every filter in its node_modules. */
  readonly folder: string;
  /** Environment for npm and npx there. */
  readonly env: NodeJS.ProcessEnv;
  readonly data: DemoData;
  readonly filters: readonly Filter[];
}

/**
 * From C to an empty folder that has everything installed: builds (unless `build` is false), packs, publishes to an
 * embedded registry, installs. What was made for `work` is removed after it.
 */
export async function withInstalled<T>(build: boolean, work: (installed: Installed) => Promise<T>): Promise<T> {
  const filters = await readFilters();
  if (build) await buildAll();
  const packages = await step('packing and checking the packages', () => pack());
  for (const { name, problems } of packages) for (const problem of problems) say(`${name}: ${problem}`);
  if (packages.some(({ problems }) => problems.length > 0))
    throw new FarmError('packages with problems are not published. See above.');

  const shared = sharedFolder();
  const data = shared === undefined ? await publishedData(await peerFilters(filters)) : corpusData(shared);
  const registry = await step('publishing to an embedded npm registry on the loopback interface', () =>
    publishAll(packages),
  );
  let folder: string | undefined;
  try {
    const names = [...filters.map(({ packageName }) => packageName), 'h5z'];
    folder = await step(`npm install ${names.join(' ')} (in an empty folder)`, () => installInto(registry, names));
    return await work({ folder, env: registry.env, data, filters });
  } finally {
    await registry.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the demo. Prints the table on stdout, progress on stderr; true when everything matched. */
export function demo(options: { json?: boolean; build?: boolean } = {}): Promise<boolean> {
  return withInstalled(options.build !== false, async (installed) =>
    report(await decodeAll(installed), installed.data, options.json === true),
  );
}

async function decodeAll({ folder, env, data, filters }: Installed): Promise<DemoRow[]> {
  const ours = namesById(filters);
  const files = data.files
    .map((file) => ({ ...file, datasets: file.datasets.filter((dataset) => covered(dataset, ours)) }))
    .filter(({ datasets }) => datasets.length > 0);
  // h5wasm looks a filter up by the ID in the file, and the side modules have one each.
  const aliases = new Set(filters.flatMap(({ description }) => (description.aliases ?? []).map(({ id }) => id)));
  /** What a package of ours decodes: libhdf5 in h5wasm keeps to its own filters. */
  const isOurs = (id: number, via: Via): boolean => ours.has(id) && (via !== 'h5wasm' || id >= FIRST_PLUGIN_ID);
  const usesOurs = (dataset: ExpectedDataset, via: Via): boolean => dataset.filters.some(({ id }) => isOurs(id, via));
  const rows: DemoRow[] = [];
  for (const via of VARIANTS) {
    // What libhdf5 decodes itself in h5wasm is not ours to show: native and WebAssembly use our packages for it.
    const isWanted = (dataset: ExpectedDataset): boolean =>
      usesOurs(dataset, via) && !(via === 'h5wasm' && dataset.filters.some(({ id }) => aliases.has(id)));
    const wanted = files.filter(({ datasets }) => datasets.some(isWanted));
    const answers = await step(`decoding ${wanted.length} files through ${via}`, () =>
      digestFiles(
        folder,
        env,
        via,
        wanted.map(({ path }) => path),
      ),
    );
    for (const file of wanted) {
      for (const dataset of file.datasets) {
        if (!isWanted(dataset)) continue;
        const answer = answers.get(`${file.path}\0${dataset.path}`);
        // The corpus has such a digest from a twin of the file whose values have another size: it is not of these.
        const inferred = (dataset.decodable_by ?? []).some((by) => by.startsWith('inferred'));
        if (inferred && answer !== undefined && answer.bytes !== dataset.nbytes) continue;
        // Chunks that are all stored as they are, or none at all, need no filter of ours.
        const stages = answer?.filters?.filter(({ id }) => isOurs(id, via)) ?? [];
        const isSkipped = stages.length > 0 && stages.every(({ variant }) => variant === 'skipped');
        const variant = isSkipped ? 'host' : via;
        const row = { file: file.label, dataset: dataset.path, filters: pipelineWords(dataset, ours), variant };
        rows.push(compare(row, dataset, answer));
      }
    }
  }
  return rows.sort((a, b) => a.file.localeCompare(b.file) || a.dataset.localeCompare(b.dataset));
}

/** Digests that only one processor's arithmetic gives, and the portable ones; the file says why. */
const PORTABLE = (
  JSON.parse(readFileSync(join(ROOT, 'tests/corpus/portable.json'), 'utf8')) as { digests: Record<string, string> }
).digests;

/** The digest that a dataset must decode to here. */
export const digestOf = (dataset: ExpectedDataset): string | undefined =>
  PORTABLE[dataset.sha256 ?? ''] ?? dataset.sha256 ?? undefined;

type RowHead = Pick<DemoRow, 'file' | 'dataset' | 'filters' | 'variant'>;

function compare(row: RowHead, dataset: ExpectedDataset, answer: Digest | undefined): DemoRow {
  const fail = (why: string): DemoRow => ({ ...row, megabytesPerSecond: undefined, match: false, why });
  if (answer === undefined) return fail('h5z digest did not mention this dataset');
  if (answer.error !== undefined) return fail(`${answer.error.code}: ${answer.error.message}`);
  if (answer.via !== row.variant) return fail(`decoded by ${answer.via}, not by ${row.variant}`);
  const expected = digestOf(dataset);
  if (answer.sha256 !== expected) return fail(`digest ${answer.sha256}, expected ${expected}`);
  return {
    ...row,
    megabytesPerSecond: answer.seconds > 0 ? answer.bytes / 1e6 / answer.seconds : undefined,
    match: true,
  };
}

/** The installed `npx h5z digest`, many files per process so that starting Node is no part of what people wait for. */
async function digestFiles(
  folder: string,
  env: NodeJS.ProcessEnv,
  via: Via,
  files: readonly string[],
): Promise<Map<string, Digest>> {
  const batches: string[][] = [];
  for (let at = 0; at < files.length; at += BATCH) batches.push(files.slice(at, at + BATCH));
  const found = new Map<string, Digest>();
  const worker = async (): Promise<void> => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      for (const digest of await digest1(folder, env, via, batch)) {
        const dataset = digest.dataset.replace(/^\//, '');
        found.set(`${digest.file}\0${dataset}`, digest);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  return found;
}

const BATCH = 16;

function digest1(folder: string, env: NodeJS.ProcessEnv, via: Via, files: readonly string[]): Promise<Digest[]> {
  return new Promise((resolve, reject) => {
    const args = ['--no-install', 'h5z', 'digest', '--json', '--via', via, ...files];
    execFile('npx', args, { cwd: folder, env, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      // Exit status 1 means that some dataset failed; which one is in the answer.
      try {
        resolve(JSON.parse(stdout) as Digest[]);
      } catch {
        reject(
          new FarmError(
            `npx h5z digest failed: ${stderr.trim() || error?.message || 'no output'}. Run it by hand to see more.`,
          ),
        );
      }
    });
  });
}

function report(rows: readonly DemoRow[], data: DemoData, json: boolean): boolean {
  const failed = rows.filter(({ match }) => !match);
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
  else {
    const cells = rows.map((row) => [
      row.file,
      row.dataset,
      row.filters,
      row.variant,
      row.megabytesPerSecond === undefined ? '-' : row.megabytesPerSecond.toFixed(1).padStart(8),
      row.match ? 'yes' : `NO: ${row.why}`,
    ]);
    process.stdout.write(`${table(['file', 'dataset', 'filters', 'variant', '    MB/s', 'match'], cells)}\n\n`);
  }
  const datasets = new Set(rows.map(({ file, dataset }) => `${file}\0${dataset}`)).size;
  const count = (variant: string): string =>
    `${rows.filter((row) => row.variant === variant && row.match).length} ${variant}`;
  const summary =
    `${rows.length - failed.length} of ${rows.length} decodings match (${[...VARIANTS, 'host'].map(count).join(', ')}) ` +
    `for ${datasets} datasets of ${data.source}; ${elapsed()} in all`;
  if (json) say(summary);
  else process.stdout.write(`${summary}\n`);
  if (rows.length === 0) say('nothing was decoded: no dataset uses the filters in filters/');
  return rows.length > 0 && failed.length === 0;
}
