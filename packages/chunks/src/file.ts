// An HDF5 file as a list of datasets whose stored bytes can be had: open() -> H5File -> Dataset -> chunks.

import { H5zError, isH5zError } from '@h5z/core';
import { Hdf5, loadModule, type WasmInput } from './module.js';
import { bytesSource, fileSource, type Source } from './source.js';
import type { Chunk, DatasetInfo, Link } from './types.js';

/** Chunks and elements above this are refused: they would not fit in one array. HDF5 itself stops at 4 GiB. */
export const MAX_CHUNK_BYTES = 0x7fffffff;

export interface OpenOptions {
  /** What to call the file in messages. Default: its path, or "file". */
  readonly name?: string;
  /** h5c.wasm supplied by the caller. */
  readonly wasm?: WasmInput | Promise<WasmInput>;
}

/**
 * Opens an HDF5 file: a path (Node), its bytes (anywhere; kept, not copied), or a {@link Source} of your own.
 * Throws H5Z_FILE when it cannot be read, H5Z_E_CORRUPT when it is not HDF5. Close it to release the file descriptor.
 */
export async function open(input: string | Uint8Array | Source, options: OpenOptions = {}): Promise<H5File> {
  const module = await loadModule(options.wasm);
  const source =
    typeof input === 'string'
      ? fileSource(input)
      : input instanceof Uint8Array
        ? bytesSource(input, options.name ?? 'file')
        : input;
  const file = new H5File(source, new Hdf5(module, source), options.name ?? source.name);
  try {
    file.root();
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** An object that could not be read, with the reason; the rest of the file still can. */
export interface Problem {
  readonly path: string;
  readonly error: H5zError;
}

interface RawLink {
  name: string;
  link: 'hard' | 'soft' | 'external' | 'user-defined';
  kind?: 'group' | 'dataset' | 'datatype' | 'other' | 'broken';
  address?: number;
  target?: string;
  file?: string;
}

interface Listing {
  datasets: Dataset[];
  links: Link[];
  problems: Problem[];
}

export class H5File {
  readonly name: string;
  /** @internal */
  readonly source: Source;
  /** @internal */
  readonly hdf5: Hdf5;
  #listing: Listing | undefined;

  /** @internal */
  constructor(source: Source, hdf5: Hdf5, name: string) {
    this.source = source;
    this.hdf5 = hdf5;
    this.name = name;
  }

  /** Bytes in the file. */
  get size(): number {
    return this.source.size;
  }

  /** Every dataset that can be described, in the order of group traversal, each once, under the first path found. */
  get datasets(): readonly Dataset[] {
    return this.#list().datasets;
  }

  /** Further hard links, soft and external links (not followed), and hard links that lead nowhere. */
  get links(): readonly Link[] {
    return this.#list().links;
  }

  /** Groups and datasets that could not be read. */
  get problems(): readonly Problem[] {
    return this.#list().problems;
  }

  /**
   * The dataset at a path; leading slashes are optional, further hard links and soft links within the file count.
   * Throws H5Z_FILE when there is none, or the reason why it cannot be read.
   */
  dataset(path: string): Dataset {
    const { datasets, links, problems } = this.#list();
    const seen = new Set<string>();
    for (let wanted = normal(path); !seen.has(wanted); ) {
      seen.add(wanted);
      const found = datasets.find((dataset) => dataset.path === wanted);
      if (found) return found;
      const problem = problems.find((candidate) => candidate.path === wanted);
      if (problem) throw problem.error;
      const link = links.find(({ path }) => path === wanted || wanted.startsWith(`${path}/`));
      if (link?.target === undefined || (link.kind !== 'hard' && link.kind !== 'soft')) break;
      const parent = link.path.slice(0, link.path.lastIndexOf('/'));
      const target = link.target.startsWith('/') ? link.target : `${parent}/${link.target}`;
      wanted = normal(target + wanted.slice(link.path.length));
    }
    throw new H5zError('H5Z_FILE', `${this.name} has no dataset ${path}`, {
      remedy: `list its datasets with \`h5z inspect ${this.name}\``,
    });
  }

  close(): void {
    this.source.close();
  }

  /** @internal Address of the root group. */
  root(): number {
    try {
      return this.hdf5.root();
    } catch (error) {
      throw inFile(error, this.name);
    }
  }

  #list(): Listing {
    this.#listing ??= this.#walk();
    return this.#listing;
  }

  /** Depth first with a stack of our own, so that deep nesting cannot exhaust the caller's; each object once. */
  #walk(): Listing {
    const listing: Listing = { datasets: [], links: [], problems: [] };
    const root = this.root();
    const paths = new Map<number, string>([[root, '/']]);
    const stack: { path: string; link: RawLink }[] = [];
    const enter = (path: string, address: number) => {
      try {
        const links = this.hdf5.links(address) as RawLink[];
        for (const link of links.reverse()) stack.push({ path: `${path}/${link.name}`, link });
      } catch (error) {
        listing.problems.push({ path: path || '/', error: inFile(error, this.name, path || '/') });
      }
    };
    enter('', root);
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { path, link } = next;
      if (link.link !== 'hard') {
        const { target, file } = link;
        listing.links.push({
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
        listing.links.push({ path, kind: 'hard', target: first });
      } else if (link.kind === 'broken' || address < 0) {
        const error = new H5zError('H5Z_E_CORRUPT', `${this.name}: ${path} leads to no readable object`, {
          remedy: 'restore the file from a copy',
        });
        listing.links.push({ path, kind: 'broken' });
        listing.problems.push({ path, error });
      } else {
        paths.set(address, path);
        if (link.kind === 'group') enter(path, address);
        if (link.kind === 'dataset') this.#add(listing, path, address);
      }
    }
    return listing;
  }

  #add(listing: Listing, path: string, address: number): void {
    try {
      listing.datasets.push(new Dataset(this, path, address));
    } catch (error) {
      listing.problems.push({ path, error: inFile(error, this.name, path) });
    }
  }
}

