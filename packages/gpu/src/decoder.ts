// From stored chunks to device memory: chunks are staged while the device decodes those before them. What the kernels
// leave to the CPU (a stage without kernels, a chunk they refuse) the ordinary codecs decode, and the result is uploaded: whoever
// asked gets the same bytes and is told who made them. Where only the last stages have no kernels and those before make a known
// number of bytes (shuffle and then Zstandard or deflate), the codecs undo the last ones on all cores while the device undoes the others
// of the chunks before; bitshuffle with Zstandard is cut in two the same way (frames.ts), whatever makes a known number of bytes behind it.

import {
  bytesOf,
  type ChunkRange,
  createPipeline,
  type ErrorCode,
  encodedBound,
  FILTER_ERRORS,
  filterError,
  H5zError,
  isH5zError,
  type Pipeline,
  type PipelineStage,
  type StoredChunk,
} from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { type Frames, framesOf } from './frames.js';
import { kernelNeeds } from './needs.js';
import type { DecodePath, DeviceChunk, Gpu, GpuKind, GpuMemory, GpuPipeline, GpuStage } from './types.js';

export interface DecoderOptions {
  /** The packages of the filters: both the kernels and the codecs come from there. */
  readonly registry: Pick<Registry, 'get' | 'pipeline'>;
  /** The dataset's pipeline, as readers report it. */
  readonly stages: readonly PipelineStage[];
  /** Full size of every chunk in bytes. */
  readonly size: number;
  /** The loaded codecs; default: the registry's. */
  readonly pipeline?: Pipeline;
}

