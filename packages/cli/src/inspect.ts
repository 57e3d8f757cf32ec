// What is in a file, and which packages it takes to read it.

import { type Dataset, HOST_FILTERS, type Link, open } from '@h5z/chunks';
import { missingFilter, type Registry } from '@h5z/registry';
import { type Failure, failureOf } from './terminal.js';
import { nameOf, stageInWords, stageParameters, typeInWords } from './words.js';

export interface FilterFacts {
  readonly id: number;
  readonly name: string;
  readonly flags: number;
  readonly cdValues: readonly number[];
  /** The stage in words, as the installed package (or libhdf5's documentation) reads its cd_values. */
  readonly words: string;
  /** What the writer chose, as HDF5's parameter string; absent where no installed package can tell. */
  readonly parameters?: string;
}

export interface DatasetFacts {
  readonly path: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly layout: string;
  readonly chunk?: readonly number[];
  readonly chunks: number;
  /** Chunks for which some filter was skipped. */
  readonly maskedChunks: number;
  readonly filters: readonly FilterFacts[];
  readonly bytes: number;
  readonly storedBytes: number;
  readonly error?: Failure;
}

/** A filter that the file needs beyond libhdf5's own, and whether it is here. */
export interface Need {
  readonly id: number;
  readonly name: string;
  readonly package?: string;
  /** Version of the installed package; absent when none is. */
  readonly installed?: string;
  /** What to do when it is not installed. */
  readonly remedy?: string;
}

export interface Inspection {
  readonly file: string;
  readonly bytes: number;
  readonly datasets: readonly DatasetFacts[];
  readonly links: readonly Link[];
  readonly problems: readonly { readonly path: string; readonly error: Failure }[];
  readonly needs: readonly Need[];
}

/** Describes a file. Throws when it cannot be opened; damaged objects are among its problems. */
export async function inspectFile(path: string, registry: Registry): Promise<Inspection> {
  const file = await open(path);
  try {
    const needs = new Map<number, Need>();
    const datasets: DatasetFacts[] = [];
    for (const dataset of file.datasets) {
      for (const stage of dataset.info.filters) {
        if (!HOST_FILTERS.includes(stage.id)) needs.set(stage.id, needOf(stage, registry));
      }
      datasets.push(await factsOf(dataset, registry));
    }
    return {
      file: path,
      bytes: file.size,
      datasets,
      links: file.links,
      problems: file.problems.map(({ path, error }) => ({ path, error: failureOf(error) })),
      needs: [...needs.values()].sort((a, b) => a.id - b.id),
    };
  } finally {
    file.close();
  }
}

async function factsOf(dataset: Dataset, registry: Registry): Promise<DatasetFacts> {
  const { info } = dataset;
  let chunks: Dataset['chunks'] | undefined;
  let error: Failure | undefined;
  try {
    chunks = dataset.chunks;
  } catch (cause) {
    error = failureOf(cause);
  }
  return {
    path: dataset.path,
    type: typeInWords(info.type),
    shape: info.shape,
    layout: info.space === 'simple' ? info.layout : info.space,
    ...(info.chunk ? { chunk: info.chunk } : {}),
    chunks: chunks?.length ?? 0,
    maskedChunks: chunks?.countMasked() ?? 0,
    filters: await Promise.all(
      info.filters.map(async (stage) => {
        const parameters = await stageParameters(stage, registry);
        return {
          id: stage.id,
          name: nameOf(stage, registry),
          flags: stage.flags,
          cdValues: Array.from(stage.cdValues),
          words: await stageInWords(stage, registry),
          ...(parameters === undefined ? {} : { parameters }),
        };
      }),
    ),
    bytes: dataset.byteLength,
    storedBytes: info.storageSize,
    ...(error ? { error } : {}),
  };
}

function needOf(stage: { readonly id: number; readonly name: string }, registry: Registry): Need {
  const filter = registry.get(stage.id);
  const name = nameOf(stage, registry);
  if (filter) return { id: stage.id, name, package: filter.package.name, installed: filter.package.version };
  const entry = registry.lookup(stage.id);
  const { message } = missingFilter([stage], 'this file', (id) => registry.lookup(id));
  const remedy = message.slice(message.indexOf('; ') + 2);
  return { id: stage.id, name, ...(entry?.package ? { package: entry.package } : {}), remedy };
}
