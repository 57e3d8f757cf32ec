// What the pool and its workers say to each other, and what a worker does with it.

import type { ChunkOptions } from './batch.js';
import { type ErrorCode, isH5zError } from './errors.js';
import { type ChunkPlace, type Layout, type Output, Placer } from './layout.js';
import { decodeStages, decodeStagesInto, encodeStages, Prepared } from './stages.js';
import type { Codec } from './types.js';
import { loadWasm } from './wasm.js';

export interface SentStage {
  readonly id: number;
  readonly cdValues: Uint32Array;
  readonly flags: number;
  /** Number of the module; `code` and `source` come with it the first time. */
  readonly module: number;
  readonly code?: WebAssembly.Module;
  readonly source?: string;
}

interface Chunk {
  readonly batch: number;
  readonly id: number;
  readonly data: Uint8Array;
}

export type Task =
  | {
      readonly do: 'open';
      readonly batch: number;
      readonly stages: readonly SentStage[];
      readonly output?: { readonly layout: Layout; readonly out: Uint8Array };
    }
  | { readonly do: 'close'; readonly batch: number }
  | (Chunk & { readonly do: 'decode'; readonly options: ChunkOptions })
  | (Chunk & { readonly do: 'scatter'; readonly options: ChunkOptions; readonly place: ChunkPlace })
  | (Chunk & { readonly do: 'run'; readonly chunks: readonly RunChunk[] })
  | (Chunk & { readonly do: 'encode' });

/** One of several chunks whose stored bytes lie one behind the other, with its place where the output is shared. */
export interface RunChunk {
  readonly length: number;
  readonly options: ChunkOptions;
  readonly place?: ChunkPlace;
}

/** The chunks before the one that failed: decoded, one behind the other, where they had no place. */
export interface RunResult {
  readonly decoded: Uint8Array;
  readonly failed?: { readonly at: number; readonly error: SentError };
}

export interface SentError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: SentError;
}

interface OpenBatch {
  readonly prepared: Prepared;
  readonly output: Output | undefined;
}

/** A worker's side: the returned function takes tasks, in order, and `answer` is called for each that has an id. */
export function serve(answer: (message: Answer, transfer: ArrayBuffer[]) => void): (task: Task) => void {
  const codecs = new Map<number, Promise<Codec>>();
  const batches = new Map<number, Promise<OpenBatch>>();

  const open = async (task: Extract<Task, { do: 'open' }>): Promise<OpenBatch> => {
    const stages = task.stages.map(async ({ id, cdValues, flags, module, code, source }) => {
      if (code !== undefined) codecs.set(module, loadWasm(code, { ...(source === undefined ? {} : { source }) }));
      return { id, cdValues, flags, codec: await (codecs.get(module) as Promise<Codec>) };
    });
    const output = task.output === undefined ? undefined : new Placer(task.output.layout, task.output.out);
    return { prepared: new Prepared(await Promise.all(stages)), output };
  };

  const work = async (
    task: Exclude<Task, { do: 'open' | 'close' }>,
  ): Promise<[result: unknown, transfer: Uint8Array | undefined]> => {
    const { prepared, output } = await (batches.get(task.batch) as Promise<OpenBatch>);
    if (task.do === 'encode') {
      const encoded = encodeStages(prepared, task.data);
      return [encoded, encoded.data];
    }
    if (task.do === 'decode') {
      const data = decodeStages(prepared, task.data, task.options);
      return [data, data];
    }
    if (task.do === 'run') {
      const result = decodeRun(prepared, output, task.data, task.chunks);
      return [result, result.decoded];
    }
    scatter(prepared, output, task.data, task.options, task.place);
    return [undefined, undefined];
  };

  return (task) => {
    if (task.do === 'open') {
      const opened = open(task);
      opened.catch(() => undefined); // every chunk of the batch says it
      batches.set(task.batch, opened);
    } else if (task.do === 'close') batches.delete(task.batch);
    else {
      work(task).then(
        ([result, array]) => answer({ id: task.id, result }, array ? [array.buffer as ArrayBuffer] : []),
        (error: unknown) => answer({ id: task.id, error: sendable(error) }, []),
      );
    }
  };
}

function scatter(
  prepared: Prepared,
  output: Output | undefined,
  data: Uint8Array,
  options: ChunkOptions,
  place: ChunkPlace,
): void {
  if (output === undefined) throw new Error('a chunk without an output');
  const { size } = output;
  if (place.whole) {
    decodeStagesInto(prepared, data, output.out.subarray(place.to, place.to + size), { ...options, size });
  } else output.copy(place, decodeStages(prepared, data, { ...options, size }));
}

function decodeRun(
  prepared: Prepared,
  output: Output | undefined,
  data: Uint8Array,
  chunks: readonly RunChunk[],
): RunResult {
  const decoded = new Uint8Array(
    chunks.reduce((sum, { options, place }) => sum + (place === undefined ? (options.size ?? 0) : 0), 0),
  );
  let from = 0;
  let to = 0;
  for (const [at, { length, options, place }] of chunks.entries()) {
    const stored = data.subarray(from, from + length);
    from += length;
    try {
      if (place !== undefined) scatter(prepared, output, stored, options, place);
      else {
        const { size = 0 } = options;
        decodeStagesInto(prepared, stored, decoded.subarray(to, to + size), { ...options, size });
        to += size;
      }
    } catch (error) {
      return { decoded, failed: { at, error: sendable(error) } };
    }
  }
  return { decoded };
}

function sendable(error: unknown): SentError {
  if (!isH5zError(error)) return { message: error instanceof Error ? error.message : String(error) };
  return { code: error.code, message: error.message, details: error.details };
}
