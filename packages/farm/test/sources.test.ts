// Upstream sources are held to their tree hash wherever they came from, and nothing is fetched when that is forbidden.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../src/paths.ts';
import { listUpstreams, readUpstream, treeHash, type Upstream } from '../src/sources.ts';

const SOURCES = join(ROOT, 'packages/farm/src/sources.ts');
let cache = '';

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'h5z-cache-'));
});
afterEach(() => {
  rmSync(cache, { recursive: true, force: true });
});

/** ensureSource in a process of its own, with this cache and no network. Gives the folder, or the error's message. */
function ensure(upstream: Upstream): Promise<string> {
  const code = `import { ensureSource } from ${JSON.stringify(SOURCES)};
    try { console.log(await ensureSource(${JSON.stringify(upstream)})); } catch (error) { console.log('refused: ' + error.message); }`;
  const env = { ...process.env, H5Z_CACHE: cache, H5Z_OFFLINE: '1' };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', code], { env }, (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim()),
    );
  });
}

/** A package as a client would have left it in the cache. */
function place(kind: string, files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(cache, `downloads/${kind}-toy-1.0.0`, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
  }
}

/** Some hash, of no tree. */
const TREE = 'ab'.repeat(32);
const toy = (tree: string, kind: 'cargo' | 'pypi'): Upstream => ({
  name: 'toy',
  version: '1.0.0',
  licence: 'MIT',
  licenceFiles: ['LICENSE'],
  files: ['LICENSE', 'src/**/*.{c,h}'],
  tree,
  from: [{ [kind]: 'toy', version: '1.0.0', path: kind === 'cargo' ? 'inner' : '' }],
});
const FILES = { LICENSE: 'MIT\n', 'src/a.c': 'int a;\n', 'src/deep/b.h': '#pragma once\n' };

describe('upstream sources', () => {
  test('the same files give the same tree, whatever brought them and whatever lies beside', async () => {
    place('cargo', Object.fromEntries(Object.entries(FILES).map(([path, text]) => [`inner/${path}`, text])));
    place('pypi', { ...FILES, 'src/a.py': 'pass\n', README: 'no\n' });
    const globs = toy(TREE, 'cargo').files;
    const one = await treeHash(join(cache, 'downloads/cargo-toy-1.0.0/inner'), globs);
    const two = await treeHash(join(cache, 'downloads/pypi-toy-1.0.0'), globs);
    expect(two).toBe(one);
    // (cd ...; find LICENSE src -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum
    expect(one).toBe('30e19a3ab716e5b8a09b4710bc50a3b4004382c6179e781129ce53955bd34511');
    const folder = await ensure(toy(one, 'cargo'));
    expect(folder).toBe(join(cache, 'sources', one));
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual([
      'LICENSE',
      'src',
      'src/a.c',
      'src/deep',
      'src/deep/b.h',
    ]);
    expect(await ensure(toy(one, 'pypi'))).toBe(folder);
  });

  test('a tree with another hash is refused, and the message names both hashes', async () => {
    place('pypi', FILES);
    const found = await treeHash(join(cache, 'downloads/pypi-toy-1.0.0'), toy(TREE, 'pypi').files);
    const message = await ensure(toy(TREE, 'pypi'));
    expect(message).toMatch(/^refused: toy 1\.0\.0 .* is not the tree/);
    expect(message).toContain(TREE);
    expect(message).toContain(found);
    expect(() => readFileSync(join(cache, 'sources', TREE, 'LICENSE'))).toThrow();
  });

  test('a file changed in the cache is noticed before it is compiled', async () => {
    place('pypi', FILES);
    const tree = await treeHash(join(cache, 'downloads/pypi-toy-1.0.0'), toy(TREE, 'pypi').files);
    const folder = await ensure(toy(tree, 'pypi'));
    writeFileSync(join(folder, 'src/a.c'), 'int a = 1;\n');
    const message = await ensure(toy(tree, 'pypi'));
    expect(message).toMatch(/^refused: /);
    expect(message).toContain(tree);
    expect(message).toContain(await treeHash(folder, ['**']));
  });

  test('edits are applied to a copy of the tree, and the tree stays', async () => {
    place('pypi', { ...FILES, 'src/a.c': 'int a; /* caf\u00e9 */\nint b = exit(1);\nint c = exit(2);\n' });
    const tree = await treeHash(join(cache, 'downloads/pypi-toy-1.0.0'), toy(TREE, 'pypi').files);
    const why = 'a filter never ends the process';
    const edits = [
      { file: 'src/a.c', find: 'exit(', replace: 'fail(', count: 2, why },
      { file: 'src/a.c', find: 'é */\nint b', replace: 'é, twice é */\nlong b', why },
    ];
    const folder = await ensure({ ...toy(tree, 'pypi'), edits });
    expect(folder).toMatch(new RegExp(`/sources/${tree}-[0-9a-f]{16}$`));
    expect(readFileSync(join(folder, 'src/a.c'), 'utf8')).toBe(
      'int a; /* café, twice é */\nlong b = fail(1);\nint c = fail(2);\n',
    );
    expect(await ensure({ ...toy(tree, 'pypi'), edits })).toBe(folder);
    expect(await ensure(toy(tree, 'pypi'))).toBe(join(cache, 'sources', tree));
    expect(await ensure({ ...toy(tree, 'pypi'), edits: edits.slice(1) })).not.toBe(folder);
    writeFileSync(join(folder, 'LICENSE'), 'other\n');
    expect(await ensure({ ...toy(tree, 'pypi'), edits })).toMatch(/^refused: .* was changed/);
  });

  test.each([
    ['twice where it occurs once', 'src/a.c', 'int a', 2, /occurs 1 times, not 2/],
    ['absent', 'src/a.c', 'int b', 1, /occurs 0 times, not 1/],
    ['empty', 'src/a.c', '', 1, /not 1/],
    ['in no file of the tree', 'src/b.c', 'int a', 1, /which its tree has not/],
  ])('an edit whose text is %s is refused', async (_, file, find, count, message) => {
    place('pypi', FILES);
    const tree = await treeHash(join(cache, 'downloads/pypi-toy-1.0.0'), toy(TREE, 'pypi').files);
    const edits = [{ file, find, count, replace: 'x', why: 'to see it refused' }];
    expect(await ensure({ ...toy(tree, 'pypi'), edits })).toMatch(message);
    expect(readdirSync(join(cache, 'sources'))).toEqual([tree]);
  });

  test('without a network and without the package, the message says what to run', async () => {
    expect(await ensure(toy(TREE, 'cargo'))).toMatch(
      /H5Z_OFFLINE is set and cargo package toy 1\.0\.0 .*\.\/farm fetch/,
    );
  });

  test('every upstream of the repository pins a tree, its licence texts, and places to have it from', async () => {
    const names = await listUpstreams();
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const upstream = await readUpstream(name);
      expect(upstream.name).toBe(name);
      expect(upstream.tree).toMatch(/^[0-9a-f]{64}$/);
      expect(upstream.licenceFiles.length).toBeGreaterThan(0);
      expect(upstream.from.length).toBeGreaterThan(0);
      for (const edit of upstream.edits ?? []) expect(edit.why).not.toBe('');
    }
  });
});
