// Reads native libraries of the three formats as they lie on disk - ELF, Mach-O, PE - and says in words what is wrong with one:
// a symbol too many, a system newer than the floor, a signature that macOS would refuse. For eight platforms from one machine
// this is what can be known of a file without running it. Packages, tests and ./farm verify ask here.

import { createHash } from 'node:crypto';
import { PLATFORMS, type Platform } from './targets.ts';
import { compareVersions } from './tools.ts';

export interface Binary {
  readonly format: 'ELF' | 'Mach-O' | 'PE';
  readonly processor: 'x64' | 'arm64' | 'unknown';
  /** Symbols that a loader finds in it. Sorted. */
  readonly exported: readonly string[];
  /** Symbols, and for PE the functions of every DLL, that it takes from elsewhere. Sorted. */
  readonly imported: readonly string[];
  /** Libraries that are loaded with it. Sorted. */
  readonly needed: readonly string[];
  /** The oldest system it runs on, where the file says: `2.17` of glibc, `11.0` of macOS, `10.0` of Windows. */
  readonly minimum: string | undefined;
  /** What is wrong inside the file by its format's own rules. */
  readonly faults: readonly string[];
}

const cString = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, bytes.indexOf(0, at));

/** The greatest version, field by field: `2.9` lies before `2.17`. */
const newest = (versions: readonly string[]): string | undefined => [...versions].sort(compareVersions).at(-1);

// ---------------------------------------------------------------------------------------------------------------- ELF

const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const DT_NEEDED = 1;

/** A 64-bit little-endian shared object, by its section headers. */
function readElf(bytes: Buffer): Binary {
  const u64 = (at: number): number => Number(bytes.readBigUInt64LE(at));
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => {
    const at = u64(40) + i * bytes.readUInt16LE(58);
    return {
      type: bytes.readUInt32LE(at + 4),
      at: u64(at + 24),
      size: u64(at + 32),
      link: bytes.readUInt32LE(at + 40),
    };
  });
  const exported: string[] = [];
  const imported: string[] = [];
  const needed: string[] = [];
  const glibc: string[] = [];
  for (const { type, at: start, size, link } of sections) {
    const text = (offset: number): string => cString(bytes, (sections[link]?.at ?? 0) + offset);
    if (type === SHT_DYNSYM) {
      // Elf64_Sym: | u32 name | u8 info | u8 other | u16 section, 0 = undefined | u64 value | u64 size |
      for (let at = start + 24; at < start + size; at += 24)
        (bytes.readUInt16LE(at + 6) === 0 ? imported : exported).push(text(bytes.readUInt32LE(at)));
    } else if (type === SHT_DYNAMIC) {
      for (let at = start; at < start + size; at += 16) if (u64(at) === DT_NEEDED) needed.push(text(u64(at + 8)));
    } else if (type === SHT_GNU_VERNEED) {
      // Elf64_Verneed: | u16 | u16 count | u32 file | u32 first | u32 next |, its versions: | u32 | u16 | u16 | u32 name | u32 next |
      for (let at = start, step = 1; step > 0; at += step) {
        let version = at + bytes.readUInt32LE(at + 8);
        for (let left = bytes.readUInt16LE(at + 2); left > 0; left--) {
          const name = /^GLIBC_(\d+(?:\.\d+)+)$/.exec(text(bytes.readUInt32LE(version + 8)));
          if (name !== null) glibc.push(name[1] as string);
          version += bytes.readUInt32LE(version + 12);
        }
        step = bytes.readUInt32LE(at + 12);
      }
    }
  }
  return {
    format: 'ELF',
    processor: ({ 62: 'x64', 183: 'arm64' }[bytes.readUInt16LE(18)] as 'x64' | 'arm64') ?? 'unknown',
    exported: exported.filter(Boolean).sort(),
    imported: imported.filter(Boolean).sort(),
    needed: needed.sort(),
    minimum: newest(glibc),
    faults: bytes.readUInt16LE(16) === 3 ? [] : ['it is no shared object (ET_DYN)'],
  };
}

// ------------------------------------------------------------------------------------------------------------- Mach-O

const LC_SYMTAB = 0x2;
const LC_LOAD_DYLIB = 0xc;
const LC_CODE_SIGNATURE = 0x1d;
const LC_VERSION_MIN_MACOSX = 0x24;
const LC_BUILD_VERSION = 0x32;
const LC_DYLD_INFO_ONLY = 0x80000022;
const LC_DYLD_EXPORTS_TRIE = 0x80000033;

