// `./farm demo --hsds`: what HSDS says to real files before and after `npx h5z hsds install`. The same HSDS, from its Python
// package, on loopback sockets and a folder as storage; real files loaded by its own hsload, linked and copied; every dataset
// asked for over HTTP as a client would, from storage, and its bytes compared with an independent digest.

import { createHash } from 'node:crypto';
import { copyFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, extname, join } from 'node:path';
import { load } from '../../hsds/test/support/client.ts';
import { type Environment, environment } from '../../hsds/test/support/environment.ts';
import { BUCKET, Hsds } from '../../hsds/test/support/server.ts';
import { covered, digestOf, FIRST_PLUGIN_ID, namesById, pipelineWords, withInstalled } from './demo.ts';
import type { DemoData, ExpectedDataset, ExpectedFile } from './demo-data.ts';
import { run } from './exec.ts';
import type { Filter } from './filters.ts';
import { elapsed, FarmError, say, step, table } from './log.ts';
import { ensureHsds } from './tools.ts';

/** How hsload loads a file: `link` leaves the chunks where they are, `copy` reads them and has HSDS store them anew. */
export type Mode = 'link' | 'copy';

/** A dataset that is asked for. */
export interface Asked {
  readonly file: ExpectedFile;
  readonly dataset: ExpectedDataset;
  /** Its filters, for people. */
  readonly filters: string;
  /** One that loses something when it encodes: a copy of it has other bytes, rightly, so it is linked alone. */
  readonly lossy: boolean;
}

/** What came back for the values of a dataset. */
export interface Served {
  readonly outcome: 'right' | 'empty' | 'zeros' | 'wrong' | 'error' | 'not loaded';
  /** HTTP status; absent where the file or dataset is not on the server. */
  readonly status?: number;
  /** Bytes of the body. */
  readonly bytes: number;
  /** Until the whole body was there. */
  readonly seconds: number;
  /** Of an error, the server's or hsload's own words. */
  readonly why?: string;
  /** hsload refused the file's filters, and loaded it with its option --ignore-filters. */
  readonly ignoringFilters?: boolean;
}

export interface HsdsRow {
  readonly file: string;
  readonly dataset: string;
  readonly filters: string;
  readonly mode: Mode;
  /** Bytes of the values. */
  readonly size: number;
  readonly before: Served;
  readonly after: Served;
}

/** Bytes of the largest dataset that is asked for. */
const LARGEST = 8_000_000;
/** hsload copies smaller datasets when it is told to link (MIN_DSET_ELEMENTS_FOR_LINKING of h5pyd._apps.utillib). */
const FEWEST_ELEMENTS = 513;
/** Most chunks of a dataset, and most datasets of a file, for a demo that ends. */
const MOST_CHUNKS = 500;
const MOST_DATASETS = 20;
/** Questions to a server at once: most of them wait while HSDS tries again. */
const AT_ONCE = 8;
const DATA_NODES = 2;

/**
 * For every filter the largest fitting dataset with as few other filters as there is, and one for every longer pipeline
 * with a filter that HDF5 has as a plugin; no dataset twice.
 */
