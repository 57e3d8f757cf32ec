// An HDF5 file as a list of datasets whose stored bytes can be had: open() -> H5File -> Dataset -> chunks.

import { type ChunkFile, H5zError } from '@h5z/core';
import { ChunkList } from './chunk-list.js';
import { Hdf5, loadModule, type WasmInput } from './module.js';
import { type RemoteBytes, type RemoteOptions, remoteBlob, remoteHttp, Session } from './session.js';
import { bytesSource, chunkFileOf, fileSource, type Source } from './source.js';
import type { Chunk, DatasetInfo, Link } from './types.js';
import { inFile, type RawInfo, type Walked, walk } from './walk.js';

/** Chunks and elements above this are refused: they would not fit in one array. HDF5 itself stops at 4 GiB. */
export const MAX_CHUNK_BYTES = 0x7fffffff;

export interface OpenOptions extends RemoteOptions {
  /** What to call the file in messages. Default: its path or address, or "file". */
  readonly name?: string;
  /** h5c.wasm supplied by the caller. */
  readonly wasm?: WasmInput | Promise<WasmInput>;
}

/** What {@link open} takes: a path (Node) or http(s) address, a URL, bytes, a File or Blob, or a source of one's own. */
export type FileInput = string | URL | Uint8Array | Blob | Source;

/**
 * Opens an HDF5 file.
 *
 * A path (Node), its bytes (anywhere; kept, not copied) or a {@link Source} of your own: read as it is asked for.
 * An http(s) address, a File or a Blob (Node and browsers): libhdf5 runs in a worker and reads pages of 1 MiB through a
 * cache; everything but the chunk indexes is read at once, those by `loadChunks`, and the bytes of chunks by `fetchChunk`
 * or `readDataset`, straight to this thread. A server must serve byte ranges, and a file must not change meanwhile.
 *
 * Throws H5Z_FILE when it cannot be read, H5Z_E_CORRUPT when it is not HDF5. Close it to release the file descriptor or
 * the worker.
 */
export async function open(input: FileInput, options: OpenOptions = {}): Promise<H5File> {
  const module = await loadModule(options.wasm);
  const address = addressOf(input);
  if (address !== undefined) {
    const bytes = await remoteHttp(address, options);
    return openRemote(module, bytes, options);
  }
  if (input instanceof Blob) {
    const given = (input as { name?: unknown }).name;
    return openRemote(module, remoteBlob(input, options.name ?? (typeof given === 'string' ? given : 'file')), options);
  }
  const source =
    typeof input === 'string' || input instanceof URL
      ? fileSource(input)
      : input instanceof Uint8Array
        ? bytesSource(input, options.name ?? 'file')
        : input;
  const name = options.name ?? source.name;
  const hdf5 = new Hdf5(module, source);
  try {
    hdf5.root();
    return new H5File({ name, size: source.size, hdf5, source, session: undefined, walked: undefined });
  } catch (error) {
    hdf5.close();
    source.close();
    throw inFile(error, name);
  }
}

async function openRemote(module: WebAssembly.Module, bytes: RemoteBytes, options: OpenOptions): Promise<H5File> {
  const name = options.name ?? bytes.name;
  const { session, walked } = await Session.open(module, bytes, name, options.cacheBytes);
  return new H5File({ name, size: bytes.size, hdf5: undefined, source: undefined, session, walked });
}

