// WebGPU: a browser's, or in Node an implementation that the caller passes in. Batches are recorded into the caller's encoder or
// submitted at once; what kernels find in their bindings is packages/abi/include/h5z/gpu.wgsl's.

import { FILTER_ERRORS, H5zError } from '@h5z/core';
import { answersOf, kernelNames, type Plan, type PlanMemory, type PlanStep, partsOf, plan } from './plan.js';
import type {
  Gpu,
  GpuAnswers,
  GpuBatch,
  GpuDevice,
  GpuFound,
  GpuPipeline,
  GpuStage,
  GpuStaging,
  GpuWork,
} from './types.js';

/** GPUBufferUsage, GPUMapMode and GPUShaderStage by their numbers: in Node they are not global. */
const MAP_READ = 0x1;
const MAP_WRITE = 0x2;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const UNIFORM = 0x40;
const STORAGE = 0x80;
const MAP_MODE_READ = 1;
const MAP_MODE_WRITE = 2;
const COMPUTE = 4;

/** Bytes that offsets of bindings must be multiples of, and that no device asks more than by default. */
const BINDING = 256;
const BINDINGS = 8;
/** Words of scratch for each part of each chunk, and once more for each chunk: H5Z_SCRATCH of gpu.wgsl. */
const SCRATCH_WORDS = 2;
/** Offsets have 32 bits. */
const MOST_BYTES = 0xfffffffc;

/** Copies chunks that no stage has to be undone for: h5z_begin of gpu.wgsl does, by words. */
const COPY = `
@group(0) @binding(0) var<uniform> batch: array<vec4<u32>, 2>;
@group(0) @binding(1) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;
@group(0) @binding(3) var<storage, read> chunks: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> before: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> after: array<vec2<u32>>;

@compute @workgroup_size(64)
fn h5z_copy(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                   @builtin(local_invocation_index) lane: u32) {
  let number = group.x + group.y * groups.x;
  let parts = batch[1].x;
  let which = number / parts;
  if (which >= batch[0].w) { return; }
  let chunk = chunks[which];
  let state = before[which];
  let first = (number % parts) * 64u + lane;
  let fits = state.x <= chunk.z;
  if (first == 0u) { after[which] = select(vec2(0u, bitcast<u32>(${FILTER_ERRORS.H5Z_E_OUTPUT.value})), state, fits); }
  if (!fits || state.y != 0u || chunk.x > batch[0].x || state.x > batch[0].x - chunk.x ||
      chunk.y > batch[0].y || state.x > batch[0].y - chunk.y) { return; }
  for (var w = first; w * 4u < state.x; w += parts * 64u) {
    var word = dst[chunk.y / 4u + w];
    for (var k = 0u; k < min(4u, state.x - w * 4u); k++) {
      let at = chunk.x + w * 4u + k;
      let byte = (src[at / 4u] >> (at % 4u * 8u)) & 255u;
      word = (word & ~(255u << (k * 8u))) | (byte << (k * 8u));
    }
    dst[chunk.y / 4u + w] = word;
  }
}
`;

export interface WebGpuOptions {
  /** The implementation. Default: `navigator.gpu`. */
  readonly gpu?: GPU;
  /** A device of the caller's own, which stays the caller's. Batches can then write where its other work reads. */
  readonly device?: GPUDevice;
  /** Take a stand-in for a GPU (SwiftShader) too: for tests, since codecs are faster. Default false. */
  readonly software?: boolean;
  /** For tests: lanes of every group (default: the kernels' own) and parts of a chunk (default: by its size). */
  readonly shape?: { readonly lanes?: number; readonly parts?: number };
}