export interface DecodeToOptions<K extends GpuKind> {
  /** Where the decoded chunks go. With room for all of them: chunk i lies at `start` + i * {@link DeviceDecoder.stride}. */
  readonly into: GpuMemory<K>;
  /** A multiple of the device's alignment. Default 0. */
  readonly start?: number;
  /** Stored bytes that are sent and decoded together. Default 32 MiB. */
  readonly batchBytes?: number;
  /** Called after each batch with the number of chunks that are in their place. */
  readonly onBatch?: (done: number) => void;
  /** Stops after the batches under way; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** Decodes the chunks of one dataset into device memory. */
export interface DeviceDecoder<K extends GpuKind> {
  readonly gpu: Gpu<K>;
  /** Who decodes: the GPU, or the codecs, whose output is then uploaded. Single chunks may still go another way. */
  readonly path: DecodePath;
  /** Why the codecs do it, or the last stages of it (`hybrid`); undefined where the GPU does all. */
  readonly reason: string | undefined;
  /** Bytes from one decoded chunk to the next: the size, rounded up to the device's alignment. */
  readonly stride: number;
  /** The pipeline on the device, to decode batches of one's own; undefined where the codecs decode. */
  readonly pipeline: GpuPipeline<K> | undefined;
  /**
   * Decodes chunks in the order given. Resolves when all are in their places, with what became of each: a damaged chunk has
   * an error, and zeros in its place. Rejects with H5Z_NO_GPU when the device is lost, and with what the source of chunks throws.
   */
  decode(
    chunks: Iterable<StoredChunk | ChunkRange> | AsyncIterable<StoredChunk | ChunkRange>,
    options: DecodeToOptions<K>,
  ): Promise<DeviceChunk[]>;
  close(): void;
}

const BATCH_BYTES = 32 * 1024 * 1024;
/** Batches that are staged or decoded at the same time. */
const UNDER_WAY = 2;

const { H5Z_E_UNSUPPORTED, H5Z_E_MEMORY } = FILTER_ERRORS;
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

interface Made {
  /** The codecs of all stages. */
  readonly codecs: Pipeline;
  readonly made: GpuStage[];
  /** Bytes that each of them adds when encoding; undefined where that depends on what is encoded. */
  readonly adds: readonly (number | undefined)[];
  readonly reason: string | undefined;
  /** What the cores do of the last one of them. */
  readonly cut?: Cut;
}

/** A stage of which the cores do a part, and those behind it, which they undo first. */
interface Cut {
  readonly frames: Frames;
  /** Bytes that each stage behind adds, so that it is known how many a chunk has between them and this one. */
  readonly behind: readonly number[];
}

/** The first stages that all have kernels, and why the next one has none. Throws what loading the codecs throws. */
export async function stagesFor(kind: GpuKind, options: DecoderOptions): Promise<Made> {
  const { registry, stages, size } = options;
  if (!Number.isSafeInteger(size) || size < 0)
    throw new H5zError('H5Z_PARAMETER', `size is ${size}`, { remedy: "pass a chunk's full size in bytes" });
  const codecs = options.pipeline ?? (await registry.pipeline(stages));
  const made: GpuStage[] = [];
  const adds: (number | undefined)[] = [];
  const but = (reason: string, cut?: Cut): Made => ({ codecs, made, adds, reason, ...(cut && { cut }) });
  for (const [index, { id, cdValues, name }] of stages.entries()) {
    const filter = registry.get(id);
    const what = `${filter?.canonicalName ?? (name || 'filter')} (${id})`;
    if (filter === undefined) return but(`${what} is decoded by libhdf5's own code, which has no kernels`);
    const kernels = await filter.kernels(kind);
    if (kernels.text === undefined) return but(`${what} has no kernels for ${kind}: ${kernels.reason}`);
    const asked = kernelNeeds(filter.description, cdValues);
    // What they refuse they may take in part, where the chunk can be looked into as the stage left it.
    const behind = asked.refusal === undefined ? undefined : knownAdds(registry, stages.slice(index + 1));
    const frames = behind && (await framesOf(filter.description, cdValues, registry));
    const why = `${what}: ${[asked.refusal, typeof frames === 'string' ? frames : []].flat().join('; ')}`;
    if (asked.refusal !== undefined && typeof frames !== 'object') return but(why);
    const taken = typeof frames === 'object' ? frames.rest : cdValues;
    const needs = taken === cdValues ? asked : kernelNeeds(filter.description, taken);
    adds.push(needs.adds);
    const loaded = codecs.stages[index];
    made.push({
      id: filter.id,
      name: filter.canonicalName,
      cdValues: taken,
      kernels: kernels.text,
      scratch: needs.scratch,
      lanes: needs.lanes,
      bound: (size) => (loaded === undefined ? 8 * size + 65536 : encodedBound(loaded, size)),
    });
    if (behind && typeof frames === 'object') return but(why, { frames, behind });
  }
  return { codecs, made, adds, reason: undefined };
}

/** How many bytes each of the stages adds; undefined where one does not say. */
function knownAdds(registry: DecoderOptions['registry'], stages: readonly PipelineStage[]): number[] | undefined {
  const adds = stages.map(({ id, cdValues }) => {
    const filter = registry.get(id);
    return filter && kernelNeeds(filter.description, cdValues).adds;
  });
  const known = adds.filter((one) => one !== undefined);
  return known.length === adds.length ? known : undefined;
}

/**
 * A decoder for one dataset. Where the device has no kernels for a stage, or does not take them, the codecs decode and `reason`
 * says why. Throws what loading the codecs throws.
 */
export async function createDecoder<K extends GpuKind>(
  gpu: Gpu<K>,
  options: DecoderOptions,
): Promise<DeviceDecoder<K>> {
  const { size } = options;
  const { codecs, made, adds, reason, cut } = await stagesFor(gpu.kind, options);
  const last = codecs.stages.slice(made.length);
  const known = adds.filter((one) => one !== undefined);
  const hybrid = last.length > 0 || cut !== undefined;
  const onGpu = !hybrid || (made.length > 0 && known.length === made.length);
  if (!onGpu) return new Decoder(gpu, codecs, size, undefined, reason);
  try {
    const pipeline = await gpu.prepare(made, 'decode');
    const rest = hybrid ? { pipeline: createPipeline(last), adds: known, cut } : undefined;
    return new Decoder(gpu, codecs, size, pipeline, reason, rest);
  } catch (error) {
    if (!isH5zError(error) || error.code !== 'H5Z_NO_GPU') throw error;
    return new Decoder(gpu, codecs, size, undefined, error.message);
  }
}

/** The stages that the codecs undo before the device undoes the others, and the bytes that each of those adds. */
interface Last {
  readonly pipeline: Pipeline;
  readonly adds: readonly number[];
  /** What they do of the last one of the others. */
  readonly cut: Cut | undefined;
}

/** A chunk that has been read. */
interface Read {
  readonly index: number;
  readonly data: Uint8Array;
  readonly filterMask: number;
}

/** A chunk for the device: what the codecs left to undo of it; undefined where they are to undo all. */
interface Ready extends Read {
  readonly bytes: Uint8Array | undefined;
}

class Decoder<K extends GpuKind> implements DeviceDecoder<K> {
  readonly gpu: Gpu<K>;
  readonly path: DecodePath;
  readonly reason: string | undefined;
  readonly stride: number;
  readonly pipeline: GpuPipeline<K> | undefined;
  readonly #codecs: Pipeline;
  readonly #last: Last | undefined;
  readonly #size: number;

