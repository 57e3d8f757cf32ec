// The chunk each filter decodes in the browser: one out of the corpus, as h5py + hdf5plugin read it, or where there is no
// corpus one of the filter's golden chunks.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { env } from '../support/env.ts';
import { type Filter, readJson } from './site.ts';

export interface Case {
  readonly id: number;
  /** Where the chunk comes from. */
  readonly from: string;
  readonly cdValues: readonly number[];
  /** Base64. */
  readonly chunk: string;
  readonly size: number;
  /** Of the decoded chunk. */
  readonly sha256: string;
  /** A filter of this repository that the app does not have. */
  readonly otherId: number;
  readonly otherPackage: string;
}

export function caseOf(filter: Filter, all: readonly Filter[]): Case {
  const other = all.find((one) => one.id !== filter.id) ?? { id: 32013, package: '@h5z/zfp' };
  return { id: filter.id, ...chunkOf(filter, all), otherId: other.id, otherPackage: other.package };
}

type Chunk = Pick<Case, 'from' | 'cdValues' | 'chunk' | 'size' | 'sha256'>;

function chunkOf(filter: Filter, all: readonly Filter[]): Chunk {
  return fromCorpus(filter, all) ?? fromGolden(filter);
}

type CorpusChunk = Chunk & { readonly file: string; readonly dataset: string };
/** By filter ID: asked for once, for all filters. */
let corpus: Readonly<Record<string, CorpusChunk>> | undefined;

function fromCorpus(filter: Filter, all: readonly Filter[]): Chunk | undefined {
  if (!env.shared || !env.python) return undefined;
  const script = fileURLToPath(new URL('./chunk.py', import.meta.url));
  const ids = [...new Set([filter, ...all].map(({ id }) => String(id)))];
  corpus ??= JSON.parse(
    execFileSync(env.python, [script, join(env.shared, 'corpus'), ...ids], { encoding: 'utf8', maxBuffer: 1 << 28 }),
  ) as Record<string, CorpusChunk>;
  const found = corpus[filter.id];
  if (found === undefined) return undefined;
  const { file, dataset, ...chunk } = found;
  return { ...chunk, from: `${file} ${dataset}` };
}

function fromGolden(filter: Filter): Chunk {
  const folder = join(filter.folder, 'golden');
  const { cases } = readJson(join(folder, 'index.json')) as {
    cases: { file: string; cdValues: number[]; size: number; sha256?: string }[];
  };
  const largest = cases.toSorted((a, b) => b.size - a.size).find((one) => one.sha256 !== undefined);
  if (largest?.sha256 === undefined) throw new Error(`${folder} has no cases`);
  const { file, cdValues, size, sha256 } = largest;
  return { from: file, cdValues, chunk: readFileSync(join(folder, file)).toString('base64'), size, sha256 };
}