interface Opened {
  readonly device: GPUDevice;
  readonly info: GpuDevice;
  readonly own: boolean;
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function noGpu(problem: string, cause?: unknown): H5zError {
  return new H5zError('H5Z_NO_GPU', problem, cause === undefined ? {} : { cause });
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Throws for what WebGPU would leave undone and only tell the device's owner. */
function inside(buffer: GPUBuffer, at: number, bytes: number, what: string): void {
  if (Number.isSafeInteger(at) && at >= 0 && at % 4 === 0 && bytes >= 0 && at + bytes <= buffer.size) return;
  throw new H5zError('H5Z_PARAMETER', `${what}: ${bytes} bytes at ${at} of ${buffer.size}`, {
    remedy: 'stay inside, at multiples of 4 bytes',
  });
}

function describe(info: GPUAdapterInfo | undefined, limits: GPUSupportedLimits): GpuDevice {
  const words = [info?.vendor, info?.architecture, info?.device || info?.description].filter(Boolean);
  const name = words.join(' ') || 'a GPU that says nothing of itself';
  return {
    kind: 'webgpu',
    name,
    software: info?.isFallbackAdapter === true || /swiftshader|llvmpipe|software|basic render/i.test(name),
    maxBufferBytes: Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, MOST_BYTES),
  };
}

async function find({ gpu, device, software = false }: WebGpuOptions): Promise<Opened> {
  if (device !== undefined)
    return {
      device,
      info: describe((device as { adapterInfo?: GPUAdapterInfo }).adapterInfo, device.limits),
      own: false,
    };
  const implementation = gpu ?? (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu;
  if (implementation === undefined)
    throw noGpu(
      globalThis.isSecureContext === false
        ? 'WebGPU is only for pages that came by HTTPS or from localhost'
        : 'this JavaScript engine has no WebGPU (no navigator.gpu)',
    );
  let adapter: GPUAdapter | null;
  try {
    adapter = await implementation.requestAdapter({ powerPreference: 'high-performance' });
  } catch (cause) {
    throw noGpu(`WebGPU found no adapter (${messageOf(cause)})`, cause);
  }
  if (adapter === null) throw noGpu('WebGPU found no adapter: there is no GPU, or its driver is too old or blocked');
  const info = describe(adapter.info, adapter.limits);
  if (info.software && !software)
    throw noGpu(`WebGPU has only a stand-in for a GPU (${info.name}), which is slower than the codecs`);
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  try {
    const made = await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } });
    return { device: made, info, own: true };
  } catch (cause) {
    throw noGpu(`WebGPU's adapter (${info.name}) gave no device (${messageOf(cause)})`, cause);
  }
}

/** Whether WebGPU can be used here, and by what. Never rejects. */
export async function findWebGpu(options: WebGpuOptions = {}): Promise<GpuFound> {
  try {
    const { device, info, own } = await find(options);
    if (own) device.destroy();
    return { kind: 'webgpu', device: info };
  } catch (error) {
    return { kind: 'webgpu', reason: messageOf(error).replace(/; decode with the ordinary codecs$/, '') };
  }
}

/** WebGPU in use. */
export interface WebGpuInUse extends Gpu<'webgpu'> {
  /** The device, for work of one's own on what was decoded: it reads the same buffers. */
  readonly webgpu: GPUDevice;
}

/** Opens a WebGPU device. Rejects with H5Z_NO_GPU, which says why there is none. */
export async function openWebGpu(options: WebGpuOptions = {}): Promise<WebGpuInUse> {
  return new WebGpu(await find(options), options);
}

type Direction = 'decode' | 'encode';
const DIRECTIONS: readonly Direction[] = ['decode', 'encode'];

/** A stage with its compiled kernels, undefined with the copy. */
interface Compiled {
  readonly stage: GpuStage | undefined;
  readonly decode: readonly GPUComputePipeline[];
  readonly encode: readonly GPUComputePipeline[];
}

class WebGpu implements WebGpuInUse {
  readonly kind = 'webgpu';
  readonly device: GpuDevice;
  readonly alignment = 4;
  readonly lost: Promise<string>;
  readonly webgpu: GPUDevice;
  readonly shape: NonNullable<WebGpuOptions['shape']>;
  readonly layout: GPUBindGroupLayout;
  readonly #own: boolean;
  readonly #pipelineLayout: GPUPipelineLayout;
  /** By direction and text: what compiles once serves all pipelines. */
  readonly #compiled = new Map<string, Promise<GPUComputePipeline[]>>();
  readonly #sent: Promise<GPUBuffer>[] = [];
  gone: string | undefined;

