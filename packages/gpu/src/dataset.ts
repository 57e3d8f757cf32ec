// From a dataset of a file to device memory: @h5z/chunks finds and reads the chunks, a decoder brings them there.

import { type Dataset, loadPipeline, touchedBy } from '@h5z/chunks';
import { fill, H5zError } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { createDecoder, type DecodeToOptions } from './decoder.js';
import type { DecodePath, DeviceChunk, Gpu, GpuKind, GpuMemory } from './types.js';

export interface ToDeviceOptions<K extends GpuKind>
  extends Partial<Pick<DecodeToOptions<K>, 'into' | 'batchBytes' | 'onBatch' | 'signal'>> {
  readonly registry: Pick<Registry, 'get' | 'pipeline'>;
  /** Rows of the first dimension, from and to (exclusive), in elements: the chunks that they touch are decoded. Default: all. */
  readonly rows?: readonly [number, number];
}

/** A dataset's chunks in device memory, one behind the other. */
export interface OnDevice<K extends GpuKind> {
  /** The caller's: `into`, or made here and to be given back with `gpu.free`. */
  readonly memory: GpuMemory<K>;
  /**
   * Shape of each chunk in elements, slowest dimension first. A chunk that is as large as the dataset in all dimensions but the
   * first (a frame, a stack of frames) makes the memory the dataset's own C order.
   */
  readonly chunk: readonly number[];
  /** Bytes of an element, in the file's byte order. */
  readonly itemSize: number;
  /** Bytes from one chunk to the next. */
  readonly stride: number;
  /** In C order of their places. Chunks that nobody wrote are there too, with the fill value. */
  readonly chunks: readonly (DeviceChunk & { readonly place: readonly number[] })[];
  readonly path: DecodePath;
  /** Why the codecs decoded all of it; undefined where the GPU did. */
  readonly reason: string | undefined;
}

/**
 * Decodes a chunked dataset, or rows of it, into device memory. Throws H5Z_E_UNSUPPORTED for a dataset without chunks, and
 * H5Z_E_MEMORY where the device has not that much; damaged chunks are no exception, see {@link DeviceChunk}.
 */
export async function toDevice<K extends GpuKind>(
  gpu: Gpu<K>,
  dataset: Dataset,
  options: ToDeviceOptions<K>,
): Promise<OnDevice<K>> {
  const { shape, chunk, type, filters } = dataset.info;
  if (chunk === undefined)
    throw dataset.error('H5Z_E_UNSUPPORTED', `its layout is ${dataset.info.layout}`, 'upload it as it is read');
  const [first, end] = options.rows ?? [0, shape[0] ?? 1];
  if (!(Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first < end && end <= (shape[0] ?? 1)))
    throw new H5zError('H5Z_PARAMETER', `rows are ${first} to ${end}`, {
      remedy: `pass a part of 0 to ${shape[0] ?? 1}`,
    });
  const [height = 1, ...rest] = chunk;
  const from = Math.floor(first / height);
  const grid = [Math.ceil(end / height) - from, ...rest.map((n, i) => Math.ceil((shape[i + 1] ?? 0) / n))];
  const count = grid.reduce((product, n) => product * n, 1);
  const size = dataset.chunkBytes;
  const pipeline = await loadPipeline(dataset, options.registry);
  const decoder = await createDecoder(gpu, { registry: options.registry, stages: filters, size, pipeline });
  let made: GpuMemory<K> | undefined;
  try {
    const memory = options.into ?? (await gpu.allocate(count * decoder.stride));
    if (options.into === undefined) made = memory;
    const box = { start: [first, ...rest.map(() => 0)], shape: [end - first, ...shape.slice(1)] };
    const { ranges } = await touchedBy(dataset, box);
    const numberOf = (offset: readonly number[]): number =>
      offset.reduce((number, at, i) => number * (grid[i] ?? 1) + at / (chunk[i] ?? 1) - (i === 0 ? from : 0), 0);

    // Chunks that were never written take part as bytes that no stage has touched.
    const filled = fill(new Uint8Array(size), dataset.info.fill.value);
    function* all() {
      let number = 0;
      for (const range of ranges) {
        for (const place = numberOf(range.offset); number < place; number++)
          yield { data: filled, filterMask: 0xffffffff };
        yield range;
        number++;
      }
      for (; number < count; number++) yield { data: filled, filterMask: 0xffffffff };
    }
    const { registry: _registry, rows: _rows, ...rules } = options;
    const decoded = await decoder.decode(all(), { ...rules, into: memory });
    const place = (index: number): number[] => {
      const at: number[] = [];
      let left = index;
      for (let i = grid.length - 1; i >= 0; i--) {
        at[i] = ((left % (grid[i] ?? 1)) + (i === 0 ? from : 0)) * (chunk[i] ?? 1);
        left = Math.floor(left / (grid[i] ?? 1));
      }
      return at;
    };
    made = undefined;
    return {
      memory,
      chunk,
      itemSize: type.size,
      stride: decoder.stride,
      chunks: decoded.map((one) => ({ ...one, place: place(one.index) })),
      path: decoder.path,
      reason: decoder.reason,
    };
  } catch (error) {
    throw dataset.explain(error);
  } finally {
    decoder.close();
    if (made !== undefined) gpu.free(made);
  }
}