/** Names in a Mach-O export trie: | ULEB size of the terminal | ... | u8 children | (label NUL, ULEB offset) ... | */
function exportTrie(trie: Buffer): string[] {
  const names: string[] = [];
  const walk = (node: number, name: string): void => {
    let at = node;
    const uleb = (): number => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = trie.readUInt8(at++);
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) return value;
      }
    };
    const terminal = uleb();
    if (terminal > 0) names.push(name.replace(/^_/, ''));
    at += terminal;
    for (let children = trie.readUInt8(at++); children > 0; children--) {
      const label = cString(trie, at);
      at += label.length + 1;
      walk(uleb(), name + label);
    }
  };
  if (trie.length > 0) walk(0, '');
  return names;
}

/**
 * What is wrong with an embedded signature: macOS on arm64 loads no library without one. Big-endian blobs:
 * | 0xfade0cc0 | size | count | (type, offset) ... |, of which the code directory (type 0) holds a hash of every page:
 * | 0xfade0c02 | size | version | flags | hashes at | name at | special | pages | limit | u8 hash size | u8 kind | u8 | u8 log2 page |
 */
function signatureFaults(bytes: Buffer, start: number, size: number): string[] {
  const blob = bytes.subarray(start, start + size);
  if (blob.readUInt32BE(0) !== 0xfade0cc0) return ['its signature is no signature blob'];
  const index = Array.from({ length: blob.readUInt32BE(8) }, (_, i) => 12 + 8 * i);
  const slot = index.find((at) => blob.readUInt32BE(at) === 0);
  if (slot === undefined) return ['its signature has no code directory'];
  const directory = blob.subarray(blob.readUInt32BE(slot + 4));
  const [hashes, pages, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at)) as [number, number, number];
  const page = 2 ** directory.readUInt8(39);
  if (directory.readUInt32BE(0) !== 0xfade0c02 || directory.readUInt8(37) !== 2 || directory.readUInt8(36) !== 32)
    return ['its signature is not one of SHA-256 hashes'];
  if (limit !== start || pages !== Math.ceil(limit / page)) return ['its signature does not cover the whole file'];
  const faults: string[] = [];
  if ((directory.readUInt32BE(12) & 2) === 0) faults.push('its signature is not marked as ad hoc');
  for (let i = 0; i < pages; i++) {
    const actual = createHash('sha256')
      .update(bytes.subarray(i * page, Math.min(limit, (i + 1) * page)))
      .digest();
    if (!actual.equals(directory.subarray(hashes + 32 * i, hashes + 32 * (i + 1))))
      return [...faults, `its signature gives another hash for the page at ${i * page}: macOS would end the process`];
  }
  return faults;
}

/** A 64-bit dylib: what dyld finds in it, the libraries it loads, the macOS it is for, its signature. */
function readMachO(bytes: Buffer): Binary {
  const exported: string[] = [];
  const imported: string[] = [];
  const needed: string[] = [];
  const faults: string[] = [];
  let minimum: string | undefined;
  let signed = false;
  const version = (at: number): string => `${bytes.readUInt16LE(at + 2)}.${bytes.readUInt8(at + 1)}`;
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const command = bytes.readUInt32LE(at);
    const part = (offset: number): Buffer => {
      const start = bytes.readUInt32LE(at + offset);
      return bytes.subarray(start, start + bytes.readUInt32LE(at + offset + 4));
    };
    if (command === LC_DYLD_INFO_ONLY) exported.push(...exportTrie(part(40)));
    else if (command === LC_DYLD_EXPORTS_TRIE) exported.push(...exportTrie(part(8)));
    else if (command === LC_LOAD_DYLIB) needed.push(cString(bytes, at + bytes.readUInt32LE(at + 8)));
    else if (command === LC_BUILD_VERSION) {
      minimum = version(at + 12);
      if (bytes.readUInt32LE(at + 8) !== 1) faults.push('it is for another system of Apple than macOS');
    } else if (command === LC_VERSION_MIN_MACOSX) minimum = version(at + 8);
    else if (command === LC_SYMTAB) {
      // nlist_64: | u32 name | u8 type | u8 section | u16 | u64 |; external (1) and undefined (type bits 0) = imported
      const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset)) as [
        number,
        number,
        number,
      ];
      for (let i = 0; i < count; i++) {
        const type = bytes.readUInt8(symbols + 16 * i + 4);
        if ((type & 0x0f) === 1)
          imported.push(cString(bytes, strings + bytes.readUInt32LE(symbols + 16 * i)).replace(/^_/, ''));
      }
    } else if (command === LC_CODE_SIGNATURE) {
      signed = true;
      faults.push(...signatureFaults(bytes, bytes.readUInt32LE(at + 8), bytes.readUInt32LE(at + 12)));
    }
    at += bytes.readUInt32LE(at + 4);
  }
  const processor = ({ 16777223: 'x64', 16777228: 'arm64' } as const)[bytes.readUInt32LE(4)] ?? 'unknown';
  if (bytes.readUInt32LE(12) !== 6) faults.push('it is no dylib (MH_DYLIB)');
  if (!signed && processor === 'arm64') faults.push('it has no signature: macOS on arm64 loads no such library');
  // zig's linker lists these two of its own in every dylib; with two-level namespaces nobody meets them.
  const own = exported.filter((name) => !['__dso_handle', '_mh_dylib_header'].includes(name));
  return {
    format: 'Mach-O',
    processor,
    exported: own.sort(),
    imported: imported.sort(),
    needed: needed.sort(),
    minimum,
    faults,
  };
}