export function choose(data: DemoData, filters: readonly Filter[]): Asked[] {
  const ours = namesById(filters);
  const lossy = new Set(filters.flatMap(({ description: { id, lossy } }) => (lossy === true ? [id] : [])));
  const candidates = data.files
    .filter(({ datasets }) => datasets.length <= MOST_DATASETS)
    .flatMap((file) =>
      file.datasets.filter((dataset) => covered(dataset, ours) && fits(dataset)).map((dataset) => ({ file, dataset })),
    );
  const rank = ({ dataset }: (typeof candidates)[number]): number =>
    dataset.filters.length * LARGEST - (dataset.nbytes ?? 0);
  candidates.sort((a, b) => rank(a) - rank(b));
  const chosen = new Map<string, (typeof candidates)[number]>();
  const pipeline = ({ dataset }: (typeof candidates)[number]): string => dataset.filters.map(({ id }) => id).join();
  for (const id of [...ours.keys()].sort((a, b) => a - b)) {
    const best = candidates.find((one) => one.dataset.filters.some((filter) => filter.id === id));
    if (best !== undefined) chosen.set(pipeline(best), best);
  }
  for (const one of candidates) {
    const { filters } = one.dataset;
    const isLonger = filters.length > 1 && filters.some(({ id }) => id >= FIRST_PLUGIN_ID);
    if (isLonger && !chosen.has(pipeline(one))) chosen.set(pipeline(one), one);
  }
  return [...chosen.values()].map(({ file, dataset }) => ({
    file,
    dataset,
    filters: pipelineWords(dataset, ours),
    lossy: dataset.filters.some(({ id }) => lossy.has(id)),
  }));
}

/** Plain little-endian numbers, so that HSDS's bytes are the ones that the digest is of; all filtered; a size for a demo. */
function fits(dataset: ExpectedDataset): boolean {
  const { dtype = '', shape = [], nbytes = 0, n_chunks = 0, decodable_by = [] } = dataset;
  const elements = shape.reduce((product, extent) => product * extent, 1);
  return (
    /^(u?int|float)\d+$/.test(dtype) &&
    elements >= FEWEST_ELEMENTS &&
    nbytes <= LARGEST &&
    n_chunks <= MOST_CHUNKS &&
    !dataset.chunks_with_nonzero_filter_mask &&
    !decodable_by.some((by) => by.startsWith('inferred'))
  );
}

/** Runs the demo. Prints the table on stdout, progress on stderr; true when every dataset is right after the installation. */
export async function demoHsds(options: { json?: boolean; build?: boolean } = {}): Promise<boolean> {
  const base = await ensureHsds();
  return withInstalled(options.build !== false, async ({ folder, env, data, filters }) => {
    const rows = await beforeAndAfter({ app: folder, env, base, asked: choose(data, filters) });
    return report(rows, data.source, options.json === true);
  });
}

/**
 * Serves what is asked for twice, by an HSDS without and one with the filters that are installed in the folder `app`.
 * `env`: for npx there. `base`: a Python that has HSDS. No server is left running, also when this process is ended by a
 * signal that it can catch. Throws where HSDS or `npx h5z hsds` does not run at all.
 */
export async function beforeAndAfter(options: {
  readonly app: string;
  readonly env: NodeJS.ProcessEnv;
  readonly base: string;
  readonly asked: readonly Asked[];
}): Promise<HsdsRow[]> {
  const { app, env, base, asked } = options;
  const here = environment(base);
  const leave = (signal: NodeJS.Signals): void => {
    process.once('exit', () => here.remove()); // after the servers are ended, which is done there too
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', leave).once('SIGTERM', leave);
  try {
    const before = await serve(here, 'before', { H5Z_HSDS: '' }, asked);
    const h5z = (command: string): Promise<unknown> =>
      run('npx', ['--no-install', 'h5z', 'hsds', command, '--python', here.python], { cwd: app, env });
    await step('npx h5z hsds install', () => h5z('install'));
    await step('npx h5z hsds self-test', () => h5z('self-test'));
    const after = await serve(here, 'after', { H5Z_HSDS: '1' }, asked);
    return before.map((one, index) => {
      const { asked: what, mode, served } = one;
      const then = after[index];
      if (then === undefined) throw new FarmError('HSDS was not asked the same twice. Report it.');
      return {
        file: what.file.label,
        dataset: what.dataset.path,
        filters: what.filters,
        mode,
        size: what.dataset.nbytes ?? 0,
        before: served,
        after: then.served,
      };
    });
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave);
    here.remove();
  }
}

interface Loaded {
  readonly asked: Asked;
  readonly mode: Mode;
  readonly domain: string;
  /** hsload's last words, where it failed. */
  readonly why: string | undefined;
  readonly ignoringFilters: boolean;
}

