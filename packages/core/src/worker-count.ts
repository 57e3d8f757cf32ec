// How many workers decode WebAssembly batches. Apart from the pool, which loads only when there is something to do.

import { H5zError } from './errors.js';

const MAX_WORKERS = 256;

let wanted: number | undefined;

/** How many workers a batch of WebAssembly codecs may use. Default: as many as the machine has cores; 0: none. */
export function workers(): number {
  return wanted ?? Math.min(MAX_WORKERS, globalThis.navigator?.hardwareConcurrency ?? 2);
}

/** Changes it for batches to come, in this JavaScript thread. 0 keeps everything on it. Throws H5Z_PARAMETER. */
export function setWorkers(count: number): void {
  if (!Number.isSafeInteger(count) || count < 0 || count > MAX_WORKERS) {
    throw new H5zError('H5Z_PARAMETER', `setWorkers(${count})`, {
      remedy: `pass a whole number from 0 to ${MAX_WORKERS}`,
    });
  }
  wanted = count;
}
