// What a side module for h5wasm has inside it because h5wasm exports none of it: libc, longjmp, the C++ library and its
// exceptions. Emscripten's position-independent archives hold all that, made for a main module that shows the same symbols:
// every weak one is imported, exported and bound by name at run time, which h5wasm cannot serve. So each symbol that an
// archive defines is marked hidden, one bit of its flags in the object file, and the linker binds it inside the module.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './exec.ts';
import { kept } from './kept.ts';
import { FarmError } from './log.ts';
import { ensureEmscripten } from './tools.ts';

/** Their names differ between versions of Emscripten. They hold no malloc: that is h5wasm's. */
const ARCHIVES = [
  /^libc\+\+-(wasm)?except\.a$/,
  /^libc\+\+abi-(wasm)?except\.a$/,
  /^libunwind-(wasm)?except\.a$/,
  /^libc\.a$/,
  /^libcompiler_rt(-wasm-sjlj)\.a$/,
];

const HIDDEN = 0x04;
const LOCAL = 0x02;
const UNDEFINED = 0x10;
const EXPLICIT_NAME = 0x40;
const SYMBOL_TABLE = 8;
const DATA = 1;
const SECTION = 3;

/** Marks what the WebAssembly object in `bytes` defines as hidden, in place (tool-conventions, "Object file linking"). */
function hideSymbols(bytes: Uint8Array): void {
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const skipText = (): void => {
    const length = number();
    at += length;
  };
  const symbol = (): void => {
    const kind = bytes[at++] as number;
    const place = at;
    const flags = number();
    if (!(flags & (UNDEFINED | LOCAL)) && kind !== SECTION) bytes[place] = (bytes[place] as number) | HIDDEN;
    if (kind === DATA) {
      skipText();
      if (!(flags & UNDEFINED)) for (let i = 0; i < 3; i++) number(); // segment, offset, size
    } else {
      number(); // index
      if (kind !== SECTION && (!(flags & UNDEFINED) || flags & EXPLICIT_NAME)) skipText();
    }
  };
  while (at < bytes.length) {
    const section = bytes[at++];
    const end = number() + at;
    if (section === 0) {
      const length = number();
      const name = Buffer.from(bytes.subarray(at, at + length)).toString();
      at += length;
      if (name === 'linking') {
        number(); // version
        while (at < end) {
          const type = bytes[at++];
          const next = number() + at;
          if (type === SYMBOL_TABLE) for (let left = number(); left > 0; left--) symbol();
          at = next;
        }
      }
    }
    at = end;
  }
}

/** The same for every member of an `ar` archive: | 60 bytes of header, the size as text from 48 | content | even |. */
export function hideArchive(archive: Uint8Array): void {
  const text = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  if (text.toString('latin1', 0, 8) !== '!<arch>\n') throw new FarmError('this is not an ar archive');
  for (let at = 8; at + 60 <= archive.length; ) {
    const size = Number(text.toString('latin1', at + 48, at + 58));
    const content = archive.subarray(at + 60, at + 60 + size);
    if (text.toString('latin1', at + 60, at + 64) === '\0asm') hideSymbols(content);
    at += 60 + size + (size % 2);
  }
}

/** A folder with the archives that side modules are linked with, made once for this machine. */
export async function ensureSideRuntime(): Promise<string> {
  const { bin, version } = await ensureEmscripten();
  const search = (await run(join(bin, 'emcc'), ['-v', '-E', '-x', 'c', '/dev/null'])).stderr;
  const folder = join(/--sysroot=(\S+)/.exec(search)?.[1] ?? '', 'lib/wasm32-emscripten/pic');
  const names = await readdir(folder).catch(() => []);
  const outputs = ARCHIVES.map((pattern) => {
    const name = names.find((candidate) => pattern.test(candidate));
    if (name !== undefined) return name;
    const command =
      'embuilder build libc libc++-except libc++abi-except libunwind-except libcompiler_rt-wasm-sjlj --pic';
    throw new FarmError(`Emscripten ${version} has no ${pattern.source} in ${folder}. Run: ${command}`);
  });
  return kept(
    { name: 'side-runtime', inputs: ['packages/farm/src/side-runtime.ts'], compiler: `emscripten ${version}`, outputs },
    async (work) => {
      await mkdir(work, { recursive: true });
      for (const name of outputs) {
        const archive = await readFile(join(folder, name));
        hideArchive(archive);
        await writeFile(join(work, name), archive);
      }
      return work;
    },
  );
}
