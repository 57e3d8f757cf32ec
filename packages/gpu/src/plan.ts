// A batch as launches: for every stage that ran for any of its chunks, where each chunk lies before and after it. The same for
// CUDA and WebGPU, which make buffers of what is planned here.

import { FILTER_ERRORS } from '@h5z/core';
import type { GpuAnswers, GpuChunk, GpuStage } from './types.js';

/** Which buffer a step reads or writes: the batch's own, or one of two between stages. */
export type PlanMemory = 'src' | 'dst' | 'even' | 'odd';

/** One stage for all chunks. Arrays have an entry for each chunk; offsets and sizes in bytes. */
export interface PlanStep {
  /** Undefined: no stage at all ran for any chunk, and bytes are only copied (`skip` is 1 everywhere). */
  readonly stage: GpuStage | undefined;
  readonly from: PlanMemory;
  readonly to: PlanMemory;
  readonly src: Float64Array;
  readonly dst: Float64Array;
  readonly room: Float64Array;
  /** 1: the stage was skipped for the chunk, whose bytes are copied. */
  readonly skip: Uint8Array;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Bytes of the buffers between stages; 0: there is none. */
  readonly even: number;
  readonly odd: number;
  /** What is known of each chunk before the first step. A status other than 0 stays. */
  readonly sizes: Float64Array;
  readonly status: Int32Array;
}

export interface PlanLimits {
  readonly srcBytes: number;
  readonly dstBytes: number;
  /** What offsets in `dst` must be multiples of. */
  readonly alignment: number;
}

/** Bytes that chunks between stages are multiples of, so that every kernel finds its words. */
const BETWEEN = 16;

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Bit i of a filter mask; stages from the 33rd on have none. */
const skips = (mask: number, index: number): boolean => index < 32 && ((mask >>> index) & 1) === 1;

function fits(chunk: GpuChunk, { srcBytes, dstBytes, alignment }: PlanLimits): boolean {
  const { srcOffset, srcSize, dstOffset, dstSize, filterMask = 0 } = chunk;
  return (
    [srcOffset, srcSize, dstOffset, dstSize].every((n) => Number.isSafeInteger(n) && n >= 0) &&
    Number.isInteger(filterMask) &&
    srcOffset + srcSize <= srcBytes &&
    dstOffset + dstSize <= dstBytes &&
    dstOffset % alignment === 0
  );
}

/**
 * Chunks that would be written into the room of one that begins before them, or, being earlier in the batch, at the same place:
 * lanes that wait for each other may part where memory changes.
 */
function collisions(chunks: readonly GpuChunk[], good: (i: number) => boolean, alignment: number): number[] {
  const order = chunks.map((_, i) => i).filter((i) => good(i) && (chunks[i]?.dstSize ?? 0) > 0);
  order.sort((a, b) => (chunks[a]?.dstOffset ?? 0) - (chunks[b]?.dstOffset ?? 0));
  let end = 0;
  return order.filter((i) => {
    const { dstOffset, dstSize } = chunks[i] as GpuChunk;
    if (dstOffset < end) return true;
    end = roundUp(dstOffset + dstSize, alignment);
    return false;
  });
}

