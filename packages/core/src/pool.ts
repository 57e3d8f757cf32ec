// WebAssembly batches on workers. A batch begins on the calling thread and goes over to workers once it has taken long
// enough to be worth their start; where none starts (workerd, a page whose policy or bundler has no worker) it stays there.
// A worker runs whole pipelines by the same code as this thread, so that results and errors are the same.

import type {
  ChunkOptions,
  ChunkRange,
  ChunkRunner,
  ChunkRuns,
  EncodedChunk,
  PlacedChunk,
  RunFailure,
  RunnerOptions,
  StoredChunk,
} from './batch.js';
import { H5zError } from './errors.js';
import type { ChunkPlace } from './layout.js';
import { bytesOf } from './staged.js';
import type { PreparedStages } from './stages.js';
import { workers } from './worker-count.js';
import type { Answer, RunChunk, RunResult, SentError, SentStage, Task } from './worker-protocol.js';
import type { PooledWorker } from './workers-none.js';

/** What a batch may take before workers start. */
const WORTH_MS = 20;
/** Chunks that lie at each worker: one at work, one to go on with. */
const AT_EACH = 2;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** One worker, with what it was told already. */
class Hand {
  readonly waiting = new Map<number, Waiting>();
  readonly modules = new Set<number>();
  readonly batches = new Set<number>();
  readonly #worker: PooledWorker;

  constructor(worker: PooledWorker) {
    this.#worker = worker;
    worker.onMessage = (answer) => this.#take(answer as Answer);
    worker.onEnd = (why) => this.#end(why);
  }

  ask(task: Task & { readonly id: number }, transfer: ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.waiting.size === 0) this.#worker.busy(true);
      this.waiting.set(task.id, { resolve, reject });
      this.tell(task, transfer);
    });
  }

  tell(task: Task, transfer: ArrayBuffer[] = []): void {
    this.#worker.post(task, transfer);
  }

  #take(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (this.waiting.size === 0) this.#worker.busy(false);
    if (answer.error !== undefined) waiting?.reject(errorOf(answer.error));
    else waiting?.resolve(answer.result);
  }

  #end(why: string): void {
    hands.splice(hands.indexOf(this) >>> 0, 1);
    const error = new H5zError('H5Z_E_INTERNAL', `a worker ended while it decoded (${why})`);
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}

const hands: Hand[] = [];
let starting = 0;
let unavailable = false;
let ids = 0;
const moduleIds = new WeakMap<WebAssembly.Module, number>();

/** Pages without a bundler know no `#workers`; whoever resolves no such name is a browser. */
async function spawn(): Promise<PooledWorker> {
  const workers = await import('#workers').catch(() => import('./workers-web.js'));
  return workers.spawn();
}

/** Starts workers until there are `count`. Returns at once; those that fail are not tried again. */
function start(count: number): void {
  while (!unavailable && hands.length + starting < count) {
    starting++;
    spawn().then(
      (worker) => {
        starting--;
        hands.push(new Hand(worker));
      },
      () => {
        starting--;
        unavailable = true;
      },
    );
  }
}

