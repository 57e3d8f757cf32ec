// The resolver: packages passed, packages found in every layout package managers make, and what it says when there is none.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Codec, defineFilter, type FilterPackage } from '../../packages/core/dist/index.js';
import { fakeModule } from '../../packages/core/test/support/fake-module.ts';
import * as browser from '../dist/browser.js';
import * as node from '../dist/index.js';
import { createRegistry, installed } from '../dist/index.js';

interface Fake {
  id: number;
  name: string;
  aliases?: FilterPackage['description']['aliases'];
}
function about({ id, name, aliases = [] }: Fake) {
  const hash = '0'.repeat(64);
  const file = { size: 1, sha256: hash, encode: true, decode: true, verified: 'built' as const };
  const npm = { name: `@h5z/${name}`, version: '1.0.0' };
  return {
    package: npm,
    description: {
      id,
      name,
      title: name.toUpperCase(),
      summary: `The ${name} filter.`,
      lossy: false,
      licence: 'MIT',
      aliases,
      upstreams: [],
      parameters: [],
      variants: {},
    },
    manifest: {
      manifestVersion: 1 as const,
      package: npm,
      filter: { id, name, title: name, lossy: false, licence: 'MIT', aliases: aliases.map((alias) => alias.id) },
      abi: 1,
      variants: {
        native: [
          { ...file, platform: 'linux-arm64' as const, file: `prebuilds/linux-arm64/libh5z_${name}.so`, minimum: {} },
        ],
        wasm: [{ ...file, file: `wasm/${name}.decode.wasm`, encode: false, simd: false }],
        h5wasm: [],
        cuda: { mode: 'none' as const, reason: 'r' },
        webgpu: {
          mode: 'partial' as const,
          reason: 'decodes',
          file: `gpu/${name}.wgsl`,
          size: 9,
          sha256: '1'.repeat(64),
          encode: false,
          verifiedOn: [],
        },
      },
      upstreams: [],
      licences: [],
    },
  };
}
const fake = (what: Fake) =>
  defineFilter(about(what), {
    full: () => WebAssembly.compile(fakeModule({ id: what.id })),
    root: () => new URL('file:///p/'),
  });
const coded = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message ? { message: expect.stringMatching(message) } : {}) });

const one = fake({ id: 40001, name: 'one' });
const two = fake({ id: 40002, name: 'two' });

