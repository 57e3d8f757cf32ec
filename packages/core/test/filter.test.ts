// Filter packages: which variant loads, in which order, what is survived with one warning and what is refused.

import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Codec,
  defineFilter,
  type FilterAbout,
  type FilterFiles,
  H5zError,
  isH5zError,
  loadWasm,
  type NativeHost,
} from '../dist/index.js';
import { fakeModule } from './support/fake-module.ts';

const module = fakeModule();
const sha256 = createHash('sha256').update(module).digest('hex');
const file = { file: 'x', size: module.length, sha256, decode: true, verified: 'built' } as const;

const about: FilterAbout = {
  package: { name: '@h5z/fake', version: '1.2.3' },
  description: {
    id: 40000,
    name: 'fake',
    title: 'Fake',
    summary: 'A fake.',
    lossy: false,
    licence: 'MIT',
    upstreams: [],
    aliases: [{ id: 40001, doc: 'old' }],
    parameters: [{ name: 'level', type: 'integer', minimum: 0, maximum: 9, default: 3, doc: 'd', client: { word: 0 } }],
    variants: { native: {}, wasm: {}, h5wasm: {} },
  },
  manifest: {
    manifestVersion: 1,
    package: { name: '@h5z/fake', version: '1.2.3' },
    filter: { id: 40000, name: 'fake', title: 'Fake', lossy: false, licence: 'MIT', aliases: [40001] },
    abi: 1,
    variants: {
      native: [
        { ...file, file: 'prebuilds/test-cpu/libh5z_fake.so', platform: 'linux-x64', encode: true, minimum: {} },
      ],
      wasm: [
        { ...file, file: 'wasm/fake.wasm', encode: true, simd: false },
        { ...file, file: 'wasm/fake.decode.wasm', encode: false, simd: false },
      ],
      h5wasm: [{ ...file, file: 'wasm/fake.h5wasm.wasm', encode: true, simd: false, host: '*' }],
      cuda: { mode: 'none', reason: 'r' },
      webgpu: { mode: 'none', reason: 'r' },
    },
    upstreams: [],
    licences: [],
  },
};

const base = 'file:///package/';
const reads: string[] = [];
const wasmFiles = (content: Uint8Array = module): FilterFiles => ({
  decode: () => new URL('wasm/fake.decode.wasm', base),
  full: () => new URL('wasm/fake.wasm', base),
  h5wasm: () => new URL('wasm/fake.h5wasm.wasm', base),
  root: () => new URL(base),
  readFile: async (url) => {
    reads.push(url.href.slice(base.length));
    return content;
  },
});
const nativeCodec = { ...(await loadWasm(module)), id: 40000, variant: 'native' } as Codec;
const native = (load: NativeHost['load'] = async () => nativeCodec, platform = 'linux-x64'): NativeHost => ({
  platform: () => platform,
  load,
});
const failing = (error: Error) => native(async () => Promise.reject(error));
const coded = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });

afterEach(() => {
  delete process.env.H5Z_PREFER;
  reads.length = 0;
});

describe('the callable', () => {
  const fake = defineFilter<{ level?: number }>(about, wasmFiles());

  test('makes a FilterSpec of options', () => {
    expect(fake({ level: 9 })).toEqual({
      id: 40000,
      name: 'fake',
      cdValues: new Uint32Array([9]),
      options: { level: 9 },
    });
    expect([...fake().cdValues]).toEqual([3]);
    expect(() => fake({ level: 10 })).toThrow(coded('H5Z_PARAMETER', /from 0 to 9/));
  });

  test('says what it is', async () => {
    expect([fake.id, fake.canonicalName, fake.title, fake.aliases, fake.package]).toEqual([
      40000,
      'fake',
      'Fake',
      [40001],
      { name: '@h5z/fake', version: '1.2.3' },
    ]);
    expect(await fake.describe([7])).toEqual({ level: 7 });
    expect(fake.locate('wasm/fake.wasm')?.href).toBe('file:///package/wasm/fake.wasm');
    expect(Object.isFrozen(fake)).toBe(true);
  });

  test('hands out its side module, checked', async () => {
    const side = await fake.sideModule();
    expect([side?.id, side?.name, side?.sha256, side?.url.href]).toEqual([
      40000,
      'fake',
      sha256,
      `${base}wasm/fake.h5wasm.wasm`,
    ]);
    expect(reads).toEqual([]);
    expect(await side?.bytes()).toEqual(module);
    const { h5wasm: _, ...without } = wasmFiles();
    expect(await defineFilter(about, without).sideModule()).toBeUndefined();
    const damaged = await defineFilter(about, wasmFiles(module.slice(1))).sideModule();
    await expect(damaged?.bytes()).rejects.toEqual(coded('H5Z_INTEGRITY', new RegExp(sha256)));
  });
});