/** Starts an HSDS with `settings`, loads every file, starts it again so that nothing is in memory, asks for every dataset. */
async function serve(
  here: Environment,
  name: 'before' | 'after',
  settings: Record<string, string>,
  asked: readonly Asked[],
): Promise<{ asked: Asked; mode: Mode; served: Served }[]> {
  const how = name === 'before' ? 'without h5z' : 'with H5Z_HSDS=1';
  const server = await step(`starting HSDS ${how}, ${DATA_NODES} data nodes`, () =>
    Hsds.start(here, { name, nodes: DATA_NODES, settings }),
  );
  try {
    const files = [...new Set(asked.map(({ file }) => file))];
    const loaded = await step(`hsload of ${files.length} files into HSDS ${how}`, () =>
      loadAll(here, server, settings, asked, files),
    );
    await step('starting it again, so that every answer comes from storage', async () => {
      await server.stop();
      await server.startAll();
    });
    // One after the other where speed is measured; before, a question takes up to a quarter of a minute.
    const together = name === 'before' ? AT_ONCE : 1;
    const answers = await step(`asking HSDS ${how} for ${loaded.length} datasets`, () =>
      inTurns(loaded, together, (one) => ask(server, one)),
    );
    return loaded.map(({ asked, mode }, index) => ({ asked, mode, served: answers[index] as Served }));
  } finally {
    await server.stop();
  }
}

/** `work` on every item, `count` at a time; results in the items' order. */
async function inTurns<T, R>(items: readonly T[], count: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as T);
    }
  };
  await Promise.all(Array.from({ length: count }, worker));
  return results;
}

/** Every file linked, and copied too where a dataset of it can be compared after that. */
async function loadAll(
  here: Environment,
  server: Hsds,
  settings: Record<string, string>,
  asked: readonly Asked[],
  files: readonly ExpectedFile[],
): Promise<Loaded[]> {
  const jobs = files.flatMap((file, index) => {
    const mine = asked.filter((one) => one.file === file);
    const exact = mine.filter(({ lossy }) => !lossy);
    const both = [
      { mode: 'link' as const, mine },
      { mode: 'copy' as const, mine: exact },
    ];
    return both
      .filter((job) => job.mine.length > 0)
      .map((job) => ({ ...job, file, name: `${index}${extname(file.path)}` }));
  });
  const loaded = await inTurns(jobs, availableParallelism(), async ({ file, name, mode, mine }) => {
    let domain = `/home/admin/${mode}_${name}`;
    if (mode === 'link') await copyFile(file.path, join(server.bucket, name));
    const from = mode === 'link' ? ['--link', `${BUCKET}/${name}`] : [file.path];
    const hsload = (...options: string[]): Promise<string | undefined> =>
      load(here, server, 'hsload', [...options, ...from, domain], settings).then(
        () => undefined,
        (error: Error & { stderr?: string }) => lastLine(error.stderr) ?? error.message,
      );
    let why = await hsload();
    // What a person would try next; with h5z nobody has to.
    const ignoringFilters = why !== undefined && !enabled(settings);
    if (ignoringFilters) {
      domain = `/home/admin/${mode}_ignoring_${name}`; // HSDS may still be removing what the first attempt left
      why = await hsload('--ignore-filters');
    }
    await server.send('PUT', '/?flush=1', { domain }); // to storage, before it is started again
    return mine.map((one) => ({ asked: one, mode, domain, why, ignoringFilters }));
  });
  return loaded.flat();
}

const enabled = (settings: Record<string, string>): boolean => settings.H5Z_HSDS === '1';

const lastLine = (text: string | undefined): string | undefined => text?.trim().split('\n').at(-1)?.trim() || undefined;

