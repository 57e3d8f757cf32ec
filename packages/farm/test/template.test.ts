// What the template makes of a filter.json that is not one of ours: valid manifest, modules that load, types that compile.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FilterPackage } from '../../core/dist/index.js';
import { fakeModule } from '../../core/test/support/fake-module.ts';
import { makeManifest, recordVerified } from '../src/manifest.ts';
import { writeDist } from '../src/template/index.ts';
import { verifyFilter } from '../src/verify.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

// Inside the repository, so that the shells find @h5z/core as an installed package would.
let parent: string;
let folder: string;
beforeAll(() => {
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  parent = mkdtempSync(join(ROOT, 'build/template-'));
  folder = join(parent, 'odd-name.2');
  for (const inner of ['wasm', 'prebuilds/linux-x64', 'LICENSES']) mkdirSync(join(folder, inner), { recursive: true });
  const description = {
    $schema: '../../registry/schema/filter.schema.json',
    id: 40000,
    name: 'odd-name.2',
    title: 'Odd */ name',
    summary: 'A test of the template.',
    lossy: true,
    licence: 'MIT',
    aliases: [{ id: 40001, doc: 'old' }],
    upstreams: [{ name: 'inline', version: '1.2', licence: 'BSD-2-Clause', tree: 'a'.repeat(64) }],
    parameters: [
      {
        name: 'quality',
        type: 'integer',
        minimum: 1,
        maximum: 100,
        unit: 'percent',
        doc: 'How good.',
        client: { word: 0 },
      },
      {
        name: 'mode',
        type: 'enum',
        values: { mono: 0, rgb: 1 },
        default: 'mono',
        doc: 'Colours.',
        client: { word: 1 },
      },
      {
        name: 'rate',
        type: 'number',
        exclusiveMinimum: 0,
        when: { mode: 'rgb' },
        doc: 'Bits.',
        client: { word: 2, as: 'float64-le' },
      },
      { name: 'fast', type: 'boolean', default: false, doc: 'Hurry.', client: { word: 4, as: 'bool' } },
    ],
    variants: { native: {}, wasm: { simd: true }, webgpu: { mode: 'none', reason: 'serial bitstream' } },
  };
  const npm = { name: '@h5z/odd-name.2', version: '3.2.1', type: 'module' };
  writeFileSync(join(folder, 'filter.json'), JSON.stringify(description));
  writeFileSync(join(folder, 'package.json'), JSON.stringify(npm));
  writeFileSync(join(folder, 'wasm/odd-name.2.decode.wasm'), fakeModule());
  writeFileSync(join(folder, 'prebuilds/linux-x64/libh5z_odd-name.2.so'), 'ELF GLIBC_2.4 GLIBC_2.34 GLIBC_2.17');
  writeFileSync(join(folder, 'LICENSES/inline.txt'), 'text');
});
afterAll(() => rmSync(parent, { recursive: true }));

describe('makeManifest', () => {
  test('is valid and says what the files are', () => {
    const manifest = makeManifest(folder);
    const validate = new Ajv2020({ strict: false }).compile(json(join(ROOT, 'registry/schema/manifest.schema.json')));
    expect(validate(manifest), JSON.stringify(validate.errors)).toBe(true);
    expect(manifest.variants.wasm).toEqual([
      {
        file: 'wasm/odd-name.2.decode.wasm',
        size: fakeModule().length,
        sha256: createHash('sha256').update(fakeModule()).digest('hex'),
        encode: false,
        decode: true,
        simd: true,
        verified: 'built',
      },
    ]);
    expect(manifest.variants.native[0]).toMatchObject({ platform: 'linux-x64', minimum: { libc: 'glibc 2.34' } });
    expect(manifest.variants.webgpu).toEqual({ mode: 'none', reason: 'serial bitstream' });
    expect(manifest.upstreams).toEqual([
      { name: 'inline', version: '1.2', licence: 'BSD-2-Clause', tree: 'a'.repeat(64) },
    ]);
    expect([manifest.licences, manifest.abi, manifest.filter.aliases]).toEqual([['LICENSES/inline.txt'], 1, [40001]]);
  });

  test('a file that was executed says so until it changes', () => {
    const file = 'prebuilds/linux-x64/libh5z_odd-name.2.so';
    try {
      recordVerified(folder, file, 'executed');
      expect(makeManifest(folder).variants.native[0]?.verified).toBe('executed');
      writeFileSync(join(folder, file), 'another build');
      expect(makeManifest(folder).variants.native[0]).toMatchObject({
        verified: 'built',
        minimum: { libc: 'glibc 2.17' },
      });
    } finally {
      rmSync(join(ROOT, 'build/odd-name.2'), { recursive: true, force: true });
    }
  });
});

