// What the native libraries of every cross-built platform show to the outside, read from the files: three symbols, no
// libraries but the system's own, and for glibc nothing newer than 2.17.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readElf } from '../../../tests/plugin/elf.ts';
import { readFilters } from '../src/filters.ts';
import { CROSS, libraryName } from '../src/targets.ts';

const EXPORTS = ['H5PLget_plugin_info', 'H5PLget_plugin_type', 'h5z_filter_v1'];

interface Library {
  readonly exported: readonly string[];
  readonly needed: readonly string[];
  readonly machine: number;
}

const cString = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, bytes.indexOf(0, at));

/** Names in a Mach-O export trie: | ULEB size of the terminal | ... | u8 children | (label NUL, ULEB offset) ... | */
function exportTrie(trie: Buffer): string[] {
  const names: string[] = [];
  const walk = (node: number, name: string): void => {
    let at = node;
    const uleb = (): number => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = trie[at++] as number;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
    };
    const terminal = uleb();
    if (terminal > 0) names.push(name.replace(/^_/, ''));
    at += terminal;
    for (let children = trie[at++] as number; children > 0; children--) {
      const label = cString(trie, at);
      at += label.length + 1;
      walk(uleb(), name + label);
    }
  };
  if (trie.length > 0) walk(0, '');
  return names;
}

/** A 64-bit Mach-O dylib: what dyld can find in it, and the libraries it loads. */
function readMachO(path: string): Library {
  const bytes = readFileSync(path);
  expect(bytes.readUInt32LE(0)).toBe(0xfeedfacf);
  const exported: string[] = [];
  const needed: string[] = [];
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const command = bytes.readUInt32LE(at);
    const part = (offset: number): Buffer => {
      const start = bytes.readUInt32LE(at + offset);
      return bytes.subarray(start, start + bytes.readUInt32LE(at + offset + 4));
    };
    if (command === 0x80000022 /* LC_DYLD_INFO_ONLY */) exported.push(...exportTrie(part(40)));
    else if (command === 0x80000033 /* LC_DYLD_EXPORTS_TRIE */) exported.push(...exportTrie(part(8)));
    else if (command === 12 /* LC_LOAD_DYLIB */) needed.push(cString(bytes, at + bytes.readUInt32LE(at + 8)));
    at += bytes.readUInt32LE(at + 4);
  }
  // zig's linker lists these two of its own in every dylib; with two-level namespaces nobody meets them.
  const own = exported.filter((name) => !['__dso_handle', '_mh_dylib_header'].includes(name));
  return { exported: own.sort(), needed, machine: bytes.readUInt32LE(4) };
}

/** A PE32+ DLL: names of its export directory, and of the DLLs in its import directory. */
function readPe(path: string): Library {
  const bytes = readFileSync(path);
  const pe = bytes.readUInt32LE(0x3c);
  expect(bytes.toString('latin1', pe, pe + 4)).toBe('PE\0\0');
  const optional = pe + 24;
  expect(bytes.readUInt16LE(optional)).toBe(0x20b);
  const sections = Array.from({ length: bytes.readUInt16LE(pe + 6) }, (_, i) => {
    const at = optional + bytes.readUInt16LE(pe + 20) + 40 * i;
    return {
      size: bytes.readUInt32LE(at + 8),
      address: bytes.readUInt32LE(at + 12),
      file: bytes.readUInt32LE(at + 20),
    };
  });
  const offset = (address: number): number => {
    const section = sections.find((one) => address >= one.address && address < one.address + one.size);
    if (section === undefined) throw new Error(`${path}: address ${address} lies in no section`);
    return address - section.address + section.file;
  };
  const directory = offset(bytes.readUInt32LE(optional + 112));
  const names = offset(bytes.readUInt32LE(directory + 32));
  const exported = Array.from({ length: bytes.readUInt32LE(directory + 24) }, (_, i) =>
    cString(bytes, offset(bytes.readUInt32LE(names + 4 * i))),
  );
  const needed: string[] = [];
  for (let at = offset(bytes.readUInt32LE(optional + 120)); bytes.readUInt32LE(at + 12) !== 0; at += 20)
    needed.push(cString(bytes, offset(bytes.readUInt32LE(at + 12))));
  return { exported: exported.sort(), needed, machine: bytes.readUInt16LE(pe + 4) };
}

const readLinux = (path: string): Library => ({ ...readElf(path), machine: readFileSync(path).readUInt16LE(18) });

const KINDS: Readonly<Record<string, { read: (path: string) => Library; system: RegExp }>> = {
  linux: { read: readLinux, system: /^(libc|libm|libdl|libpthread)\.so\.\d+$|^ld-linux-[\w-]+\.so\.\d$/ },
  darwin: { read: readMachO, system: /^\/usr\/lib\/libSystem\.B\.dylib$/ },
  win32: { read: readPe, system: /^(kernel32|ntdll|api-ms-win-crt-[\w-]+|ucrtbase|psapi)\.dll$/i },
};

/** Processors as the three formats number them. */
const MACHINES: Readonly<Record<string, readonly number[]>> = {
  x64: [62, 0x01000007, 0x8664],
  arm64: [183, 0x0100000c, 0xaa64],
};

describe.each((await readFilters()).filter(({ description }) => description.variants.native))('$name', ({
  name,
  dir,
}) => {
  test.each(CROSS)('%s', (platform) => {
    const path = join(dir, 'prebuilds', platform, libraryName(name, platform));
    expect(existsSync(path), `${path} is missing: run ./farm build --targets all`).toBe(true);
    const [system, processor] = platform.split('-') as [string, string];
    const kind = KINDS[system] as (typeof KINDS)[string];
    const { exported, needed, machine } = kind.read(path);
    expect(exported).toEqual(EXPORTS);
    expect(needed.filter((library) => !kind.system.test(library))).toEqual([]);
    expect(MACHINES[processor]).toContain(machine);
    const text = readFileSync(path, 'latin1');
    const glibc = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
    expect(glibc.filter((minor) => minor > 17)).toEqual([]);
    // Reproducible: the file knows nothing of this machine's folders.
    for (const folder of [dir, process.env.HOME ?? '/root']) expect(text.includes(`${folder}/`), folder).toBe(false);
  });
});