  constructor({ device, info, own }: Opened, { shape = {} }: WebGpuOptions) {
    this.webgpu = device;
    this.device = info;
    this.shape = shape;
    this.#own = own;
    this.lost = device.lost.then(({ reason, message }) => {
      this.gone = message || reason || 'unknown reason';
      return this.gone;
    });
    const readWrite = new Set([2, 5, 6]);
    this.layout = device.createBindGroupLayout({
      entries: Array.from({ length: BINDINGS }, (_, binding) => ({
        binding,
        visibility: COMPUTE,
        buffer: { type: binding === 0 ? 'uniform' : readWrite.has(binding) ? 'storage' : 'read-only-storage' },
      })),
    });
    this.#pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [this.layout] });
  }

  async prepare(stages: readonly GpuStage[], direction?: Direction): Promise<GpuPipeline<'webgpu'>> {
    const directions = direction === undefined ? DIRECTIONS : [direction];
    const compiled = await Promise.all(
      [undefined, ...stages].map(async (stage) => {
        const [decode, encode] = await Promise.all(
          DIRECTIONS.map((one) => (directions.includes(one) ? this.#kernels(stage, one) : [])),
        );
        return { stage, decode: decode ?? [], encode: encode ?? [] };
      }),
    );
    return new WebGpuPipeline(this, stages, compiled, directions);
  }

  #kernels(stage: GpuStage | undefined, direction: Direction): Promise<GPUComputePipeline[]> {
    const text = stage?.kernels ?? COPY;
    const key = stage === undefined ? text : `${direction} ${text}`;
    let compiling = this.#compiled.get(key);
    if (compiling === undefined) {
      compiling = this.#compile(stage, text, direction);
      this.#compiled.set(key, compiling);
      compiling.catch(() => this.#compiled.delete(key));
    }
    return compiling;
  }

  async #compile(stage: GpuStage | undefined, code: string, direction: Direction): Promise<GPUComputePipeline[]> {
    this.check();
    const module = this.webgpu.createShaderModule({ code });
    const { lanes } = this.shape;
    const constants = stage === undefined || lanes === undefined ? {} : { constants: { H5Z_LANES: lanes } };
    const names = stage === undefined ? ['h5z_copy'] : kernelNames(stage, direction);
    try {
      return await Promise.all(
        names.map((entryPoint) =>
          this.webgpu.createComputePipelineAsync({
            label: entryPoint,
            layout: this.#pipelineLayout,
            compute: { module, entryPoint, ...constants },
          }),
        ),
      );
    } catch (cause) {
      // A device that was lost meanwhile has nothing to say.
      const said = await module.getCompilationInfo().catch(() => ({ messages: [] }));
      const errors = said.messages.filter(({ type }) => type === 'error');
      const why = errors.map(({ lineNum, message }) => `line ${lineNum}: ${message}`).join('; ') || messageOf(cause);
      throw noGpu(`${this.device.name} does not take the kernels of ${stage?.name ?? 'the copy'} (${why})`, cause);
    }
  }

  async allocate(bytes: number): Promise<GPUBuffer> {
    return this.#checked(() => this.buffer(bytes, STORAGE | COPY_SRC | COPY_DST), bytes);
  }

  /** A buffer of at least `bytes`; out of memory is an error of the device's, later. */
  buffer(bytes: number, usage: number, content?: ArrayBufferView): GPUBuffer {
    const size = Math.max(16, roundUp(content?.byteLength ?? bytes, 4));
    if (content === undefined) return this.webgpu.createBuffer({ size, usage });
    let buffer: GPUBuffer;
    try {
      buffer = this.webgpu.createBuffer({ size, usage, mappedAtCreation: true });
    } catch (cause) {
      this.check(); // a lost device has no memory either
      throw new H5zError('H5Z_E_MEMORY', `there is no memory for a table of ${size} bytes (${messageOf(cause)})`, {
        cause,
      });
    }
    new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(content.buffer, content.byteOffset, content.byteLength));
    buffer.unmap();
    return buffer;
  }

