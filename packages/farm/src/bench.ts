// `./farm bench`: sets up what packages/bench needs (a build, the Python peers, arrays) and keeps what it measured.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { benchHsds, hsdsPage, saveHsds } from '../../bench/src/hsds.ts';
import { bench, saveResult } from '../../bench/src/main.ts';
import { benchReading, saveReading } from '../../bench/src/reading.ts';
import { readingPage } from '../../bench/src/reading-page.ts';
import { buildAll } from './build.ts';
import { peerFilters } from './demo.ts';
import { publishedData, sharedFolder } from './demo-data.ts';
import { benchmarksPage, writeDocs } from './docs.ts';
import { readFilters } from './filters.ts';
import { FarmError, say } from './log.ts';
import { compile, finishFilter } from './pack.ts';
import { ensureHsds, ensurePythonPeers, ensureZig } from './tools.ts';

export interface BenchCommand {
  readonly json: boolean;
  readonly build: boolean;
  readonly only: string | undefined;
  readonly rounds: string | undefined;
  /** Whether what `only` names replaces its rows among those kept. */
  readonly keep: boolean;
}

/** Runs the benchmarks, prints them as JSON or Markdown, and keeps the result of a full run. */
export async function runBench(options: BenchCommand): Promise<void> {
  const rounds = options.rounds === undefined ? undefined : Number(options.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new FarmError(`--rounds ${options.rounds} is not a number of rounds. Give a whole number above 0.`);
  }
  if (options.build) await buildAll();
  await compile();
  const filters = await readFilters();
  for (const filter of filters) await finishFilter(filter);
  if (options.only === undefined || options.only === 'reading') {
    const reading = await benchReading({
      python: await ensurePythonPeers(),
      cc: join((await ensureZig()).bin, 'zig-cc'),
      log: say,
      ...(rounds === undefined ? {} : { rounds }),
    });
    say(`kept in ${saveReading(reading)}`);
    if (options.only === 'reading') {
      process.stdout.write(options.json ? `${JSON.stringify(reading, null, 1)}\n` : readingPage(reading));
      writeDocs();
      return;
    }
  }
  // What the data nodes have used is read from /proc.
  if (options.only === 'hsds' || (options.only === undefined && process.platform === 'linux')) {
    const hsds = await benchHsds({ python: await ensureHsds(), log: say, ...(rounds === undefined ? {} : { rounds }) });
    say(`kept in ${saveHsds(hsds)}`);
    if (options.only === 'hsds') {
      process.stdout.write(options.json ? `${JSON.stringify(hsds, null, 1)}\n` : hsdsPage(hsds));
      writeDocs();
      return;
    }
  }
  const shared = sharedFolder();
  const inShared = shared === undefined ? undefined : join(shared, 'arrays');
  const arrays =
    inShared !== undefined && existsSync(join(inShared, 'index.json'))
      ? { folder: inShared, source: 'the real arrays of ../shared/arrays' }
      : await published(await peerFilters(filters));
  const result = await bench({
    python: await ensurePythonPeers(),
    arrays: arrays.folder,
    data: arrays.source,
    log: say,
    ...(options.only === undefined ? {} : { only: options.only }),
    ...(rounds === undefined ? {} : { rounds }),
  });
  process.stdout.write(options.json ? `${JSON.stringify(result, null, 1)}\n` : benchmarksPage(result));
  if (options.only !== undefined && !options.keep) return;
  say(`kept in ${saveResult(result, options.only !== undefined)}`);
  writeDocs();
}

async function published(
  filters: Awaited<ReturnType<typeof peerFilters>>,
): Promise<{ folder: string; source: string }> {
  const data = await publishedData(filters);
  if (data.arrays === undefined)
    throw new FarmError('the published files gave no arrays. Delete the cache folder demo/ and run again.');
  return { folder: data.arrays, source: `arrays from ${data.source}` };
}