export class Dataset {
  readonly file: H5File;
  /** From the root, with a leading slash. */
  readonly path: string;
  readonly info: DatasetInfo;
  /** Number of elements. */
  readonly elements: number;
  /** Bytes of all elements as stored, before filters. */
  readonly byteLength: number;
  /** Bytes of one whole chunk before filters; 0 when not chunked. */
  readonly chunkBytes: number;
  /** @internal Of its object header. */
  readonly address: number;
  #chunks: readonly Chunk[] | undefined;

  /** @internal */
  constructor(file: H5File, path: string, address: number) {
    const raw = file.hdf5.dataset(address) as Omit<DatasetInfo, 'fill'> & {
      fill: { status: DatasetInfo['fill']['status']; value?: string };
    };
    const { value, ...fill } = raw.fill;
    // libhdf5 adds the user block's size to an address even where nothing is allocated.
    if (raw.storageSize === 0) delete (raw as { address?: number }).address;
    this.file = file;
    this.path = path;
    this.address = address;
    this.info = { ...raw, fill: value === undefined ? fill : { ...fill, value: fromHex(value) } };
    this.elements = raw.space === 'null' ? 0 : raw.shape.reduce((product, n) => product * n, 1);
    this.byteLength = this.elements * raw.type.size;
    this.chunkBytes = raw.chunk ? raw.chunk.reduce((product, n) => product * n, raw.type.size) : 0;
    const whole = [this.elements, this.byteLength, this.chunkBytes].every(Number.isSafeInteger);
    if (!whole || this.chunkBytes > MAX_CHUNK_BYTES || raw.type.size > MAX_CHUNK_BYTES) {
      throw new H5zError('H5Z_E_UNSUPPORTED', `${path} claims chunks or a shape too large for any memory`, {
        remedy: 'chunks of up to 2 GiB can be read',
      });
    }
  }

