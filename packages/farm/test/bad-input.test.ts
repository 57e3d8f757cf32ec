// What happens to people's machines while the farm works: the disk fills up, the network goes away in the middle, a tool on PATH
// is of another version, somebody kills it. Each time it stops with the reason, leaves nothing half done, and the same command
// afterwards ends as if nothing had been.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { treeHash, type Upstream } from '../src/sources.ts';
import { hostPlatform, libraryName } from '../src/targets.ts';

const SRC = join(ROOT, 'packages/farm/src');
const MAIN = join(SRC, 'main.ts');
const EMSCRIPTEN = JSON.parse(readFileSync(join(ROOT, 'toolchains/emscripten/pin.json'), 'utf8')) as {
  version: string;
};

let scratch = '';
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'h5z-bad-'));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Runs Node on code that imports the farm's modules; what it throws is printed as `refused: MESSAGE`. */
function farmCode(code: string, env: NodeJS.ProcessEnv, wrap: readonly string[] = []): Promise<Answer> {
  const whole = `try { ${code} } catch (error) { console.log('refused: ' + error.message); }`;
  const [program = '', ...args] = [...wrap, process.execPath, '--input-type=module', '-e', whole];
  return answer(spawn(program, args, { env: { ...process.env, ...env } }));
}

function answer(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    child.stdout?.on('data', (data) => (text += data));
    child.stderr?.on('data', (data) => (text += data));
    child.on('close', (code) => resolve({ status: code ?? 128, text }));
  });
}

const module = (name: string) => JSON.stringify(join(SRC, `${name}.ts`));

/** A small filter in C that has been built here, as a filter outside the repository. */
async function copyOfFilter(): Promise<{ folder: string; name: string; library: string; sha256: string }> {
  const filter = (await readFilters()).find(
    ({ description }) => description.upstreams.length === 0 && description.parameters.length === 0,
  );
  if (filter === undefined) throw new Error('no filter without upstreams and parameters');
  const folder = join(scratch, filter.name);
  const library = `prebuilds/${hostPlatform()}/${libraryName(filter.name, hostPlatform())}`;
  mkdirSync(folder);
  for (const name of ['filter.json', 'package.json', 'CMakeLists.txt', 'src'])
    cpSync(join(filter.dir, name), join(folder, name), { recursive: true });
  return { folder, name: filter.name, library, sha256: sha256Of(join(filter.dir, library)) };
}

const sha256Of = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

test('a filter.json that lies: the line is named, nothing is built', async () => {
  const { folder, name } = await copyOfFilter();
  const file = join(folder, 'filter.json');
  const lines = readFileSync(file, 'utf8').split('\n');
  const line = lines.findIndex((text) => /^ *"id": \d+,$/.test(text));
  lines[line] = '  "id": "many",';
  writeFileSync(file, lines.join('\n'));
  const env = { ...process.env, H5Z_FILTER_FOLDER: folder };
  const { status, text } = await answer(spawn(process.execPath, [MAIN, 'task', name, hostPlatform()], { env }));
  expect(status, text).toBe(1);
  expect(text).toContain(`filter.json:${line + 1}: id must be integer`);
  expect([existsSync(join(folder, 'prebuilds')), existsSync(join(folder, 'build'))]).toEqual([false, false]);
});

