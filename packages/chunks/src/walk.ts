// What is in a file: one walk over groups and links, as plain data that a worker can send.

import { H5zError, isH5zError } from '@h5z/core';
import type { Hdf5 } from './module.js';
import type { DatasetInfo, Link } from './types.js';

/** h5c_dataset's answer. */
export type RawInfo = Omit<DatasetInfo, 'fill'> & {
  readonly fill: { readonly status: DatasetInfo['fill']['status']; readonly value?: string };
};

export interface Walked {
  readonly datasets: { readonly path: string; readonly address: number; readonly info: RawInfo }[];
  readonly links: Link[];
  readonly problems: { readonly path: string; readonly error: H5zError }[];
}

interface RawLink {
  readonly name: string;
  readonly link: 'hard' | 'soft' | 'external' | 'user-defined';
  readonly kind?: 'group' | 'dataset' | 'datatype' | 'other' | 'broken';
  readonly address?: number;
  readonly target?: string;
  readonly file?: string;
}

/** Depth first with a stack of our own, so that deep nesting cannot exhaust the caller's; each object once. */
export function walk(hdf5: Hdf5, name: string): Walked {
  const found: Walked = { datasets: [], links: [], problems: [] };
  let root: number;
  try {
    root = hdf5.root();
  } catch (error) {
    throw inFile(error, name);
  }
  const paths = new Map<number, string>([[root, '/']]);
  const stack: { path: string; link: RawLink }[] = [];
  const enter = (path: string, address: number) => {
    try {
      const links = hdf5.links(address) as RawLink[];
      for (const link of links.reverse()) stack.push({ path: `${path}/${link.name}`, link });
    } catch (error) {
      found.problems.push({ path: path || '/', error: inFile(error, name, path || '/') });
    }
  };
  enter('', root);
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { path, link } = next;
    if (link.link !== 'hard') {
      const { target, file } = link;
      found.links.push({
        path,
        kind: link.link,
        ...(target === undefined ? {} : { target }),
        ...(file === undefined ? {} : { file }),
      });
      continue;
    }
    const address = link.address ?? -1;
    const first = paths.get(address);
    if (first !== undefined) {
      found.links.push({ path, kind: 'hard', target: first });
    } else if (link.kind === 'broken' || address < 0) {
      const error = new H5zError('H5Z_E_CORRUPT', `${name}: ${path} leads to no readable object`, {
        remedy: 'restore the file from a copy',
      });
      found.links.push({ path, kind: 'broken' });
      found.problems.push({ path, error });
    } else {
      paths.set(address, path);
      if (link.kind === 'group') enter(path, address);
      if (link.kind === 'dataset') {
        try {
          found.datasets.push({ path, address, info: hdf5.dataset(address) as RawInfo });
        } catch (error) {
          found.problems.push({ path, error: inFile(error, name, path) });
        }
      }
    }
  }
  return found;
}

/** The same error with file and object named. */
export function inFile(error: unknown, file: string, path?: string): H5zError {
  if (!isH5zError(error)) throw error;
  const [problem = '', ...remedy] = error.message.split('; ');
  const place = path === undefined ? file : `${file}: ${path}`;
  if (problem.startsWith(place)) return error;
  const told = problem.startsWith(`${path}`) || problem.startsWith(file) ? problem : `${place}: ${problem}`;
  const options = { cause: error, details: { ...error.details, file, path } };
  return new H5zError(error.code, told, remedy.length > 0 ? { ...options, remedy: remedy.join('; ') } : options);
}
