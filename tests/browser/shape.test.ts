// What a browser or a bundler can reach of the published packages: no Node built-ins, no package that may not be installed.

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, describe, expect, test } from 'vitest';
import { filters, installPacked, ROOT, scratch } from './site.ts';

const work = scratch('shape');
afterAll(() => work.remove());

const libraries = ['packages/core', 'registry', 'packages/readers'].map((folder) => join(ROOT, folder));
const packages = filters();

installPacked([...libraries, ...packages.map((one) => one.folder)], work.folder);

/** Every module an entry reaches under these conditions, and what it imports from outside. */
async function reach(entry: string, conditions: string[]) {
  const stdin = { contents: `export * from ${JSON.stringify(entry)};`, resolveDir: work.folder };
  const { metafile } = await build({
    stdin,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    conditions,
    absWorkingDir: work.folder,
    logLevel: 'silent',
    external: ['node:*', '*.wasm'],
  });
  const outside = Object.values(metafile.inputs).flatMap((input) =>
    input.imports.filter((one) => one.external).map((one) => one.path),
  );
  return { inside: Object.keys(metafile.inputs), outside };
}

describe.each([
  ...packages.map((one) => one.package),
  '@h5z/core',
  '@h5z/registry',
  '@h5z/readers/h5wasm',
])('%s', (entry) => {
  test.each([
    [['browser']],
    [['workerd', 'browser']],
    [[]],
  ])('reaches no Node built-in under the conditions %j', async (conditions) => {
    const { inside, outside } = await reach(entry, conditions);
    expect(outside.filter((path) => !path.endsWith('.wasm'))).toEqual([]);
    expect(inside.length).toBeGreaterThan(1);
  });
});

test('no package imports a filter by name: a bundler would fail on those that are not installed', async () => {
  const scope = join(work.folder, 'node_modules/@h5z');
  const files = readdirSync(scope, { recursive: true, encoding: 'utf8' }).filter((file) => /\.[cm]?js$/.test(file));
  const { metafile } = await build({
    entryPoints: files.map((file) => join(scope, file)),
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    outdir: work.folder,
    external: ['*'],
    logLevel: 'silent',
  });
  const names = new Set(packages.map((one) => one.package));
  const imports = Object.entries(metafile.inputs).flatMap(([file, input]) =>
    input.imports.map((one) => `${file}: ${one.path}`),
  );
  expect(imports.length).toBeGreaterThan(files.length);
  const offenders = imports.filter((one) => names.has(one.replace(/^.*: /, '')));
  expect(offenders).toEqual([]);
});

test('the check for Node built-ins sees one', async () => {
  writeFileSync(
    join(work.folder, 'bad.mjs'),
    "import { readFileSync } from 'node:fs'; export const read = readFileSync;\n",
  );
  expect((await reach('./bad.mjs', ['browser'])).outside).toEqual(['node:fs']);
});