// ----------------------------------------------------------------------------------------------------------------- PE

const IMAGE_FILE_DLL = 0x2000;
/** High entropy addresses, dynamic base, no execution of data: what Windows on arm64 insists on, and everybody should. */
const PE_HARDENING = 0x160;
const WINDOWS_GUI = 2;
const WINDOWS_CUI = 3;

/** A PE32+ DLL: its export and import directories, and what its header asks of Windows. */
function readPe(bytes: Buffer): Binary {
  const pe = bytes.readUInt32LE(0x3c);
  const optional = pe + 24;
  const faults: string[] = [];
  if (bytes.readUInt16LE(optional) !== 0x20b) throw new Error('it is no 64-bit PE image (PE32+)');
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
    if (section === undefined) throw new Error(`its address ${address} lies in no section`);
    return address - section.address + section.file;
  };
  const directory = (index: number): number => bytes.readUInt32LE(optional + 112 + 8 * index);
  const exported: string[] = [];
  if (directory(0) !== 0) {
    const at = offset(directory(0));
    const count = bytes.readUInt32LE(at + 24);
    const names = count === 0 ? 0 : offset(bytes.readUInt32LE(at + 32));
    for (let i = 0; i < count; i++) exported.push(cString(bytes, offset(bytes.readUInt32LE(names + 4 * i))));
  }
  const imported: string[] = [];
  const needed: string[] = [];
  for (let at = directory(1) === 0 ? 0 : offset(directory(1)); at > 0 && bytes.readUInt32LE(at + 12) !== 0; at += 20) {
    needed.push(cString(bytes, offset(bytes.readUInt32LE(at + 12))));
    // | u16 hint | name NUL |, or the top bit for a function without a name
    for (let entry = offset(bytes.readUInt32LE(at) || bytes.readUInt32LE(at + 16)); ; entry += 8) {
      const address = bytes.readBigUInt64LE(entry);
      if (address === 0n) break;
      if (address >> 63n === 0n) imported.push(cString(bytes, offset(Number(address)) + 2));
    }
  }
  if ((bytes.readUInt16LE(pe + 22) & IMAGE_FILE_DLL) === 0) faults.push('it is no DLL');
  if ((bytes.readUInt16LE(optional + 70) & PE_HARDENING) !== PE_HARDENING)
    faults.push(
      'it does not allow every address and forbid execution of data (DYNAMIC_BASE, HIGH_ENTROPY_VA, NX_COMPAT)',
    );
  const subsystem = bytes.readUInt16LE(optional + 68);
  if (subsystem !== WINDOWS_GUI && subsystem !== WINDOWS_CUI) faults.push(`its subsystem is ${subsystem}, not Windows`);
  return {
    format: 'PE',
    processor: ({ 34404: 'x64', 43620: 'arm64' } as const)[bytes.readUInt16LE(pe + 4)] ?? 'unknown',
    exported: exported.sort(),
    imported: imported.sort(),
    needed: needed.sort(),
    minimum: `${bytes.readUInt16LE(optional + 48)}.${bytes.readUInt16LE(optional + 50)}`,
    faults,
  };
}

/** Reads a native library of any of the three formats. Throws when it is none, or its own offsets lead nowhere. */
export function readBinary(bytes: Buffer): Binary {
  if (bytes.toString('latin1', 0, 6) === '\x7fELF\x02\x01') return readElf(bytes);
  if (bytes.length > 32 && bytes.readUInt32LE(0) === 0xfeedfacf) return readMachO(bytes);
  if (bytes.toString('latin1', 0, 2) === 'MZ') return readPe(bytes);
  throw new Error('it is none of ELF, Mach-O and PE, 64 bits');
}

// -------------------------------------------------------------------------------------------------------------- rules

