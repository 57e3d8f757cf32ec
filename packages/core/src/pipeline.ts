// A dataset's pipeline at work: stages run first to last when encoding, last to first when decoding. Bit i of a chunk's
// filter mask says that stage i was skipped when the chunk was written.

import {
  type ChunkInputs,
  type ChunkOptions,
  type ChunkRunner,
  type DataInputs,
  type DecodedChunk,
  type DecodeIntoOptions,
  type DecodeLayoutOptions,
  type DecodeManyOptions,
  decodeEach,
  decodeInto,
  type EncodeBatchOptions,
  type EncodedChunk,
  type EncodedEach,
  encodeEach,
  type OutputMaker,
  type RunnerOpener,
  type RunnerOptions,
} from './batch.js';
import { openStaged } from './staged.js';
import {
  checkSize,
  decodeStages,
  decodeStagesInto,
  encodeStages,
  type LoadedStage,
  Prepared,
  type PreparedStages,
  type Step,
  wrongSize,
} from './stages.js';

/**
 * Runs whole pipelines in one go: what all codecs of one `@h5z/native` share as {@link Codec.host}. Sizes, masks and
 * messages are core's; `steps` come last stage first, as decoding runs them.
 */
export interface PipelineHost {
  prepare(pipeline: PreparedStages): HostedPipeline;
}

export interface HostedPipeline {
  /** As {@link Pipeline.decode}; the result's size is not checked yet. */
  decode(chunk: Uint8Array, steps: readonly Step[]): Uint8Array;
  /** Writes at most `out.length` bytes. */
  decodeInto(chunk: Uint8Array, out: Uint8Array, steps: readonly Step[]): number;
  encode(data: Uint8Array): EncodedChunk;
  readonly open: RunnerOpener;
  readonly output: OutputMaker;
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
  /** The same into an array made for it, which is the caller's when the promise settles: nothing is ever copied. */
  decodeMany(chunks: ChunkInputs, options: DecodeLayoutOptions): Promise<Uint8Array>;
  /** Decodes many chunks, in the order given. All results are held at once: `decodeEach` holds a few. */
  decodeMany(chunks: ChunkInputs, options?: DecodeManyOptions): Promise<Uint8Array[]>;
  /** Decodes many chunks, in the order given, a few ahead of the loop that takes them (back-pressure). */
  decodeEach(chunks: ChunkInputs, options?: DecodeManyOptions): AsyncIterableIterator<DecodedChunk>;
  encode(data: Uint8Array): EncodedChunk;
  /** Encodes many chunks, in the order given. All results are held at once: `encodeEach` holds a few. */
  encodeMany(chunks: DataInputs, options?: EncodeBatchOptions): Promise<EncodedChunk[]>;
  /** Encodes many chunks, in the order given, a few ahead of the loop that takes them (back-pressure). */
  encodeEach(chunks: DataInputs, options?: EncodeBatchOptions): AsyncIterableIterator<EncodedEach>;
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
    if (this.#hosted === undefined || steps.length === 0) return decodeStages(this.#prepared, chunk, options);
    return checkSize(this.#hosted.decode(chunk, steps), options.size);
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, options: ChunkOptions = {}): number {
    const size = Math.min(out.length, options.size ?? out.length);
    const own = { ...options, size };
    const steps = this.#prepared.steps(own);
    if (this.#hosted === undefined || steps.length === 0) return decodeStagesInto(this.#prepared, chunk, out, own);
    const written = this.#hosted.decodeInto(chunk, size < out.length ? out.subarray(0, size) : out, steps);
    if (written !== size) throw wrongSize(written, size);
    return written;
  }

  decodeMany<T extends ArrayBufferView>(chunks: ChunkInputs, options: DecodeIntoOptions<T>): Promise<T>;
  decodeMany(chunks: ChunkInputs, options: DecodeLayoutOptions): Promise<Uint8Array>;
  decodeMany(chunks: ChunkInputs, options?: DecodeManyOptions): Promise<Uint8Array[]>;
  async decodeMany<T extends ArrayBufferView>(
    chunks: ChunkInputs,
    options: DecodeManyOptions | DecodeIntoOptions<T> | DecodeLayoutOptions = {},
  ): Promise<T | Uint8Array | Uint8Array[]> {
    if ('into' in options || 'layout' in options) return decodeInto(this.#open, chunks, options, this.#output);
    const results: Uint8Array[] = [];
    for await (const { data } of this.decodeEach(chunks, options)) results.push(data);
    return results;
  }

  decodeEach(chunks: ChunkInputs, options: DecodeManyOptions = {}): AsyncIterableIterator<DecodedChunk> {
    return decodeEach(this.#open, chunks, options);
  }

  encode(data: Uint8Array): EncodedChunk {
    if (this.#hosted !== undefined && this.#canEncode) return this.#hosted.encode(data);
    return encodeStages(this.#prepared, data);
  }

  async encodeMany(chunks: DataInputs, options: EncodeBatchOptions = {}): Promise<EncodedChunk[]> {
    const results: EncodedChunk[] = [];
    for await (const { data, filterMask } of this.encodeEach(chunks, options)) results.push({ data, filterMask });
    return results;
  }

  encodeEach(chunks: DataInputs, options: EncodeBatchOptions = {}): AsyncIterableIterator<EncodedEach> {
    return encodeEach(this.#openEncoder, chunks, options);
  }

  allocate(bytes: number): Uint8Array {
    return this.#hosted?.allocate(bytes) ?? new Uint8Array(bytes);
  }

  readonly #output: OutputMaker = (bytes, covered) => this.#hosted?.output(bytes, covered);

  readonly #open: RunnerOpener = (options) => this.#hosted?.open(options) ?? this.#openStaged(options);

  /** A stage that cannot encode says so itself. */
  readonly #openEncoder: RunnerOpener = (options) =>
    this.#canEncode ? this.#open(options) : this.#openStaged(options);

  /** Codec by codec: on workers where all have a module that workers can run too, as soon as it is worth their start. */
  readonly #openStaged = async (options: RunnerOptions): Promise<ChunkRunner> => {
    const staged = openStaged(this.#prepared, options);
    if (options.threads === 1 || !this.stages.every(({ codec }) => codec.module !== undefined)) return staged;
    const { openPool } = await import('./pool.js');
    return openPool(this.#prepared, options, staged);
  };
}
