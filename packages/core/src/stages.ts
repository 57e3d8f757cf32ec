// The stages of a pipeline in JavaScript's hands: which run for a chunk, within which bounds, one after the other.

import type { ChunkOptions, EncodedChunk } from './batch.js';
import { H5zError, isH5zError } from './errors.js';
import type { Codec, PipelineStage } from './types.js';

/** Bit of PipelineStage.flags: a filter that cannot encode a chunk is skipped instead of failing the write. */
export const FLAG_OPTIONAL = 1;

/** A stage and the codec that runs it. */
export interface LoadedStage extends PipelineStage {
  readonly codec: Codec;
}

/** A stage that ran for a chunk, with the most bytes its decoder may give; undefined where nobody said. */
export interface Step {
  readonly stage: LoadedStage;
  /** Its place in the pipeline. */
  readonly index: number;
  readonly size: number | undefined;
}

/** Stages, and what of them runs for a chunk: the same array for the same options, as long as they are common. */
export interface PreparedStages {
  readonly stages: readonly LoadedStage[];
  readonly steps: (options: ChunkOptions) => readonly Step[];
}

export function decodeStages({ steps }: PreparedStages, chunk: Uint8Array, options: ChunkOptions): Uint8Array {
  const all = steps(options);
  let data = chunk;
  for (const { stage, index, size } of all) {
    data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(size) }));
  }
  return checkSize(all.length === 0 ? new Uint8Array(data) : data, options.size);
}

/** `options.size` is what is to be written, and at most what `out` has. */
export function decodeStagesInto(
  { steps }: PreparedStages,
  chunk: Uint8Array,
  out: Uint8Array,
  options: ChunkOptions & { readonly size: number },
): number {
  const { size } = options;
  const all = steps(options);
  const last = all.at(-1);
  let data = chunk;
  for (const { stage, index, size: bound } of all.slice(0, -1)) {
    data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(bound) }));
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

export function encodeStages({ stages }: PreparedStages, data: Uint8Array): EncodedChunk {
  let filterMask = 0;
  let current = data;
  for (const [index, stage] of stages.entries()) {
    try {
      current = inStage(stage, index, () => stage.codec.encode(current, { cdValues: stage.cdValues }));
    } catch (error) {
      if (!isSkipped(stage, error)) throw error;
      filterMask |= maskBit(index);
    }
  }
  return { data: current === data ? new Uint8Array(data) : current, filterMask: filterMask >>> 0 };
}

/** The bit of a filter mask for a stage; there is none from the 33rd on. */
export function maskBit(index: number): number {
  return index < 32 ? 1 << index : 0;
}

/** Whether encoding goes on without this stage. */
export function isSkipped(stage: LoadedStage, error: unknown): boolean {
  return ((stage.flags ?? 0) & FLAG_OPTIONAL) !== 0 && isH5zError(error) && error.code === 'H5Z_E_NOT_APPLICABLE';
}

/** Steps that a pipeline remembers: datasets have one or two kinds of chunks, hostile files as many as there are masks. */
const KEPT_STEPS = 64;

export class Prepared implements PreparedStages {
  readonly stages: readonly LoadedStage[];
  readonly #kept = new Map<string, readonly Step[]>();

  constructor(stages: readonly LoadedStage[]) {
    this.stages = stages;
  }

  readonly steps = ({ filterMask = 0, size }: ChunkOptions): readonly Step[] => {
    const key = `${filterMask}/${size}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const steps = stepsOf(this.stages, { filterMask, ...sized(size) });
    if (this.#kept.size >= KEPT_STEPS) this.#kept.clear();
    this.#kept.set(key, steps);
    return steps;
  };
}

/** The stages that ran for this chunk, last first, each with the most bytes its decoder may give. */
function stepsOf(stages: readonly LoadedStage[], { filterMask = 0, size }: ChunkOptions): Step[] {
  if (!Number.isInteger(filterMask) || filterMask < 0 || filterMask > 0xffffffff) {
    throw new H5zError('H5Z_PARAMETER', `filterMask is ${filterMask}`, {
      remedy: 'pass the uint32 that lies with the chunk',
    });
  }
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0)) {
    throw new H5zError('H5Z_PARAMETER', `size is ${size}`, { remedy: "pass the chunk's full size in bytes" });
  }
  const steps: Step[] = [];
  let bound = size;
  let before: LoadedStage | undefined;
  for (const [index, stage] of stages.entries()) {
    if (index < 32 && ((filterMask >>> index) & 1) === 1) continue;
    if (before !== undefined && bound !== undefined) bound = encodedBound(before, bound);
    steps.push({ stage, index, size: bound });
    before = stage;
  }
  return steps.reverse();
}

/**
 * Most bytes that anybody's encoder of a stage makes of `size` bytes. Other people's may be looser than ours, whose bound
 * `encodeBound` is: zlib-ng's fastest level writes 9 bits for a byte. A filter that cannot say (an older decode-only module,
 * a size that its encoder refuses) is given eight times the size and 64 KiB: still a bound.
 */
export function encodedBound(stage: LoadedStage, size: number): number {
  try {
    return Math.max(stage.codec.encodeBound(size, stage.cdValues), size + Math.ceil(size / 8) + 1024);
  } catch (error) {
    if (!isH5zError(error)) throw error;
    return size * 8 + 65536;
  }
}

export function sized(size: number | undefined): { size?: number } {
  return size === undefined ? {} : { size };
}

export function checkSize(data: Uint8Array, size: number | undefined): Uint8Array {
  if (size !== undefined && data.length !== size) throw wrongSize(data.length, size);
  return data;
}

/** The error of a chunk that is not as large as its dataset says. */
export function wrongSize(actual: number, expected: number): H5zError {
  return new H5zError('H5Z_E_CORRUPT', `the chunk decoded to ${actual} bytes, but its dataset says ${expected}`, {
    remedy: 'check the filter mask and the chunk size, or restore the file from a copy',
    details: { actual, expected },
  });
}

export function inStage<T>(stage: LoadedStage, index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw withStage(error, stage, index);
  }
}

export async function inStageAsync<T>(stage: LoadedStage, index: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withStage(error, stage, index);
  }
}

/** The same error with the stage's place among its details. */
export function withStage(error: unknown, stage: LoadedStage, index: number): unknown {
  if (isH5zError(error)) Object.assign(error, { details: { ...error.details, stage: index, id: stage.id } });
  return error;
}