/** What kind of library a file is: a filter, or an addon that Node loads. */
export type LibraryKind = 'filter' | 'addon';

interface Rules {
  readonly format: Binary['format'];
  /** Libraries that every such system has. */
  readonly system: RegExp;
  /** The oldest system it may ask for, or none where the format does not say. */
  readonly floor: string | undefined;
  /** A version it must name exactly; the floor is only the newest allowed. */
  readonly exact: boolean;
}

const glibc: Rules = {
  format: 'ELF',
  system: /^(libc|libm|libdl|libpthread|librt)\.so\.\d+$|^ld-linux-[\w-]+\.so\.\d$/,
  floor: '2.17',
  exact: false,
};
/** musl's loader takes any `libc.so` for itself. */
const musl: Rules = { format: 'ELF', system: /^libc\.so$/, floor: undefined, exact: true };
const macos: Rules = { format: 'Mach-O', system: /^\/usr\/lib\/libSystem\.B\.dylib$/, floor: '11.0', exact: true };
const windows: Rules = {
  format: 'PE',
  system: /^(kernel32|ntdll|api-ms-win-crt-[\w-]+|ucrtbase|psapi)\.dll$/i,
  floor: '10.0',
  exact: false,
};

const RULES: Readonly<Record<Platform, Rules>> = {
  'linux-x64': glibc,
  'linux-arm64': glibc,
  'linux-x64-musl': musl,
  'linux-arm64-musl': musl,
  'darwin-x64': macos,
  'darwin-arm64': macos,
  'win32-x64': windows,
  'win32-arm64': windows,
};

/** What the outside may find in a filter; nothing else, so that two filters in one process share nothing. */
const FILTER_EXPORTS = ['H5PLget_plugin_info', 'H5PLget_plugin_type', 'h5z_filter_v1'];
/** netCDF's hook, in filters that Zarr knows too. */
const MORE_FILTER_EXPORTS = ['NCZ_get_codec_info'];
/** What Node asks an addon for. */
const ADDON_EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

const list = (words: readonly string[]): string => words.slice(0, 8).join(', ') + (words.length > 8 ? ' ...' : '');

/** What is wrong with a library for `platform`, in words; empty when it may be shipped. */
export function libraryProblems(bytes: Buffer, platform: Platform, kind: LibraryKind): string[] {
  const rules = RULES[platform];
  let binary: Binary;
  try {
    binary = readBinary(bytes);
  } catch (error) {
    return [`it is no library that a system would load: ${(error as Error).message}`];
  }
  const { format, processor, exported, imported, needed, minimum, faults } = binary;
  if (format !== rules.format) return [`it is ${format}, and ${platform} loads ${rules.format}`];
  const problems = [...faults];
  if (!platform.split('-').includes(processor)) problems.push(`it is for ${processor} processors`);
  const wanted = kind === 'filter' ? FILTER_EXPORTS : ADDON_EXPORTS;
  const more = kind === 'filter' ? MORE_FILTER_EXPORTS : [];
  const extra = exported.filter((name) => !wanted.includes(name) && !more.includes(name));
  const lacking = wanted.filter((name) => !exported.includes(name));
  if (extra.length > 0) problems.push(`it shows symbols that are nobody's business: ${list(extra)}`);
  if (lacking.length > 0) problems.push(`it does not export ${list(lacking)}`);
  const foreign = needed.filter((name) => !rules.system.test(name) && !(kind === 'addon' && name === 'node.exe'));
  if (foreign.length > 0) problems.push(`it needs ${list(foreign)}, which not every such system has`);
  const newer = rules.floor !== undefined && minimum !== undefined && newest([rules.floor, minimum]) !== rules.floor;
  if (newer || (rules.exact && minimum !== rules.floor))
    problems.push(`it asks for version ${minimum ?? 'none'} of the system, and the floor is ${rules.floor ?? 'none'}`);
  if (kind === 'filter') {
    const host = imported.filter((name) => /^(napi_|node_api_|H5)/.test(name));
    if (host.length > 0) problems.push(`it needs ${list(host)} of whoever loads it`);
  }
  return problems;
}

/** The platform and kind of a native file in a package, by its path, or undefined for other files. */
export function libraryOf(path: string): { platform: Platform; kind: LibraryKind } | undefined {
  const found = /^prebuilds\/([^/]+)\/[^/]+\.(so|dylib|dll|node)$/.exec(path);
  const platform = PLATFORMS.find((name) => name === found?.[1]);
  return platform === undefined ? undefined : { platform, kind: found?.[2] === 'node' ? 'addon' : 'filter' };
}
