// What device.test.ts runs with Dawn: files to device memory and back, and everything that can go wrong with a device.

import { createHash } from 'node:crypto';
import { builtRegistry } from '../../../tests/corpus/corpus.ts';
import { type Dataset, open } from '../../chunks/dist/index.js';
import { isH5zError } from '../../core/dist/index.js';
import {
  createDecoder,
  createEncoder,
  type DeviceChunk,
  findWebGpu,
  type GpuChunk,
  openWebGpu,
  toDevice,
  type WebGpuInUse,
} from '../dist/index.js';

export interface DeviceFile {
  readonly path: string;
  readonly rows?: readonly [number, number];
  readonly batchBytes?: number;
}

export interface DeviceResult {
  readonly path: string;
  readonly reason?: string;
  readonly stride: number;
  readonly chunk: readonly number[];
  readonly chunks: readonly (DeviceChunk & { readonly place: readonly number[]; readonly sha256: string })[];
  /** Of all the memory. */
  readonly sha256: string;
  /** Chunks that were in their places after each batch. */
  readonly batches: readonly number[];
}

export interface DeviceReport {
  readonly files: readonly DeviceResult[];
  /** Of the sum of both frames' first 16 bytes' words, by a kernel in the same encoder as the decoding. */
  readonly doubled: {
    readonly words: readonly number[];
    readonly expected: readonly number[];
    readonly status: number[];
  };
  /** What a kernel of one's own made of both frames, encoded by the same encoder, decoded by the codecs. */
  readonly encoded: {
    readonly status: readonly number[];
    readonly sizes: readonly number[];
    readonly room: number;
    readonly sha256: string;
    readonly expected: string;
  };
  /** A chunk of bitshuffle with Zstandard whose blocks are not those of the cd_values: who decoded it, and to what. */
  readonly otherBlocks: { readonly path: string; readonly sha256: string };
  /** Codes and sentences of what went wrong, by what was tried. */
  readonly wrong: Readonly<Record<string, string>>;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function failure(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return isH5zError(error) ? `${error.code}: ${error.message}` : `not ours: ${error}`;
  }
  return 'nothing went wrong';
}

