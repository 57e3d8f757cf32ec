// What GPUs there are, asked of both kinds: for programs that choose, and for people who want to know why none is used.

import { type CudaGpuOptions, findCuda } from './cuda.js';
import type { GpuFound } from './types.js';
import { findWebGpu, type WebGpuOptions } from './webgpu.js';

export interface DetectOptions {
  readonly cuda?: CudaGpuOptions;
  readonly webgpu?: WebGpuOptions;
}

/**
 * CUDA first, then WebGPU: each with its device, or with the reason why none can be used. Opens devices to see whether they
 * work, and gives them back. Never rejects.
 */
export function detectGpu(options: DetectOptions = {}): Promise<[cuda: GpuFound, webgpu: GpuFound]> {
  return Promise.all([findCuda(options.cuda), findWebGpu(options.webgpu)]);
}