describe('createRegistry', () => {
  const registry = createRegistry([one, two]);

  test('finds packages by ID and canonical name', async () => {
    expect(registry.get(40001)).toBe(one);
    expect(registry.get('two')).toBe(two);
    expect(registry.get('Two')).toBeUndefined();
    expect((await registry.load('two')).id).toBe(40002);
    expect(registry.packages).toEqual([one, two]);
    expect(registry.lookup('one')).toMatchObject({ id: 40001, origin: 'private', package: '@h5z/one' });
    expect(registry.lookup('zfp')).toMatchObject({ id: 32013 });
  });

  test('of two packages with one ID the first counts', () => {
    const rival = fake({ id: 40001, name: 'rival' });
    expect(createRegistry([rival, one]).get(40001)).toBe(rival);
  });

  test('what is no package is refused', () => {
    expect(() => createRegistry([{} as FilterPackage])).toThrow(coded('H5Z_PARAMETER', /entry 0.*default exports/));
  });

  test('missing filters are named, all at once, with the private table', async () => {
    const table = [{ id: 50000, name: 'ours', package: '@acme/h5z-ours', summary: 'our detector' }];
    const registry = createRegistry([one], { table });
    await expect(registry.load(32013)).rejects.toEqual(coded('H5Z_MISSING_FILTER', /32013 \(ZFP/));
    await expect(registry.load('nothing')).rejects.toEqual(
      coded('H5Z_UNKNOWN_FILTER', /"nothing"; use its canonical name/),
    );
    await expect(registry.load(50001)).rejects.toEqual(coded('H5Z_UNKNOWN_FILTER', /private/));
    await expect(registry.load('ours')).rejects.toEqual(coded('H5Z_MISSING_FILTER', /50000.*npm i @acme\/h5z-ours/));
    const stages = [40001, 50000, 32013].map((id) => ({ id, cdValues: [] }));
    await expect(registry.pipeline(stages)).rejects.toEqual(coded('H5Z_MISSING_FILTER', /filters 50000 .* and 32013/));
  });

  test('pipelines take their codecs from the packages, then from the fallback', async () => {
    const host = { id: 2, name: 'shuffle' } as Codec;
    const registry = createRegistry([one, two], { fallback: (stage) => (stage.id === 2 ? host : undefined) });
    const pipeline = await registry.pipeline([
      { id: 2, cdValues: [4] },
      { id: 40002, cdValues: [] },
    ]);
    expect(pipeline.stages.map((stage) => stage.codec.name)).toEqual(['shuffle', 'fake']);
    expect(pipeline.decode(new Uint8Array([0, 7]), { filterMask: 1, size: 1 })).toEqual(new Uint8Array([7]));
  });
});

test('a missing filter that is optional is missed only by chunks it was applied to', async () => {
  const stages = [
    { id: 40001, cdValues: [] },
    { id: 32013, cdValues: [], flags: 1 },
  ];
  const pipeline = await createRegistry([one]).pipeline(stages);
  const chunk = new Uint8Array([0, 7]);
  expect(pipeline.decode(chunk, { filterMask: 0b10, size: 1 })).toEqual(new Uint8Array([7]));
  expect(() => pipeline.decode(chunk, { size: 1 })).toThrow(
    coded('H5Z_MISSING_FILTER', /this chunk needs filter 32013/),
  );
  await expect(pipeline.decodeMany([chunk], { size: 1 })).rejects.toEqual(coded('H5Z_MISSING_FILTER'));
});

describe('aliases', () => {
  const owner = fake({ id: 40010, name: 'owner' });
  const marked = fake({
    id: 40011,
    name: 'marked',
    aliases: [{ id: 40010, doc: 'old', storedName: '^blosc', minWords: 2 }],
  });
  const plain = fake({ id: 40012, name: 'plain', aliases: [{ id: 40010, doc: 'old' }] });
  const chosen = async (packages: FilterPackage[], name: string | undefined, cdValues: number[]) => {
    const stage = { id: 40010, cdValues, ...(name === undefined ? {} : { name }) };
    const pipeline = await createRegistry(packages).pipeline([stage]);
    return pipeline.stages[0]?.codec.id;
  };

  test('an alias whose marks fit goes before the rightful owner, one without marks after', async () => {
    expect(await chosen([owner, marked, plain], 'Blosc filter', [1, 2])).toBe(40011);
    expect(await chosen([owner, marked, plain], 'Blosc filter', [1])).toBe(40010);
    expect(await chosen([owner, marked, plain], undefined, [1, 2])).toBe(40010);
    expect(await chosen([marked, plain], 'other', [])).toBe(40012);
    await expect(chosen([marked], 'other', [])).rejects.toEqual(coded('H5Z_UNKNOWN_FILTER'));
  });

  test('without a stage to look at, any alias will do when the owner is absent', () => {
    expect(createRegistry([marked, owner]).get(40010)).toBe(owner);
    expect(createRegistry([marked]).get(40010)).toBe(marked);
  });
});

describe('resolve', () => {
  const registry = createRegistry([one]);

  test('says where a variant lies, without loading it', () => {
    expect(registry.resolve(40001, { target: 'hsds', platform: 'linux-arm64' })).toEqual({
      id: 40001,
      name: 'one',
      package: '@h5z/one',
      version: '1.0.0',
      abi: 1,
      variant: 'native',
      platform: 'linux-arm64',
      file: 'prebuilds/linux-arm64/libh5z_one.so',
      url: new URL('file:///p/prebuilds/linux-arm64/libh5z_one.so'),
      size: 1,
      sha256: '0'.repeat(64),
      encode: true,
      parameters: one.description.parameters ?? [],
    });
    expect(registry.resolve('one', { target: 'hsds', platform: 'linux-arm64' })).toEqual(
      registry.resolve(40001, { target: 'linux-arm64' }),
    );
    expect(registry.resolve('one', { target: 'wasm-decode' }).file).toBe('wasm/one.decode.wasm');
    expect(registry.resolve('one', { target: 'webgpu' })).toMatchObject({
      variant: 'webgpu',
      file: 'gpu/one.wgsl',
      url: new URL('file:///p/gpu/one.wgsl'),
      sha256: '1'.repeat(64),
      encode: false,
    });
  });

  test('says what there is when the variant does not exist', () => {
    expect(() => registry.resolve(40001, { target: 'hsds', platform: 'win32-x64' })).toThrow(coded('H5Z_NO_PLATFORM'));
    expect(() => registry.resolve(32013, { target: 'hsds' })).toThrow(/32013.*npm i @h5z\/zfp/);
    for (const target of ['win32-x64', 'wasm', 'h5wasm'] as const) {
      expect(() => registry.resolve('one', { target })).toThrow(coded('H5Z_NO_PLATFORM'));
    }
    expect(() => registry.resolve('one', { target: 'win32-x64' })).toThrow(
      /no native library for win32-x64; it has linux-arm64/,
    );
    expect(() => registry.resolve('one', { target: 'cuda' })).toThrow(/no kernels for cuda \(r\)/);
    expect(() => registry.resolve(32013, { target: 'wasm' })).toThrow(coded('H5Z_MISSING_FILTER'));
  });
});

describe('installed', () => {
  let root: string;
  beforeAll(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'h5z-installed-')));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const core = pathToFileURL(fileURLToPath(new URL('../../packages/core/dist/index.js', import.meta.url))).href;
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  /** A filter package in `folder`, as npm would unpack it. */
  const place = (folder: string, npm: string, what: Fake, extra: object = {}) => {
    const json = {
      name: npm,
      version: '1.0.0',
      type: 'module',
      exports: { '.': './i.js', './package.json': './package.json' },
    };
    write(`${folder}/package.json`, JSON.stringify({ ...json, h5z: { filter: './filter.json' }, ...extra }));
    const { package: _, ...rest } = about(what);
    const described = JSON.stringify({ package: { name: npm, version: '1.0.0' }, ...rest });
    write(
      `${folder}/i.js`,
      `import { defineFilter } from '${core}';\nexport default defineFilter(${described}, {});\n`,
    );
  };
  const names = async (from: string, warnings: Error[] = []) => {
    const registry = await installed({ from: join(root, from), onWarning: (warning) => warnings.push(warning) });
    return registry.packages.map((filter) => filter.package.name);
  };

  test('npm: @h5z/* and any package that says it is a filter, in node_modules here and above', async () => {
    place('npm/node_modules/@h5z/one', '@h5z/one', { id: 40001, name: 'one' });
    place('npm/node_modules/acme-filter', 'acme-filter', { id: 50000, name: 'acme' });
    place('npm/app/node_modules/@h5z/two', '@h5z/two', { id: 40002, name: 'two' });
    write('npm/node_modules/other/package.json', '{"name":"other"}');
    write('npm/node_modules/not-json/package.json', '{');
    write('npm/app/package.json', '{}');
    expect(await names('npm/app')).toEqual(['@h5z/one', '@h5z/two', 'acme-filter']);
    const registry = await installed({ from: pathToFileURL(join(root, 'npm/app')) });
    expect(registry.get(50000)?.canonicalName).toBe('acme');
  });

  test('the nearest of two versions counts', async () => {
    place('near/node_modules/@h5z/one', '@h5z/one', { id: 40001, name: 'far' });
    place('near/app/node_modules/@h5z/one', '@h5z/one', { id: 40001, name: 'near' });
    const registry = await installed({ from: join(root, 'near/app') });
    expect(registry.get(40001)?.canonicalName).toBe('near');
  });

  test('pnpm: links to a store, with the dependencies of a bundle package only beside it', async () => {
    const store = 'pnpm/node_modules/.pnpm';
    place(`${store}/@h5z+one@1/node_modules/@h5z/one`, '@h5z/one', { id: 40001, name: 'one' });
    write(
      `${store}/@h5z+all@1/node_modules/@h5z/all/package.json`,
      '{"name":"@h5z/all","dependencies":{"@h5z/two":"1","left-out":"1"}}',
    );
    place(`${store}/@h5z+two@1/node_modules/@h5z/two`, '@h5z/two', { id: 40002, name: 'two' });
    const link = (target: string, path: string) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      symlinkSync(join(root, target), join(root, path));
    };
    link(`${store}/@h5z+two@1/node_modules/@h5z/two`, `${store}/@h5z+all@1/node_modules/@h5z/two`);
    link(`${store}/@h5z+one@1/node_modules/@h5z/one`, 'pnpm/node_modules/@h5z/one');
    link(`${store}/@h5z+all@1/node_modules/@h5z/all`, 'pnpm/node_modules/@h5z/all');
    write('pnpm/package.json', '{"dependencies":{"@h5z/one":"1","@h5z/all":"1"}}');
    expect(await names('pnpm')).toEqual(['@h5z/one', '@h5z/two']);
  });

  test('a package that does not load is reported, and the others are there', async () => {
    place('broken/node_modules/@h5z/one', '@h5z/one', { id: 40001, name: 'one' });
    place('broken/node_modules/@h5z/two', '@h5z/two', { id: 40002, name: 'two' });
    write('broken/node_modules/@h5z/two/i.js', 'throw new Error("half written");');
    const warnings: Error[] = [];
    expect(await names('broken', warnings)).toEqual(['@h5z/one']);
    expect(warnings).toEqual([coded('H5Z_MISSING_FILTER', /@h5z\/two.*half written.*reinstall it, or remove it/)]);
  });

  test('an empty folder has an empty registry, which still says what to install', async () => {
    write('empty/package.json', '{}');
    const registry = await installed({ from: join(root, 'empty') });
    expect(registry.packages.filter((filter) => filter.locate('.')?.href.includes('/empty/'))).toEqual([]);
    await expect(registry.load(32013)).rejects.toEqual(coded('H5Z_MISSING_FILTER'));
  });
});

describe('public API', () => {
  const names = ['catalogue', 'createRegistry', 'installed', 'lookup', 'missingFilter'];

  test('is the same in Node and in browsers', () => {
    expect(Object.keys(node).sort()).toEqual(names);
    expect(Object.keys(browser).sort()).toEqual(names);
  });

  test('installed() in a browser says what to do instead', async () => {
    await expect(browser.installed()).rejects.toEqual(coded('H5Z_NO_PLATFORM', /createRegistry\(\[\.\.\.\]\)/));
  });
});
