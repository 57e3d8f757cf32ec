// Adding a filter means adding a folder. In a copy of the repository without any filters: one folder made by
// ./farm new-filter, one a copy of an existing filter under another name and ID. Both are built without a network, pass
// the common suite, are documented, listed and packed, and no other file changes.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { repositoryFiles } from '../src/reproduce.ts';
import { hostPlatform, libraryName } from '../src/targets.ts';
import { copyRepository } from './repo-copy.ts';

interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly all: string;
}

let copy = '';
/** A filter of the repository, in the copy as it is. */
let same = '';
let before = new Map<string, string>();

/** Runs a program in the copy, where nothing may be fetched. */
function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Answer> {
  const nowhere = 'http://127.0.0.1:9';
  const options = {
    cwd: copy,
    env: {
      ...process.env,
      H5Z_OFFLINE: '1',
      http_proxy: nowhere,
      https_proxy: nowhere,
      NX_CACHE_DIRECTORY: join(copy, '.nx/cache'),
      NX_WORKSPACE_DATA_DIRECTORY: join(copy, '.nx/workspace-data'), // else what was built elsewhere passes for built here
      ...env,
    },
    maxBuffer: 1 << 28,
  };
  return new Promise((resolve) => {
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
      resolve({ status, stdout, all: stdout + stderr });
    });
  });
}

const farm = (...args: string[]): Promise<Answer> => run(process.execPath, ['packages/farm/src/main.ts', ...args]);

/** Hash of every file of the repository in the copy. */
const digests = (): Map<string, string> =>
  new Map(
    repositoryFiles()
      .filter((file) => !file.startsWith('filters/'))
      .map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(copy, file)))
          .digest('hex'),
      ]),
  );