/** Plans a batch. Never throws for chunks that lie outside of the buffers or in each other: they get H5Z_E_PARAM and take no part. */
export function plan(
  direction: 'decode' | 'encode',
  stages: readonly GpuStage[],
  chunks: readonly GpuChunk[],
  limits: PlanLimits,
): Plan {
  const n = chunks.length;
  const status = new Int32Array(n);
  const sizes = new Float64Array(n);
  chunks.forEach((chunk, i) => {
    if (fits(chunk, limits)) sizes[i] = chunk.srcSize;
    else status[i] = FILTER_ERRORS.H5Z_E_PARAM.value;
  });
  const masks = chunks.map(({ filterMask = 0 }) => filterMask);
  const good = (i: number): boolean => status[i] === 0;
  for (const i of collisions(chunks, good, limits.alignment)) status[i] = FILTER_ERRORS.H5Z_E_PARAM.value;
  const used = stages
    .map((stage, index) => ({ stage, index }))
    .filter(({ index }) => masks.some((mask, i) => good(i) && !skips(mask, index)));
  const ordered = direction === 'decode' ? [...used].reverse() : used;

  // Most bytes of each chunk behind a step: what the encoders of the stages that are still to be undone may have made of
  // its full size, or (encoding) what those that have run may have made of it.
  const most = ordered.map((_, at) =>
    Float64Array.from(chunks, ({ srcSize, dstSize }, i) => {
      if (!good(i)) return 0;
      const between = direction === 'decode' ? [...ordered.slice(at + 1)].reverse() : ordered.slice(0, at + 1);
      let size = direction === 'decode' ? dstSize : srcSize;
      for (const { stage, index } of between) if (!skips(masks[i] ?? 0, index)) size = stage.bound(size);
      return size;
    }),
  );

  const steps: PlanStep[] = [];
  const between = { even: 0, odd: 0 };
  let from: PlanMemory = 'src';
  let src = Float64Array.from(chunks, ({ srcOffset }, i) => (good(i) ? srcOffset : 0));
  const launches = ordered.length > 0 ? ordered : [undefined];
  launches.forEach((launch, at) => {
    const last = at === launches.length - 1;
    const to: PlanMemory = last ? 'dst' : at % 2 === 0 ? 'even' : 'odd';
    const dst = new Float64Array(n);
    const room = new Float64Array(n);
    const skip = new Uint8Array(n);
    let end = 0;
    chunks.forEach(({ dstOffset, dstSize }, i) => {
      skip[i] = launch === undefined || skips(masks[i] ?? 0, launch.index) ? 1 : 0;
      if (!good(i)) return;
      room[i] = last ? dstSize : (most[at]?.[i] ?? 0);
      dst[i] = last ? dstOffset : end;
      if (!last) end += roundUp(room[i] ?? 0, BETWEEN);
    });
    if (to === 'even' || to === 'odd') between[to] = Math.max(between[to], end);
    steps.push({ stage: launch?.stage, from, to, src, dst, room, skip });
    from = to;
    src = dst;
  });
  return { steps, ...between, sizes, status };
}

/**
 * What a batch came to, from the states behind its last step: `size` and `status` of chunk i. Decoding, a chunk that is not as
 * large as its dataset says is corrupt.
 */
export function answersOf(
  direction: 'decode' | 'encode',
  chunks: readonly GpuChunk[],
  state: (index: number) => { readonly size: number; readonly status: number },
): GpuAnswers {
  const status = new Int32Array(chunks.length);
  const sizes = new Float64Array(chunks.length);
  chunks.forEach(({ dstSize }, i) => {
    const found = state(i);
    const short = direction === 'decode' && found.status === 0 && found.size !== dstSize;
    status[i] = short ? FILTER_ERRORS.H5Z_E_CORRUPT.value : found.status;
    if (status[i] === 0) sizes[i] = found.size;
  });
  return { status, sizes };
}

/** Parts of a chunk: enough groups for a whole GPU, and none with less than 8 KiB to do. */
export function partsOf(chunks: readonly GpuChunk[], groups = 4096): number {
  let largest = 0;
  for (const { srcSize, dstSize } of chunks) largest = Math.max(largest, Math.min(dstSize, srcSize * 255));
  const worth = Math.max(1, Math.ceil(largest / 8192));
  return Math.min(Math.max(1, Math.ceil(groups / chunks.length)), worth) || 1;
}

/** Names of a stage's kernels in the order of their launches; none: it cannot do this. */
export function kernelNames(stage: GpuStage, direction: 'decode' | 'encode'): string[] {
  const pattern = new RegExp(`\\bh5z_${stage.name}_${direction}(_\\d)?(?=\\s*\\()`, 'g');
  return [...new Set(stage.kernels.match(pattern))].sort();
}