  constructor(
    gpu: Gpu<K>,
    codecs: Pipeline,
    size: number,
    pipeline: GpuPipeline<K> | undefined,
    reason: string | undefined,
    last?: Last,
  ) {
    this.gpu = gpu;
    this.#codecs = codecs;
    this.#last = last;
    this.#size = size;
    this.pipeline = pipeline;
    this.reason = reason;
    this.path = pipeline === undefined ? 'cpu' : last === undefined ? gpu.kind : 'hybrid';
    this.stride = roundUp(size, gpu.alignment);
  }

  async decode(
    chunks: Iterable<StoredChunk | ChunkRange> | AsyncIterable<StoredChunk | ChunkRange>,
    options: DecodeToOptions<K>,
  ): Promise<DeviceChunk[]> {
    const { into, start = 0, batchBytes = BATCH_BYTES, onBatch, signal } = options;
    if (!Number.isSafeInteger(start) || start < 0 || start % this.gpu.alignment !== 0)
      throw new H5zError('H5Z_PARAMETER', `start is ${start}`, {
        remedy: `pass a multiple of ${this.gpu.alignment} bytes`,
      });
    const done: DeviceChunk[] = [];
    const underWay: Promise<void>[] = [];
    // The stored bytes on the device, one buffer for each batch under way, kept from batch to batch.
    const sources: (GpuMemory<K> | undefined)[] = [];
    let batch: Read[] = [];
    let bytes = 0;
    let index = 0;
    let turn = 0;
    const next = async (): Promise<void> => {
      const full = batch;
      batch = [];
      bytes = 0;
      if (underWay.length >= UNDER_WAY) await underWay.shift();
      // The batch that had this slot before is the one just waited for.
      const slot = turn++ % UNDER_WAY;
      const work = this.#batch(full, into, start, sources, slot).then((answers) => {
        for (const answer of answers) done[answer.index] = answer;
        onBatch?.(done.length);
      });
      work.catch(() => undefined); // thrown where it is waited for
      underWay.push(work);
    };
    try {
      for await (const chunk of chunks) {
        signal?.throwIfAborted();
        const data = await bytesOf(chunk);
        batch.push({ index: index++, data, filterMask: chunk.filterMask ?? 0 });
        bytes += data.length;
        if (bytes >= batchBytes) await next();
      }
      if (batch.length > 0) await next();
      for (const work of underWay) await work;
      signal?.throwIfAborted();
      return done;
    } finally {
      await Promise.allSettled(underWay);
      for (const source of sources) if (source !== undefined) this.gpu.free(source);
    }
  }

  close(): void {
    this.pipeline?.close();
  }

  /** Sends and decodes a batch. `sources[slot]` is nobody else's meanwhile, and grows as needed. */
  async #batch(
    batch: readonly Read[],
    into: GpuMemory<K>,
    start: number,
    sources: (GpuMemory<K> | undefined)[],
    slot: number,
  ): Promise<DeviceChunk[]> {
    const place = (index: number): number => start + index * this.stride;
    if (this.pipeline === undefined)
      return Promise.all(batch.map((chunk) => this.#byCodecs(chunk, into, place(chunk.index))));
    const ready: (Ready & { readonly bytes: Uint8Array })[] = [];
    const refused: DeviceChunk[] = [];
    for (const one of await Promise.all(batch.map((chunk) => this.#ready(chunk)))) {
      if (!('error' in one)) {
        const { bytes } = one;
        if (bytes === undefined) refused.push(await this.#byCodecs(one, into, place(one.index)));
        else ready.push({ ...one, bytes });
      } else {
        await this.#write(into, place(one.index), undefined);
        refused.push({ ...one, offset: place(one.index), size: this.#size, path: this.path });
      }
    }
    if (ready.length === 0) return refused;
    let total = 0;
    const chunks = ready.map(({ index, bytes, filterMask }) => {
      const srcOffset = total;
      total = roundUp(total + bytes.length, 4);
      return { srcOffset, srcSize: bytes.length, dstOffset: place(index), dstSize: this.#size, filterMask };
    });
    let status: Int32Array;
    try {
      const staging = await this.gpu.staging(total);
      ready.forEach(({ bytes }, i) => {
        staging.bytes.set(bytes, chunks[i]?.srcOffset);
      });
      const had = sources[slot];
      const src = had !== undefined && capacityOf(had) >= total ? had : await this.#grown(sources, slot, total);
      staging.send(src, 0, total);
      ({ status } = await this.pipeline.decode({ src, dst: into, chunks }).answers());
    } catch (error) {
      // No room for the batch on the device: its chunks one by one through the codecs.
      if (!isH5zError(error) || error.code !== 'H5Z_E_MEMORY') throw error;
      status = new Int32Array(ready.length).fill(H5Z_E_MEMORY.value);
    }
    const answers = await Promise.all(
      ready.map(async (chunk, i): Promise<DeviceChunk> => {
        const found = status[i] ?? H5Z_E_UNSUPPORTED.value;
        const { index } = chunk;
        const answer = { index, offset: place(index), size: this.#size, path: this.path };
        if (found === 0) return answer;
        if (found === H5Z_E_UNSUPPORTED.value || found === H5Z_E_MEMORY.value)
          return this.#byCodecs(chunk, into, place(index));
        await this.#write(into, place(index), undefined);
        return { ...answer, error: said(filterError(found, `chunk ${index} on the GPU`)) };
      }),
    );
    return [...refused, ...answers];
  }

  /** Undoes on the CPU what the device does not; each chunk's failure is its own. */
  async #ready(chunk: Read): Promise<Ready | { readonly index: number; readonly error: ReturnType<typeof said> }> {
    const { index, data, filterMask } = chunk;
    if (this.#last === undefined) return { ...chunk, bytes: data };
    const { pipeline, adds, cut } = this.#last;
    const before = sumOf(adds, filterMask);
    const mask = adds.length < 32 ? filterMask >>> adds.length : 0;
    // Shorter than what the stages behind add: they say what is wrong with it.
    const size = cut === undefined ? this.#size + before : Math.max(0, data.length - sumOf(cut.behind, mask));
    try {
      const undone = pipeline.stages.length > 0 ? await pipeline.decodeMany([{ data, filterMask: mask, size }]) : [];
      const [stored = data] = undone;
      if (cut === undefined) return { ...chunk, bytes: stored };
      const whole = adds.length <= 32 && ((filterMask >>> (adds.length - 1)) & 1) === 1;
      return { ...chunk, bytes: whole ? stored : await cut.frames.rows(stored, this.#size + before) };
    } catch (error) {
      if (!isH5zError(error)) throw error;
      return { index, error: said(error) };
    }
  }

  async #grown(sources: (GpuMemory<K> | undefined)[], slot: number, bytes: number): Promise<GpuMemory<K>> {
    const had = sources[slot];
    if (had !== undefined) this.gpu.free(had);
    sources[slot] = undefined;
    const made = await this.gpu.allocate(Math.max(bytes, 4));
    sources[slot] = made;
    return made;
  }

  async #byCodecs({ index, data, filterMask }: Read, into: GpuMemory<K>, offset: number): Promise<DeviceChunk> {
    const answer = { index, offset, size: this.#size, path: 'cpu' as const };
    try {
      const [decoded] = await this.#codecs.decodeMany([{ data, filterMask, size: this.#size }]);
      await this.#write(into, offset, decoded);
      return answer;
    } catch (error) {
      if (!isH5zError(error) || error.code === 'H5Z_NO_GPU') throw error;
      await this.#write(into, offset, undefined);
      return { ...answer, error: said(error) };
    }
  }

  /** Uploads a decoded chunk, or zeros. */
  async #write(into: GpuMemory<K>, offset: number, data: Uint8Array | undefined): Promise<void> {
    if (this.#size === 0) return;
    const staging = await this.gpu.staging(this.stride);
    if (data === undefined) staging.bytes.fill(0);
    else staging.bytes.set(data);
    staging.send(into, offset, this.#size);
  }
}

/** What the stages add that a filter mask does not skip. */
function sumOf(adds: readonly number[], mask: number): number {
  return adds.reduce((sum, more, i) => (i < 32 && (mask >>> i) & 1 ? sum : sum + more), 0);
}

function capacityOf(memory: GpuMemory<GpuKind>): number {
  return 'bytes' in memory ? memory.bytes : memory.size;
}

function said({ code, message }: H5zError): { readonly code: ErrorCode; readonly message: string } {
  return { code, message };
}
