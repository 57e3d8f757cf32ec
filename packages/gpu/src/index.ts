// @h5z/gpu: HDF5 chunks decoded on the GPU, in batches, from device memory to device memory.

export type * from './types.js';
