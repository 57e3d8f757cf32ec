// From device memory to stored chunks: the kernels of a whole pipeline and the room that what they make needs, for programs whose
// data is on the device already: what a detector or a simulation writes there goes to the host compressed.

import { H5zError } from '@h5z/core';
import { type DecoderOptions, stagesFor } from './decoder.js';
import type { Gpu, GpuKind, GpuPipeline } from './types.js';

/** The same as a decoder's; `stages` are what the dataset is created with, `size` is every chunk's full size. */
export type EncoderOptions = DecoderOptions;

/** Encodes the chunks of one dataset from device memory to device memory. */
export interface DeviceEncoder<K extends GpuKind> {
  readonly gpu: Gpu<K>;
  /** To encode batches with: `pipeline.encode`. */
  readonly pipeline: GpuPipeline<K>;
  /** Bytes of room with which no sound chunk is H5Z_E_OUTPUT: a `dstSize`. */
  readonly room: number;
  /** `room`, rounded up to the device's alignment: bytes from one chunk to the next, where they lie so. */
  readonly stride: number;
  close(): void;
}

/**
 * An encoder for one dataset. Throws H5Z_E_UNSUPPORTED with the reason where the device has no kernels for a stage or they only decode
 * (read the data back and encode with the codecs then), H5Z_NO_GPU where it does not take them, and what loading the codecs throws,
 * which say how long a chunk can become.
 */
export async function createEncoder<K extends GpuKind>(
  gpu: Gpu<K>,
  options: EncoderOptions,
): Promise<DeviceEncoder<K>> {
  const { made, reason } = await stagesFor(gpu.kind, options);
  const unsupported = (why: string): H5zError =>
    new H5zError('H5Z_E_UNSUPPORTED', why, { remedy: 'read the data back and encode it with the codecs' });
  if (reason !== undefined) throw unsupported(reason);
  const pipeline = await gpu.prepare(made, 'encode');
  if (!pipeline.canEncode) {
    pipeline.close();
    throw unsupported(`one of the kernels of ${made.map(({ name }) => name).join(', ')} only decodes on ${gpu.kind}`);
  }
  const room = made.reduce((bytes, stage) => stage.bound(bytes), options.size);
  const stride = Math.ceil(room / gpu.alignment) * gpu.alignment;
  return { gpu, pipeline, room, stride, close: () => pipeline.close() };
}
