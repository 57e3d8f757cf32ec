// @h5z/native: loads a native filter library, the same file that libhdf5 loads as a plugin, into Node.
//
//   const zstd = loadNative('node_modules/@h5z/zstd/prebuilds/linux-x64/libh5z_zstd.so')
//   zstd.decode(chunk, { size: 4096 })              // here and now
//   await zstd.decodeAsync(chunk, { size: 4096 })   // in another thread
//
// Filter packages do this by themselves: `(await import('@h5z/zstd')).default.load()`.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Codec, H5zError } from '@h5z/core';
import { addon } from './addon.js';
import { NativeCodec } from './codec.js';
import { hostOf, limitThreads } from './host.js';
import { keepMemory, memoryKept } from './memory.js';

export { DEFAULT_SIZE_LIMIT } from './codec.js';

export interface LoadNativeOptions {
  /**
   * SHA-256 of the file as 64 hexadecimal digits. The bytes are read and compared before anything of them runs. This
   * finds corruption and mixed versions; it is no protection from somebody who can write the file meanwhile.
   */
  readonly integrity?: string;
}

/**
 * Opens the filter library at `path` and returns its codec. Loading one file many times is cheap; libraries stay loaded.
 *
 * A codec may be used from the thread that loaded it; other worker threads load their own. Its `decode` without `size`
 * accepts what the chunk claims up to {@link DEFAULT_SIZE_LIMIT} bytes, and grows the output when the chunk does not say.
 * `decodeAsync` and `encodeAsync` copy their input before they return and work on the threads that `threads()` counts.
 *
 * Throws H5zError: `H5Z_NO_PLATFORM` (this package has no addon for the platform), `H5Z_INTEGRITY` (another hash),
 * `H5Z_NATIVE_LOAD` (not there, not loadable, no h5z filter, another ABI version).
 */
export function loadNative(path: string, options: LoadNativeOptions = {}): Codec {
  const native = addon();
  const file = resolve(path);
  if (options.integrity !== undefined) checkIntegrity(file, options.integrity);
  const library = native.load(file);
  if (typeof library === 'string') throw loadError(file, library);
  return new NativeCodec(native, library, file, hostOf(native));
}

/**
 * How many threads decode and encode (`decodeMany` and its siblings, `decodeAsync`): one set for the process, whichever worker
 * thread asks. Default: as many as there are physical cores that this process may use.
 */
export function threads(): number {
  const native = addon();
  limitThreads(native);
  return native.threads();
}

/** Changes it, from the next chunk on. 1 means 1. Throws H5Z_PARAMETER for what is no count of 1 to 1024. */
export function setThreads(count: number): void {
  if (!Number.isSafeInteger(count) || count < 1 || count > 1024) {
    throw new H5zError('H5Z_PARAMETER', `setThreads(${count})`, { remedy: 'pass a whole number from 1 to 1024' });
  }
  const native = addon();
  limitThreads(native);
  native.setThreads(count);
}

/**
 * The most bytes of large arrays that decoding made and nobody has any more which are kept for the next such arrays. Default:
 * 1 GiB, and at most an eighth of the memory that there is. What lies idle for 5 seconds goes back to the system.
 */
export function maxMemoryKept(): number {
  return memoryKept(addon());
}

/**
 * Changes it, for the process. 0: nothing is kept, and all arrays lie in the engine's own memory. Throws H5Z_PARAMETER for what
 * is no count of bytes.
 */
export function setMaxMemoryKept(bytes: number): void {
  keepMemory(addon(), bytes);
}

function checkIntegrity(file: string, expected: string): void {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw loadError(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== expected.toLowerCase()) {
    throw new H5zError('H5Z_INTEGRITY', `${file} has SHA-256 ${actual}, not ${expected}`, {
      remedy: 'reinstall the package',
      details: { file, actual, expected },
    });
  }
}

function loadError(file: string, reason: string, cause?: unknown): H5zError {
  return new H5zError('H5Z_NATIVE_LOAD', `the native library ${file} could not be loaded (${reason})`, {
    details: { file, reason },
    ...(cause === undefined ? {} : { cause }),
  });
}
