// A dataset's pipeline at work: stages run first to last when encoding, last to first when decoding. Bit i of a chunk's
// filter mask says that stage i was skipped when the chunk was written.

import {
  type BatchOptions,
  type ChunkInputs,
  type ChunkOptions,
  type DataInputs,
  type DecodedChunk,
  type DecodeIntoOptions,
  type DecodeManyOptions,
  decodeEach,
  decodeInto,
  type EncodedChunk,
  type EncodedEach,
  encodeEach,
  type RunnerOpener,
  type RunnerOptions,
} from './batch.js';
import { H5zError, isH5zError } from './errors.js';
import { openStaged } from './staged.js';
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

/**
 * Runs whole pipelines in one go: what all codecs of one `@h5z/native` share as {@link Codec.host}. Sizes, masks and
 * messages are core's; `steps` come last stage first, as decoding runs them.
 */
export interface PipelineHost {
  prepare(pipeline: PreparedStages): HostedPipeline;
}

/** Stages, and what of them runs for a chunk: the same array for the same options, as long as they are common. */
export interface PreparedStages {
  readonly stages: readonly LoadedStage[];
  steps(options: ChunkOptions): readonly Step[];
}

export interface HostedPipeline {
  /** As {@link Pipeline.decode}; the result's size is not checked yet. */
  decode(chunk: Uint8Array, steps: readonly Step[]): Uint8Array;
  /** Writes at most `out.length` bytes. */
  decodeInto(chunk: Uint8Array, out: Uint8Array, steps: readonly Step[]): number;
  encode(data: Uint8Array): EncodedChunk;
  readonly open: RunnerOpener;
  allocate(bytes: number): Uint8Array;
}

/** Decodes and encodes whole chunks of one dataset. Results belong to the caller; arguments are only read. */
export interface Pipeline {
  readonly stages: readonly LoadedStage[];
  /** The decoded chunk. Pass `size`: without it a hostile chunk can ask for as much memory as there is. */
  decode(chunk: Uint8Array, options?: ChunkOptions): Uint8Array;
  /** Decodes into `out`, whose length is the chunk's full size unless `size` says less. Returns bytes written. */
  decodeInto(chunk: Uint8Array, out: Uint8Array, options?: ChunkOptions): number;
  /**
   * Decodes many chunks, several at once, each straight to its place in `into`, clipped at the edges; resolves to `into`.
   * Chunks need their `offset` and must not overlap. Chunks that lie outside are skipped unread. When the promise settles
   * nothing is written any more. Errors name the chunk (`details.chunk`, `details.offset`) and the stage; the first in the
   * order given is the one thrown.
   */
  decodeMany<T extends ArrayBufferView>(chunks: ChunkInputs, options: DecodeIntoOptions<T>): Promise<T>;
  /** Decodes many chunks, in the order given. All results are held at once: `decodeEach` holds a few. */
  decodeMany(chunks: ChunkInputs, options?: DecodeManyOptions): Promise<Uint8Array[]>;
  /** Decodes many chunks, in the order given, a few ahead of the loop that takes them (back-pressure). */
  decodeEach(chunks: ChunkInputs, options?: DecodeManyOptions): AsyncIterableIterator<DecodedChunk>;
  encode(data: Uint8Array): EncodedChunk;
  /** Encodes many chunks, in the order given. All results are held at once: `encodeEach` holds a few. */
  encodeMany(chunks: DataInputs, options?: BatchOptions): Promise<EncodedChunk[]>;
  /** Encodes many chunks, in the order given, a few ahead of the loop that takes them (back-pressure). */
  encodeEach(chunks: DataInputs, options?: BatchOptions): AsyncIterableIterator<EncodedEach>;
  /** Zeroed memory of the kind that `decodeMany` fills without a copy. It is the caller's, as any other array. */
  allocate(bytes: number): Uint8Array;
}

/** A pipeline of loaded stages, in the order of the dataset's creation property list. */
export function createPipeline(stages: readonly LoadedStage[]): Pipeline {
  return new StagedPipeline([...stages]);
}

/** The filters run one after the other in JavaScript's hands, or as one job where one host has them all. */
class StagedPipeline implements Pipeline {
  readonly stages: readonly LoadedStage[];
  readonly #prepared: PreparedStages;
  readonly #hosted: HostedPipeline | undefined;
  readonly #canEncode: boolean;

  constructor(stages: readonly LoadedStage[]) {
    this.stages = stages;
    this.#prepared = new Prepared(stages);
    this.#canEncode = stages.every(({ codec }) => codec.canEncode);
    const host = stages[0]?.codec.host;
    if (host !== undefined && stages.every(({ codec }) => codec.host === host)) {
      this.#hosted = host.prepare(this.#prepared);
    }
  }

