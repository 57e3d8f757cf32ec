// CUDA: NVIDIA's GPUs in Node, through the driver (@h5z/native/cuda). Batches go on the caller's stream or on one of the backend's
// own; uploads and downloads have streams of their own, so that they run beside decoding. What kernels are given is
// packages/abi/include/h5z/gpu.h's.
//
//     upload   | send a | send b |                 staging buffers are pinned and come back when they have been sent
//     decode            | batch a | batch b |      each waits for what was sent before it was asked for
//     download                    | read a |       waits for the batches before it

import { FILTER_ERRORS, H5zError, isH5zError } from '@h5z/core';
import type * as native from '@h5z/native/cuda';
import { answersOf, kernelNames, type Plan, type PlanMemory, type PlanStep, partsOf, plan } from './plan.js';
import type {
  CudaMemory,
  CudaStream,
  Gpu,
  GpuAnswers,
  GpuBatch,
  GpuChunk,
  GpuDevice,
  GpuFound,
  GpuPipeline,
  GpuStage,
  GpuStaging,
  GpuWork,
} from './types.js';

/** Sizes of h5z_gpu_chunk, h5z_gpu_state and h5z_gpu_batch, and H5Z_GPU_SCRATCH. */
const CHUNK = 32;
const STATE = 16;
const BATCH = 96;
const SCRATCH = 16;
const MOST_GROUPS = 2 ** 31 - 1;
/** Bytes of a piece of a download: while one is on its way, the one before is copied. */
const PIECE = 8 << 20;

export interface CudaGpuOptions {
  /** Path of the driver's library. Default: libcuda.so.1, or nvcuda.dll, where the system's loader finds it. */
  readonly library?: string;
  /** Index of the device. Default: 0. */
  readonly device?: number;
  /** For tests: lanes of every group and parts of a chunk. Default: by the stage, by the chunks' sizes. */
  readonly shape?: { readonly lanes?: number; readonly parts?: number };
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

async function open({ library, device = 0 }: CudaGpuOptions): Promise<native.CudaDevice> {
  const { openCuda: openDevice } = await import('@h5z/native/cuda');
  return openDevice({ device, ...(library === undefined ? {} : { library }) });
}

function describe({ info, driverVersion }: native.CudaDevice): GpuDevice {
  return {
    kind: 'cuda',
    name: info.name,
    software: false,
    maxBufferBytes: info.bytes,
    memoryBytes: info.bytes,
    driver: `CUDA ${Math.floor(driverVersion / 1000)}.${Math.floor((driverVersion % 1000) / 10)}`,
  };
}

/** Whether CUDA can be used here, and by what. Never rejects. */
export async function findCuda(options: CudaGpuOptions = {}): Promise<GpuFound> {
  try {
    return { kind: 'cuda', device: describe(await open(options)) };
  } catch (error) {
    return { kind: 'cuda', reason: messageOf(error).replace(/; decode with the ordinary codecs$/, '') };
  }
}

/**
 * Opens a GPU of NVIDIA's. Rejects with H5zError: `H5Z_NO_GPU`, with the reason, where there is none or the driver is missing or too
 * old; `H5Z_NO_PLATFORM` where @h5z/native has no addon for the platform.
 */
export async function openCuda(options: CudaGpuOptions = {}): Promise<Gpu<'cuda'>> {
  return new CudaGpu(await open(options), options.shape ?? {});
}

/** What is allocated once and used again by batch after batch: freeing would wait for all of the device's work. */
class Pool<T extends { readonly bytes: number; free(): void }> {
  readonly #make: (bytes: number) => T;
  readonly #free: T[] = [];

  constructor(make: (bytes: number) => T) {
    this.#make = make;
  }

  /** At least `bytes`, and not much more. */
  take(bytes: number): T {
    const size = bytes <= 1 << 20 ? 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096))) : roundUp(bytes, 1 << 20);
    const at = this.#free.findIndex((one) => one.bytes >= size && one.bytes <= 2 * size);
    const [found] = at < 0 ? [] : this.#free.splice(at, 1);
    if (found !== undefined) return found;
    try {
      return this.#make(size);
    } catch (error) {
      if (this.#free.length === 0) throw error;
      this.clear();
      return this.#make(size);
    }
  }

  give(one: T): void {
    this.#free.push(one);
  }

  clear(): void {
    for (const one of this.#free.splice(0)) one.free();
  }
}

