// A filter outside the repository, from what is published alone: npx @h5z/abi new, build, test and pack in a temporary folder,
// with the packages of an embedded registry and no other network; the tarball is then installed elsewhere and found by ID.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runIn } from '../../../tests/support/packed.ts';
import { pack } from '../src/pack.ts';
import { ROOT } from '../src/paths.ts';
import { publishAll } from '../src/publish.ts';
import type { RunningRegistry } from '../src/registry-server.ts';
import { hostPlatform, libraryName, PLATFORMS } from '../src/targets.ts';

const NAME = 'my-filter';
const scratch = mkdtempSync(join(tmpdir(), 'h5z-outside-'));
const work = join(scratch, 'work');
const folder = join(work, NAME);
let registry: RunningRegistry;

beforeAll(async () => {
  const only = ['@h5z/abi', '@h5z/core', '@h5z/native', '@h5z/registry'];
  const packed = await pack({ out: join(scratch, 'packages'), only });
  const [abi] = packed.filter(({ name }) => name === '@h5z/abi');
  expect(abi?.problems).toEqual([]);
  registry = await publishAll(packed);
  mkdirSync(work);
});

afterAll(async () => {
  await registry?.close();
  rmSync(scratch, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly all: string;
}

/** Runs a program where the only network is the embedded registry, and nothing of the repository is in the environment. */
function run(cwd: string, program: string, ...args: string[]): Promise<Answer> {
  const env: NodeJS.ProcessEnv = { ...registry.env, H5Z_OFFLINE: '1', http_proxy: 'http://127.0.0.1:9' };
  delete env.NODE_PATH;
  delete env.NODE_OPTIONS;
  return new Promise((resolve) => {
    execFile(program, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
      resolve({ status, stdout, all: stdout + stderr });
    });
  });
}

async function good(cwd: string, program: string, ...args: string[]): Promise<Answer> {
  const answer = await run(cwd, program, ...args);
  expect(answer.status, answer.all).toBe(0);
  return answer;
}

const json = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

describe('a filter outside the repository', () => {
  test('is made by npx', async () => {
    const made = await good(work, 'npx', '--yes', '@h5z/abi', 'new', NAME);
    const { id } = json<{ id: number }>(join(folder, 'filter.json'));
    expect(id).toBeGreaterThanOrEqual(32768);
    expect(made.stdout).toBe(`${NAME}: filter ${id}\n`);
    const again = await run(work, 'npx', '--yes', '@h5z/abi', 'new', NAME);
    expect([again.status, again.all]).toEqual([1, expect.stringContaining('exists')]);
    const foreign = await run(work, 'npx', '--yes', '@h5z/abi', 'new', 'other', '--id', '32015');
    expect([foreign.status, foreign.all]).toEqual([1, expect.stringContaining('registered')]);
  });

  test('is built in every variant, by the published farm', { timeout: 600_000 }, async () => {
    await good(folder, 'npm', 'install', '--ignore-scripts');
    expect(existsSync(join(folder, 'node_modules/@h5z/abi/dist/registry/schema/filter.schema.json'))).toBe(true);
    await good(folder, 'npx', 'h5z-abi', 'build', '--targets', 'all');
    for (const file of [
      ...PLATFORMS.map((platform) => `prebuilds/${platform}/${libraryName(NAME, platform)}`),
      `wasm/${NAME}.wasm`,
      `wasm/${NAME}.decode.wasm`,
      `wasm/${NAME}.h5wasm.wasm`,
      'dist/index.d.ts',
    ])
      expect(existsSync(join(folder, file)), file).toBe(true);
    const { variants } = json<{ variants: Record<'native' | 'wasm', { platform?: string; verified: string }[]> }>(
      join(folder, 'manifest.json'),
    );
    const here = variants.native.filter(({ platform }) => platform === hostPlatform());
    expect([...here, ...variants.wasm].map(({ verified }) => verified)).toEqual(['executed', 'executed', 'executed']);
  });

  test('is tested, and a wrong digest fails the test', async () => {
    const tested = await good(folder, 'npm', 'test');
    expect(tested.stdout).toMatch(/\d+ passed, 0 failed/);
    expect(tested.all).toContain('npm install --save-dev vitest');
    // The registry of this test has no vitest: the repository's own.
    symlinkSync(join(ROOT, 'node_modules/vitest'), join(folder, 'node_modules/vitest'));
    const suite = await good(folder, 'npx', 'h5z-abi', 'test');
    expect(suite.all).toMatch(/conformance\.test\.js/);
    expect(suite.all).toMatch(/Tests .*\d+ passed/);
    rmSync(join(folder, 'node_modules/vitest'));
    const file = join(folder, 'golden/index.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/"sha256": "...../, '"sha256": "00000'));
    const wrong = await run(folder, 'npx', 'h5z-abi', 'test');
    writeFileSync(file, text);
    expect([wrong.status, wrong.all]).toEqual([1, expect.stringContaining('does not decode its golden chunks')]);
  });

  test('is refused with the line when filter.json lies', async () => {
    const file = join(folder, 'filter.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"lossy": false', '"lossy": "no"'));
    const refused = await run(folder, 'npx', 'h5z-abi', 'build');
    writeFileSync(file, text);
    expect([refused.status, refused.all]).toEqual([1, expect.stringMatching(/filter\.json:\d+: lossy/)]);
  });

  test('is packed, installed elsewhere and found by its ID', { timeout: 300_000 }, async () => {
    const tarball = (await good(folder, 'npx', 'h5z-abi', 'pack')).stdout.trim();
    const application = join(scratch, 'application');
    mkdirSync(application);
    writeFileSync(join(application, 'package.json'), '{ "private": true, "type": "module" }\n');
    await good(application, 'npm', 'install', '--ignore-scripts', tarball, '@h5z/registry');
    const { id } = json<{ id: number }>(join(folder, 'filter.json'));
    writeFileSync(
      join(application, 'main.js'),
      `import { installed } from '@h5z/registry';
const registry = await installed();
const data = Uint8Array.from({ length: 4000 }, (_, i) => i >> 6);
const answers = [];
for (const variant of ['native', 'wasm']) {
  const codec = await registry.load(${id}, { only: variant, encode: true });
  const cdValues = codec.derive([], { typeClass: 'integer', typeSize: 2, chunk: [2000] });
  const chunk = codec.encode(data, { cdValues });
  const pipeline = await registry.pipeline([{ id: ${id}, cdValues }]);
  const same = Buffer.compare(pipeline.decode(chunk, { size: data.length }), data) === 0;
  answers.push({ variant: codec.variant, name: codec.name, same, smaller: chunk.length < 1000 });
}
console.log(JSON.stringify(answers));
`,
    );
    const { stdout } = await good(application, process.execPath, 'main.js');
    const expected = ['native', 'wasm'].map((variant) => ({ variant, name: NAME, same: true, smaller: true }));
    expect(JSON.parse(stdout)).toEqual(expected);
  });

  test('may have an upstream of its own, in C++ too, inline or beside filter.json', { timeout: 600_000 }, async () => {
    const copy = join(work, 'with-upstream');
    cpSync(folder, copy, { recursive: true, filter: (path) => !/(build|out|prebuilds|wasm|dist)$/.test(path) });
    const own = join(copy, 'upstreams/elzet');
    mkdirSync(own, { recursive: true });
    // A tree that is in the cache, by another name: what is tested is where its pin and its CMakeLists.txt are looked for.
    const pin = json<object>(join(ROOT, 'upstreams/lz4/upstream.json'));
    writeFileSync(join(own, 'more.cpp'), 'extern "C" int more() { return []() { return 40; }(); }\n');
    writeFileSync(
      join(own, 'CMakeLists.txt'),
      `add_library(h5z_upstream_elzet STATIC \${H5Z_SOURCE_elzet}/lz4.c more.cpp)
target_include_directories(h5z_upstream_elzet PUBLIC \${H5Z_SOURCE_elzet})\n`,
    );
    const source = readFileSync(join(copy, 'src/filter.c'), 'utf8');
    writeFileSync(
      join(copy, 'src/filter.c'),
      `#include <lz4.h>\nint more(void);\n${source}\nint my_filter_uses(void) { return LZ4_versionNumber() + more(); }\n`,
    );
    writeFileSync(join(copy, 'CMakeLists.txt'), `h5z_add_filter(${NAME} SOURCES src/filter.c UPSTREAM elzet)\n`);
    const description = json<object>(join(copy, 'filter.json'));
    const inline = { ...pin, name: 'elzet' };
    for (const upstream of [inline, 'elzet']) {
      if (upstream === 'elzet') writeFileSync(join(own, 'upstream.json'), JSON.stringify(inline));
      writeFileSync(join(copy, 'filter.json'), JSON.stringify({ ...description, upstreams: [upstream] }, null, 2));
      await good(copy, 'npx', 'h5z-abi', 'build', '--targets', `${hostPlatform()},wasm`);
      const { upstreams, licences } = json<{ upstreams: { name: string }[]; licences: string[] }>(
        join(copy, 'manifest.json'),
      );
      expect(upstreams.map(({ name }) => name)).toEqual(['elzet']);
      expect(licences.filter((file) => file.startsWith('LICENSES/elzet-')).length).toBeGreaterThan(0);
    }
    rmSync(join(own, 'CMakeLists.txt'));
    const lacking = await run(copy, 'npx', 'h5z-abi', 'build');
    expect([lacking.status, lacking.all]).toEqual([
      1,
      expect.stringMatching(/upstreams\/elzet\/CMakeLists\.txt.*Write it/),
    ]);
    writeFileSync(join(copy, 'filter.json'), JSON.stringify({ ...description, upstreams: ['nowhere'] }, null, 2));
    const unknown = await run(copy, 'npx', 'h5z-abi', 'build');
    expect([unknown.status, unknown.all]).toEqual([
      1,
      expect.stringMatching(/filter\.json:\d+: there is no upstreams\/nowhere/),
    ]);
  });

  test('the doctor lists what it needs, and nothing of the repository', async () => {
    const { status, stdout } = await run(folder, 'npx', 'h5z-abi', 'doctor', '--json');
    const tools = JSON.parse(stdout) as { tool: string; state: string; fix: string }[];
    expect(status).toBe(tools.some(({ state }) => state === 'missing') ? 1 : 0);
    expect(tools.find(({ tool }) => tool === 'zig')).toMatchObject({ state: 'ok', fix: '' });
    expect(tools.map(({ tool }) => tool)).not.toContain('node_modules');
    expect(tools.filter(({ fix }) => fix.includes('./farm'))).toEqual([]);
  });

  test('knows nothing of the repository', () => {
    const manifest = readFileSync(join(folder, 'manifest.json'), 'utf8');
    expect(manifest).not.toContain(ROOT);
    expect(existsSync(join(folder, 'node_modules/@h5z/farm'))).toBe(false);
  });
});

test('the worked example of the guide builds the same way, keeps its golden chunks and passes the common suite', {
  timeout: 600_000,
}, async () => {
  const example = join(ROOT, 'docs/examples/run-length');
  const copy = join(scratch, 'examples/run-length');
  const built = readFileSync(join(example, '.gitignore'), 'utf8').split('\n').filter(Boolean);
  cpSync(example, copy, { recursive: true, filter: (path) => !built.includes(basename(path)) });
  await good(copy, 'npm', 'install', '--ignore-scripts');
  await good(copy, 'npx', 'h5z-abi', 'build');
  expect((await good(copy, 'npx', 'h5z-abi', 'test')).stdout).toMatch(/\d+ passed, 0 failed/);
  await good(copy, 'npx', 'h5z-abi', 'pack');
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'run-length', 'tests/conformance'];
  const env = { H5Z_FILTERS_DIR: join(scratch, 'examples') };
  const suite = await runIn(ROOT, process.execPath, vitest, env);
  expect(suite.status, suite.stdout.slice(-4000)).toBe(0);
});
