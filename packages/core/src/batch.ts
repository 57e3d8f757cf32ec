// Many chunks at work: takes them from any source, keeps as many under way as the runner has use for, gives results and
// errors in the order of the chunks, and stops when told. The same for every variant: only the runner differs.

import { H5zError, isH5zError } from './errors.js';
import { type ChunkPlace, fill, type Layout, type Output, Placer } from './layout.js';
import { checkRange } from './staged.js';

export interface ChunkOptions {
  /** Bit i set: stage i was skipped for this chunk. Default 0. */
  readonly filterMask?: number;
  /** The chunk's full size in bytes: dims x element size. The result has exactly this size, or decoding fails. */
  readonly size?: number;
}

/** One chunk as it lies in a file. */
export interface StoredChunk extends ChunkOptions {
  readonly data: Uint8Array;
  /** The chunk's first element in the dataset, in elements, slowest dimension first. Needed with `into`. */
  readonly offset?: readonly number[];
}

/** A file that chunks are read from as they are needed. */
export interface ChunkFile {
  /** Absolute path. Where it is given, native code reads the file itself, off the JavaScript thread. */
  readonly path?: string;
  /** `length` bytes from byte `address`, all of them or an error. Used where no path is given or nothing native reads. */
  read(address: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** A chunk that nobody has read yet: `length` bytes from byte `address` of a file. */
export interface ChunkRange extends ChunkOptions {
  readonly file: ChunkFile;
  readonly address: number;
  readonly length: number;
  readonly offset?: readonly number[];
}

export type ChunkInput = Uint8Array | StoredChunk | ChunkRange;

/** Chunks to decode. An async iterable is asked for the next one only when there is room for it. */
export type ChunkInputs = Iterable<ChunkInput> | AsyncIterable<ChunkInput>;

/** Chunks to encode. */
export type DataInput = Uint8Array | { readonly data: Uint8Array; readonly offset?: readonly number[] };
export type DataInputs = Iterable<DataInput> | AsyncIterable<DataInput>;

export interface BatchOptions {
  /** Most chunks worked on at once. Default: what the variant has threads for (see `setThreads`). 1 means 1. */
  readonly threads?: number;
  /** Stops the batch: it rejects with the signal's reason after the chunks under way have ended. */
  readonly signal?: AbortSignal;
  /** Called in the order of the chunks, after each. */
  readonly onChunk?: (done: number) => void;
}

/** `filterMask` and `size` hold for chunks that do not say otherwise. */
export interface DecodeManyOptions extends ChunkOptions, BatchOptions {}

export interface DecodeIntoOptions<T extends ArrayBufferView> extends DecodeManyOptions {
  /** The output, C order. What no chunk covers is left as it is: fill it first. Plain or shared memory. */
  readonly into: T;
  readonly layout: Layout;
}

/** Decoding to memory that the batch makes. */
export interface DecodeLayoutOptions extends DecodeManyOptions {
  readonly into?: undefined;
  readonly layout: Layout;
  /** One element's bytes, for what no chunk covers. Default: zeros. */
  readonly fill?: Uint8Array;
  /**
   * The chunks cover the whole output: its memory is not cleared first, where that saves anything. H5Z_PARAMETER when they
   * turn out not to.
   */
  readonly covered?: boolean;
}

export interface EncodeBatchOptions extends BatchOptions {
  /** Nobody changes the data before its result is there: it need not be copied. Default: it may be changed at once. */
  readonly unchanged?: boolean;
}

/** A decoded chunk, its place in the order given and, where that was told, in the dataset. */
export interface DecodedChunk {
  readonly index: number;
  readonly offset?: readonly number[];
  readonly data: Uint8Array;
}

export interface EncodedChunk {
  readonly data: Uint8Array;
  /** Stages that were skipped because they are optional and could not encode this chunk. */
  readonly filterMask: number;
}

export interface EncodedEach extends EncodedChunk {
  readonly index: number;
  readonly offset?: readonly number[];
}

/** A chunk, with its size and filter mask, and where it goes in the batch's output. */
export interface PlacedChunk {
  readonly chunk: StoredChunk | ChunkRange;
  readonly place: ChunkPlace;
}

export interface ChunkRuns {
  /** Decoded bytes that a run has at most. Default: few, so that several threads find work. */
  readonly bytes?: number;
  /** Whether `next`, which nobody has checked, may be in a run that `first` begins; of one chunk alone when they are the same. */
  joins(first: ChunkInput, next: ChunkInput): boolean;
  /**
   * As {@link ChunkRunner.scatter}, one after the other. Resolves to what went wrong first, and with which of them. May end early, so
   * too, when `signal` says so.
   */
  scatter(run: readonly PlacedChunk[], signal: AbortSignal | undefined): Promise<RunFailure | undefined>;
}

/** That the chunk at place `at` of a run failed, and none before it. */
export interface RunFailure {
  readonly at: number;
  readonly error: unknown;
}

/** Works on single chunks, several at once. Promises settle only when nothing is read or written any more. */
export interface ChunkRunner {
  /** How many chunks are worth having under way. */
  readonly width: number;
  decode(chunk: StoredChunk | ChunkRange): Promise<Uint8Array>;
  /** Decodes into the batch's output. */
  scatter(chunk: StoredChunk | ChunkRange, place: ChunkPlace): Promise<void>;
  /** Where several small chunks are worth more together than one by one: to tell of each may take longer than to decode it. */
  readonly runs?: ChunkRuns;
  encode(data: Uint8Array): Promise<EncodedChunk>;
  close(): void;
}

/** What a batch needs of a runner. */
export interface RunnerOptions {
  readonly threads: number | undefined;
  readonly output?: Output;
  /** Of {@link EncodeBatchOptions}. */
  readonly unchanged?: boolean;
}

/**
 * Memory for an output of so many bytes, which nobody gets before the batch has ended; undefined for plain new memory. Zeros,
 * unless it will be `covered`: written whole.
 */
export type OutputMaker = (bytes: number, covered: boolean) => Uint8Array | undefined;

export type RunnerOpener = (options: RunnerOptions) => ChunkRunner | Promise<ChunkRunner>;

/** Decodes into `options.into`, or an array made for it; resolves to that. */
export async function decodeInto<T extends ArrayBufferView>(
  open: RunnerOpener,
  chunks: ChunkInputs,
  options: DecodeIntoOptions<T> | DecodeLayoutOptions,
  make?: OutputMaker,
): Promise<T | Uint8Array> {
  if (typeof options.layout !== 'object') {
    throw new H5zError('H5Z_PARAMETER', '`into` without a layout', {
      remedy: 'pass where chunks lie in it as `layout`',
    });
  }
  const { fill: element, covered = false } = options as DecodeLayoutOptions;
  const filled = element?.some((byte) => byte !== 0) === true && !covered;
  const placer = new Placer(options.layout, options.into, (bytes) => make?.(bytes, covered || filled));
  if (element !== undefined) {
    if (!placer.own || !(element instanceof Uint8Array) || element.length !== options.layout.itemSize) {
      throw new H5zError('H5Z_PARAMETER', '`fill` is not the bytes of one element for an array made here', {
        remedy: `pass a Uint8Array of ${options.layout.itemSize} bytes without \`into\`, or fill \`into\` first`,
      });
    }
    if (filled) fill(placer.out, element);
  }
  if (options.size !== undefined && options.size !== placer.size) {
    throw new H5zError('H5Z_PARAMETER', `size is ${options.size}, and the layout's chunks have ${placer.size} bytes`, {
      remedy: 'leave out size where there is a layout',
    });
  }
  let written = 0;
  /** Where chunks of the grid begin: a chunk that comes twice, or lies across others, covers nothing else. */
  const seen = new Set<number>();
  const { chunk: dims } = options.layout;
  const runner = await open({ threads: threadsOf(options), output: placer });
  const prepare = (input: ChunkInput) => {
    const chunk = { filterMask: options.filterMask ?? 0, ...asChunk(input), size: placer.size };
    return { chunk, place: placer.place(chunk.offset) };
  };
  const wrote = ({ offset }: StoredChunk | ChunkRange, { to, run, counts }: ChunkPlace) => {
    if (!covered || seen.has(to) || !offset?.every((at, i) => at % (dims[i] ?? 1) === 0)) return;
    seen.add(to);
    written += counts.reduce((product, count) => product * count, run);
  };
  const one = async (input: ChunkInput) => {
    const { chunk, place } = prepare(input);
    if (place === undefined) return;
    await runner.scatter(chunk, place);
    wrote(chunk, place);
  };
  const several = async ({ runs, chunks: run }: Run) => {
    const placed: PlacedChunk[] = [];
    const places: number[] = [];
    let failed: InRun | undefined;
    for (const [at, input] of run.entries()) {
      try {
        const { chunk, place } = prepare(input);
        if (place === undefined) continue;
        placed.push({ chunk, place });
        places.push(at);
      } catch (error) {
        failed = new InRun(at, error);
        break;
      }
    }
    const failure = placed.length === 0 ? undefined : await runs.scatter(placed, options.signal);
    if (failure !== undefined) throw new InRun(places[failure.at] ?? 0, failure.error);
    if (failed !== undefined) throw failed;
    for (const { chunk, place } of placed) wrote(chunk, place);
  };
  const { runs } = runner;
  const most = Math.min(Math.floor((runs?.bytes ?? RUN_BYTES) / placer.size), RUN_CHUNKS);
  const grouped = runs !== undefined && most > 1 && Symbol.iterator in chunks;
  const inputs: Iterable<ChunkInput | Run> | AsyncIterable<ChunkInput> = grouped ? runsOf(chunks, runs, most) : chunks;
  const work = (input: ChunkInput | Run) => (input instanceof Run ? several(input) : one(input));
  for await (const _ of inOrder<ChunkInput | Run, void>(runner, inputs, options, work)) {
    // `work` has put it in its place.
  }
  if (covered && placer.own && written < placer.out.length) {
    throw new H5zError('H5Z_PARAMETER', `the chunks have ${written} of the ${placer.out.length} bytes of the output`, {
      remedy: 'pass each chunk once, or leave out `covered`',
    });
  }
  return options.into ?? placer.out;
}

/** Most chunks of a run, and the default of {@link ChunkRuns.bytes}. */
const RUN_CHUNKS = 1024;
const RUN_BYTES = 256 * 1024;

/** Neighbours that are worked on together. A class of its own: what a caller passes for a chunk is never taken for one. */
class Run {
  readonly runs: ChunkRuns;
  readonly chunks: readonly ChunkInput[];

  constructor(runs: ChunkRuns, chunks: readonly ChunkInput[]) {
    this.runs = runs;
    this.chunks = chunks;
  }
}

/** Neighbours that join in runs, everything else as it is. */
function* runsOf(
  chunks: Iterable<ChunkInput>,
  runs: ChunkRuns,
  most: number,
): Generator<ChunkInput | Run, void, undefined> {
  let run: ChunkInput[] = [];
  let failed: { readonly error: unknown } | undefined;
  try {
    for (const input of chunks) {
      const [first] = run;
      if (first !== undefined && !(run.length < most && runs.joins(first, input))) {
        yield new Run(runs, run);
        run = [];
      }
      if (runs.joins(input, input)) run.push(input);
      else yield input;
    }
  } catch (error) {
    failed = { error };
  }
  if (run.length > 0) yield new Run(runs, run);
  if (failed !== undefined) throw failed.error; // after the chunks that came before it
}

/** What went wrong with one of a run. */
class InRun {
  readonly at: number;
  readonly error: unknown;

  constructor(at: number, error: unknown) {
    this.at = at;
    this.error = error;
  }
}

/** Decodes one after the other, a few ahead of whoever takes them. */
export async function* decodeEach(
  open: RunnerOpener,
  chunks: ChunkInputs,
  options: DecodeManyOptions,
): AsyncGenerator<DecodedChunk, void, undefined> {
  const runner = await open({ threads: threadsOf(options) });
  let index = 0;
  yield* inOrder(runner, chunks, options, async (input) => {
    const chunk = { ...chunkOptions(options), ...asChunk(input) };
    return { index: index++, ...offsetOf(chunk), data: await runner.decode(chunk) };
  });
}

export async function* encodeEach(
  open: RunnerOpener,
  chunks: DataInputs,
  options: EncodeBatchOptions,
): AsyncGenerator<EncodedEach, void, undefined> {
  const runner = await open({ threads: threadsOf(options), unchanged: options.unchanged === true });
  let index = 0;
  yield* inOrder(runner, chunks, options, async (input) => {
    const chunk = input instanceof Uint8Array ? { data: input } : input;
    return { index: index++, ...offsetOf(chunk), ...(await runner.encode(chunk.data)) };
  });
}

function chunkOptions({ filterMask, size }: ChunkOptions): ChunkOptions {
  return { ...(filterMask === undefined ? {} : { filterMask }), ...(size === undefined ? {} : { size }) };
}

function asChunk(input: ChunkInput): StoredChunk | ChunkRange {
  if (input instanceof Uint8Array) return { data: input };
  if ('file' in input) checkRange(input);
  return input;
}

function offsetOf(chunk: { readonly offset?: readonly number[] }): { offset?: readonly number[] } {
  return chunk.offset === undefined ? {} : { offset: chunk.offset };
}

function threadsOf({ threads }: BatchOptions): number | undefined {
  if (threads === undefined || (Number.isSafeInteger(threads) && threads >= 1)) return threads;
  throw new H5zError('H5Z_PARAMETER', `threads is ${threads}`, { remedy: 'pass a whole number, at least 1' });
}

interface UnderWay<Out> {
  readonly index: number;
  /** One chunk, or a run of them. */
  readonly input: unknown;
  readonly result: Promise<Out>;
}

/**
 * Results of `work` in order, for each chunk or run of chunks. At most `runner.width` of them are started and not taken.
 * Whatever ends it (an error, the signal, the taker), no chunk is started any more and those under way are waited for. All
 * chunks before one that failed have been started, so that the error thrown is that of the first chunk, whatever the threads did.
 */
async function* inOrder<In, Out>(
  runner: ChunkRunner,
  chunks: Iterable<In> | AsyncIterable<In>,
  options: BatchOptions,
  work: (input: In) => Promise<Out>,
): AsyncGenerator<Out, void, undefined> {
  const { signal, onChunk } = options;
  const underWay: UnderWay<Out>[] = [];
  let wake: (() => void) | undefined;
  const onAbort = () => wake?.();
  signal?.addEventListener('abort', onAbort);
  let source: Source<In> | undefined;
  let started = 0;
  let done = 0;
  let ended = false;
  let failed: { readonly error: unknown } | undefined;
  const start = (input: In) => {
    const result = work(input);
    result.catch(() => undefined); // it is thrown when its turn comes
    underWay.push({ index: started, input, result });
    started += chunksOf(input);
  };
  /** Of so many chunks more, up to one that stops it. */
  const tell = (count: number) => {
    for (let i = 0; i < count; i++) {
      if (i > 0) signal?.throwIfAborted();
      done++;
      onChunk?.(done);
    }
  };
  try {
    signal?.throwIfAborted();
    source = new Source(chunks);
    for (;;) {
      while (!ended && underWay.length < runner.width) {
        const next = source.next();
        if (next instanceof Promise) {
          // Whatever comes first: the next chunk, the result that is waited for, or the signal.
          const first = underWay[0]?.result;
          await new Promise<void>((resolve) => {
            wake = resolve;
            const go = () => resolve();
            next.then(go, go);
            first?.then(go, go);
          });
          wake = undefined;
          signal?.throwIfAborted();
          const settled = source.settled();
          if (settled === undefined) {
            if (first !== undefined) break;
          } else if ('error' in settled) {
            failed = settled;
            ended = true;
          } else if (settled.result.done) ended = true;
          else start(settled.result.value);
        } else if ('error' in next) {
          failed = next;
          ended = true;
        } else if (next.result.done) ended = true;
        else start(next.result.value);
      }
      const head = underWay[0];
      if (head === undefined) {
        if (failed !== undefined) throw failed.error; // after the errors of the chunks before it
        return;
      }
      let result: Out;
      try {
        result = await head.result;
      } catch (error) {
        signal?.throwIfAborted();
        const { at, error: thrown } = error instanceof InRun ? error : { at: 0, error };
        tell(at);
        const chunk = head.input instanceof Run ? head.input.chunks[at] : head.input;
        throw inChunk(thrown, head.index + at, (chunk as { offset?: readonly number[] } | null)?.offset);
      }
      underWay.shift();
      signal?.throwIfAborted();
      tell(chunksOf(head.input));
      yield result;
      signal?.throwIfAborted();
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await Promise.allSettled(underWay.map(({ result }) => result));
    if (!ended) source?.stop();
    runner.close();
  }
}

function chunksOf(input: unknown): number {
  return input instanceof Run ? input.chunks.length : 1;
}

/** The same error with the chunk named in its message and its details. */
function inChunk(error: unknown, index: number, offset: readonly number[] | undefined): unknown {
  if (!isH5zError(error)) return error;
  const message = `chunk ${index}${offset === undefined ? '' : ` at ${offset.join(',')}`}: ${error.message}`;
  const stack = error.stack?.replace(error.message, () => message);
  const details = { ...error.details, chunk: index, ...(offset === undefined ? {} : { offset }) };
  return Object.assign(error, { message, details, ...(stack === undefined ? {} : { stack }) });
}

/** What a source answered. */
type Answer<In> = { readonly result: IteratorResult<In> } | { readonly error: unknown };

/** A sync or async iterable, asked for one item at a time; what was asked for and has not come is asked for once. */
class Source<In> {
  readonly #sync: Iterator<In> | undefined;
  readonly #async: AsyncIterator<In> | undefined;
  #asked: Promise<void> | undefined;
  #answer: Answer<In> | undefined;

  constructor(chunks: Iterable<In> | AsyncIterable<In>) {
    if (Symbol.asyncIterator in chunks) this.#async = chunks[Symbol.asyncIterator]();
    else this.#sync = chunks[Symbol.iterator]();
  }

  /** An answer, or a promise that resolves when `settled` has it. */
  next(): Answer<In> | Promise<void> {
    if (this.#sync) {
      try {
        return { result: this.#sync.next() };
      } catch (error) {
        return { error };
      }
    }
    this.#asked ??= this.#ask();
    return this.#asked;
  }

  async #ask(): Promise<void> {
    try {
      this.#answer = { result: await (this.#async as AsyncIterator<In>).next() };
    } catch (error) {
      this.#answer = { error };
    }
  }

  /** What came of the last `next`; undefined as long as nothing has. */
  settled(): Answer<In> | undefined {
    const answer = this.#answer;
    if (answer !== undefined) {
      this.#answer = undefined;
      this.#asked = undefined;
    }
    return answer;
  }

  /** Tells the source that nobody comes back. Not waited for: it may be stuck, which may be why. */
  stop(): void {
    this.#sync?.return?.();
    this.#async?.return?.()?.catch(() => undefined);
  }
}
