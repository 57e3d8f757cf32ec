// What the native libraries of every platform show to the outside, read from the files by packages/farm/src/binary.ts: three
// symbols, no libraries but the system's own, nothing newer than the floors, a signature that holds. And that those rules
// would notice: each is broken in a real file, byte by byte.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { libraryOf, libraryProblems, readBinary } from '../src/binary.ts';
import { allPackagePlans } from '../src/build.ts';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { CROSS, libraryName, PLATFORMS, type Platform } from '../src/targets.ts';

const filters = (await readFilters()).filter(({ description }) => description.variants.native);

/** Reproducible: the file knows nothing of this machine's folders. */
function holdsNoPath(bytes: Buffer): void {
  for (const folder of [ROOT, process.env.HOME ?? '/root']) expect(bytes.includes(`${folder}/`), folder).toBe(false);
}

describe.each(filters)('$name', ({ name, dir }) => {
  test.each(PLATFORMS)('%s', (platform) => {
    const path = join(dir, 'prebuilds', platform, libraryName(name, platform));
    // Those beyond what a test run builds are looked at where somebody built them.
    if (!CROSS.includes(platform) && !existsSync(path)) return;
    expect(existsSync(path), `${path} is missing: run ./farm build --targets cross`).toBe(true);
    const bytes = readFileSync(path);
    expect(libraryProblems(bytes, platform, 'filter')).toEqual([]);
    holdsNoPath(bytes);
  });
});

const addons = allPackagePlans().flatMap(({ package: name, outputs }) =>
  outputs.filter((file) => libraryOf(file) !== undefined).map((file) => ({ name, file })),
);

test.each(addons.filter(({ name, file }) => existsSync(join(ROOT, 'packages', name, file))))('$name $file', ({
  name,
  file,
}) => {
  const bytes = readFileSync(join(ROOT, 'packages', name, file));
  expect(libraryProblems(bytes, libraryOf(file)?.platform as Platform, 'addon')).toEqual([]);
  holdsNoPath(bytes);
});

describe('the rules notice', () => {
  const [filter] = filters;
  const library = (platform: Platform): Buffer =>
    readFileSync(join(filter?.dir ?? '', 'prebuilds', platform, libraryName(filter?.name ?? '', platform)));
  /** A copy of a library in which `find`, as it stands there, is replaced by text of the same length. */
  const altered = (platform: Platform, find: string, by: string): Buffer => {
    const bytes = library(platform);
    const text = bytes.toString('latin1');
    expect(text, find).toContain(find);
    expect(by).toHaveLength(find.length);
    return Buffer.from(text.replaceAll(find, by), 'latin1');
  };
  const problems = (bytes: Buffer, platform: Platform): string => libraryProblems(bytes, platform, 'filter').join('\n');

  test.each(CROSS)('a symbol that is not shown, and one too many: %s', (platform) => {
    const said = problems(altered(platform, 'h5z_filter_v1', 'h5z_filter_v9'), platform);
    expect(said).toContain("nobody's business: h5z_filter_v9");
    expect(said).toContain('does not export h5z_filter_v1');
  });

  test('a library that not every system has', () => {
    expect(problems(altered('linux-x64', 'libdl.so.2', 'libzz.so.2'), 'linux-x64')).toContain('needs libzz.so.2');
    expect(problems(altered('win32-x64', 'KERNEL32.dll', 'LIBGCC_S.dll'), 'win32-x64')).toContain('needs LIBGCC_S.dll');
    const mac = altered('darwin-arm64', '/usr/lib/libSystem.B.dylib', '/usr/lib/libSystem.X.dylib');
    expect(problems(mac, 'darwin-arm64')).toContain('needs /usr/lib/libSystem.X.dylib');
  });

  test('a glibc newer than the floor', () => {
    const [name] = /GLIBC_2\.\d\d?(\.\d)?(?=\0)/.exec(library('linux-arm64').toString('latin1')) ?? [''];
    expect(name).toBe('GLIBC_2.17');
    const said = problems(altered('linux-arm64', 'GLIBC_2.17', 'GLIBC_2.34'), 'linux-arm64');
    expect(said).toContain('asks for version 2.34 of the system, and the floor is 2.17');
  });

  test('a page that is not the one that was signed', () => {
    const bytes = library('darwin-arm64');
    expect(problems(bytes, 'darwin-arm64')).toBe('');
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] as number) ^ 1;
    expect(problems(bytes, 'darwin-arm64')).toMatch(/another hash for the page at \d+/);
  });

  test('a file of another processor, another format, or none', () => {
    expect(problems(library('linux-arm64'), 'linux-x64')).toContain('it is for arm64 processors');
    expect(problems(library('linux-x64'), 'darwin-x64')).toBe('it is ELF, and darwin-x64 loads Mach-O');
    expect(problems(library('win32-x64').subarray(0, 300), 'win32-x64')).toContain(
      'no library that a system would load',
    );
    expect(problems(Buffer.from('hello'), 'linux-x64')).toContain('none of ELF, Mach-O and PE');
  });

  test('a DLL that may be laid at one address only', () => {
    const bytes = library('win32-x64');
    const flags = bytes.readUInt32LE(0x3c) + 24 + 70;
    bytes.writeUInt16LE(bytes.readUInt16LE(flags) & ~0x40, flags);
    expect(problems(bytes, 'win32-x64')).toContain('DYNAMIC_BASE');
  });

  test('an addon that is none', () => {
    expect(libraryProblems(library('linux-x64'), 'linux-x64', 'addon').join()).toContain(
      'does not export napi_register_module_v1',
    );
    expect(readBinary(library('win32-x64')).minimum).toMatch(/^\d+\.\d+$/);
  });
});