async function ask(server: Hsds, loaded: Loaded): Promise<Served> {
  const { asked, domain, why, ignoringFilters } = loaded;
  const h5path = encodeURIComponent(`/${asked.dataset.path.replace(/^\//, '')}`);
  const found = await server.send('GET', `/datasets/?h5path=${h5path}`, { domain });
  const id = found.status === 200 ? (JSON.parse(found.body.toString()) as { id: string }).id : undefined;
  const served = await valuesOf(server, id, domain, asked.dataset, why ?? `${found.status} ${found.reason}`);
  return ignoringFilters ? { ...served, ignoringFilters } : served;
}

async function valuesOf(
  server: Hsds,
  id: string | undefined,
  domain: string,
  dataset: ExpectedDataset,
  whyNot: string,
): Promise<Served> {
  if (id === undefined) return { outcome: 'not loaded', bytes: 0, seconds: 0, why: whyNot };
  const start = performance.now();
  const answer = await server
    .send('GET', `/datasets/${id}/value`, { domain, binary: true, partial: true })
    .catch((error: Error) => error);
  const seconds = (performance.now() - start) / 1000;
  if (answer instanceof Error) return { outcome: 'error', bytes: 0, seconds, why: answer.message };
  const { status, reason, body } = answer;
  const facts = { status, bytes: body.length, seconds };
  if (status !== 200) return { outcome: 'error', ...facts, why: reason };
  if (createHash('sha256').update(body).digest('hex') === digestOf(dataset)) return { outcome: 'right', ...facts };
  if (body.length === 0) return { outcome: 'empty', ...facts };
  const isZero = body.length === dataset.nbytes && body.every((byte) => byte === 0);
  return { outcome: isZero ? 'zeros' : 'wrong', ...facts };
}

/** An answer in a cell of the table; a star where hsload had to be told to ignore the filters. */
export function inWords({ outcome, status, bytes, seconds, why = '', ignoringFilters }: Served): string {
  const star = ignoringFilters === true ? '* ' : '';
  // hsload quotes whole filter objects.
  if (outcome === 'not loaded') return `${star}not loaded: ${why.replace(/ *\{[^}]*\}/g, '')}`;
  const head = `${star}${status ?? 'no answer'} in ${seconds.toFixed(seconds < 1 ? 3 : 1)} s`;
  const what = { right: 'right', zeros: 'all ZEROS', wrong: 'WRONG', empty: `EMPTY: ${bytes} bytes`, error: why };
  return `${head}, ${what[outcome]}`;
}

const STAR = '* hsload refused the filters of the file; loaded with its option --ignore-filters.';

/** Prints the rows; true when there are some and each is right after the installation. */
export function report(rows: readonly HsdsRow[], source: string, json: boolean): boolean {
  const good = rows.filter(({ after }) => after.outcome === 'right');
  if (json) process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
  else {
    const cells = rows.map(({ file, dataset, filters, mode, size, before, after }) => [
      basename(file),
      dataset,
      filters,
      String(size).padStart(8),
      mode,
      inWords(before),
      after.outcome === 'right' ? (size / 1e6 / after.seconds).toFixed(1).padStart(8) : '-'.padStart(8),
      after.outcome === 'right' ? 'ok' : `NO: ${inWords(after)}`,
    ]);
    const head = ['file', 'dataset', 'filters', '   bytes', 'hsload', 'before', '    MB/s', 'after'];
    process.stdout.write(`${table(head, cells)}\n`);
    if (rows.some(({ before }) => before.ignoringFilters === true)) process.stdout.write(`${STAR}\n`);
    process.stdout.write('\n');
  }
  const rightBefore = rows.filter(({ before }) => before.outcome === 'right').length;
  const summary =
    `HSDS served ${rightBefore} of ${rows.length} rightly before, ${good.length} of ${rows.length} after; ` +
    `${source}; ${elapsed()} in all`;
  if (json) say(summary);
  else process.stdout.write(`${summary}\n`);
  if (rows.length === 0) say('nothing was served: no file has a dataset that fits');
  return rows.length > 0 && good.length === rows.length;
}