function editJson(file: string, edit: (value: Record<string, unknown>) => void): void {
  const value = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  edit(value);
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** A filter's folder without what was built in it. */
function copyFolder(from: string, name: string): string {
  const folder = join(copy, 'filters', name);
  const built = /[/\\](dist|prebuilds|wasm|gpu|LICENSES|manifest\.json)$/;
  cpSync(from, folder, { recursive: true, filter: (path) => !built.test(path) });
  return folder;
}

/** A filter's folder under another name and ID: what a person would do by hand, inside the folder alone. */
function copyFilter(from: string, name: string, id: number): void {
  const folder = copyFolder(from, name);
  editJson(join(folder, 'filter.json'), (value) => Object.assign(value, { name, id, title: `A copy: "${name}" #1` }));
  editJson(join(folder, 'package.json'), (value) => Object.assign(value, { name: `@h5z/${name}` }));
  editJson(join(folder, 'golden/index.json'), (value) => Object.assign(value, { filter: name, id }));
  const cmake = join(folder, 'CMakeLists.txt');
  writeFileSync(cmake, readFileSync(cmake, 'utf8').replace(/h5z_add_filter\(\S+/, `h5z_add_filter(${name}`));
}

const FILTERS = [
  { name: 'fresh', id: 40001 },
  { name: 'renamed', id: 40002 },
];

beforeAll(async () => {
  copy = copyRepository();
  before = digests();
  // The smallest filter with every variant, by its C.
  const size = (dir: string): number =>
    readdirSync(join(dir, 'src')).reduce((sum, file) => sum + readFileSync(join(dir, 'src', file)).length, 0);
  const [smallest] = (await readFilters(ROOT))
    .filter(({ description: { variants } }) => variants.native && variants.wasm && variants.h5wasm)
    .sort((a, b) => a.description.upstreams.length - b.description.upstreams.length || size(a.dir) - size(b.dir));
  expect(smallest).toBeDefined();
  copyFilter(smallest?.dir ?? '', 'renamed', 40002);
  same = smallest?.name ?? '';
  copyFolder(smallest?.dir ?? '', same);
  const made = await farm('new-filter', 'fresh', '--id', '40001', '--title', 'Fresh (100% "new")');
  expect(made.all, made.all).toContain('filters/fresh');
});

afterAll(() => {
  if (copy !== '') rmSync(copy, { recursive: true, force: true });
});

describe('a folder is a filter', () => {
  test('the folders build through Nx, for native, WASM and h5wasm, without a network', {
    timeout: 900_000,
  }, async () => {
    const built = await farm('build', 'fresh', 'renamed', '--json');
    expect(built.status, built.all).toBe(0);
    for (const { name } of FILTERS) {
      const library = `filters/${name}/prebuilds/${hostPlatform()}/${libraryName(name, hostPlatform())}`;
      for (const file of [
        library,
        `filters/${name}/wasm/${name}.wasm`,
        `filters/${name}/wasm/${name}.decode.wasm`,
        `filters/${name}/wasm/${name}.h5wasm.wasm`,
      ])
        expect(existsSync(join(copy, file)), file).toBe(true);
      expect(existsSync(join(copy, `filters/${name}/dist/index.d.ts`))).toBe(true);
      expect(JSON.parse(readFileSync(join(copy, `filters/${name}/manifest.json`), 'utf8'))).toMatchObject({
        filter: { name },
      });
    }
  });

  test('a build without changes runs nothing', async () => {
    const built = await farm('build', 'fresh', 'renamed');
    expect(built.status, built.all).toBe(0);
    expect(built.all).toMatch(/Cache:\s+6\/6 hit/);
  });

  test('one changed filter is rebuilt alone', async () => {
    const source = join(copy, 'filters/fresh/src/filter.c');
    writeFileSync(source, `${readFileSync(source, 'utf8')}\n/* changed */\n`);
    const built = await farm('build', 'fresh', 'renamed');
    expect(built.status, built.all).toBe(0);
    expect(built.all).toMatch(/Cache:\s+3\/6 hit/);
  });

  test('a filter built here has the bytes that it has there: nothing of a folder or a moment goes in', async () => {
    const built = await farm('build', same, '--json');
    expect(built.status, built.all).toBe(0);
    const files = (JSON.parse(built.stdout) as { files: { path: string; sha256: string }[] }[]).flatMap(
      (one) => one.files,
    );
    expect(files.length).toBeGreaterThan(3);
    for (const { path, sha256 } of files)
      expect(
        createHash('sha256')
          .update(readFileSync(join(ROOT, path)))
          .digest('hex'),
        path,
      ).toBe(sha256);
  });

  test('they pass the common suite and their golden chunks', { timeout: 900_000 }, async () => {
    const counts = join(copy, 'counts.json');
    const suite = await run(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', 'tests/conformance', 'tests/golden'],
      {
        H5Z_TEST_COUNTS: counts,
      },
    );
    expect(suite.status, suite.all.slice(-4000)).toBe(0);
    const { passed, failed, skips } = JSON.parse(readFileSync(counts, 'utf8')) as {
      passed: number;
      failed: number;
      skips: unknown[];
    };
    rmSync(counts);
    expect({ failed, skips }).toEqual({ failed: 0, skips: [] });
    expect(passed).toBeGreaterThan(100);
  });

  test('they are listed, documented and packed', async () => {
    const matrix = JSON.parse((await farm('matrix', '--json')).stdout) as { filter: string }[];
    expect([...new Set(matrix.map(({ filter }) => filter))]).toEqual(['fresh', 'renamed', same].sort());
    const docs = await farm('docs');
    expect(docs.status, docs.all).toBe(0);
    const packed = await farm('pack', 'fresh', 'renamed');
    expect(packed.all).toContain('@h5z/renamed');
    for (const { name, id } of FILTERS) {
      expect(readFileSync(join(copy, `docs/filters/${name}.md`), 'utf8')).toContain(String(id));
      expect(readdirSync(join(copy, 'out/packages')).some((file) => file.startsWith(`h5z-${name}-`))).toBe(true);
    }
  });

  test('no other file has changed', () => {
    expect([...digests()].filter(([file, digest]) => before.get(file) !== digest)).toEqual([]);
  });

  test.each([
    ['a name that is taken', ['fresh', '--id', '40003'], 'filters/fresh exists'],
    ['an ID that is taken', ['other', '--id', '40001'], 'filters/fresh has ID 40001'],
    ['an ID that is registered', ['other', '--id', '32013'], 'registered as'],
    ['a name that npm refuses', ['Other', '--id', '40003'], 'lower-case'],
    ['no ID', ['other'], '--id 32768'],
    ['an ID that is no number', ['other', '--id', 'x'], '1 to 65535'],
  ])('new-filter refuses %s', async (_, args, message) => {
    const refused = await farm('new-filter', ...args);
    expect(refused.status).toBe(1);
    expect(refused.all).toContain(message);
    expect(existsSync(join(copy, 'filters/other'))).toBe(false);
  });
});
