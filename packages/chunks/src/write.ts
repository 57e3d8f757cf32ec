// Direct chunk write into a file that is there, as an acquisition program does it: the chunks come encoded, or are encoded
// here by the dataset's own pipeline; libhdf5 keeps the chunk index and everything else.

import { H5zError, type LoadOptions } from '@h5z/core';
import { open } from './file.js';
import type { WasmInput } from './module.js';
import { loadPipeline, type PipelineFinder } from './read.js';
import { fileSystem } from './source.js';
import { fileStorage, MemoryStorage, type Storage } from './storage.js';
import { Hdf5Writer, loadWriteModule } from './write-module.js';

/** A chunk to write. */
export interface ChunkToWrite {
  /** Of its first element in the dataset, in elements: a multiple of the chunk shape in every dimension. */
  readonly offset: readonly number[];
  /**
   * With `encoded`: the bytes to store. Else the chunk's values, C order, stored byte order, whole even where the chunk
   * sticks out of the dataset (chunk shape x element size bytes). Only read.
   */
  readonly data: Uint8Array;
  readonly encoded?: boolean;
  /** Only with `encoded`. Bit i set: stage i of the pipeline was skipped. Default 0. */
  readonly filterMask?: number;
}

export interface WriteOptions extends LoadOptions {
  /** Where encoders come from, for chunks that are not encoded: a Registry of @h5z/registry. */
  readonly registry?: PipelineFinder;
  /** A new shape for the dataset, in elements, within its maximum shape: set before the first chunk. */
  readonly shape?: readonly number[];
  /** h5c.wasm and h5c-write.wasm supplied by the caller. */
  readonly wasm?: never;
  readonly modules?: {
    readonly read: WasmInput | Promise<WasmInput>;
    readonly write: WasmInput | Promise<WasmInput>;
  };
}

export interface Written {
  readonly chunks: number;
  /** Bytes stored. */
  readonly storedBytes: number;
  /** The file's content, when it was given as bytes. */
  readonly file?: Uint8Array;
}

/** H5D__chunk_direct_write has no room for the coordinates of one more. */
export const MAX_WRITTEN_RANK = 31;

/** Files that this process is writing, by real path: libhdf5 would find out too late. */
const busy = new Set<string>();

/**
 * Writes chunks into the dataset at `path` of an HDF5 file: a path in Node, changed in place, or its bytes anywhere, of
 * which a changed copy is returned. Chunks that are there already are replaced. Resolves when all is flushed and, on disk,
 * synced; until then a crash may leave the file damaged, as with any program that writes HDF5 in place.
 *
 * Throws H5Z_FILE when the file cannot be written, is marked as open by a writer, or has no such dataset;
 * H5Z_PARAMETER for a shape that it cannot have, a chunk off the grid, outside the shape or of the wrong size; what the encoder throws. Chunks
 * before the one that failed are written then.
 * Files are not locked, since Node has no locks: nobody else may write the file meanwhile.
 */