function addressOf(input: FileInput): URL | undefined {
  if (typeof input === 'string') {
    if (!/^https?:\/\//i.test(input)) return undefined;
    if (URL.canParse(input)) return new URL(input);
    throw new H5zError('H5Z_PARAMETER', `${input} is no address`, { remedy: 'pass http(s)://host/path' });
  }
  return input instanceof URL && /^https?:$/.test(input.protocol) ? input : undefined;
}

/** An object that could not be read, with the reason; the rest of the file still can. */
export interface Problem {
  readonly path: string;
  readonly error: H5zError;
}

interface Listing {
  readonly datasets: readonly Dataset[];
  readonly links: readonly Link[];
  readonly problems: readonly Problem[];
}

/** @internal What a file is made of: a source read on this thread, or a session with a worker. */
interface Parts {
  readonly name: string;
  readonly size: number;
  readonly hdf5: Hdf5 | undefined;
  readonly source: Source | undefined;
  readonly session: Session | undefined;
  readonly walked: Walked | undefined;
}

export class H5File {
  readonly name: string;
  /** Bytes in the file. */
  readonly size: number;
  readonly #parts: Parts;
  #chunkFile: ChunkFile | undefined;
  #listing: Listing | undefined;

  /** @internal */
  constructor(parts: Parts) {
    this.name = parts.name;
    this.size = parts.size;
    this.#parts = parts;
  }

  /** Whether its bytes come asynchronously (HTTP, File, Blob): then `loadChunks`, `fetchChunk` and `readDataset` read it. */
  get remote(): boolean {
    return this.#parts.session !== undefined;
  }

  /** @internal The file as batches of chunks read it. */
  get chunkFile(): ChunkFile {
    const { source, session } = this.#parts;
    this.#chunkFile ??= source
      ? chunkFileOf(source)
      : { read: (address, length) => this.#session(session).read(address, length) };
    return this.#chunkFile;
  }

  /** @internal libhdf5 on this thread; throws for remote files. `doing` and `instead` for the message. */
  local(doing: string, instead: string): { hdf5: Hdf5; source: Source } {
    const { hdf5, source } = this.#parts;
    if (hdf5 !== undefined && source !== undefined) return { hdf5, source };
    throw new H5zError('H5Z_FILE', `${this.name}: ${doing} of a file that is read asynchronously`, { remedy: instead });
  }

  /** @internal */
  async askChunks(address: number): Promise<readonly Float64Array[]> {
    const { hdf5, session } = this.#parts;
    return hdf5 ? hdf5.chunks(address) : this.#session(session).chunks(address);
  }

  /** @internal */
  async askCompact(address: number): Promise<Uint8Array> {
    const { hdf5, session } = this.#parts;
    return hdf5 ? hdf5.compact(address) : this.#session(session).compact(address);
  }

  #session(session: Session | undefined): Session {
    if (session !== undefined) return session;
    throw new H5zError('H5Z_E_INTERNAL', `${this.name} is neither local nor remote`);
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
    this.#parts.hdf5?.close();
    this.#parts.source?.close();
    this.#parts.session?.close();
  }

  #list(): Listing {
    this.#listing ??= this.#describe();
    return this.#listing;
  }

  #describe(): Listing {
    const { hdf5, walked } = this.#parts;
    const found = walked ?? (hdf5 ? walk(hdf5, this.name) : { datasets: [], links: [], problems: [] });
    const datasets: Dataset[] = [];
    const problems: Problem[] = [...found.problems];
    for (const { path, address, info } of found.datasets) {
      try {
        datasets.push(new Dataset(this, path, address, info));
      } catch (error) {
        problems.push({ path, error: inFile(error, this.name, path) });
      }
    }
    return { datasets, links: found.links, problems };
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
  #chunks: ChunkList | undefined;

  /** @internal */
  constructor(file: H5File, path: string, address: number, info: RawInfo) {
    const raw = { ...info };
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

  /**
   * The allocated chunks, in C order of their places; none when the dataset is not chunked. Read once, when first asked for.
   * Throws H5Z_E_CORRUPT for a damaged index, a chunk outside the dataset or two at one place.
   */
  get chunks(): ChunkList {
    this.#chunks ??= this.#index(() => {
      const { hdf5 } = this.file.local('the chunk index', 'first `await dataset.loadChunks()`');
      return hdf5.chunks(this.address);
    });
    return this.#chunks;
  }

  /** Reads the chunk index where it has not been read: the same list as `chunks`, for every kind of file. */
  async loadChunks(): Promise<ChunkList> {
    if (this.#chunks === undefined) {
      let records: readonly Float64Array[] = [];
      try {
        if (this.#isIndexed()) records = await this.file.askChunks(this.address);
      } catch (error) {
        throw inFile(error, this.file.name, this.path);
      }
      this.#chunks ??= this.#index(() => records);
    }
    return this.#chunks;
  }

  /** The stored bytes of one chunk, still filtered; they are the caller's. Throws H5Z_E_CORRUPT for one outside the file. */
  readChunk(chunk: Chunk): Uint8Array {
    return this.#read(chunk.address, chunk.size, `chunk ${chunk.offset.join(',')}`);
  }

  /** The same for every kind of file, remote ones too. */
  async fetchChunk(chunk: Chunk, options: { readonly signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.#fetch(chunk.address, chunk.size, `chunk ${chunk.offset.join(',')}`, options.signal);
  }

  /** @internal Throws for a chunk whose bytes cannot be in the file. */
  checkChunk(chunk: Chunk): void {
    this.#check(chunk.address, chunk.size, `chunk ${chunk.offset.join(',')}`);
  }

  /**
   * Bytes [from, from + length) of a contiguous or compact dataset, as stored; undefined where nothing is allocated yet.
   * Throws H5Z_E_UNSUPPORTED for data in external files and for virtual datasets.
   */
  readStored(from = 0, length = this.byteLength - from): Uint8Array | undefined {
    const { layout, address } = this.info;
    this.refuseElsewhere();
    if (layout === 'compact') {
      const { hdf5 } = this.file.local('compact data', 'use `await dataset.fetchStored()`');
      const bytes = this.#ask(() => hdf5.compact(this.address));
      return this.#compactPart(bytes, from, length);
    }
    return address === undefined ? undefined : this.#read(address + from, length, 'data');
  }

  /** As {@link readStored}, for every kind of file, remote ones too. */
  async fetchStored(
    from = 0,
    length = this.byteLength - from,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Uint8Array | undefined> {
    const { layout, address } = this.info;
    this.refuseElsewhere();
    if (layout === 'compact') {
      try {
        return this.#compactPart(await this.file.askCompact(this.address), from, length);
      } catch (error) {
        throw inFile(error, this.file.name, this.path);
      }
    }
    return address === undefined ? undefined : this.#fetch(address + from, length, 'data', options.signal);
  }

  #compactPart(bytes: Uint8Array, from: number, length: number): Uint8Array {
    if (bytes.length < from + length) {
      const problem = `its compact data are ${bytes.length} bytes, not ${this.byteLength}`;
      throw this.error('H5Z_E_CORRUPT', problem, 'restore the file from a copy');
    }
    return bytes.subarray(from, from + length);
  }

  /** @internal */
  error(code: H5zError['code'], problem: string, remedy: string, cause?: unknown): H5zError {
    const options = cause === undefined ? { remedy } : { remedy, cause };
    return new H5zError(code, `${this.file.name}: ${this.path}: ${problem}`, options);
  }

  /** @internal Throws for data that lie in other files, and names them. */
  refuseElsewhere(): void {
    const { external = [], sources = [], layout } = this.info;
    if (layout !== 'virtual' && external.length === 0) return;
    const names = new Set(
      layout === 'virtual' ? sources.map((s) => `${s.file}:${s.dataset}`) : external.map((e) => e.file),
    );
    const [first, second, ...more] = [...names];
    const list = [first, second].filter((name) => name !== undefined).join(', ') || 'nowhere';
    const rest = more.length > 0 ? ` and ${more.length} more` : '';
    const kind = layout === 'virtual' ? 'other datasets (it is virtual)' : 'external files';
    throw this.error('H5Z_E_UNSUPPORTED', `its data lie in ${kind}: ${list}${rest}`, 'read those directly');
  }

  /** @internal The same error with file and dataset named. */
  explain(error: unknown): unknown {
    return inFile(error, this.file.name, this.path);
  }

  #check(address: number, length: number, what: string): void {
    if (address + length > this.file.size) {
      const problem = `${what} lies at ${address}, ${length} bytes long, but the file ends at ${this.file.size}`;
      throw this.error('H5Z_E_CORRUPT', problem, 'the file is cut short or damaged: restore it from a copy');
    }
  }

  #read(address: number, length: number, what: string): Uint8Array {
    this.#check(address, length, what);
    const { source } = this.file.local('bytes', 'use `await dataset.fetchChunk(chunk)` or `fetchStored`');
    const bytes = new Uint8Array(length);
    this.#ask(() => source.readInto(address, bytes));
    return bytes;
  }

  async #fetch(address: number, length: number, what: string, signal?: AbortSignal): Promise<Uint8Array> {
    this.#check(address, length, what);
    signal?.throwIfAborted();
    try {
      return await this.file.chunkFile.read(address, length);
    } catch (error) {
      throw inFile(error, this.file.name, this.path);
    }
  }

  #isIndexed(): boolean {
    return this.info.layout === 'chunked' && this.elements > 0;
  }

  #index(ask: () => readonly Float64Array[]): ChunkList {
    const { shape, chunk = [] } = this.info;
    const twice = (offset: readonly number[]) =>
      this.error('H5Z_E_CORRUPT', `chunk ${offset.join(',')} is there twice`, 'restore the file from a copy');
    if (!this.#isIndexed()) return new ChunkList([], [], [], twice);
    if (chunk.length !== shape.length || chunk.some((n) => n < 1)) {
      const problem = `its chunks have shape ${chunk.join('x')}, the dataset ${shape.join('x')}`;
      throw this.error('H5Z_E_CORRUPT', problem, 'restore the file from a copy');
    }
    return new ChunkList(this.#ask(ask), shape, chunk, twice);
  }

  #ask<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw inFile(error, this.file.name, this.path);
    }
  }
}

function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) if (part !== '' && part !== '.') parts.push(part);
  return `/${parts.join('/')}`;
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
