// ./farm turbo: two checkouts with caches of their own share builds through a real remote cache server on loopback; what is not
// signed with their key is not taken; nothing of a checkout's path is in a hash.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { ensureTurbo, type TurboTask } from '../src/turbo.ts';
import { copyRepository } from './repo-copy.ts';

const TOKEN = 'token';
const KEY = 'a key that both machines know';
const work = mkdtempSync(join(tmpdir(), 'h5z-turbo-'));
const checkouts: string[] = [];
let server: ChildProcess | undefined;
let api = '';
/** The smallest filter that is WebAssembly too. */
let filter = '';

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

beforeAll(async () => {
  const sizeOf = (dir: string) =>
    readdirSync(join(dir, 'src')).reduce((sum, file) => sum + statSync(join(dir, 'src', file)).size, 0);
  const all = (await readFilters()).filter(
    ({ description }) => description.variants.wasm && description.upstreams.length === 0,
  );
  filter = all.sort((a, b) => sizeOf(a.dir) - sizeOf(b.dir))[0]?.name ?? '';
  // It takes no port of its own choice, and somebody else may take the free one first: then it ends, and is started again.
  for (let start = 0; api === ''; start++) {
    if (start === 10) throw new Error('the cache server does not start');
    api = await startServer((await ensureTurbo()).server, await freePort());
  }
});

/** The cache server's address once it answers; empty when it has ended. */
async function startServer(program: string, port: number): Promise<string> {
  const child = spawn(process.execPath, [program], {
    cwd: work,
    env: {
      ...process.env,
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      TURBO_TOKEN: TOKEN,
      STORAGE_PROVIDER: 'local',
      STORAGE_PATH: join(work, 'storage'),
      STORAGE_PATH_USE_TMP_FOLDER: 'false',
      LOG_LEVEL: 'error',
      // The server keeps signatures when it has a key, whichever: it checks none, and need not know ours.
      TURBO_REMOTE_CACHE_SIGNATURE_KEY: 'unused',
    },
    stdio: 'ignore',
  });
  server = child;
  const headers = { authorization: `Bearer ${TOKEN}` };
  while (child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/v8/artifacts/status`, { headers }).catch(() => undefined);
    if (answer?.ok) return `http://127.0.0.1:${port}`;
    await sleep(100);
  }
  return '';
}

afterAll(() => {
  server?.kill();
  for (const folder of [work, ...checkouts]) rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly all: string;
  readonly tasks: TurboTask[];
  /** The built module. */
  readonly bytes: Buffer | undefined;
}

/** A checkout of its own, with a local cache of its own, and what it builds. */
function checkout(): { build(env?: NodeJS.ProcessEnv): Promise<Answer>; folder: string } {
  const folder = copyRepository();
  checkouts.push(folder);
  const built = /[/\\](dist|prebuilds|wasm|gpu|manifest\.json)$/;
  cpSync(join(ROOT, 'filters', filter), join(folder, 'filters', filter), {
    recursive: true,
    filter: (path) => !built.test(path),
  });
  const build = (env: NodeJS.ProcessEnv = {}): Promise<Answer> =>
    new Promise((resolve) => {
      const args = ['packages/farm/src/main.ts', 'turbo', filter, '--targets', 'wasm', '--json'];
      const options = {
        cwd: folder,
        env: { ...process.env, TURBO_API: api, TURBO_TOKEN: TOKEN, TURBO_REMOTE_CACHE_SIGNATURE_KEY: KEY, ...env },
        maxBuffer: 1 << 26,
      };
      execFile(process.execPath, args, options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
        const read = () => readFileSync(join(folder, 'filters', filter, 'wasm', `${filter}.wasm`));
        resolve({
          status,
          all: stdout + stderr,
          tasks: status === 0 ? (JSON.parse(stdout) as TurboTask[]) : [],
          bytes: status === 0 ? read() : undefined,
        });
      });
    });
  return { build, folder };
}

/** Files of the server's storage that hold artifacts. */
function artifacts(folder = join(work, 'storage')): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && statSync(join(entry.parentPath, entry.name)).size > 500)
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('two machines', { timeout: 600_000 }, () => {
  let first: Answer;

  test('the first builds, and keeps what it built', async () => {
    const machine = checkout();
    first = await machine.build();
    expect(first.status, first.all).toBe(0);
    expect(first.tasks).toEqual([{ filter, target: 'wasm', cache: 'built' }]);
    expect((await machine.build()).tasks[0]?.cache).toBe('local');
    expect(artifacts()).toHaveLength(1);
  });

  test('the second takes it, byte for byte', async () => {
    const second = await checkout().build();
    expect(second.status, second.all).toBe(0);
    expect(second.tasks).toEqual([{ filter, target: 'wasm', cache: 'remote' }]);
    expect(second.bytes?.equals(first.bytes as Buffer)).toBe(true);
  });

  test('a changed source is another build', async () => {
    const machine = checkout();
    const file = join(machine.folder, 'filters', filter, 'src/filter.c');
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n/* changed */\n`);
    expect((await machine.build()).tasks[0]?.cache).toBe('built');
  });

  test('what another key signed is not taken', async () => {
    const answer = await checkout().build({ TURBO_REMOTE_CACHE_SIGNATURE_KEY: 'another key' });
    expect(answer.status, answer.all).toBe(0);
    expect(answer.tasks[0]?.cache).toBe('built');
    expect(answer.bytes?.equals(first.bytes as Buffer)).toBe(true);
  });

  test('a forged artifact is refused, and built here instead', async () => {
    // Signed again by the first machine's key, then exchanged on the server: for its own bytes with one bit turned, and for
    // another artifact that is whole and signed, of another task.
    const [mine, ...others] = artifacts();
    expect(others.length).toBeGreaterThan(0);
    const honest = new Map(artifacts().map((file) => [file, readFileSync(file)]));
    const flipped = (bytes: Buffer): Buffer => {
      const copy = Buffer.from(bytes);
      copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1;
      return copy;
    };
    const other = honest.get(others[0] as string) as Buffer;
    for (const forge of [flipped, () => other, () => Buffer.alloc(0)]) {
      for (const [file, bytes] of honest)
        writeFileSync(file, file === mine || forge === flipped ? forge(bytes) : bytes);
      const answer = await checkout().build();
      expect(answer.status, answer.all).toBe(0);
      expect(answer.bytes?.equals(first.bytes as Buffer)).toBe(true);
      if (forge === flipped) expect(answer.tasks[0]?.cache).toBe('built');
      for (const [file, bytes] of honest) writeFileSync(file, bytes);
    }
    expect((await checkout().build()).tasks[0]?.cache).toBe('remote');
  });

  test('a remote cache without a key is an error that says so', async () => {
    const answer = await checkout().build({ TURBO_REMOTE_CACHE_SIGNATURE_KEY: '' });
    expect(answer.status).toBe(1);
    expect(answer.all).toContain('TURBO_REMOTE_CACHE_SIGNATURE_KEY');
  });

  test('a server that is gone costs the cache, not the build', async () => {
    const answer = await checkout().build({ TURBO_API: 'http://127.0.0.1:9' });
    expect(answer.status, answer.all).toBe(0);
    expect(answer.tasks[0]?.cache).toBe('built');
  });
});