/** Pinned memory with its size, which stays known after it was freed. */
interface Pinned {
  readonly bytes: number;
  readonly memory: native.CudaPinned;
  free(): void;
}

/** Memory of this package's that was freed: a kernel that touched it would end the device for the whole process. */
const freed = (memory: CudaMemory): boolean => (memory as Partial<native.CudaMemory>).closed === true;

const overlap = (a: CudaMemory, b: CudaMemory): boolean =>
  a.pointer < b.pointer + BigInt(b.bytes) && b.pointer < a.pointer + BigInt(a.bytes);

/** Something under way on a stream: a mark behind it, the memory that it reads and writes, and what it holds on to. */
class Doing {
  readonly #mark: native.CudaEvent;
  readonly #memories: readonly CudaMemory[];
  readonly #ended: () => void;
  #done: Promise<void> | undefined;
  #over = false;

  constructor(mark: native.CudaEvent, memories: readonly CudaMemory[], ended: () => void) {
    this.#mark = mark;
    this.#memories = memories;
    this.#ended = ended;
  }

  /** Makes a stream wait for it where it has to do with any of `memories`. */
  before(stream: native.CudaStream, memories: readonly CudaMemory[]): void {
    if (!this.#over && this.#memories.some((mine) => memories.some((other) => overlap(mine, other))))
      stream.wait(this.#mark);
  }

  /** Settles when the device has come by; rejects when the device was lost. Either way nothing is held any more. */
  done(): Promise<void> {
    this.#done ??= this.#mark.done().finally(() => {
      this.#over = true;
      this.#mark.close();
      this.#ended();
    });
    return this.#done;
  }
}

