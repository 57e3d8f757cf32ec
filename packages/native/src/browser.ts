// What a bundler for browsers gets instead of the addon: the same export, which says that there is nothing native here.

import { type Codec, H5zError } from '@h5z/core';

/** Always throws H5Z_NO_PLATFORM: browsers decode with the WebAssembly variant. */
export function loadNative(path: string): Codec {
  throw new H5zError('H5Z_NO_PLATFORM', `native libraries such as ${path} do not load in a browser`, {
    remedy: 'use the WebAssembly variant',
  });
}

/** See index.ts. */
export const DEFAULT_SIZE_LIMIT = 2 ** 32 - 1;

/** See index.ts: there are none here. */
export function threads(): number {
  return 0;
}

/** See index.ts: changes nothing here. */
export function setThreads(_count: number): void {}

/** See index.ts: none here. */
export function maxMemoryKept(): number {
  return 0;
}

/** See index.ts: changes nothing here. */
export function setMaxMemoryKept(_bytes: number): void {}
