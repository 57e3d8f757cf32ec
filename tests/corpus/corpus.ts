// The corpus as the tests see it, and a registry of the filters in filters/ as they were built here.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FilterPackage } from '../../packages/core/dist/index.js';
import { createRegistry, type Registry } from '../../registry/dist/index.js';
import { env } from '../support/env.ts';
import { filterFolders } from '../support/packed.ts';

export interface CorpusDataset {
  readonly path: string;
  readonly shape: readonly number[];
  readonly filters: readonly { readonly id: number; readonly flags: number; readonly cd_values: readonly number[] }[];
  readonly sha256?: string | null;
  readonly n_chunks?: number;
  /** Bytes of the values that were digested, and with what; "inferred: ..." when it was another file. */
  readonly nbytes?: number;
  readonly decodable_by?: readonly string[];
  readonly chunks_with_nonzero_filter_mask?: unknown;
}

export interface CorpusFile {
  readonly file: string;
  readonly path: string;
  readonly size: number;
  readonly datasets: readonly CorpusDataset[];
}

/** Every file of the corpus; none without ../shared. */
export function corpusFiles(): readonly CorpusFile[] {
  const folder = env.shared === undefined ? '' : join(env.shared, 'corpus');
  if (!existsSync(join(folder, 'corpus.json'))) return [];
  const { files } = JSON.parse(readFileSync(join(folder, 'corpus.json'), 'utf8')) as { files: CorpusFile[] };
  return files.map((file) => ({ ...file, path: join(folder, file.file) }));
}

/** libhdf5's own filters that the corpus must be read with. */
export const BUILT_INS: readonly number[] = [1, 2, 3];

/** IDs of the filters in filters/, aliases too. */
export const OURS: ReadonlySet<number> = new Set(
  filterFolders().flatMap(({ description }) => [description.id, ...(description.aliases ?? []).map(({ id }) => id)]),
);

/** IDs that only old files use. A side module for h5wasm, as any HDF5 plugin, answers to its filter's own ID alone. */
export const ALIASES: ReadonlySet<number> = new Set(
  filterFolders().flatMap(({ description }) => (description.aliases ?? []).map(({ id }) => id)),
);

/** Was the digest inferred from a twin of the file whose values have another size? It is not of these values, then. */
export function isOfTwin(dataset: CorpusDataset, bytes: number): boolean {
  return dataset.nbytes !== bytes && (dataset.decodable_by ?? []).some((by) => by.startsWith('inferred'));
}

export async function builtRegistry(): Promise<Registry> {
  const packages: FilterPackage[] = [];
  for (const { folder } of filterFolders()) {
    const entry = join(folder, 'dist/node-addons.js');
    if (!existsSync(entry)) throw new Error(`${entry} is missing: run ./farm build`);
    packages.push(((await import(pathToFileURL(entry).href)) as { default: FilterPackage }).default);
  }
  return createRegistry(packages);
}