class CudaGpu implements Gpu<'cuda'> {
  readonly kind = 'cuda';
  readonly alignment = 1;
  readonly device: GpuDevice;
  readonly lost: Promise<string>;
  readonly cuda: native.CudaDevice;
  readonly shape: { readonly lanes?: number; readonly parts?: number };
  readonly pinned: Pool<Pinned>;
  readonly memory: Pool<native.CudaMemory>;
  readonly #streams: {
    readonly upload: native.CudaStream;
    readonly decode: native.CudaStream;
    readonly download: native.CudaStream;
  };
  readonly #under = new Set<Doing>();
  /** What was sent and has not arrived, in order. */
  readonly #sent: Doing[] = [];
  readonly #modules = new Map<string, Promise<native.CudaModule>>();
  #cleaning: Promise<void> = Promise.resolve();
  #tellLost: (reason: string) => void = () => undefined;
  #gone: string | undefined;

  constructor(cuda: native.CudaDevice, shape: { readonly lanes?: number; readonly parts?: number }) {
    this.cuda = cuda;
    this.shape = shape;
    this.device = describe(cuda);
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    this.pinned = new Pool((bytes) => {
      const memory = cuda.allocatePinned(bytes);
      return { bytes, memory, free: () => memory.free() };
    });
    this.memory = new Pool((bytes) => cuda.allocate(bytes));
    this.#streams = { upload: cuda.stream(), decode: cuda.stream(), download: cuda.stream() };
  }

  /** Runs what may find out that the device is gone: the driver refuses everything from then on. */
  attempt<T>(work: () => T): T {
    if (this.#gone !== undefined) throw new H5zError('H5Z_NO_GPU', `the GPU was lost (${this.#gone})`);
    try {
      return work();
    } catch (error) {
      this.#look(error);
      throw error;
    }
  }

  #look(error: unknown): void {
    if (!isH5zError(error) || error.code !== 'H5Z_NO_GPU' || this.#gone !== undefined) return;
    this.#gone = messageOf(error).replace(/; decode with the ordinary codecs$/, '');
    this.#tellLost(this.#gone);
  }

  /** The caller's stream, or the backend's own. */
  streamOf(queue: CudaStream | undefined, own: 'upload' | 'decode'): native.CudaStream {
    return queue === undefined ? this.#streams[own] : this.cuda.stream(queue.stream);
  }

  /**
   * Puts what `ask` asks for on a stream, behind all that is under way with the same memory on any stream. `ended` is called when
   * the device has come by, or is lost, and gives back what the work held on to.
   */
  put(stream: native.CudaStream, memories: readonly CudaMemory[], ask: () => void, ended: () => void): Doing {
    const begun = (): Doing => {
      const mark = this.cuda.event();
      stream.record(mark);
      const doing: Doing = new Doing(mark, memories, () => {
        this.#under.delete(doing);
        ended();
      });
      this.#under.add(doing);
      // One after the other, so that this takes one thread of libuv's pool however many there are.
      this.#cleaning = this.#cleaning.then(() => doing.done().catch((error) => this.#look(error)));
      return doing;
    };
    return this.attempt(() => {
      try {
        for (const other of this.#under) other.before(stream, memories);
        ask();
      } catch (error) {
        // Some of it may be under way.
        try {
          begun();
        } catch {
          ended();
        }
        throw error;
      }
      return begun();
    });
  }

  async prepare(stages: readonly GpuStage[]): Promise<GpuPipeline<'cuda'>> {
    const compiled = await Promise.all(stages.map((stage) => this.#compile(stage)));
    return new CudaPipeline(this, stages, compiled);
  }

  async #compile(stage: GpuStage): Promise<Compiled> {
    const module = this.#modules.get(stage.kernels) ?? this.cuda.load(stage.kernels);
    this.#modules.set(stage.kernels, module);
    try {
      const loaded = await module;
      const kernels = (direction: 'decode' | 'encode') =>
        kernelNames(stage, direction).map((name) => loaded.kernel(name));
      return { stage, decode: kernels('decode'), encode: kernels('encode') };
    } catch (cause) {
      this.#modules.delete(stage.kernels);
      const why = messageOf(cause).replace(/; decode with the ordinary codecs$/, '');
      throw new H5zError('H5Z_NO_GPU', `${this.device.name} does not take the kernels of ${stage.name} (${why})`, {
        cause,
      });
    }
  }

  /** The memory is a CudaMemory of @h5z/native/cuda: its `dlpack` hands it to other software. */
  async allocate(bytes: number): Promise<native.CudaMemory> {
    return this.attempt(() => {
      try {
        return this.cuda.allocate(bytes);
      } catch (error) {
        this.memory.clear();
        if (isH5zError(error) && error.code === 'H5Z_E_MEMORY') return this.cuda.allocate(bytes);
        throw error;
      }
    });
  }

  free(memory: CudaMemory): void {
    (memory as native.CudaMemory).free();
  }

  async staging(bytes: number): Promise<GpuStaging<'cuda'>> {
    // No more than two on their way: then the first one comes back.
    while (this.#sent.length >= 2) await this.#sent[0]?.done();
    const block = this.attempt(() => this.pinned.take(bytes));
    let sent = false;
    return {
      bytes: block.memory.data,
      send: (to, offset, length, queue) => {
        // Twice, and it would come back twice, for two others at once.
        if (sent)
          throw new H5zError('H5Z_PARAMETER', 'the staging buffer was sent before', { remedy: 'ask for another one' });
        sent = true;
        const stream = this.streamOf(queue, 'upload');
        const part = { pointer: to.pointer + BigInt(offset), bytes: length };
        const doing: Doing = this.put(
          stream,
          [part],
          () => stream.upload(block.memory, 0, to, offset, length),
          () => {
            this.#sent.splice(0, this.#sent.indexOf(doing) + 1);
            this.pinned.give(block);
          },
        );
        this.#sent.push(doing);
      },
    };
  }

  async read(memory: CudaMemory, offset = 0, bytes = memory.bytes - offset): Promise<Uint8Array<ArrayBuffer>> {
    const stream = this.#streams.download;
    const out = new Uint8Array(bytes);
    const pieces: Doing[] = [];
    for (let at = 0; at < bytes; at += PIECE) {
      if (pieces.length === 2) await pieces.shift()?.done();
      const length = Math.min(PIECE, bytes - at);
      const block = this.attempt(() => this.pinned.take(length));
      const part = { pointer: memory.pointer + BigInt(offset + at), bytes: length };
      const ended = (): void => {
        out.set(block.memory.data.subarray(0, length), at);
        this.pinned.give(block);
      };
      pieces.push(this.put(stream, [part], () => stream.download(memory, offset + at, block.memory, 0, length), ended));
    }
    for (const piece of pieces) await piece.done();
    return out;
  }

  close(): void {
    this.#cleaning.then(async () => {
      this.pinned.clear();
      this.memory.clear();
      for (const stream of Object.values(this.#streams)) stream.close();
      for (const module of this.#modules.values()) (await module.catch(() => undefined))?.close();
    });
  }
}

interface Compiled {
  readonly stage: GpuStage;
  readonly decode: readonly native.CudaKernel[];
  readonly encode: readonly native.CudaKernel[];
}

/** A part of a device's memory, as kernels are given it. */
interface Window {
  readonly pointer: bigint;
  readonly bytes: number;
  /** Where it begins in the memory that chunks' offsets count from. */
  readonly offset: number;
}

/** Where a batch's tables lie in one piece of memory that is uploaded as a whole. */
interface Tables {
  readonly bytes: number;
  /** Of the states before step i; those behind the last step too. */
  state(i: number): number;
  chunks(i: number): number;
  cd(i: number): number;
}

function tablesOf({ steps }: Plan, n: number): Tables {
  const states = (steps.length + 1) * n * STATE;
  const cds = steps.map(({ stage }) => roundUp(stage?.cdValues.length ?? 0, 2) * 4);
  const cdAt = (i: number): number =>
    states + steps.length * n * CHUNK + cds.slice(0, i).reduce((sum, one) => sum + one, 0);
  return { bytes: cdAt(steps.length), state: (i) => i * n * STATE, chunks: (i) => states + i * n * CHUNK, cd: cdAt };
}

/** The part of a batch's own memory in which its sound chunks lie: scratch that is laid out like it need not be larger. */
function windowOf(memory: CudaMemory, { status }: Plan, at: Float64Array, bytes: Float64Array): Window {
  let first = Number.POSITIVE_INFINITY;
  let end = 0;
  for (let i = 0; i < status.length; i++) {
    if (status[i] !== 0) continue;
    first = Math.min(first, at[i] ?? 0);
    end = Math.max(end, (at[i] ?? 0) + (bytes[i] ?? 0));
  }
  const offset = end === 0 ? 0 : first;
  return { pointer: memory.pointer + BigInt(offset), bytes: end - offset, offset };
}

/** Where a batch's sound chunks lie, one by one, in the order of memory. */
function rangesOf(memory: CudaMemory, { status }: Plan, at: Float64Array, bytes: Float64Array): CudaMemory[] {
  const ranges = Array.from(status, (code, i) => ({
    pointer: memory.pointer + BigInt(at[i] ?? 0),
    bytes: code === 0 ? (bytes[i] ?? 0) : 0,
  })).filter((range) => range.bytes > 0);
  return ranges.sort((a, b) => (a.pointer < b.pointer ? -1 : a.pointer > b.pointer ? 1 : 0));
}

/** Whether any byte is in both. Both are in the order of memory; what is written does not overlap itself. */
function collide(read: readonly CudaMemory[], written: readonly CudaMemory[]): boolean {
  let next = 0;
  return read.some((range) => {
    const isBefore = ({ pointer, bytes }: CudaMemory): boolean => pointer + BigInt(bytes) <= range.pointer;
    for (let one = written[next]; one !== undefined && isBefore(one); one = written[next]) next++;
    const one = written[next];
    return one !== undefined && overlap(range, one);
  });
}

class CudaPipeline implements GpuPipeline<'cuda'> {
  readonly stages: readonly GpuStage[];
  readonly canEncode: boolean;
  readonly #gpu: CudaGpu;
  readonly #compiled: ReadonlyMap<GpuStage | undefined, Compiled>;
  #closed = false;

  constructor(gpu: CudaGpu, stages: readonly GpuStage[], compiled: readonly Compiled[]) {
    this.#gpu = gpu;
    this.stages = stages;
    this.#compiled = new Map(compiled.map((one) => [one.stage, one]));
    this.canEncode = compiled.every(({ encode }) => encode.length > 0);
  }

  decode(batch: GpuBatch<'cuda'>): GpuWork {
    return this.#run('decode', batch);
  }

  encode(batch: GpuBatch<'cuda'>): GpuWork {
    const lacks = [...this.#compiled.values()].find(({ encode }) => encode.length === 0);
    if (lacks !== undefined)
      throw new H5zError('H5Z_READ_ONLY', `the kernels of ${lacks.stage.name} only decode`, {
        remedy: 'encode with the codec',
      });
    return this.#run('encode', batch);
  }

  /** The kernels stay with the device until that is closed. */
  close(): void {
    this.#closed = true;
  }

  #run(direction: 'decode' | 'encode', { src, dst, chunks, queue }: GpuBatch<'cuda'>): GpuWork {
    const gpu = this.#gpu;
    if (this.#closed) throw new H5zError('H5Z_PARAMETER', 'the pipeline was closed', { remedy: 'prepare another one' });
    for (const [name, memory] of Object.entries({ src, dst }))
      if (freed(memory))
        throw new H5zError('H5Z_PARAMETER', `${name} was freed before`, { remedy: 'decode first and free it then' });
    const n = chunks.length;
    if (n === 0) return { answers: async () => ({ status: new Int32Array(0), sizes: new Float64Array(0) }) };
    const limits = { srcBytes: src.bytes, dstBytes: dst.bytes, alignment: gpu.alignment };
    const planned = plan(direction, this.stages, chunks, limits);
    const head = planned.steps[0] as PlanStep;
    const last = planned.steps.at(-1) as PlanStep;
    const windows: Partial<Record<PlanMemory, Window>> & Record<'src' | 'dst', Window> = {
      src: windowOf(src, planned, head.src, planned.sizes),
      dst: windowOf(dst, planned, last.dst, last.room),
    };
    const read = (): CudaMemory[] => rangesOf(src, planned, head.src, planned.sizes);
    const written = (): CudaMemory[] => rangesOf(dst, planned, last.dst, last.room);
    if (overlap(windows.src, windows.dst) && collide(read(), written()))
      throw new H5zError('H5Z_PARAMETER', 'the chunks would be written over what is read', {
        remedy: 'use other memory, or another part of it, for dst',
      });
    if (head.stage === undefined) return this.#copy(direction, { src, dst, chunks, ...(queue && { queue }) }, planned);

    const parts = gpu.shape.parts ?? partsOf(chunks);
    if (n * parts > MOST_GROUPS)
      throw new H5zError('H5Z_PARAMETER', `a batch of ${n} chunks`, { remedy: 'pass fewer chunks at once' });
    const tables = tablesOf(planned, n);
    const held: native.CudaMemory[] = [];
    const room = (bytes: number): native.CudaMemory => {
      const one = gpu.attempt(() => gpu.memory.take(bytes));
      held.push(one);
      return one;
    };
    const back = (): void => {
      for (const one of held.splice(0)) gpu.memory.give(one);
    };
    const scratchOf = ({ stage, to }: PlanStep): number =>
      (parts + 1) * n * SCRATCH + (stage?.scratch[direction] === true ? (windows[to]?.bytes ?? 0) : 0);
    let scratch: native.CudaMemory;
    let device: native.CudaMemory;
    let pinned: Pinned;
    try {
      for (const name of ['even', 'odd'] as const) {
        const bytes = planned[name];
        if (bytes > 0) windows[name] = { pointer: room(bytes).pointer, bytes, offset: 0 };
      }
      scratch = room(Math.max(...planned.steps.map(scratchOf)));
      device = room(tables.bytes);
      pinned = gpu.attempt(() => gpu.pinned.take(tables.bytes));
    } catch (error) {
      back();
      throw error;
    }
    fillTables(pinned.memory.data, planned, tables, windows);

    const stream = gpu.streamOf(queue, 'decode');
    const end = tables.state(planned.steps.length);
    const launch = (step: PlanStep, i: number): void => {
      const [from, to] = [windows[step.from], windows[step.to]] as [Window, Window];
      const parameters = new DataView(new ArrayBuffer(BATCH));
      const at = (place: number): bigint => device.pointer + BigInt(place);
      const words = [from.pointer, from.bytes, to.pointer, to.bytes, scratch.pointer, scratchOf(step)];
      const places = [tables.chunks(i), tables.state(i), tables.state(i + 1), tables.cd(i)].map(at);
      [...words, ...places].forEach((word, k) => {
        parameters.setBigUint64(8 * k, BigInt(word), true);
      });
      parameters.setUint32(80, step.stage?.cdValues.length ?? 0, true);
      parameters.setUint32(84, n, true);
      parameters.setUint32(88, parts, true);
      const lanes = gpu.shape.lanes ?? step.stage?.lanes ?? 1;
      for (const kernel of this.#compiled.get(step.stage)?.[direction] ?? [])
        stream.launch(kernel, { groups: n * parts, lanes, parameters: new Uint8Array(parameters.buffer) });
    };
    let states = new DataView(new ArrayBuffer(n * STATE));
    const doing = gpu.put(
      stream,
      [src, dst],
      () => {
        stream.upload(pinned.memory, 0, device, 0, tables.bytes);
        planned.steps.forEach(launch);
        stream.download(device, end, pinned.memory, end, n * STATE);
      },
      () => {
        states = new DataView(pinned.memory.data.slice(end, end + n * STATE).buffer);
        gpu.pinned.give(pinned);
        back();
      },
    );
    return work(doing, () =>
      answersOf(direction, chunks, (i) => ({
        size: Number(states.getBigUint64(STATE * i, true)),
        status: states.getInt32(STATE * i + 8, true),
      })),
    );
  }

  /** No stage ran for any chunk: what becomes of each is known here. */
  #copy(direction: 'decode' | 'encode', { src, dst, chunks, queue }: GpuBatch<'cuda'>, planned: Plan): GpuWork {
    const gpu = this.#gpu;
    const fits = ({ srcSize, dstSize }: GpuChunk, i: number): boolean => planned.status[i] === 0 && srcSize <= dstSize;
    const stream = gpu.streamOf(queue, 'decode');
    const copies = (): void => {
      chunks.forEach((chunk, i) => {
        if (fits(chunk, i)) stream.copy(src, chunk.srcOffset, dst, chunk.dstOffset, chunk.srcSize);
      });
    };
    const doing = gpu.put(stream, [src, dst], copies, () => undefined);
    return work(doing, () =>
      answersOf(direction, chunks, (i) => {
        const chunk = chunks[i] as GpuChunk;
        if (fits(chunk, i)) return { size: chunk.srcSize, status: 0 };
        return { size: 0, status: planned.status[i] || FILTER_ERRORS.H5Z_E_OUTPUT.value };
      }),
    );
  }
}

function work(doing: Doing, answers: () => GpuAnswers): GpuWork {
  let found: Promise<GpuAnswers> | undefined;
  return {
    answers: () => {
      found ??= doing.done().then(answers);
      return found;
    },
  };
}

function fillTables(
  bytes: Uint8Array,
  { steps, sizes, status }: Plan,
  tables: Tables,
  windows: Partial<Record<PlanMemory, Window>>,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, tables.bytes);
  bytes.fill(0, 0, tables.bytes);
  sizes.forEach((size, i) => {
    view.setBigUint64(tables.state(0) + STATE * i, BigInt(size), true);
    view.setInt32(tables.state(0) + STATE * i + 8, status[i] ?? 0, true);
  });
  steps.forEach(({ stage, from, to, src, dst, room, skip }, step) => {
    const [origin, goal] = [windows[from]?.offset ?? 0, windows[to]?.offset ?? 0];
    for (let i = 0; i < sizes.length; i++) {
      if (status[i] !== 0) continue;
      const at = tables.chunks(step) + CHUNK * i;
      view.setBigUint64(at, BigInt((src[i] ?? 0) - origin), true);
      view.setBigUint64(at + 8, BigInt((dst[i] ?? 0) - goal), true);
      view.setBigUint64(at + 16, BigInt(room[i] ?? 0), true);
      view.setUint32(at + 24, skip[i] ?? 0, true);
    }
    Array.from(stage?.cdValues ?? []).forEach((value, i) => {
      view.setUint32(tables.cd(step) + 4 * i, value, true);
    });
  });
}
