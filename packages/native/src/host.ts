// Whole pipelines as single jobs of the addon: one call for a chunk, here and now or on a thread of its pool. What runs,
// within which bounds, and what a batch is, core says; here it becomes arguments, and outcomes become errors.

import { availableParallelism } from 'node:os';
import {
  bytesOf,
  type ChunkFile,
  type ChunkInput,
  type ChunkPlace,
  type ChunkRange,
  type ChunkRunner,
  type EncodedChunk,
  filterError,
  H5zError,
  type HostedPipeline,
  type PipelineHost,
  type PlacedChunk,
  type PreparedStages,
  type RunFailure,
  type RunnerOptions,
  type Step,
  type StoredChunk,
  shortRead,
  withStage,
  wrongSize,
} from '@h5z/core';
import {
  type Addon,
  DETACHED,
  type Encoded,
  type Failure,
  NOT_BYTES,
  type OpenFile,
  type Plan,
  READ_FAILED,
  WRONG_SIZE,
} from './addon.js';
import { allocate, argumentError, NativeCodec, wordsOf } from './codec.js';
import { lendResults, outputMemory, settled } from './memory.js';

let host: PipelineHost | undefined;

/** The host that all codecs of this addon share. */
export function hostOf(addon: Addon): PipelineHost {
  host ??= { prepare: (prepared) => new NativePipeline(addon, prepared) };
  return host;
}

let limited = false;

/** Fewer threads than cores where a container has less processor time than that. */
export function limitThreads(addon: Addon): void {
  if (!limited && addon.threads() > availableParallelism()) addon.setThreads(availableParallelism());
  limited = true;
}

type Doing = 'decode' | 'encode';
type Chunk = StoredChunk | ChunkRange;

/**
 * V8 does not count shared memory among what it collects garbage for: a loop that allocates some would grow without end.
 * From this many bytes on a part of it is counted: V8 collects whenever what is counted has about doubled, which takes
 * milliseconds; to collect seldom costs more again, in memory that the system has to find and to clear anew.
 */
const COUNTED_BYTES = 1 << 16;
const COUNTED_PART = 1 / 4;

/** Of a run in place when one thread does everything: nobody waits for a part of it. */
const ALONE_RUN_BYTES = 8 << 20;

class NativePipeline implements HostedPipeline {
  readonly #addon: Addon;
  readonly #prepared: PreparedStages;
  readonly #plans = new WeakMap<readonly Step[], Plan>();
  #encoder: Plan | undefined;

  constructor(addon: Addon, prepared: PreparedStages) {
    this.#addon = addon;
    this.#prepared = prepared;
  }

  decode(chunk: Uint8Array, steps: readonly Step[]): Uint8Array {
    const plan = this.#planOf(steps);
    const size = steps.at(-1)?.size;
    if (size === undefined) return this.#checked(this.#addon.runDecode(plan, chunk), 'decode');
    const out = allocate(size, 'decode');
    const written = this.#checked(this.#addon.runDecodeInto(plan, chunk, out), 'decode');
    return written === out.length ? out : out.slice(0, written);
  }

  decodeInto(chunk: Uint8Array, out: Uint8Array, steps: readonly Step[]): number {
    return this.#checked(this.#addon.runDecodeInto(this.#planOf(steps), chunk, out), 'decode');
  }

  encode(data: Uint8Array): EncodedChunk {
    return this.#checked(this.#addon.runEncode(this.#encodePlan(), data), 'encode');
  }

  /** Shared memory: no one can transfer it away while a thread writes to it. */
  allocate(bytes: number): Uint8Array {
    const buffer = new SharedArrayBuffer(bytes);
    if (bytes >= COUNTED_BYTES) this.#addon.count(buffer, bytes * COUNTED_PART);
    return new Uint8Array(buffer);
  }

