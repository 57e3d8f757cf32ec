// Built packages whose files were deleted, damaged or exchanged: what is survived, what is refused, and that the variant
// named is the code that ran. Works on copies of filters/*, so that nothing built is harmed.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Codec, FilterPackage, LoadOptions } from '../../packages/core/dist/index.js';
import { currentPlatform } from '../../packages/core/dist/node.js';
import { fakeModule } from '../../packages/core/test/support/fake-module.ts';
import { writeDist } from '../../packages/farm/src/template/index.ts';
import { filters } from '../conformance/filters.ts';
import { sampleOf } from '../conformance/modes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let parent: string;
beforeAll(() => {
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  parent = mkdtempSync(join(ROOT, 'build/variants-'));
});
afterAll(() => rmSync(parent, { recursive: true }));

let copies = 0;
/** A copy of a built filter folder with a fresh dist/; `change` is done after the manifest was made, `before` before. */
async function copyOf(
  folder: string,
  { before, change }: { before?: (copy: string) => void; change?: (copy: string) => void },
) {
  const copy = join(parent, String(copies++));
  for (const part of ['filter.json', 'package.json', 'wasm', 'prebuilds']) {
    if (existsSync(join(folder, part))) cpSync(join(folder, part), join(copy, part), { recursive: true });
  }
  before?.(copy);
  writeDist(copy);
  change?.(copy);
  const warnings: (Error & { code: string })[] = [];
  const module = (await import(pathToFileURL(join(copy, 'dist/node-addons.js')).href)) as { default: FilterPackage };
  const load = (options: LoadOptions = {}) =>
    module.default.load({ onWarning: (warning) => warnings.push(warning), ...options });
  return { copy, load, warnings };
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
function flip(file: string): { readonly before: string; readonly after: string } {
  const bytes = readFileSync(file);
  const before = hash(bytes);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  return { before, after: hash(bytes) };
}

const both = filters.filter(({ description }) => description.variants.native && description.variants.wasm);

describe.each(both.map((filter) => [filter.description.name, filter] as const))('%s', (name, filter) => {
  const library =
    filter.variants.find((variant) => variant.name === 'native')?.file.slice(filter.folder.length + 1) ?? '';
  const decoder = `wasm/${name}.decode.wasm`;
  let chunk: Uint8Array;
  let cdValues: Uint32Array;
  let data: Uint8Array;
  const decoded = (codec: Codec) => codec.decode(chunk, { cdValues, size: data.length });
  const refused = (hashes: { before: string; after: string }) =>
    expect.objectContaining({
      code: 'H5Z_INTEGRITY',
      message: expect.stringMatching(new RegExp(`${hashes.after}.*${hashes.before}.*reinstall`)),
    });

  beforeAll(async () => {
    const { load } = await copyOf(filter.folder, {});
    ({ data, cdValues, chunk } = sampleOf(await load({ encode: true }), filter.description));
  });

  test(`as built it is native on ${currentPlatform()}, and both variants agree`, async () => {
    const { copy, load, warnings } = await copyOf(filter.folder, {});
    const native = await load();
    const wasm = await load({ prefer: 'wasm' });
    expect([native.variant, native.source, wasm.variant]).toEqual(['native', join(copy, library), 'wasm']);
    expect(decoded(wasm)).toEqual(decoded(native));
    if (!filter.description.lossy) expect(decoded(native)).toEqual(data);
    expect(warnings).toEqual([]);
  });

  test('without its native file decoding goes on in WebAssembly with one warning', async () => {
    const { load, warnings } = await copyOf(filter.folder, { change: (copy) => rmSync(join(copy, library)) });
    const codec = await load();
    await load();
    expect(codec.variant).toBe('wasm');
    expect(decoded(codec).length).toBe(data.length);
    expect(warnings.map(({ code }) => code)).toEqual(['H5Z_NATIVE_LOAD']);
    expect(warnings[0]?.message).toContain(library.split('/').at(-1));
  });

  test('a native file with a flipped byte is refused with both hashes', async () => {
    let hashes = { before: '', after: '' };
    const { load } = await copyOf(filter.folder, {
      change: (copy) => {
        hashes = flip(join(copy, library));
      },
    });
    await expect(load()).rejects.toEqual(refused(hashes));
    expect((await load({ only: 'wasm' })).variant).toBe('wasm');
  });

  test('a WebAssembly file with a flipped byte is refused with both hashes', async () => {
    let hashes = { before: '', after: '' };
    const { load } = await copyOf(filter.folder, {
      change: (copy) => {
        hashes = flip(join(copy, decoder));
      },
    });
    await expect(load({ only: 'wasm' })).rejects.toEqual(refused(hashes));
    expect((await load()).variant).toBe('native');
  });

  test('a native file that is no library is reported once, and WebAssembly decodes', async () => {
    const { load, warnings } = await copyOf(filter.folder, {
      before: (copy) => writeFileSync(join(copy, library), 'no library'),
    });
    expect((await load()).variant).toBe('wasm');
    expect(warnings.map(({ code }) => code)).toEqual(['H5Z_NATIVE_LOAD']);
  });

  test('the variant named is the code that ran', async () => {
    const marker = fakeModule({ id: filter.description.id }); // "decodes" by dropping the first byte
    chunk = new Uint8Array([0, ...chunk]);
    const marked = () => chunk.slice(1);
    const { load } = await copyOf(filter.folder, { before: (copy) => writeFileSync(join(copy, decoder), marker) });
    const wasm = await load({ only: 'wasm' });
    expect(wasm.decode(chunk, { cdValues })).toEqual(marked());
    chunk = marked();
    const native = await load({ only: 'native' });
    expect(decoded(native).length).toBe(data.length);
    if (!filter.description.lossy) expect(decoded(native)).toEqual(data);
  });
});