  /** The allocated chunks, in the order of the file's chunk index; none when the dataset is not chunked. */
  get chunks(): readonly Chunk[] {
    this.#chunks ??= this.info.layout === 'chunked' && this.elements > 0 ? this.#readIndex() : [];
    return this.#chunks;
  }

  /** The stored bytes of one chunk. */
  readChunk(chunk: Chunk): Uint8Array {
    return this.#read(chunk.address, chunk.size, `chunk ${chunk.offset.join(',')}`);
  }

  /**
   * Bytes [from, from + length) of a contiguous or compact dataset, as stored; undefined where nothing is allocated yet.
   * Throws H5Z_E_UNSUPPORTED for data in external files and for virtual datasets.
   */
  readStored(from = 0, length = this.byteLength - from): Uint8Array | undefined {
    const { layout, external, address } = this.info;
    if (layout === 'virtual' || external) {
      const where = external ? 'external files' : 'other datasets (it is virtual)';
      throw this.error('H5Z_E_UNSUPPORTED', `its data lie in ${where}`, 'read those directly');
    }
    if (layout === 'compact') {
      const bytes = this.#ask(() => this.file.hdf5.compact(this.address));
      if (bytes.length < from + length) {
        const problem = `its compact data are ${bytes.length} bytes, not ${this.byteLength}`;
        throw this.error('H5Z_E_CORRUPT', problem, 'restore the file from a copy');
      }
      return bytes.subarray(from, from + length);
    }
    return address === undefined ? undefined : this.#read(address + from, length, 'data');
  }

  /** @internal */
  error(code: H5zError['code'], problem: string, remedy: string, cause?: unknown): H5zError {
    const options = cause === undefined ? { remedy } : { remedy, cause };
    return new H5zError(code, `${this.file.name}: ${this.path}: ${problem}`, options);
  }

  /** @internal The same error with file and dataset named. */
  explain(error: unknown): unknown {
    return inFile(error, this.file.name, this.path);
  }

  #read(address: number, length: number, what: string): Uint8Array {
    if (address + length > this.file.size) {
      const problem = `${what} lies at ${address}, ${length} bytes long, but the file ends at ${this.file.size}`;
      throw this.error('H5Z_E_CORRUPT', problem, 'the file is cut short or damaged: restore it from a copy');
    }
    const bytes = new Uint8Array(length);
    this.#ask(() => this.file.source.readInto(address, bytes));
    return bytes;
  }

  #readIndex(): Chunk[] {
    const rank = this.info.shape.length;
    const numbers = this.#ask(() => this.file.hdf5.chunks(this.address));
    const chunks: Chunk[] = [];
    for (let at = 0; at + rank + 3 <= numbers.length; at += rank + 3) {
      const [address = 0, size = 0, filterMask = 0] = numbers.subarray(at + rank, at + rank + 3);
      chunks.push({ offset: [...numbers.subarray(at, at + rank)], address, size, filterMask });
    }
    return chunks;
  }

  #ask<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw inFile(error, this.file.name, this.path);
    }
  }
}

/** The same error with file and object named. */
function inFile(error: unknown, file: string, path?: string): H5zError {
  if (!isH5zError(error)) throw error;
  const [problem = '', ...remedy] = error.message.split('; ');
  const place = path === undefined ? file : `${file}: ${path}`;
  if (problem.startsWith(place)) return error;
  const told = problem.startsWith(`${path}`) || problem.startsWith(file) ? problem : `${place}: ${problem}`;
  const options = { cause: error, details: { ...error.details, file, path } };
  return new H5zError(error.code, told, remedy.length > 0 ? { ...options, remedy: remedy.join('; ') } : options);
}

function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) if (part !== '' && part !== '.') parts.push(part);
  return `/${parts.join('/')}`;
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
