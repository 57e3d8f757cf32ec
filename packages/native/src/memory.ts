// Memory for the arrays that batches make. New memory has to be found and cleared by the system before it can be written, which
// takes as long as decoding does; so that large arrays lie in memory of the addon, which keeps what was collected a while.

import { constants } from 'node:buffer';
import { totalmem } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { H5zError } from '@h5z/core';
import type { Addon } from './addon.js';
import { allocate } from './codec.js';

/** Smaller arrays are V8's: its allocator reuses memory of such sizes by itself. */
const LEAST_BYTES = 1024 * 1024;
/** What is kept unless somebody says otherwise: so much, and no more than this part of the memory there is. */
const KEPT_BYTES = 1024 ** 3;
const KEPT_PART = 1 / 8;

/** Node 22. */
const { transfer: move } = ArrayBuffer.prototype as { transfer?(this: ArrayBuffer): ArrayBuffer };

/** Memory of the addon that lies idle at most, in bytes. */
export function memoryKept(addon: Addon): number {
  const said = addon.keep(-1);
  if (said >= 0) return said;
  const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY; // 0 where there is none
  return addon.keep(Math.floor(Math.min(KEPT_BYTES, KEPT_PART * Math.min(totalmem(), limit))));
}

/** Changes it. Throws H5Z_PARAMETER for what is no count of bytes. */
export function keepMemory(addon: Addon, bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new H5zError('H5Z_PARAMETER', `setMaxMemoryKept(${bytes})`, {
      remedy: 'pass a whole number of bytes, 0 for none',
    });
  }
  addon.keep(bytes);
}

/** Lets the addon give large results in memory of its own, where {@link outputMemory} does. */
export function lendResults(addon: Addon): void {
  if (isMainThread && move !== undefined && memoryKept(addon) > 0) addon.lend();
}

/** The same bytes in a buffer that can be transferred. */
export function settled(result: Uint8Array): Uint8Array {
  const { buffer } = result;
  if (result.length < LEAST_BYTES || move === undefined || !(buffer instanceof ArrayBuffer)) return result;
  return new Uint8Array(move.call(buffer));
}

/**
 * `bytes` of memory for an array that threads write to before anybody else gets it; undefined where V8's own serves as well.
 * Zeros, unless `covered` says that every byte will be written. The addon's memory is used
 * - on the main thread alone, which ends last: what a worker made may have been transferred away when the worker ends;
 * - where an ArrayBuffer can be moved: Node does not let memory of addons be transferred, but what was moved is like any other.
 * Throws H5Z_E_MEMORY.
 */
export function outputMemory(addon: Addon, bytes: number, covered: boolean): Uint8Array | undefined {
  if (bytes >= LEAST_BYTES && bytes <= constants.MAX_LENGTH && isMainThread && move !== undefined) {
    const made = memoryKept(addon) > 0 ? addon.allocate(bytes, !covered) : undefined;
    if (made !== undefined) return settled(made);
  }
  return covered ? allocate(bytes, 'decode') : undefined;
}
