// What a bundler for browsers gets instead of cuda.ts: there is no CUDA.

import { H5zError } from '@h5z/core';

function none(): never {
  throw new H5zError('H5Z_NO_GPU', 'browsers have no CUDA', { remedy: 'use WebGPU' });
}

/** Always throws H5Z_NO_GPU. */
export function findCuda(): never {
  none();
}

/** Always throws H5Z_NO_GPU. */
export function openCuda(): never {
  none();
}