export async function writeChunks(
  input: string | Uint8Array,
  path: string,
  chunks: Iterable<ChunkToWrite> | AsyncIterable<ChunkToWrite>,
  options: WriteOptions = {},
): Promise<Written> {
  const { modules, registry, shape, wasm: _, ...load } = options;
  const module = await loadWriteModule(modules?.write);
  const reader = await open(input, modules ? { wasm: modules.read } : {});
  let storage: Storage | undefined;
  let marked = false;
  const real = typeof input === 'string' ? (fileSystem()?.realpathSync(input) ?? input) : undefined;
  try {
    const dataset = reader.dataset(path);
    const { chunk, layout } = dataset.info;
    if (layout !== 'chunked' || chunk === undefined) {
      throw dataset.error('H5Z_E_UNSUPPORTED', `it is ${layout}, not chunked`, 'create it with chunks');
    }
    if (chunk.length > MAX_WRITTEN_RANK) {
      const problem = `libhdf5 cannot put single chunks into ${chunk.length} dimensions`;
      throw dataset.error('H5Z_E_UNSUPPORTED', problem, 'write it with H5Dwrite');
    }
    const extent = shape ?? dataset.info.shape;
    const { maxShape } = dataset.info;
    const fits = (n: number, i: number) => Number.isSafeInteger(n) && n >= 0 && n <= (maxShape[i] ?? n);
    if (extent.length !== chunk.length || !extent.every(fits)) {
      const problem = `its shape cannot become ${extent.join('x')}`;
      const most = maxShape.map((n) => n ?? 'any').join('x');
      throw dataset.error('H5Z_PARAMETER', problem, `pass whole numbers, ${chunk.length} of them, of at most ${most}`);
    }
    const check = (offset: readonly number[]) => {
      const fits =
        offset.length === chunk.length &&
        offset.every(
          (at, i) => Number.isSafeInteger(at) && at >= 0 && at % (chunk[i] ?? 1) === 0 && at < (extent[i] ?? 0),
        );
      if (fits) return;
      const grid = `chunks of ${chunk.join('x')} in a shape of ${extent.join('x')}`;
      throw dataset.error('H5Z_PARAMETER', `no chunk begins at ${offset.join(',')}`, `it has ${grid}`);
    };
    if (real !== undefined && busy.has(real)) {
      throw new H5zError('H5Z_FILE', `${input} is being written by this program already`, {
        remedy: 'await that first',
      });
    }
    if (real !== undefined) busy.add(real);
    marked = true;
    const own = typeof input === 'string' ? fileStorage(input, 'r+') : new MemoryStorage(input);
    storage = own;
    const library = new Hdf5Writer(module, [own]);
    const inFile = <T>(work: () => T): T => {
      try {
        return work();
      } catch (error) {
        throw dataset.explain(error);
      }
    };
    inFile(() => library.open(0, true));
    let pipeline: Awaited<ReturnType<typeof loadPipeline>> | undefined;
    let count = 0;
    let storedBytes = 0;
    try {
      inFile(() => {
        for (const { id, name } of dataset.info.filters) library.addFilter(id, name);
        library.select(0, dataset.path);
        if (shape) library.extend(shape);
      });
      for await (const { offset, data, encoded, filterMask = 0 } of chunks) {
        check(offset);
        if (!(Number.isInteger(filterMask) && filterMask >= 0 && filterMask < 2 ** 32)) {
          throw dataset.error('H5Z_PARAMETER', `the filter mask is ${filterMask}`, 'pass a whole number of 32 bits');
        }
        let stored = { data, filterMask };
        const raw =
          dataset.info.rawEdgeChunks === true && offset.some((at, i) => at + (chunk[i] ?? 0) > (extent[i] ?? 0));
        if (!encoded) {
          if (data.length !== dataset.chunkBytes) {
            const problem = `chunk ${offset.join(',')} has ${data.length} bytes`;
            throw dataset.error('H5Z_PARAMETER', problem, `pass whole chunks of ${dataset.chunkBytes} bytes`);
          }
          if (!raw) {
            pipeline ??= await loadPipeline(dataset, registry, { ...load, encode: true });
            stored = pipeline.encode(data);
          }
        } else if (data.length === 0 || (dataset.info.filters.length === 0 && data.length !== dataset.chunkBytes)) {
          const problem = `chunk ${offset.join(',')} has ${data.length} bytes, and they are stored as they are`;
          throw dataset.error('H5Z_PARAMETER', problem, 'pass what the pipeline gives for a whole chunk');
        }
        inFile(() => library.writeChunk(offset, stored.filterMask, stored.data));
        count++;
        storedBytes += stored.data.length;
      }
    } finally {
      library.close(0); // what was written so far is the file's content
      own.sync();
    }
    return { chunks: count, storedBytes, ...(own instanceof MemoryStorage ? { file: own.bytes() } : {}) };
  } finally {
    storage?.close();
    reader.close();
    if (real !== undefined && marked) busy.delete(real);
  }
}