  decode(chunk: Uint8Array, options: ChunkOptions = {}): Uint8Array {
    const steps = this.#prepared.steps(options);
    if (steps.length === 0) return checkSize(new Uint8Array(chunk), options.size);
    if (this.#hosted !== undefined) return checkSize(this.#hosted.decode(chunk, steps), options.size);
    let data = chunk;
    for (const { stage, index, size } of steps) {
      data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(size) }));
    }
    return checkSize(data, options.size);
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options: ChunkOptions = {}): number {
    const size = Math.min(out.length, options.size ?? out.length);
    const steps = this.#prepared.steps({ ...options, size });
    const last = steps.at(-1);
    if (last === undefined) {
      checkSize(chunk, size);
      out.set(chunk);
      return chunk.length;
    }
    let written: number;
    if (this.#hosted !== undefined) {
      written = this.#hosted.decodeInto(chunk, size < out.length ? out.subarray(0, size) : out, steps);
    } else {
      let data = chunk;
      for (const { stage, index, size: bound } of steps.slice(0, -1)) {
        data = inStage(stage, index, () => stage.codec.decode(data, { cdValues: stage.cdValues, ...sized(bound) }));
      }
      const { stage, index } = last;
      written = inStage(stage, index, () => stage.codec.decodeInto(data, out, { cdValues: stage.cdValues, size }));
    }
    if (written !== size) throw wrongSize(written, size);
    return written;
  }

  decodeMany<T extends ArrayBufferView>(chunks: ChunkInputs, options: DecodeIntoOptions<T>): Promise<T>;
  decodeMany(chunks: ChunkInputs, options?: DecodeManyOptions): Promise<Uint8Array[]>;
  async decodeMany<T extends ArrayBufferView>(
    chunks: ChunkInputs,
    options: DecodeManyOptions | DecodeIntoOptions<T> = {},
  ): Promise<T | Uint8Array[]> {
    if ('into' in options) return decodeInto(this.#open, chunks, options);
    const results: Uint8Array[] = [];
    for await (const { data } of this.decodeEach(chunks, options)) results.push(data);
    return results;
  }

  decodeEach(chunks: ChunkInputs, options: DecodeManyOptions = {}): AsyncIterableIterator<DecodedChunk> {
    return decodeEach(this.#open, chunks, options);
  }

  encode(data: Uint8Array): EncodedChunk {
    if (this.#hosted !== undefined && this.#canEncode) return this.#hosted.encode(data);
    let filterMask = 0;
    let current = data;
    for (const [index, stage] of this.stages.entries()) {
      try {
        current = inStage(stage, index, () => stage.codec.encode(current, { cdValues: stage.cdValues }));
      } catch (error) {
        if (!isSkipped(stage, error)) throw error;
        filterMask |= maskBit(index);
      }
    }
    return { data: current === data ? new Uint8Array(data) : current, filterMask: filterMask >>> 0 };
  }

  async encodeMany(chunks: DataInputs, options: BatchOptions = {}): Promise<EncodedChunk[]> {
    const results: EncodedChunk[] = [];
    for await (const { data, filterMask } of this.encodeEach(chunks, options)) results.push({ data, filterMask });
    return results;
  }

  encodeEach(chunks: DataInputs, options: BatchOptions = {}): AsyncIterableIterator<EncodedEach> {
    return encodeEach(this.#openEncoder, chunks, options);
  }

  allocate(bytes: number): Uint8Array {
    return this.#hosted?.allocate(bytes) ?? new Uint8Array(bytes);
  }

  readonly #open: RunnerOpener = (options) => this.#hosted?.open(options) ?? this.#openStaged(options);

  /** A stage that cannot encode says so itself. */
  readonly #openEncoder: RunnerOpener = (options) =>
    this.#canEncode ? this.#open(options) : this.#openStaged(options);

  readonly #openStaged = (options: RunnerOptions) => openStaged(this, this.#prepared, options);
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

class Prepared implements PreparedStages {
  readonly stages: readonly LoadedStage[];
  readonly #kept = new Map<string, readonly Step[]>();

  constructor(stages: readonly LoadedStage[]) {
    this.stages = stages;
  }

  steps({ filterMask = 0, size }: ChunkOptions): readonly Step[] {
    const key = `${filterMask}/${size}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const steps = stepsOf(this.stages, { filterMask, ...sized(size) });
    if (this.#kept.size >= KEPT_STEPS) this.#kept.clear();
    this.#kept.set(key, steps);
    return steps;
  }
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
    if (before !== undefined && bound !== undefined) bound = boundOf(before, bound);
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
function boundOf(stage: LoadedStage, size: number): number {
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