describe('verifyFilter', () => {
  const golden = (decoded: string) => {
    mkdirSync(join(folder, 'golden'), { recursive: true });
    writeFileSync(join(folder, 'golden/one.bin'), new Uint8Array([0, 5, 6]));
    const sha256 = createHash('sha256').update(decoded).digest('hex');
    const cases = [{ name: 'one', file: 'one.bin', cdValues: [], size: 2, sha256 }];
    writeFileSync(join(folder, 'golden/index.json'), JSON.stringify({ cases }));
  };
  afterAll(() => rmSync(join(ROOT, 'build/odd-name.2'), { recursive: true, force: true }));

  test('a module that decodes the golden chunks is `executed`, one that does not fails the build', async () => {
    rmSync(join(folder, 'prebuilds'), { recursive: true });
    golden('other bytes');
    await expect(verifyFilter(folder)).rejects.toThrow(
      /odd-name\.2 does not decode its golden chunks: .*one decodes to/,
    );
    expect(makeManifest(folder).variants.wasm[0]?.verified).toBe('built');
    golden('\x05\x06');
    await verifyFilter(folder);
    expect(makeManifest(folder).variants.wasm[0]?.verified).toBe('executed');
  });
});

describe('writeDist', () => {
  beforeAll(() => {
    writeDist(folder);
  });

  test('names only files that exist: bundlers fail on others', () => {
    expect(readdirSync(join(folder, 'dist')).sort()).toEqual(
      ['about.js', 'browser.js', 'index.d.ts', 'node-addons.js', 'node.js', 'workerd.js'].sort(),
    );
    for (const name of ['browser.js', 'node.js', 'workerd.js']) {
      const text = readFileSync(join(folder, 'dist', name), 'utf8');
      const named = [...text.matchAll(/'\.\.\/(wasm\/[^']+)'/g)].map((match) => match[1]);
      expect(named, name).toEqual(['wasm/odd-name.2.decode.wasm']);
    }
  });

  test.each(['node.js', 'node-addons.js'])('%s loads and decodes', async (name) => {
    const module = (await import(pathToFileURL(join(folder, 'dist', name)).href)) as { default: FilterPackage };
    const filter = module.default;
    expect([filter.id, filter.package]).toEqual([40000, { name: '@h5z/odd-name.2', version: '3.2.1' }]);
    expect([...filter({ quality: 9, mode: 'rgb', rate: 1 }).cdValues]).toEqual([9, 1, 0, 0x3ff00000, 0]);
    const codec = await filter.load({ only: 'wasm' });
    expect(codec.decode(new Uint8Array([0, 5]), { size: 1 })).toEqual(new Uint8Array([5]));
  });

  test('index.d.ts types the options', () => {
    const declared = readFileSync(join(folder, 'dist/index.d.ts'), 'utf8');
    expect(declared).toContain('export interface OddName2Options {');
    expect(declared).toContain('An integer from 1 to 100 (percent).');
    writeFileSync(
      join(parent, 'use.ts'),
      `import filter from './odd-name.2/dist/index.js';
filter({ quality: 1 });
filter({ quality: 1, mode: 'rgb', rate: 0.5, fast: true });
// @ts-expect-error quality has no default
filter({ mode: 'mono' });
// @ts-expect-error no such word
filter({ quality: 1, mode: 'cmyk' });
// @ts-expect-error no such option
filter({ quality: 1, level: 3 });
`,
    );
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--skipLibCheck',
      '--ignoreConfig',
    ];
    execFileSync(process.execPath, [tsc, ...flags, join(parent, 'use.ts')], { stdio: 'pipe', encoding: 'utf8' });
  });
});
