// What the compilers themselves put into what they build: their C and C++ runtimes. They are other people's code inside a
// package like any upstream, so the bill of materials lists them and the licence texts travel along.

import { existsSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FarmError } from './log.ts';
import { ensureEmscripten, ensureZig } from './tools.ts';

export interface Runtime {
  readonly name: string;
  /** Of the toolchain that brings it. */
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** Which of a package's files hold it. */
  readonly inside: string;
  /** Its text, where the licence asks that binaries carry it. */
  readonly text?: string;
}

const LLVM = 'Apache-2.0 WITH LLVM-exception'; // the exception frees compiled code from carrying the text

/** The runtimes inside the built files of `folder` (prebuilds/ by zig, wasm/ by Emscripten); `cxx`: C++ took part. */
export async function runtimesOf(folder: string, cxx: boolean): Promise<Runtime[]> {
  const runtimes: Runtime[] = [];
  if (existsSync(join(folder, 'prebuilds'))) {
    const { version, folder: zig } = await ensureZig();
    const text = (path: string): string => join(zig, 'ziglang', path);
    const inside = 'prebuilds/';
    runtimes.push({ name: 'zig-compiler-rt', version, licence: 'MIT', inside, text: text('LICENSE') });
    if (existsSync(join(folder, 'prebuilds/win32-x64')) || existsSync(join(folder, 'prebuilds/win32-arm64'))) {
      const windows = 'prebuilds/win32-*';
      const licence = 'ZPL-2.1 AND LicenseRef-public-domain';
      runtimes.push({ name: 'zig-mingw-w64', version, licence, inside: windows, text: text('lib/libc/mingw/COPYING') });
    }
    if (cxx) runtimes.push({ name: 'zig-libcxx', version, licence: LLVM, inside });
  }
  if (existsSync(join(folder, 'wasm'))) {
    const { version, bin } = await ensureEmscripten();
    const inside = 'wasm/';
    runtimes.push({ name: 'emscripten-compiler-rt', version, licence: LLVM, inside });
    runtimes.push({ name: 'emscripten-musl', version, licence: 'MIT', inside, text: await muslText(bin) });
    if (cxx) runtimes.push({ name: 'emscripten-libcxx', version, licence: LLVM, inside });
  }
  return runtimes;
}

/** musl's licence in the Emscripten whose programs lie in `bin`. */
async function muslText(bin: string): Promise<string> {
  const roots = [join(bin, '../usr/share/emscripten'), bin, dirname(await realpath(join(bin, 'emcc')))];
  const found = roots.map((root) => join(root, 'system/lib/libc/musl/COPYRIGHT')).find((file) => existsSync(file));
  if (found === undefined)
    throw new FarmError(
      `Emscripten in ${bin} has no system/lib/libc/musl/COPYRIGHT, whose text packages must carry. Install a whole Emscripten.`,
    );
  return found;
}

/** Whether a CMakeLists.txt names C++ sources. */
export async function namesCxx(file: string): Promise<boolean> {
  return /\.(cc|cpp|cxx)\b/.test(await readFile(file, 'utf8').catch(() => ''));
}
