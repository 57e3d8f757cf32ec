// What the WebGPU tests run on a device, in a page and in Node alike: launches in, statuses and hashes out. It knows nothing of what
// is right; the tests do. Bundled by esbuild, so that both run the same code.

import { type Gpu, type GpuStage, openWebGpu } from '../dist/index.js';

/** A chunk of a launch: bytes in base64, as large as `room` when decoded. */
export interface SuiteChunk {
  readonly data: string;
  readonly room: number;
  readonly filterMask?: number;
  /** 1: src lies outside, 2: dst lies outside, 3: dst is not aligned. */
  readonly fault?: number;
}

export interface SuiteStage {
  readonly id: number;
  readonly name: string;
  readonly cdValues: readonly number[];
  readonly scratch: GpuStage['scratch'];
  /** Most bytes that it makes of any chunk of the launch. Default: twice as many, and 64. */
  readonly bound?: number;
}

export interface SuiteLaunch {
  readonly direction: 'decode' | 'encode';
  readonly stages: readonly SuiteStage[];
  readonly chunks: readonly SuiteChunk[];
  readonly shape: { readonly lanes?: number; readonly parts?: number };
}

export interface SuiteJob {
  /** WGSL by canonical name. */
  readonly kernels: Readonly<Record<string, string>>;
  readonly launches: readonly SuiteLaunch[];
}

export interface SuiteAnswer {
  readonly status: number;
  readonly size: number;
  /** Of the chunk's bytes. */
  readonly sha256: string;
  /** The bytes, in base64, where the launch encodes. */
  readonly data?: string;
}

export interface SuiteResult {
  readonly device: string;
  readonly software: boolean;
  readonly answers: readonly (readonly SuiteAnswer[])[];
  /** Launches that wrote where no chunk has room. */
  readonly strayed: readonly number[];
  /** What is said of calls beyond a buffer's end, and of a pipeline after it was closed, each once. */
  readonly refused: readonly string[];
}

/** In the gaps between chunks, to be found there afterwards. */
const GUARD = 0xa5;

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const base64Of = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const up = (n: number, to: number): number => Math.ceil(n / to) * to;

/** Runs all launches on one device; `implementation` is navigator.gpu or Dawn's. */
export async function runSuite(implementation: GPU, job: SuiteJob): Promise<SuiteResult> {
  const shapes = new Map<string, Gpu<'webgpu'>>();
  const strayed: number[] = [];
  const refused = new Set<string>();
  const answers: SuiteAnswer[][] = [];
  let device = '';
  let software = false;
  for (const [number, launch] of job.launches.entries()) {
    const key = JSON.stringify(launch.shape);
    const gpu = shapes.get(key) ?? (await openWebGpu({ gpu: implementation, software: true, shape: launch.shape }));
    shapes.set(key, gpu);
    ({ name: device, software } = gpu.device);

    // Chunks at odd addresses in src, and with a gap behind each in dst.
    const data = launch.chunks.map((chunk) => bytesOf(chunk.data));
    let [srcEnd, dstEnd] = [3, 8];
    const places = launch.chunks.map(({ room, fault, filterMask = 0 }, i) => {
      const size = data[i]?.length ?? 0;
      const place = { srcOffset: srcEnd, srcSize: size, dstOffset: dstEnd, dstSize: room, filterMask };
      srcEnd += size + 1 + (i % 3);
      dstEnd = up(dstEnd + room, 4) + 8;
      return { place, fault };
    });
    const chunks = places.map(({ place, fault }) => ({
      ...place,
      ...(fault === 1 ? { srcOffset: up(srcEnd, 4) - 1, srcSize: 5 } : {}),
      ...(fault === 2 ? { dstOffset: dstEnd } : {}),
      ...(fault === 3 ? { dstOffset: place.dstOffset + 2 } : {}),
    }));
    const src = await gpu.allocate(up(srcEnd, 4));
    const dst = await gpu.allocate(dstEnd);
    const stored = await gpu.staging(up(srcEnd, 4));
    places.forEach(({ place }, i) => {
      stored.bytes.set(data[i] ?? new Uint8Array(0), place.srcOffset);
    });
    stored.send(src, 0, srcEnd);
    const guard = await gpu.staging(dstEnd);
    guard.bytes.fill(GUARD);
    guard.send(dst, 0, dstEnd);

    const stages = launch.stages.map(
      (stage): GpuStage => ({
        ...stage,
        lanes: 1,
        kernels: job.kernels[stage.name] ?? '',
        bound: (size) => stage.bound ?? 2 * size + 64,
      }),
    );
    const pipeline = await gpu.prepare(stages, launch.direction);
    const { status, sizes } = await pipeline[launch.direction]({ src, dst, chunks }).answers();
    const out = await gpu.read(dst);
    answers.push(
      await Promise.all(
        places.map(async ({ place }, i) => {
          const bytes = out.slice(place.dstOffset, place.dstOffset + (sizes[i] ?? 0));
          const digest = await sha256(bytes);
          const answer = { status: status[i] ?? 1, size: sizes[i] ?? -1, sha256: digest };
          return launch.direction === 'encode' ? { ...answer, data: base64Of(bytes) } : answer;
        }),
      ),
    );
    for (const { place } of places) out.fill(GUARD, place.dstOffset, up(place.dstOffset + place.dstSize, 4));
    if (out.some((byte) => byte !== GUARD)) strayed.push(number);
    pipeline.close();
    const spare = await gpu.staging(16);
    for (const call of [
      () => gpu.read(dst, dst.size - 4, 8),
      () => gpu.read(dst, -8),
      () => spare.send(dst, dst.size - 4, 5),
      () => spare.send(dst, 2, 4),
      () => pipeline[launch.direction]({ src, dst, chunks }),
    ])
      try {
        await call();
        refused.add(`${call} went well`);
      } catch (error) {
        refused.add(String(error).replace(/\d+ bytes.*;/, '...;'));
      }
    spare.send(dst, 0, 4);
    gpu.free(src);
    gpu.free(dst);
  }
  for (const gpu of shapes.values()) gpu.close();
  return { device, software, answers, strayed, refused: [...refused] };
}