describe('a full disk', () => {
  /** A file system of `size` at `place`, in a mount namespace of its own; undefined where this machine allows none. */
  const small = (place: string, size: string, then: string): string[] => {
    const script = `mount -t tmpfs -o size=${size} tmpfs "${place}" && ${then}exec "$0" "$@"`;
    return ['unshare', '--map-root-user', '--mount', 'sh', '-c', script];
  };
  const allowed = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0;
  const why = 'this machine lets nobody make a mount namespace (unshare --map-root-user --mount)';

  test.skipIf(!allowed)(allowed ? 'a build says so, and puts no part of a library in its place' : why, async () => {
    const { folder, name } = await copyOfFilter();
    mkdirSync(join(folder, 'build'));
    const wrap = small(join(folder, 'build'), '160k', '');
    const [program = '', ...args] = [...wrap, process.execPath, MAIN, 'task', name, hostPlatform()];
    const { status, text } = await answer(spawn(program, args, { env: { ...process.env, H5Z_FILTER_FOLDER: folder } }));
    expect(status, text).toBe(1);
    expect(text).toMatch(/The disk is full: free some room and run the same command again/);
    expect(text).not.toMatch(/^\s+at /m);
    expect(
      existsSync(join(folder, 'prebuilds')) ? readdirSync(join(folder, 'prebuilds'), { recursive: true }) : [],
    ).toEqual([]);
  });

  test.skipIf(!allowed)(allowed ? 'fetched sources are whole or not there' : why, async () => {
    const cache = join(scratch, 'cache');
    const origin = join(scratch, 'origin');
    mkdirSync(cache);
    mkdirSync(origin);
    writeFileSync(join(origin, 'small.c'), 'int a;\n');
    writeFileSync(join(origin, 'tall.c'), Buffer.alloc(600_000, 'x'));
    const tree = await treeHash(origin, ['*.c']);
    const upstream = toy(tree);
    // Room for the package, and not for the tree beside it; what is left is listed from inside.
    const fill = `mkdir -p "${cache}/downloads" && cp -r "${origin}" "${cache}/downloads/pypi-toy-1.0.0" && `;
    const code = `import { readdirSync } from 'node:fs'; import { ensureSource } from ${module('sources')};
      let words = ''; try { await ensureSource(${JSON.stringify(upstream)}); } catch (error) { words = error.code ?? error.message; }
      console.log(JSON.stringify({ words, left: readdirSync('${cache}/sources') }));`;
    const imports = code.match(/^import.*?;|import \{ ensureSource.*?;/g)?.join(' ') ?? '';
    const [program = '', ...args] = [
      ...small(cache, '1000k', fill),
      process.execPath,
      '--input-type=module',
      '-e',
      code,
    ];
    expect(imports).not.toBe('');
    const { text } = await answer(
      spawn(program, args, { env: { ...process.env, H5Z_CACHE: cache, H5Z_OFFLINE: '1' } }),
    );
    expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toEqual({ words: 'ENOSPC', left: [] });
  });
});

const toy = (tree: string): Upstream => ({
  name: 'toy',
  version: '1.0.0',
  licence: 'MIT',
  licenceFiles: ['small.c'],
  files: ['*.c'],
  tree,
  from: [{ pypi: 'toy', version: '1.0.0', path: '' }],
});

describe('the network goes away in the middle', () => {
  let server: Server;
  let whole = false;
  const asked: string[] = [];
  afterAll(() => server?.close());

  test('of a package: nothing of it is kept, and the next time it is got', async () => {
    // A source distribution that pip takes without building anything.
    const project = join(scratch, 'toy-1.0.0');
    mkdirSync(project);
    writeFileSync(join(project, 'PKG-INFO'), 'Metadata-Version: 2.1\nName: toy\nVersion: 1.0.0\n');
    writeFileSync(
      join(project, 'pyproject.toml'),
      '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    );
    writeFileSync(
      join(project, 'backend.py'),
      [
        'import os',
        'def get_requires_for_build_wheel(config_settings=None): return []',
        'def prepare_metadata_for_build_wheel(folder, config_settings=None):',
        "    os.makedirs(os.path.join(folder, 'toy-1.0.0.dist-info'))",
        "    with open(os.path.join(folder, 'toy-1.0.0.dist-info', 'METADATA'), 'w') as f:",
        "        f.write('Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0.0\\n')",
        "    return 'toy-1.0.0.dist-info'",
        'def build_wheel(folder, config_settings=None, metadata_directory=None): raise SystemExit(1)',
      ].join('\n'),
    );
    writeFileSync(join(project, 'small.c'), 'int a;\n');
    writeFileSync(join(project, 'tall.c'), Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251)));
    const tree = await treeHash(project, ['*.c']);
    execFileSync('tar', ['-czf', join(scratch, 'toy-1.0.0.tar.gz'), '-C', scratch, 'toy-1.0.0']);
    const tarball = readFileSync(join(scratch, 'toy-1.0.0.tar.gz'));
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url?.startsWith('/simple/toy')) {
        response.setHeader('content-type', 'text/html');
        response.end('<a href="/files/toy-1.0.0.tar.gz">toy-1.0.0.tar.gz</a>');
      } else if (request.url?.startsWith('/files/')) {
        response.writeHead(200, { 'content-length': tarball.length, 'content-type': 'application/gzip' });
        if (whole) response.end(tarball);
        else response.write(tarball.subarray(0, tarball.length >> 1), () => response.destroy());
      } else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const index = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`;
    const cache = join(scratch, 'cache');
    const env = {
      H5Z_CACHE: cache,
      PIP_INDEX_URL: index,
      PIP_RETRIES: '0',
      PIP_NO_CACHE_DIR: '1',
      PIP_CONFIG_FILE: '/dev/null',
    };
    const fetch = () =>
      farmCode(
        `const { ensureSource } = await import(${module('sources')}); console.log(await ensureSource(${JSON.stringify(toy(tree))}));`,
        env,
      );

    const cut = await fetch();
    expect(cut.text).toMatch(/refused: no place gave toy 1\.0\.0/);
    expect(asked.some((url) => url.startsWith('/files/'))).toBe(true);
    const left = readdirSync(cache, { recursive: true })
      .map(String)
      .filter((name) => !/^(downloads|sources)$/.test(name));
    expect(left).toEqual([]);

    whole = true;
    const got = await fetch();
    expect(got.text.trim().split('\n').at(-1)).toBe(join(cache, 'sources', tree));
  });
});

describe('a tool of another version', () => {
  test('emcc on PATH: it is named with both versions, and not used', async () => {
    const bin = join(scratch, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'emcc'), '#!/bin/sh\necho "emcc (Emscripten gcc/clang-like replacement) 2.0.7"\n');
    chmodSync(join(bin, 'emcc'), 0o755);
    const code = `const { ensureEmscripten } = await import(${module('tools')}); console.log(await ensureEmscripten());`;
    const env = { PATH: `${bin}:${process.env.PATH}`, H5Z_CACHE: join(scratch, 'cache'), H5Z_OFFLINE: '1' };
    const { text } = await farmCode(code, env);
    expect(text).toMatch(/bin\/emcc is 2\.0\.7 and not used: the builds need >= [\d.]+ and < [\d.]+/);
    expect(text).toMatch(new RegExp(`refused: (H5Z_OFFLINE is set and Emscripten ${EMSCRIPTEN.version}|needs emcc)`));
  });

  test('zig of other bytes than its pin: pip refuses it, and no folder is left', async () => {
    const wheels = join(scratch, 'wheels');
    mkdirSync(wheels);
    const [, version = ''] =
      /^ziglang==(\S+)/m.exec(readFileSync(join(ROOT, 'toolchains/zig/requirements.txt'), 'utf8')) ?? [];
    // A wheel that is none: its hash is looked at before it is opened.
    writeFileSync(join(wheels, `ziglang-${version}-py3-none-any.whl`), 'something else');
    const cache = join(scratch, 'cache');
    const env = { H5Z_CACHE: cache, PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: '/dev/null' };
    const { text } = await farmCode(`const { ensureZig } = await import(${module('tools')}); await ensureZig();`, env);
    expect(text).toMatch(/refused: /);
    expect(text).toMatch(/A hash that does not agree means other bytes than we tested/);
    expect(readdirSync(join(cache, 'toolchains'))).toEqual([]);
  });

  test('Node: the farm asks for one that it can run on, and gets it', () => {
    const script = readFileSync(join(ROOT, 'farm'), 'utf8');
    const bin = join(scratch, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'node'), '#!/bin/sh\nexit 1\n');
    chmodSync(join(bin, 'node'), 0o755);
    expect(script).toMatch(/22\.18/);
    const { status, stderr } = spawnSync(join(ROOT, 'farm'), ['doctor'], {
      env: {
        PATH: `${bin}:/usr/bin:/bin`,
        HOME: scratch,
        H5Z_CACHE: join(scratch, 'cache'),
        H5Z_OFFLINE: '1',
        npm_config_offline: 'true',
      },
      encoding: 'utf8',
    });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/22\.18/);
  });
});

describe('killed', () => {
  test('in the middle of a build, again and again: the next build ends with the same bytes', {
    timeout: 300_000,
  }, async () => {
    const { folder, name, library, sha256 } = await copyOfFilter();
    const start = () =>
      spawn(process.execPath, [MAIN, 'task', name, hostPlatform()], {
        env: { ...process.env, H5Z_FILTER_FOLDER: folder },
        detached: true,
      });
    for (const after of [250, 500, 800, 1200, 1700, 2400]) {
      const child = start();
      await sleep(after);
      try {
        process.kill(-(child.pid as number), 'SIGKILL'); // with its compilers
      } catch {
        // It was quicker.
      }
      const file = join(folder, library);
      if (existsSync(file)) expect(sha256Of(file), `killed after ${after} ms`).toBe(sha256);
    }
    const { status, text } = await answer(start());
    expect(status, text).toBe(0);
    expect(sha256Of(join(folder, library))).toBe(sha256);
    expect(readdirSync(join(folder, 'prebuilds', hostPlatform()))).toEqual([libraryName(name, hostPlatform())]);
  });

  test('while a tool was unpacked: its half goes when the tool is got again', async () => {
    const target = join(scratch, 'tools/zig-1');
    const fill = (work: string) =>
      farmCode(
        `const { installOnce } = await import(${module('exec')});
        await installOnce(${JSON.stringify(target)}, async (temporary) => { ${work} }); console.log('done');`,
        {},
      );
    const killed = await fill(
      "(await import('node:fs')).writeFileSync(temporary + '/half', ''); process.kill(process.pid, 'SIGKILL');",
    );
    expect(killed.status).toBe(128);
    expect(readdirSync(join(scratch, 'tools')).length).toBeGreaterThan(0);
    const again = await fill("(await import('node:fs')).writeFileSync(temporary + '/whole', '');");
    expect(again.text.trim()).toBe('done');
    expect(readdirSync(join(scratch, 'tools'))).toEqual(['zig-1']);
    expect(readdirSync(target)).toEqual(['whole']);
  });
});
