// Digests of datasets: SHA-256 of all values as little-endian, C-order bytes with compounds packed, decoded by the
// variant asked for and no other. What libhdf5's own filters decode, because no package is installed for them or because
// h5wasm is asked for, is reported as `host`.

import { createHash } from 'node:crypto';
import { canonicalBytes, type Dataset, type H5File, HOST_FILTERS, loadPipeline, open, readBands } from '@h5z/chunks';
import { H5zError } from '@h5z/core';
import { installed, type Registry } from '@h5z/registry';
import { digestThroughH5wasm, H5WASM_HOST_FILTERS } from './h5wasm.js';
import { type Failure, failureOf, Progress } from './terminal.js';
import { nameOf } from './words.js';

export const VARIANTS = ['native', 'wasm', 'h5wasm'] as const;
export type Via = (typeof VARIANTS)[number];

/** One stage of the pipeline and what ran it. */
export interface UsedFilter {
  readonly id: number;
  readonly name: string;
  /** `host`: libhdf5's own filter; `skipped`: every stored chunk's filter mask says that it was not applied. */
  readonly variant: Via | 'host' | 'skipped';
}

/** One dataset's line. */
export interface Digest {
  readonly file: string;
  /** Path in the file; empty when the file itself could not be read. */
  readonly dataset: string;
  readonly sha256?: string;
  readonly error?: Failure;
  readonly filters: readonly UsedFilter[];
  /** The variant that decoded; `host` when no filter but libhdf5's own had to run. */
  readonly via: Via | 'host';
  /** Of the digested values. */
  readonly bytes: number;
  /** Reading, decoding and hashing. */
  readonly seconds: number;
}

export interface DigestOptions {
  /** Default: native. */
  readonly via?: Via;
  /** Only this dataset. */
  readonly dataset?: string;
  /** Where filters come from. Default: the packages installed for the working directory and for h5z. */
  readonly registry?: Registry;
  /** Datasets of more bytes are refused when they are over a thousand times larger than their file. Default: 4 GiB. */
  readonly limit?: number;
}

const DEFAULT_LIMIT = 4 * 1024 ** 3;
const EXPANSION = 1000;

/** Digests every dataset of a file, or the one named; each failure is a result of its own. Never throws for a bad file. */
export async function* digestFile(path: string, options: DigestOptions = {}): AsyncGenerator<Digest> {
  const via = options.via ?? 'native';
  const failed = (dataset: string, error: unknown): Digest => ({
    file: path,
    dataset,
    error: failureOf(error),
    filters: [],
    via,
    bytes: 0,
    seconds: 0,
  });
  let file: H5File;
  try {
    file = await open(path);
  } catch (error) {
    yield failed(options.dataset ?? '', error);
    return;
  }
  try {
    const registry = options.registry ?? (await installed());
    if (options.dataset !== undefined) {
      yield await digestDataset(file.dataset(options.dataset), registry, via, options.limit);
    } else {
      for (const dataset of file.datasets) yield await digestDataset(dataset, registry, via, options.limit);
      for (const problem of file.problems) yield failed(problem.path, problem.error);
    }
  } catch (error) {
    yield failed(options.dataset ?? '', error);
  } finally {
    file.close();
  }
}

/** Digests one dataset. */
export async function digestDataset(dataset: Dataset, registry: Registry, via: Via, limit?: number): Promise<Digest> {
  const isHost = (id: number) =>
    via === 'h5wasm' ? H5WASM_HOST_FILTERS.has(id) : HOST_FILTERS.includes(id) && registry.get(id) === undefined;
  const used = dataset.info.filters.map((stage, i) => ({
    id: stage.id,
    name: nameOf(stage, registry),
    variant: wasSkipped(dataset, i) ? ('skipped' as const) : isHost(stage.id) ? ('host' as const) : via,
  }));
  const facts = {
    file: dataset.file.name,
    dataset: dataset.path,
    filters: used,
    via: used.some(({ variant }) => variant === via) ? via : ('host' as const),
  };
  const started = performance.now();
  const progress = new Progress(`${dataset.file.name}: ${dataset.path}`);
  try {
    checkLimit(dataset, limit ?? DEFAULT_LIMIT);
    const { sha256, bytes } =
      via === 'h5wasm'
        ? await digestThroughH5wasm(dataset, registry)
        : await digestChunks(dataset, registry, via, progress);
    return { ...facts, sha256, bytes, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    return { ...facts, error: failureOf(error), bytes: 0, seconds: (performance.now() - started) / 1000 };
  } finally {
    progress.end();
  }
}

async function digestChunks(dataset: Dataset, registry: Registry, only: 'native' | 'wasm', progress: Progress) {
  const { type } = dataset.info;
  canonicalBytes(new Uint8Array(0), type); // refuses variable-length data before anything is decoded
  const pipeline = await loadPipeline(dataset, registry, { only });
  for (const { codec, id } of pipeline.stages) {
    // What is not installed is libhdf5's own, or a codec that can only fail.
    if (codec.variant === only || registry.get(id) === undefined) continue;
    throw new H5zError('H5Z_E_INTERNAL', `${codec.name} was loaded as ${codec.variant} though ${only} was asked for`);
  }
  const hash = createHash('sha256');
  let bytes = 0;
  const onChunk = (done: number, total: number) => progress.update(done, total);
  for await (const band of readBands(dataset, pipeline, { onChunk })) {
    const canonical = canonicalBytes(band, type);
    hash.update(canonical);
    bytes += canonical.length;
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** True when no stored chunk went through stage `i`, and there are chunks. */
function wasSkipped(dataset: Dataset, i: number): boolean {
  try {
    return i < 32 && dataset.chunks.length > 0 && dataset.chunks.every(({ filterMask }) => (filterMask >>> i) & 1);
  } catch {
    return false; // a damaged chunk index: reading it says so
  }
}

/** A damaged file can claim any shape; digesting terabytes of fill value would look like a hang. */
function checkLimit(dataset: Dataset, limit: number): void {
  if (dataset.byteLength <= limit || dataset.byteLength <= dataset.file.size * EXPANSION) return;
  throw new H5zError(
    'H5Z_E_MEMORY',
    `${dataset.file.name}: ${dataset.path}: its shape means ${dataset.byteLength} bytes in a file of ${dataset.file.size}`,
    { remedy: `if that is right, pass --limit ${dataset.byteLength}` },
  );
}