  output(bytes: number, covered: boolean): Uint8Array | undefined {
    return outputMemory(this.#addon, bytes, covered);
  }

  open({ threads, output, unchanged }: RunnerOptions): ChunkRunner {
    const addon = this.#addon;
    limitThreads(addon);
    lendResults(addon);
    const batch = addon.openBatch(threads ?? 0, output?.out, output?.own === true, unchanged === true);
    const inPlace = addon.direct(batch);
    const most = Math.min(threads ?? 1024, addon.threads());
    const files = new Map<ChunkFile, OpenFile>();

    const fileOf = (wanted: ChunkFile, path: string) => {
      const file = files.get(wanted) ?? this.#openFile(path);
      files.set(wanted, file);
      return file;
    };

    const run = async <T extends number | Uint8Array>(chunk: Chunk, target: Uint8Array | Float64Array | undefined) => {
      const plan = this.#planOf(this.#prepared.steps(chunk));
      const size = chunk.size ?? 0;
      let work: Promise<unknown>;
      if ('data' in chunk) work = addon.submit(batch, plan, chunk.data, 0, 0, target, size);
      else if (chunk.file.path === undefined)
        work = addon.submit(batch, plan, await bytesOf(chunk), 0, 0, target, size);
      else {
        const file = fileOf(chunk.file, chunk.file.path);
        work = addon.submit(batch, plan, file, chunk.address, chunk.length, target, size);
      }
      return this.#checked((await work) as T | Failure, 'decode', chunk);
    };

    const scatterRun = async (placed: readonly PlacedChunk[]): Promise<RunFailure | undefined> => {
      const first = placed[0]?.chunk as ChunkRange; // `sameFile` has seen it, and its path
      let at = 0;
      try {
        const plan = this.#planOf(this.#prepared.steps(first));
        const file = fileOf(first.file, first.file.path as string);
        const size = output?.size ?? 0;
        const result = await addon.submitRun(batch, plan, file, numbersOfRun(placed), placed.length, size);
        if (typeof result === 'object') at = result.at;
        this.#checked(result, 'decode', placed[at]?.chunk);
        return undefined;
      } catch (error) {
        return { at, error };
      }
    };

    return {
      // While JavaScript takes results, every thread finds another chunk; more of what lies in its place already when it is
      // done, so that JavaScript is woken once for many (see pool.cc).
      width: (inPlace ? 6 : 2) * most + 2,
      decode: async (chunk) => {
        const { size } = chunk;
        if (size === undefined) return settled(await run<Uint8Array>(chunk, undefined));
        const out = outputMemory(addon, size, true) ?? allocate(size, 'decode');
        const written = await run<number>(chunk, out);
        if (written !== size) throw wrongSize(written, size);
        return out;
      },
      scatter: async (chunk, place) => {
        const size = output?.size ?? 0;
        const written = await run<number>(chunk, numbersOf(place));
        if (written !== size) throw wrongSize(written, size);
      },
      runs: { joins: sameFile, scatter: scatterRun, ...(most === 1 && inPlace ? { bytes: ALONE_RUN_BYTES } : {}) },
      encode: async (data) => {
        const work = addon.submit(batch, this.#encodePlan(), data, 0, 0, true, 0);
        const { data: encoded, filterMask } = this.#checked((await work) as Encoded | Failure, 'encode');
        return { data: settled(encoded), filterMask };
      },
      close: () => addon.closeBatch(batch),
    };
  }

  #planOf(steps: readonly Step[]): Plan {
    const kept = this.#plans.get(steps);
    if (kept !== undefined) return kept;
    const plan = this.#makePlan(steps);
    this.#plans.set(steps, plan);
    return plan;
  }

  #encodePlan(): Plan {
    this.#encoder ??= this.#makePlan(this.#prepared.stages.map((stage, index) => ({ stage, index, size: undefined })));
    return this.#encoder;
  }

  #makePlan(steps: readonly Step[]): Plan {
    return this.#addon.plan(
      steps.map(({ stage }) => NativeCodec.handleOf(stage.codec)),
      steps.map(({ stage }) => wordsOf(stage.cdValues)),
      Float64Array.from(steps.flatMap(({ stage, index, size }) => [index, (stage.flags ?? 0) & 1, size ?? -1])),
    );
  }

  #openFile(path: string): OpenFile {
    const file = this.#addon.openFile(path);
    if (typeof file !== 'string') return file;
    throw new H5zError('H5Z_FILE', `${path} cannot be opened (${file})`);
  }

  #checked<T extends number | Uint8Array | Encoded>(result: T | Failure, doing: Doing, chunk?: Chunk): T {
    if (typeof result === 'object' && 'code' in result) throw this.#error(result, doing, chunk);
    return result;
  }

  #error(failure: Failure & { at?: number }, doing: Doing, chunk: Chunk | undefined): unknown {
    const { code, stage: index, why, at: _, ...numbers } = failure;
    const details = Object.fromEntries(Object.entries(numbers).filter(([, n]) => n >= 0));
    if (code === WRONG_SIZE) return wrongSize(numbers.bytes, chunk?.size ?? 0);
    if (code === READ_FAILED && chunk !== undefined && 'file' in chunk) {
      if (why === '') return shortRead(chunk, numbers.bytes);
      return new H5zError('H5Z_FILE', `${chunk.file.path} cannot be read (${why})`, { details });
    }
    const stage = this.#prepared.stages[index];
    const label = stage === undefined ? doing : `${stage.codec.name} (${stage.codec.id}, native) ${doing}`;
    if (code === NOT_BYTES || code === DETACHED) return argumentError(code, label, details);
    const error = filterError(code, label, { explain: () => why, details });
    return stage === undefined ? error : withStage(error, stage, index);
  }
}

/** As batch.cc reads it. */
function numbersOf(place: ChunkPlace): Float64Array {
  const numbers = new Float64Array(lengthOf(place));
  put(numbers, 0, place);
  return numbers;
}

/** Whether the addon reads both from one file and decodes them by one plan. */
function sameFile(first: ChunkInput, next: ChunkInput): boolean {
  const [a, b] = [first as Partial<ChunkRange> | null, next as Partial<ChunkRange> | null];
  return b?.file?.path !== undefined && a?.file === b.file && a.filterMask === b.filterMask;
}

/** Address and stored bytes of each chunk, and its place. */
function numbersOfRun(placed: readonly PlacedChunk[]): Float64Array {
  const numbers = new Float64Array(placed.reduce((length, { place }) => length + 2 + lengthOf(place), 0));
  let at = 0;
  for (const { chunk, place } of placed) {
    const { address, length } = chunk as ChunkRange;
    numbers[at] = address;
    numbers[at + 1] = length;
    at = put(numbers, at + 2, place);
  }
  return numbers;
}

function lengthOf({ counts }: ChunkPlace): number {
  return 4 + 3 * counts.length;
}

/** Where the next goes. */
function put(numbers: Float64Array, at: number, { to, from, run, counts, toSteps, fromSteps }: ChunkPlace): number {
  const outer = counts.length;
  numbers[at] = to;
  numbers[at + 1] = from;
  numbers[at + 2] = run;
  numbers[at + 3] = outer;
  for (let i = 0; i < outer; i++) {
    numbers[at + 4 + i] = counts[i] ?? 0;
    numbers[at + 4 + outer + i] = toSteps[i] ?? 0;
    numbers[at + 4 + 2 * outer + i] = fromSteps[i] ?? 0;
  }
  return at + 4 + 3 * outer;
}