describe('WebAssembly', () => {
  test('decode-only first, the full module when the encoder is asked for, each read once', async () => {
    const fake = defineFilter(about, wasmFiles());
    const [first, second] = await Promise.all([fake.load(), fake.load()]);
    expect(first).toBe(second);
    await fake.load({ encode: true });
    await fake.load({ encode: true });
    expect(reads).toEqual(['wasm/fake.decode.wasm', 'wasm/fake.wasm']);
  });

  test('a flipped byte is refused, naming both hashes, and a repaired file loads', async () => {
    const damaged = module.slice();
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    const contents = [damaged, module];
    const fake = defineFilter(about, { ...wasmFiles(), readFile: async () => contents.shift() ?? module });
    const actual = createHash('sha256').update(damaged).digest('hex');
    await expect(fake.load()).rejects.toEqual(coded('H5Z_INTEGRITY', new RegExp(`${actual}.*${sha256}`)));
    expect((await fake.load()).variant).toBe('wasm');
  });

  test('supplied by the caller it is used as given', async () => {
    const fake = defineFilter(about, wasmFiles());
    expect((await fake.load({ wasm: module })).variant).toBe('wasm');
    expect(reads).toEqual([]);
    await expect(fake.load({ wasm: fakeModule({ id: 5 }) })).rejects.toEqual(
      coded('H5Z_WASM_LOAD', /filter 5, not 40000/),
    );
  });

  test('imported as a module, as in workerd, it is named for its file', async () => {
    const codec = await defineFilter(about, { decode: () => WebAssembly.compile(module) }).load();
    expect([codec.variant, codec.source]).toEqual(['wasm', '@h5z/fake/wasm/fake.decode.wasm']);
  });

  test('absent says so', async () => {
    await expect(defineFilter(about, {}).load()).rejects.toEqual(coded('H5Z_NO_PLATFORM'));
  });
});

describe('variants', () => {
  const both = defineFilter(about, { ...wasmFiles(), native: native() });

  test('native goes first; prefer and only change it', async () => {
    const variant = async (options?: Parameters<typeof both.load>[0]) => (await both.load(options)).variant;
    expect(await variant()).toBe('native');
    expect(await variant({ prefer: 'wasm' })).toBe('wasm');
    expect(await variant({ only: 'wasm' })).toBe('wasm');
    expect(await variant({ only: 'native', encode: true })).toBe('native');
  });

  test.each([
    ['wasm', 'wasm'],
    ['native', 'native'],
    ['fake=wasm', 'wasm'],
    ['fake=wasm,native', 'wasm'],
    ['other=wasm', 'native'],
    ['wasm, fake=native', 'native'],
    ['', 'native'],
  ])('H5Z_PREFER="%s" loads %s', async (setting, variant) => {
    process.env.H5Z_PREFER = setting;
    expect((await both.load()).variant).toBe(variant);
  });

  test('options go before H5Z_PREFER; a word that is no variant is refused', async () => {
    process.env.H5Z_PREFER = 'wasm';
    expect((await both.load({ prefer: 'native' })).variant).toBe('native');
    process.env.H5Z_PREFER = 'fake=gpu';
    await expect(both.load()).rejects.toEqual(coded('H5Z_PARAMETER', /"gpu"; use native or wasm/));
  });
});

