// @h5z/gpu: HDF5 chunks decoded and encoded on the GPU, in batches, from device memory to device memory.

export { type CudaGpuOptions, findCuda, openCuda } from './cuda.js';
export { type OnDevice, type ToDeviceOptions, toDevice } from './dataset.js';
export { createDecoder, type DecoderOptions, type DecodeToOptions, type DeviceDecoder } from './decoder.js';
export { type DetectOptions, detectGpu } from './detect.js';
export { createEncoder, type DeviceEncoder, type EncoderOptions } from './encoder.js';
export { type Block, type BlockIndex, type BlockIndexOptions, blockIndex } from './formats.js';
export { type KernelNeeds, kernelNeeds } from './needs.js';
export type * from './types.js';
export { findWebGpu, openWebGpu, type WebGpuInUse, type WebGpuOptions } from './webgpu.js';
