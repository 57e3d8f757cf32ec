// A dataset's pipeline at work: stages run first to last when encoding, last to first when decoding. Bit i of a chunk's
// filter mask says that stage i was skipped when the chunk was written.

import { H5zError, isH5zError } from './errors.js';
import type { Codec, PipelineStage } from './types.js';

/** Bit of PipelineStage.flags: a filter that cannot encode a chunk is skipped instead of failing the write. */
export const FLAG_OPTIONAL = 1;

/** A stage and the codec that runs it. */
export interface LoadedStage extends PipelineStage {
  readonly codec: Codec;
}

export interface ChunkOptions {
  /** Bit i set: stage i was skipped for this chunk. Default 0. */
  readonly filterMask?: number;
  /** The chunk's full size in bytes: dims x element size. The result has exactly this size, or decoding fails. */
  readonly size?: number;
}

/** One chunk as it lies in a file. */
export interface StoredChunk extends ChunkOptions {
  readonly data: Uint8Array;
}

export interface EncodedChunk {
  readonly data: Uint8Array;
  /** Stages that were skipped because they are optional and could not encode this chunk. */
  readonly filterMask: number;
}

/** Decodes and encodes whole chunks of one dataset. Results belong to the caller; arguments are only read. */
export interface Pipeline {
  readonly stages: readonly LoadedStage[];
  /** The decoded chunk. Pass `size`: without it a hostile chunk can ask for as much memory as there is. */
  decode(chunk: Uint8Array, options?: ChunkOptions): Uint8Array;
  /** Decodes into `out`, whose length is the chunk's full size unless `size` says less. Returns bytes written. */
  decodeInto(chunk: Uint8Array, out: Uint8Array, options?: ChunkOptions): number;
  /** Decodes many chunks, in the order given. `options` hold for chunks that do not say otherwise. */
  decodeMany(chunks: Iterable<Uint8Array | StoredChunk>, options?: ChunkOptions): Promise<Uint8Array[]>;
  encode(data: Uint8Array): EncodedChunk;
}

/** A pipeline of loaded stages, in the order of the dataset's creation property list. */
export function createPipeline(stages: readonly LoadedStage[]): Pipeline {
  return new StagedPipeline([...stages]);
}

class StagedPipeline implements Pipeline {
  readonly stages: readonly LoadedStage[];

  constructor(stages: readonly LoadedStage[]) {
    this.stages = stages;
  }

  decode(chunk: Uint8Array, options: ChunkOptions = {}): Uint8Array {
    const steps = this.#steps(options);
    let data = chunk;
    for (const { stage, index, size } of steps) {
      data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(size) }));
    }
    return checkSize(steps.length === 0 ? chunk.slice() : data, options.size);
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options: ChunkOptions = {}): number {
    const size = Math.min(out.length, options.size ?? out.length);
    const steps = this.#steps({ ...options, size });
    const last = steps.pop();
    let data = chunk;
    for (const { stage, index, size } of steps) {
      data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(size) }));
    }
    if (last === undefined) {
      checkSize(data, size);
      out.set(data);
      return data.length;
    }
    const { stage, index } = last;
    const written = inStage(stage, index, () => stage.codec.decodeInto(data, out, { cdValues: stage.cdValues, size }));
    if (written !== size) throw wrongSize(written, size);
    return written;
  }

  async decodeMany(chunks: Iterable<Uint8Array | StoredChunk>, options: ChunkOptions = {}): Promise<Uint8Array[]> {
    const results: Uint8Array[] = [];
    for (const chunk of chunks) {
      const { data: first, ...own } = chunk instanceof Uint8Array ? { data: chunk } : chunk;
      const merged = { ...options, ...own };
      let data = first;
      const steps = this.#steps(merged);
      for (const { stage, index, size } of steps) {
        const input = data;
        data = await inStageAsync(stage, index, () =>
          stage.codec.decodeAsync(input, { cdValues: stage.cdValues, ...sized(size) }),
        );
      }
      results.push(checkSize(steps.length === 0 ? data.slice() : data, merged.size));
    }
    return results;
  }

  encode(data: Uint8Array): EncodedChunk {
    let filterMask = 0;
    let current = data;
    for (const [index, stage] of this.stages.entries()) {
      try {
        current = inStage(stage, index, () => stage.codec.encode(current, { cdValues: stage.cdValues }));
      } catch (error) {
        if (((stage.flags ?? 0) & FLAG_OPTIONAL) === 0 || !isH5zError(error) || error.code !== 'H5Z_E_NOT_APPLICABLE')
          throw error;
        filterMask |= 1 << index;
      }
    }
    return { data: current === data ? data.slice() : current, filterMask: filterMask >>> 0 };
  }

  /** The stages that ran for this chunk, last first, each with the most bytes its decoder may give. */
  #steps({ filterMask = 0, size }: ChunkOptions): { stage: LoadedStage; index: number; size: number | undefined }[] {
    if (!Number.isInteger(filterMask) || filterMask < 0 || filterMask > 0xffffffff) {
      throw new H5zError('H5Z_PARAMETER', `filterMask is ${filterMask}`, {
        remedy: 'pass the uint32 that lies with the chunk',
      });
    }
    if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) {
      throw new H5zError('H5Z_PARAMETER', `size is ${size}`, { remedy: "pass the chunk's full size in bytes" });
    }
    const steps = [];
    let bound = size;
    let before: LoadedStage | undefined;
    for (const [index, stage] of this.stages.entries()) {
      if (index < 32 && ((filterMask >>> index) & 1) === 1) continue;
      if (before !== undefined && bound !== undefined) bound = boundOf(before, bound);
      steps.push({ stage, index, size: bound });
      before = stage;
    }
    return steps.reverse();
  }
}

/**
 * Most bytes that anybody's encoder of a stage makes of `size` bytes. Other people's may be looser than ours, whose bound
 * `encodeBound` is: zlib-ng's fastest level writes 9 bits for a byte. A filter that cannot say (an older decode-only module,
 * a size that its encoder refuses) is given eight times the size and 64 KiB: still a bound.
 */
function boundOf(stage: LoadedStage, size: number): number {
  try {
    return Math.max(stage.codec.encodeBound(size, stage.cdValues), size + Math.ceil(size / 8) + 1024);
  } catch (error) {
    if (!isH5zError(error)) throw error;
    return size * 8 + 65536;
  }
}

function sized(size: number | undefined): { size?: number } {
  return size === undefined ? {} : { size };
}

function checkSize(data: Uint8Array, size: number | undefined): Uint8Array {
  if (size !== undefined && data.length !== size) throw wrongSize(data.length, size);
  return data;
}

function wrongSize(actual: number, expected: number): H5zError {
  return new H5zError('H5Z_E_CORRUPT', `the chunk decoded to ${actual} bytes, but its dataset says ${expected}`, {
    remedy: 'check the filter mask and the chunk size, or restore the file from a copy',
    details: { actual, expected },
  });
}

function inStage<T>(stage: LoadedStage, index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withStage(error, stage, index);
  }
}

async function inStageAsync<T>(stage: LoadedStage, index: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withStage(error, stage, index);
  }
}

/** The same error with the stage's place among its details. */
function withStage(error: unknown, stage: LoadedStage, index: number): unknown {
  if (isH5zError(error)) Object.assign(error, { details: { ...error.details, stage: index, id: stage.id } });
  return error;
}
