// @h5z/core/node: the parts that need a file system and native libraries. Filter packages use it under the conditions
// node and node-addons; browsers never see it.

import { readFile as read } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { H5zError, isH5zError } from './errors.js';
import type { NativeHost } from './filter.js';
import type { NativeFile } from './generated/schema.js';
import { checkSha256 } from './integrity.js';
import type { Codec, Platform } from './types.js';

/** What @h5z/native exports. */
export interface NativeModule {
  loadNative(path: string, options?: { integrity?: string }): Codec;
}

/** Reads a file: URL. Throws H5Z_WASM_LOAD with the cause when the file cannot be read. */
export async function readFile(url: URL): Promise<Uint8Array> {
  try {
    return await read(url);
  } catch (cause) {
    throw new H5zError('H5Z_WASM_LOAD', `${fileURLToPath(url)} could not be read (${messageOf(cause)})`, {
      cause,
      remedy: 'reinstall the package',
    });
  }
}

/** Loads native libraries through @h5z/native, which `importNative` imports: the importing package must resolve it. */
export function nativeHost(importNative: () => Promise<NativeModule>): NativeHost {
  return {
    platform: currentPlatform,
    async load(url: URL, file: NativeFile): Promise<Codec | undefined> {
      const native = await importOptional(importNative);
      if (native === undefined) return undefined;
      const path = fileURLToPath(url);
      const failed = (cause: unknown) =>
        new H5zError('H5Z_NATIVE_LOAD', `the native library ${path} could not be loaded (${messageOf(cause)})`, {
          cause,
        });
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = await read(path);
      } catch (cause) {
        throw failed(cause);
      }
      await checkSha256(bytes, file.sha256, path);
      try {
        return native.loadNative(path);
      } catch (cause) {
        throw isH5zError(cause) ? cause : failed(cause);
      }
    },
  };
}

async function importOptional(importNative: () => Promise<NativeModule>): Promise<NativeModule | undefined> {
  try {
    return await importNative();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ERR_MODULE_NOT_FOUND' && messageOf(cause).includes('@h5z/native')) return undefined;
    throw new H5zError('H5Z_NATIVE_LOAD', `@h5z/native could not be loaded (${messageOf(cause)})`, {
      cause,
      remedy: 'reinstall @h5z/native, or set H5Z_PREFER=wasm',
    });
  }
}

let platform: string | undefined;

/** This process's platform: one of {@link Platform}, or another `os-cpu` for which there are no prebuilt libraries. */
export function currentPlatform(): Platform | (string & {}) {
  platform ??= `${process.platform}-${process.arch}${process.platform === 'linux' && isMusl() ? '-musl' : ''}`;
  return platform;
}

/** Node's diagnostic report names the glibc it runs on; on musl it names none. */
function isMusl(): boolean {
  const report = process.report?.getReport() as unknown as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report !== undefined && report.header?.glibcVersionRuntime === undefined;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