describe('native that cannot be had', () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  afterEach(() => {
    warnings.length = 0;
  });

  test('a library that fails to load is reported once with its cause, and WebAssembly decodes', async () => {
    const cause = new H5zError('H5Z_NATIVE_LOAD', 'no such file');
    const fake = defineFilter(about, { ...wasmFiles(), native: failing(cause) });
    expect((await fake.load({ onWarning })).variant).toBe('wasm');
    expect((await fake.load({ onWarning })).variant).toBe('wasm');
    expect(warnings).toEqual([coded('H5Z_NATIVE_LOAD', /no such file.*goes on in WebAssembly$/)]);
    expect(warnings[0]?.cause).toBe(cause);
    await expect(fake.load({ only: 'native', onWarning })).rejects.toBe(cause);
  });

  test('the default warning is one process warning', async () => {
    const seen: Error[] = [];
    const listen = (warning: Error) => isH5zError(warning) && seen.push(warning);
    process.on('warning', listen);
    const fake = defineFilter(about, { ...wasmFiles(), native: failing(new H5zError('H5Z_NATIVE_LOAD', 'gone')) });
    await fake.load();
    await fake.load();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(seen).toEqual([coded('H5Z_NATIVE_LOAD')]);
  });

  test('a library that is not the one of the manifest is refused: no falling through', async () => {
    const fake = defineFilter(about, { ...wasmFiles(), native: failing(new H5zError('H5Z_INTEGRITY', 'a and b')) });
    await expect(fake.load({ onWarning })).rejects.toEqual(coded('H5Z_INTEGRITY'));
    expect((await fake.load({ prefer: 'wasm' })).variant).toBe('wasm');
  });

  test('a library of another filter is not used', async () => {
    const fake = defineFilter(about, { ...wasmFiles(), native: native(async () => ({ ...nativeCodec, id: 1 })) });
    await expect(fake.load({ only: 'native' })).rejects.toEqual(coded('H5Z_NATIVE_LOAD', /holds filter 1/));
  });

  test.each([
    ['@h5z/native is not installed', native(async () => undefined), /npm i @h5z\/native/],
    [
      'there is no library for the platform',
      native(undefined, 'plan9-mips'),
      /no native library for plan9-mips \(it has linux-x64\)/,
    ],
  ])('when %s, WebAssembly decodes without a word unless native was asked for', async (_, host, message) => {
    const fake = defineFilter(about, { ...wasmFiles(), native: host });
    expect((await fake.load({ onWarning })).variant).toBe('wasm');
    expect(warnings).toEqual([]);
    expect((await fake.load({ prefer: 'native', onWarning })).variant).toBe('wasm');
    expect(warnings).toEqual([coded('H5Z_NO_PLATFORM', message)]);
    await expect(fake.load({ only: 'native' })).rejects.toEqual(coded('H5Z_NO_PLATFORM', message));
  });
});

describe('kernels()', () => {
  const text = 'fn h5z_fake_decode() {}';
  const entry = (name: string) => ({
    mode: 'partial' as const,
    reason: 'decodes',
    file: `gpu/${name}`,
    size: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
    encode: false,
    verifiedOn: [],
  });
  const withKernels: FilterAbout = {
    ...about,
    manifest: {
      ...about.manifest,
      variants: { ...about.manifest.variants, cuda: entry('fake.ptx'), webgpu: entry('fake.wgsl') },
    },
  };
  const bytes = new TextEncoder().encode(text);

  test('gives the text of the manifest: WGSL from a module, PTX from the package', async () => {
    const fake = defineFilter(withKernels, { ...wasmFiles(bytes), webgpu: async () => ({ kernels: text }) });
    const found = { mode: 'partial', reason: 'decodes', encode: false, text };
    expect(await fake.kernels('webgpu')).toEqual({ kind: 'webgpu', ...found });
    reads.length = 0;
    expect(await fake.kernels('cuda')).toEqual({ kind: 'cuda', ...found });
    expect(reads).toEqual(['gpu/fake.ptx']);
  });

  test('refuses another text', async () => {
    const other = defineFilter(withKernels, { ...wasmFiles(), webgpu: async () => ({ kernels: `${text} ` }) });
    for (const kind of ['cuda', 'webgpu'] as const)
      await expect(other.kernels(kind)).rejects.toEqual(coded('H5Z_INTEGRITY', /@h5z\/fake\/gpu\/fake/));
  });

  test('says why there are none: of the filter, or of this build of it', async () => {
    const none = { mode: 'none', encode: false };
    expect(await defineFilter(about, wasmFiles()).kernels('webgpu')).toEqual({ kind: 'webgpu', ...none, reason: 'r' });
    const bundled = defineFilter(withKernels, {});
    for (const kind of ['cuda', 'webgpu'] as const)
      expect(await bundled.kernels(kind)).toEqual({
        kind,
        ...none,
        reason: `this build of @h5z/fake carries no kernels for ${kind}`,
      });
  });
});
