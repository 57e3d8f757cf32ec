// A pipeline as lines to copy: for `h5z repack`, for h5py, for JavaScript.

import { type Dataset, HOST_FILTERS } from '@h5z/chunks';
import type { FilterPackage } from '@h5z/core';
import { lookup, type Registry } from '@h5z/registry';
import type { Candidate } from './measure.js';
import { SHUFFLE } from './repack.js';

export interface LinesOptions {
  readonly path: string;
  readonly dataset: Dataset;
  readonly chunk: readonly number[];
  readonly candidate: Candidate;
  readonly registry: Registry;
}

const DEFLATE = 1;
/** h5py takes whole numbers below this for levels of gzip. */
const H5PY_LEVELS = 10;

/** The three lines (some are several). */
export function linesFor(options: LinesOptions): { repack: string; python: string; javascript: string } {
  return { repack: repackLine(options), python: pythonLines(options), javascript: javascriptLines(options) };
}

function repackLine({ path, dataset, chunk, candidate }: LinesOptions): string {
  const shape = isOwnChunk(dataset, chunk) ? '' : ` --chunk ${chunk.join('x')}`;
  return `h5z repack ${shellWord(path)} OUT.h5 --dataset ${shellWord(dataset.path)} --filter ${shellWord(candidate.words)}${shape}`;
}

function isOwnChunk(dataset: Dataset, chunk: readonly number[]): boolean {
  return dataset.info.chunk?.join() === chunk.join();
}

/** A word for a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function pythonLines({ dataset, chunk, candidate, registry }: LinesOptions): string {
  const { stages } = candidate;
  // hdf5plugin's lossy codecs lack some of our options and formats, and one ends the process when it meets them.
  const shared = stages.every(({ id }) => {
    const lossy = registry.get(id)?.description.lossy === true;
    return HOST_FILTERS.includes(id) || (!lossy && lookup(id)?.shippedBy.hdf5plugin === 'yes');
  });
  const plugins = shared
    ? 'import h5py, hdf5plugin  # or without hdf5plugin after: eval "$(h5z plugin-path --shell)"'
    : 'import h5py  # after: eval "$(h5z plugin-path --shell)"';
  const tuple = (values: Iterable<number>) => {
    const list = [...values];
    return list.length === 1 ? `(${list[0]},)` : `(${list.join(', ')})`;
  };
  const name = dataset.path.slice(1);
  const shuffled = stages[0]?.id === SHUFFLE;
  const [only, ...more] = shuffled ? stages.slice(1) : stages;
  if (more.length === 0 && (only === undefined || only.id === DEFLATE || only.id >= H5PY_LEVELS)) {
    const words = [`chunks=${tuple(chunk)}`, ...(shuffled ? ['shuffle=True'] : [])];
    if (only?.id === DEFLATE) words.push("compression='gzip'", `compression_opts=${only.cdValues[0] ?? 6}`);
    else if (only) words.push(`compression=${only.id}`, `compression_opts=${tuple(only.cdValues)}`);
    return `${plugins}\nfile.create_dataset(${JSON.stringify(name)}, data=data, ${words.join(', ')})`;
  }
  const flag = 'h5py.h5z.FLAG_OPTIONAL';
  return [
    plugins,
    'plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)',
    `plist.set_chunk(${tuple(chunk)})`,
    ...stages.map(({ id, cdValues }) => `plist.set_filter(${id}, ${flag}, ${tuple(cdValues)})`),
    'space, kind = h5py.h5s.create_simple(data.shape), h5py.h5t.py_create(data.dtype)',
    `h5py.Dataset(h5py.h5d.create(file.id, ${JSON.stringify(name)}.encode(), kind, space, plist))[...] = data`,
  ].join('\n');
}

function javascriptLines({ path, dataset, chunk, candidate, registry }: LinesOptions): string {
  const imports = ["import { repack } from '@h5z/chunks';", "import { installed } from '@h5z/registry';"];
  const stages: string[] = [];
  for (const stage of candidate.stages) {
    const filter = registry.get(stage.id) as FilterPackage | undefined;
    if (filter === undefined) {
      stages.push(`{ id: ${stage.id}, cdValues: [${[...stage.cdValues].join(', ')}] }`);
      continue;
    }
    const identifier = filter.canonicalName.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const line = `import ${identifier} from '${filter.package.name}';`;
    if (!imports.includes(line)) imports.push(line);
    const pairs = Object.entries((stage as { options?: object }).options ?? {});
    const words = pairs.map(([name, value]) => `${name}: ${typeof value === 'string' ? `'${value}'` : value}`);
    stages.push(`${identifier}(${words.length > 0 ? `{ ${words.join(', ')} }` : ''})`);
  }
  const shape = isOwnChunk(dataset, chunk) ? '' : ` chunk: [${chunk.join(', ')}],`;
  return [
    ...imports,
    `const stages = [${stages.join(', ')}];`,
    `const options = { stages, datasets: [${JSON.stringify(dataset.path)}],${shape} registry: await installed() };`,
    `await repack(${JSON.stringify(path)}, 'OUT.h5', options);`,
  ].join('\n');
}