/** Both frames of `frames`, exclusive or, are a third one, which never is on the host before it is encoded. */
async function encode(
  gpu: WebGpuInUse,
  dataset: Dataset,
  registry: Awaited<ReturnType<typeof builtRegistry>>,
  frames: GPUBuffer,
  stride: number,
): Promise<DeviceReport['encoded']> {
  const size = dataset.chunkBytes;
  const encoder = await createEncoder(gpu, { registry, stages: dataset.info.filters, size });
  const made = await gpu.allocate(size);
  const stored = await gpu.allocate(2 * encoder.stride);
  const module = gpu.webgpu.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read> frames: array<u32>;
      @group(0) @binding(1) var<storage, read_write> made: array<u32>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) at: vec3<u32>) {
        if (at.x < ${size / 4}u) { made[at.x] = frames[at.x] ^ frames[at.x + ${stride / 4}u]; }
      }`,
  });
  const pipeline = gpu.webgpu.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const queue = gpu.webgpu.createCommandEncoder();
  const pass = queue.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [frames, made].map((buffer, binding) => ({ binding, resource: { buffer } }));
  pass.setBindGroup(0, gpu.webgpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(Math.ceil(size / 256));
  pass.end();
  const chunk = { srcOffset: 0, srcSize: size, dstOffset: 0, dstSize: encoder.room };
  const cramped = { ...chunk, dstOffset: encoder.stride, dstSize: 500 };
  const work = encoder.pipeline.encode({ src: made, dst: stored, chunks: [chunk, cramped], queue });
  gpu.webgpu.queue.submit([queue.finish()]);
  const { status, sizes } = await work.answers();
  const bytes = await gpu.read(stored, 0, sizes[0]);
  const decoded = (await registry.pipeline(dataset.info.filters)).decode(bytes, { size });
  const both = await gpu.read(frames);
  const expected = both.subarray(0, size).map((byte, i) => byte ^ (both[i + stride] ?? 0));
  encoder.close();
  const room = encoder.room;
  return { status: [...status], sizes: [...sizes], room, sha256: sha256(decoded), expected: sha256(expected) };
}

export async function main(implementation: GPU, input: { files: DeviceFile[]; mixed: string }): Promise<DeviceReport> {
  const registry = await builtRegistry();
  const gpu = await openWebGpu({ gpu: implementation, software: true });
  const files: DeviceResult[] = [];
  for (const { path, rows, batchBytes } of input.files) {
    const file = await open(path);
    const batches: number[] = [];
    const found = await toDevice(gpu, file.dataset('/data'), {
      registry,
      ...(rows === undefined ? {} : { rows }),
      ...(batchBytes === undefined ? {} : { batchBytes }),
      onBatch: (done) => batches.push(done),
    });
    const bytes = await gpu.read(found.memory);
    files.push({
      path: found.path,
      ...(found.reason === undefined ? {} : { reason: found.reason }),
      stride: found.stride,
      chunk: found.chunk,
      chunks: found.chunks.map((one) => ({
        ...one,
        sha256: sha256(bytes.subarray(one.offset, one.offset + one.size)),
      })),
      sha256: sha256(bytes),
      batches,
    });
    gpu.free(found.memory);
    file.close();
  }

  // Decoding and a kernel of one's own in one encoder: nothing is waited for in between.
  const file = await open(input.files[0]?.path as string);
  const dataset = file.dataset('/data');
  const decoder = await createDecoder(gpu, { registry, stages: dataset.info.filters, size: dataset.chunkBytes });
  const list = await dataset.loadChunks();
  const stored = [0, 1].map((i) => dataset.readChunk(list.at(i) as NonNullable<ReturnType<typeof list.at>>));
  const src = await gpu.allocate(stored.reduce((all, { length }) => all + length + 4, 0));
  const dst = await gpu.allocate(2 * decoder.stride);
  const out = await gpu.allocate(16);
  let at = 0;
  const chunks: GpuChunk[] = [];
  for (const [i, data] of stored.entries()) {
    const staging = await gpu.staging(data.length);
    staging.bytes.set(data);
    staging.send(src, at, data.length);
    chunks.push({ srcOffset: at, srcSize: data.length, dstOffset: i * decoder.stride, dstSize: dataset.chunkBytes });
    at += Math.ceil(data.length / 4) * 4;
  }
  const module = gpu.webgpu.createShaderModule({
    code: `@group(0) @binding(0) var<storage, read> frames: array<u32>;
      @group(0) @binding(1) var<storage, read_write> sum: array<u32>;
      @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) {
        sum[i] = frames[i] + frames[i + ${decoder.stride / 4}u];
      }`,
  });
  const pipeline = gpu.webgpu.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const encoder = gpu.webgpu.createCommandEncoder();
  const work = decoder.pipeline?.decode({ src, dst, chunks, queue: encoder });
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    gpu.webgpu.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [dst, out].map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  gpu.webgpu.queue.submit([encoder.finish()]);
  const status = [...((await work?.answers())?.status ?? [])];
  const words = [...new Uint32Array((await gpu.read(out)).buffer)];
  const decoded = new Uint32Array((await gpu.read(dst)).buffer);
  const expected = [0, 1, 2, 3].map((i) => ((decoded[i] ?? 0) + (decoded[i + decoder.stride / 4] ?? 0)) >>> 0);

  const encoded = await encode(gpu, dataset, registry, dst, decoder.stride);

  const mixed = await open(input.mixed);
  const frames = mixed.dataset('/data');
  const first = (await frames.loadChunks()).at(0) as NonNullable<ReturnType<typeof list.at>>;
  const others = await createDecoder(gpu, {
    registry,
    stages: [{ id: 32008, cdValues: [0, 4, 2, 64, 3] }],
    size: frames.chunkBytes,
  });
  const [other] = await others.decode([{ data: frames.readChunk(first) }], { into: dst });
  const otherBlocks = {
    path: `${others.path} ${other?.path}`,
    sha256: sha256(await gpu.read(dst, 0, frames.chunkBytes)),
  };
  others.close();
  mixed.close();

  const wrong: Record<string, string> = {};
  const nobody = { requestAdapter: async () => null } as unknown as GPU;
  wrong.noAdapter = await failure(() => openWebGpu({ gpu: nobody }));
  wrong.noEngine = (await findWebGpu()).reason ?? 'found';
  wrong.standIn = (await findWebGpu({ gpu: implementation })).reason ?? 'found';
  wrong.sameBuffer = await failure(() => decoder.pipeline?.decode({ src: dst, dst, chunks }));
  const uniform = gpu.webgpu.createBuffer({ size: 256, usage: 0x40 });
  wrong.noStorage = await failure(() => decoder.pipeline?.decode({ src: uniform, dst, chunks }));
  wrong.memory = await failure(() => gpu.allocate(2 ** 40));
  wrong.kernels = await failure(() =>
    gpu.prepare([
      {
        id: 1,
        name: 'x',
        cdValues: [],
        kernels: 'fn h5z_x_decode() { oops }',
        scratch: { decode: false, encode: false },
        lanes: 1,
        bound: (n) => n,
      },
    ]),
  );
  wrong.encoder = await failure(() =>
    createEncoder(gpu, { registry, stages: [{ id: 32015, cdValues: [3] }], size: dataset.chunkBytes }),
  );
  wrong.frames = await failure(() =>
    createEncoder(gpu, { registry, stages: [{ id: 32008, cdValues: [0, 4, 2, 0, 3] }], size: dataset.chunkBytes }),
  );
  wrong.start = await failure(() => decoder.decode([], { into: dst, start: 2 }));
  wrong.source = await failure(() =>
    decoder.decode(
      (function* () {
        yield { data: stored[0] as Uint8Array };
        throw new Error('the source is gone');
      })(),
      { into: dst },
    ),
  );
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  wrong.stopped = await failure(() =>
    decoder.decode([{ data: stored[0] as Uint8Array }], { into: dst, signal: stop.signal }),
  );
  wrong.decoderOnly = await failure(() => decoder.pipeline?.encode({ src, dst, chunks }));
  const all = stored.map((data) => ({ data }));
  gpu.webgpu.destroy();
  await gpu.lost;
  wrong.lost = await failure(() => decoder.decode(all, { into: dst }));
  wrong.lostRead = await failure(() => gpu.read(dst));
  gpu.close();
  file.close();
  return { files, doubled: { words, expected, status }, encoded, otherBlocks, wrong };
}