/** The runner of a batch; `here` works on this thread. */
export function openPool(prepared: PreparedStages, { threads, output }: RunnerOptions, here: ChunkRunner): ChunkRunner {
  const count = Math.min(threads ?? workers(), workers());
  if (count < 1) return here;
  const batch = ids++;
  const began = performance.now();
  const shared = output !== undefined && !(output.out.buffer instanceof ArrayBuffer);

  /** The least busy of the workers that this batch may use. */
  const hand = (): Hand | undefined => {
    if (hands.length < count && performance.now() - began > WORTH_MS) start(count);
    let best: Hand | undefined;
    for (const one of hands.slice(0, count)) {
      if (best === undefined || one.waiting.size < best.waiting.size) best = one;
    }
    return best;
  };

  const run = (to: Hand, task: Work, data: Uint8Array): Promise<unknown> => {
    // Of a view the whole buffer would be sent: a copy of what it shows goes over instead.
    const sent = data.buffer instanceof ArrayBuffer ? new Uint8Array(data) : data;
    return post(to, task, sent);
  };

  /** Of a `data` that is not shared nothing is left here. */
  const post = (to: Hand, task: Work, data: Uint8Array): Promise<unknown> => {
    if (!to.batches.has(batch)) {
      to.batches.add(batch);
      to.tell({
        do: 'open',
        batch,
        stages: prepared.stages.map((stage) => stageFor(to, stage)),
        ...(shared && output ? { output: { layout: output.layout, out: output.out } } : {}),
      });
    }
    return to.ask({ ...task, batch, id: ids++, data }, data.buffer instanceof ArrayBuffer ? [data.buffer] : []);
  };

  const scatterHere: ChunkRuns['scatter'] = async (placed, signal) => {
    for (const [at, { chunk, place }] of placed.entries()) {
      try {
        signal?.throwIfAborted();
        await here.scatter(chunk, place);
      } catch (error) {
        return { at, error };
      }
    }
    return undefined;
  };

  /** One message there and one back for many chunks. */
  const scatterRun: ChunkRuns['scatter'] = async (placed, signal) => {
    if (hand() === undefined) return scatterHere(placed, signal);
    const read: { readonly chunk: StoredChunk; readonly place: ChunkPlace }[] = [];
    let unread: RunFailure | undefined;
    for (const [at, { chunk, place }] of placed.entries()) {
      try {
        signal?.throwIfAborted();
        read.push({ chunk: { ...optionsOf(chunk), data: await bytesOf(chunk) }, place });
      } catch (error) {
        unread = { at, error };
        break;
      }
    }
    if (read.length === 0) return unread;
    // Chosen only now: meanwhile others had work, or ended.
    const to = hand();
    if (to === undefined) return (await scatterHere(read, signal)) ?? unread;
    const data = new Uint8Array(read.reduce((sum, { chunk }) => sum + chunk.data.length, 0));
    let at = 0;
    const chunks = read.map(({ chunk, place }): RunChunk => {
      data.set(chunk.data, at);
      at += chunk.data.length;
      return { length: chunk.data.length, options: optionsOf(chunk), ...(shared ? { place } : {}) };
    });
    const { decoded, failed } = (await post(to, { do: 'run', chunks }, data)) as RunResult;
    const size = output?.size ?? 0;
    for (let i = 0; !shared && i < (failed?.at ?? chunks.length); i++) {
      output?.copy((read[i] as PlacedChunk).place, decoded.subarray(i * size, (i + 1) * size));
    }
    return failed === undefined ? unread : { at: failed.at, error: errorOf(failed.error) };
  };

  return {
    get width() {
      if (hands.length === 0) return here.width;
      return threads ?? AT_EACH * Math.min(count, hands.length);
    },
    async decode(chunk) {
      const to = hand();
      if (to === undefined) return here.decode(chunk);
      return (await run(to, { do: 'decode', options: optionsOf(chunk) }, await bytesOf(chunk))) as Uint8Array;
    },
    async scatter(chunk, place) {
      const to = hand();
      if (to === undefined) return here.scatter(chunk, place);
      const data = await bytesOf(chunk);
      if (shared) await run(to, { do: 'scatter', options: optionsOf(chunk), place }, data);
      else {
        const decoded = (await run(to, { do: 'decode', options: optionsOf(chunk) }, data)) as Uint8Array;
        output?.copy(place, decoded);
      }
    },
    runs: { joins: () => true, scatter: scatterRun },
    async encode(data) {
      const to = hand();
      if (to === undefined) return here.encode(data);
      return (await run(to, { do: 'encode' }, data)) as EncodedChunk;
    },
    close() {
      here.close();
      for (const one of hands) if (one.batches.delete(batch)) one.tell({ do: 'close', batch });
    },
  };
}

type Work =
  | { readonly do: 'decode'; readonly options: ChunkOptions }
  | { readonly do: 'scatter'; readonly options: ChunkOptions; readonly place: ChunkPlace }
  | { readonly do: 'run'; readonly chunks: readonly RunChunk[] }
  | { readonly do: 'encode' };

/** A stage without its codec, which a worker makes of the module: sent once to each. */
function stageFor(to: Hand, { id, cdValues, flags = 0, codec }: PreparedStages['stages'][number]): SentStage {
  const module = codec.module as WebAssembly.Module;
  const known = moduleIds.get(module) ?? ids++;
  moduleIds.set(module, known);
  const stage = { id, cdValues: Uint32Array.from(cdValues), flags, module: known };
  if (to.modules.has(known)) return stage;
  to.modules.add(known);
  return { ...stage, code: module, source: codec.source };
}

function optionsOf({ filterMask, size }: StoredChunk | ChunkRange): ChunkOptions {
  return { ...(filterMask === undefined ? {} : { filterMask }), ...(size === undefined ? {} : { size }) };
}

function errorOf(sent: SentError): Error {
  if (sent.code === undefined) return new Error(sent.message);
  return Object.assign(new H5zError(sent.code, ''), { message: sent.message, details: sent.details });
}