  async #checked(make: () => GPUBuffer, bytes: number): Promise<GPUBuffer> {
    const memory = (why: string, cause?: unknown): H5zError =>
      new H5zError('H5Z_E_MEMORY', `${this.device.name} has no buffer of ${bytes} bytes (${why})`, { cause });
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw new H5zError('H5Z_PARAMETER', `a buffer of ${bytes} bytes`, { remedy: 'pass a whole number' });
    if (bytes > Math.min(this.webgpu.limits.maxBufferSize, MOST_BYTES)) throw memory('its limit is lower');
    this.check();
    this.webgpu.pushErrorScope('out-of-memory');
    let made: GPUBuffer | undefined;
    let thrown: unknown;
    try {
      made = make();
    } catch (cause) {
      thrown = cause; // a mapping that the host has no memory for
    }
    const error = await this.webgpu.popErrorScope().catch((cause) => {
      made?.destroy();
      throw noGpu(`the GPU was lost (${this.gone ?? messageOf(cause)})`, cause);
    });
    if (made !== undefined && error === null) return made;
    made?.destroy();
    throw memory(error?.message ?? messageOf(thrown), thrown);
  }

  /** Throws when the device is lost. */
  check(): void {
    if (this.gone !== undefined) throw noGpu(`the GPU was lost (${this.gone})`);
  }

  free(memory: GPUBuffer): void {
    memory.destroy();
  }

  async staging(bytes: number): Promise<GpuStaging<'webgpu'>> {
    // Those that were sent come back mapped, in order: the oldest one is waited for when two are on their way.
    this.check();
    const size = roundUp(Math.max(bytes, 4), 4);
    let buffer: GPUBuffer | undefined;
    if (this.#sent.length >= 2) {
      buffer = await this.#sent.shift()?.catch((cause) => {
        throw noGpu(`the GPU was lost (${this.gone ?? messageOf(cause)})`, cause);
      });
      if (buffer !== undefined && buffer.size < size) {
        buffer.destroy();
        buffer = undefined;
      }
    }
    buffer ??= await this.#checked(
      () => this.webgpu.createBuffer({ size, usage: MAP_WRITE | COPY_SRC, mappedAtCreation: true }),
      size,
    );
    const made = buffer;
    let sent = false;
    return {
      bytes: new Uint8Array(made.getMappedRange()),
      send: (to, offset, length, queue) => {
        const bytes = roundUp(length, 4);
        inside(to, offset, bytes, 'send');
        if (!(bytes <= made.size))
          throw new H5zError('H5Z_PARAMETER', `send: ${length} bytes of ${made.size}`, {
            remedy: 'ask for a larger one',
          });
        if (sent)
          throw new H5zError('H5Z_PARAMETER', 'the staging buffer was sent before', { remedy: 'ask for another one' });
        sent = true;
        made.unmap();
        const encoder = queue ?? this.webgpu.createCommandEncoder();
        encoder.copyBufferToBuffer(made, 0, to, offset, bytes);
        if (queue !== undefined) return; // nobody says when it is submitted
        this.webgpu.queue.submit([encoder.finish()]);
        const back = made.mapAsync(MAP_MODE_WRITE).then(() => made);
        back.catch(() => undefined); // the device was lost, which the next one to ask hears
        this.#sent.push(back);
      },
    };
  }

  async read(memory: GPUBuffer, offset = 0, bytes = memory.size - offset): Promise<Uint8Array<ArrayBuffer>> {
    this.check();
    const from = Math.floor(offset / 4) * 4;
    const size = roundUp(offset + bytes, 4) - from;
    inside(memory, from, size, 'read');
    const buffer = await this.#checked(() => this.buffer(size, MAP_READ | COPY_DST), size);
    const encoder = this.webgpu.createCommandEncoder();
    encoder.copyBufferToBuffer(memory, from, buffer, 0, size);
    this.webgpu.queue.submit([encoder.finish()]);
    try {
      await buffer.mapAsync(MAP_MODE_READ);
      return new Uint8Array(buffer.getMappedRange().slice(offset - from, offset - from + bytes));
    } catch (cause) {
      throw noGpu(`the GPU's memory could not be read (${this.gone ?? messageOf(cause)})`, cause);
    } finally {
      buffer.destroy();
    }
  }

  close(): void {
    for (const sent of this.#sent) sent.then((buffer) => buffer.destroy()).catch(() => undefined);
    this.#sent.length = 0;
    if (this.#own) this.webgpu.destroy();
  }
}

/** A part of a buffer that is bound: kernels count from its start. */
interface Window {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

class WebGpuPipeline implements GpuPipeline<'webgpu'> {
  readonly stages: readonly GpuStage[];
  readonly canEncode: boolean;
  readonly #gpu: WebGpu;
  readonly #compiled: ReadonlyMap<GpuStage | undefined, Compiled>;
  readonly #directions: readonly Direction[];
  readonly #cd = new Map<GpuStage | undefined, GPUBuffer>();

  constructor(
    gpu: WebGpu,
    stages: readonly GpuStage[],
    compiled: readonly Compiled[],
    directions: readonly Direction[],
  ) {
    this.#gpu = gpu;
    this.stages = stages;
    this.#compiled = new Map(compiled.map((one) => [one.stage, one]));
    this.#directions = directions;
    this.canEncode = compiled.every(({ stage, encode }) => stage === undefined || encode.length > 0);
    for (const { stage } of compiled)
      this.#cd.set(stage, gpu.buffer(0, STORAGE, Uint32Array.from([...(stage?.cdValues ?? []), 0])));
  }

  decode(batch: GpuBatch<'webgpu'>): GpuWork {
    this.#prepared('decode');
    return this.#run('decode', batch);
  }

  encode(batch: GpuBatch<'webgpu'>): GpuWork {
    this.#prepared('encode');
    const lacks = [...this.#compiled.values()].find(({ stage, encode }) => stage !== undefined && encode.length === 0);
    if (lacks !== undefined)
      throw new H5zError('H5Z_READ_ONLY', `the kernels of ${lacks.stage?.name} only decode`, {
        remedy: 'encode with the codec',
      });
    return this.#run('encode', batch);
  }

  close(): void {
    for (const buffer of this.#cd.values()) buffer.destroy();
    this.#cd.clear();
  }

  #prepared(direction: Direction): void {
    if (this.#cd.size === 0)
      throw new H5zError('H5Z_PARAMETER', 'the pipeline was closed', { remedy: 'prepare another one' });
    if (this.#directions.includes(direction)) return;
    throw new H5zError('H5Z_PARAMETER', `the pipeline was not prepared to ${direction}`, {
      remedy: `pass '${direction}' to prepare, or nothing`,
    });
  }

  #run(direction: Direction, { src, dst, chunks, queue }: GpuBatch<'webgpu'>): GpuWork {
    const gpu = this.#gpu;
    gpu.check();
    for (const [name, buffer] of Object.entries({ src, dst }))
      if ((buffer.usage & STORAGE) === 0)
        throw new H5zError('H5Z_PARAMETER', `${name} is no storage buffer`, { remedy: 'create it with usage STORAGE' });
    if (src === dst)
      throw new H5zError('H5Z_PARAMETER', 'src and dst are the same buffer', { remedy: 'use one for each' });
    if (chunks.length === 0)
      return { answers: async () => ({ status: new Int32Array(0), sizes: new Float64Array(0) }) };

    const made: GPUBuffer[] = [];
    const keep = (buffer: GPUBuffer): GPUBuffer => {
      made.push(buffer);
      return buffer;
    };
    const words = (n: number): number => Math.min(Math.floor(n / 4) * 4, MOST_BYTES);
    const planned = plan(direction, this.stages, chunks, {
      srcBytes: words(src.size),
      dstBytes: words(dst.size),
      alignment: gpu.alignment,
    });
    const limit = Math.min(gpu.webgpu.limits.maxStorageBufferBindingSize, MOST_BYTES);
    const parts = gpu.shape.parts ?? partsOf(chunks);
    const windows = windowsOf(planned, chunks.length, { src, dst });
    const sizes = { even: planned.even, odd: planned.odd, src: windows.src.size, dst: windows.dst.size };
    const scratch = planned.steps.map(
      (step, i) =>
        (parts + 1) * chunks.length * SCRATCH_WORDS * 4 +
        (direction === 'decode'
          ? step.stage?.scratch.decode === true
            ? sizes[step.to]
            : 0
          : chunks.length * ownScratch(step, planned.steps[i - 1]?.room ?? planned.sizes)),
    );
    const needs = [...Object.values(sizes), ...scratch];
    if (needs.some((bytes) => bytes > limit))
      throw new H5zError(
        'H5Z_E_MEMORY',
        `the batch needs ${Math.max(...needs)} bytes in one piece, and the GPU has ${limit}`,
      );

    gpu.webgpu.pushErrorScope('validation');
    gpu.webgpu.pushErrorScope('out-of-memory');
    const scopes = () => Promise.all([gpu.webgpu.popErrorScope(), gpu.webgpu.popErrorScope()]);
    const buffers: Partial<Record<PlanMemory, Window>> = { ...windows };
    const first = new Uint32Array(chunks.length * 2);
    let readback: GPUBuffer;
    try {
      for (const name of ['even', 'odd'] as const) {
        const bytes = planned[name];
        if (bytes > 0)
          buffers[name] = { buffer: keep(gpu.buffer(bytes, STORAGE)), offset: 0, size: Math.max(16, bytes) };
      }
      for (let i = 0; i < chunks.length; i++) {
        first[2 * i] = planned.sizes[i] ?? 0;
        first[2 * i + 1] = planned.status[i] ?? 0;
      }
      let before = keep(gpu.buffer(0, STORAGE | COPY_SRC, first));
      const encoder = queue ?? gpu.webgpu.createCommandEncoder();
      for (const [i, step] of planned.steps.entries()) {
        const after = keep(gpu.buffer(first.byteLength, STORAGE | COPY_SRC));
        this.#record(direction, encoder, step, buffers, { before, after, parts, scratch: (scratch[i] ?? 0) / 4, keep });
        before = after;
      }
      readback = keep(gpu.buffer(first.byteLength, MAP_READ | COPY_DST));
      encoder.copyBufferToBuffer(before, 0, readback, 0, first.byteLength);
      if (queue === undefined) gpu.webgpu.queue.submit([encoder.finish()]);
    } catch (error) {
      scopes().catch(() => undefined);
      for (const buffer of made) buffer.destroy();
      throw error;
    }
    const errors = scopes();
    errors.catch(() => undefined);

    const collect = async (): Promise<GpuAnswers> => {
      try {
        const [memory, wrong] = await errors.catch((cause) => {
          throw noGpu(`the GPU was lost (${gpu.gone ?? messageOf(cause)})`, cause);
        });
        if (memory !== null)
          throw new H5zError('H5Z_E_MEMORY', `${gpu.device.name} has no memory for the batch (${memory.message})`);
        if (wrong !== null) throw new H5zError('H5Z_E_INTERNAL', `WebGPU refused the batch (${wrong.message})`);
        try {
          await readback.mapAsync(MAP_MODE_READ);
        } catch (cause) {
          throw noGpu(`the GPU was lost (${gpu.gone ?? messageOf(cause)})`, cause);
        }
        const found = new Int32Array(readback.getMappedRange().slice(0));
        return answersOf(direction, chunks, (i) => ({
          size: (found[2 * i] ?? 0) >>> 0,
          status: found[2 * i + 1] ?? 0,
        }));
      } finally {
        for (const buffer of made) buffer.destroy();
      }
    };
    let answers: Promise<GpuAnswers> | undefined;
    return {
      answers: () => {
        answers ??= collect();
        return answers;
      },
    };
  }

  #record(
    direction: Direction,
    encoder: GPUCommandEncoder,
    step: PlanStep,
    buffers: Partial<Record<PlanMemory, Window>>,
    batch: {
      before: GPUBuffer;
      after: GPUBuffer;
      parts: number;
      /** Words. */
      scratch: number;
      keep: (buffer: GPUBuffer) => GPUBuffer;
    },
  ): void {
    const { before, after, parts, scratch, keep } = batch;
    const gpu = this.#gpu;
    const [from, to] = [buffers[step.from] as Window, buffers[step.to] as Window];
    const n = step.src.length;
    const table = new Uint32Array(4 * n);
    for (let i = 0; i < n; i++) {
      table[4 * i] = Math.max(0, (step.src[i] ?? 0) - from.offset);
      table[4 * i + 1] = Math.max(0, (step.dst[i] ?? 0) - to.offset);
      table[4 * i + 2] = step.room[i] ?? 0;
      table[4 * i + 3] = step.skip[i] ?? 0;
    }
    const numbers = [from.size, to.size, scratch, n, parts, step.stage?.cdValues.length ?? 0, 0, 0];
    const whole = (buffer: GPUBuffer): Window => ({ buffer, offset: 0, size: buffer.size });
    const resources: Window[] = [
      whole(keep(gpu.buffer(0, UNIFORM, Uint32Array.from(numbers)))),
      from,
      to,
      whole(keep(gpu.buffer(0, STORAGE, table))),
      whole(before),
      whole(after),
      whole(keep(gpu.buffer(scratch * 4, STORAGE))),
      whole(this.#cd.get(step.stage) as GPUBuffer),
    ];
    const group = gpu.webgpu.createBindGroup({
      layout: gpu.layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
    const groups = n * parts;
    const x = Math.min(groups, gpu.webgpu.limits.maxComputeWorkgroupsPerDimension);
    const pass = encoder.beginComputePass();
    pass.setBindGroup(0, group);
    const compiled = this.#compiled.get(step.stage);
    for (const pipeline of compiled?.[direction] ?? []) {
      pass.setPipeline(pipeline);
      pass.dispatchWorkgroups(x, Math.ceil(groups / x));
    }
    pass.end();
  }
}

/** Bytes of scratch that each chunk gets to be encoded in: room for the largest one, and for what is made of it. */
function ownScratch({ stage }: PlanStep, sizes: Float64Array): number {
  if (stage?.scratch.encode !== true) return 0;
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  return roundUp(stage.bound(largest), 4) + roundUp(largest, 4);
}

/** The parts of the batch's own buffers that its sound chunks lie in. */
function windowsOf(
  planned: Plan,
  n: number,
  { src, dst }: { src: GPUBuffer; dst: GPUBuffer },
): { src: Window; dst: Window } {
  const window = (buffer: GPUBuffer, at: (i: number) => number, bytes: (i: number) => number): Window => {
    let first = Number.POSITIVE_INFINITY;
    let end = 0;
    for (let i = 0; i < n; i++) {
      if (planned.status[i] !== 0) continue;
      first = Math.min(first, at(i));
      end = Math.max(end, at(i) + bytes(i));
    }
    const most = Math.floor(buffer.size / 4) * 4;
    const offset =
      end === 0 ? 0 : Math.min(Math.floor(first / BINDING) * BINDING, Math.floor((most - 4) / BINDING) * BINDING);
    return { buffer, offset, size: Math.max(4, Math.min(roundUp(end, 4), most) - offset) };
  };
  const head = planned.steps[0] as PlanStep;
  const last = planned.steps.at(-1) as PlanStep;
  return {
    src: window(
      src,
      (i) => head.src[i] ?? 0,
      (i) => planned.sizes[i] ?? 0,
    ),
    dst: window(
      dst,
      (i) => last.dst[i] ?? 0,
      (i) => last.room[i] ?? 0,
    ),
  };
}
