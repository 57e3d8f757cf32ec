// `./farm demo --hsds` with few filters: what is installed from the registry makes HSDS right where it was not, a wrong answer
// makes the demo fail, and no server outlives it, however it ends.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { packed } from '../../../tests/support/packed.ts';
import { corpusData } from '../src/demo-data.ts';
import { type Asked, beforeAndAfter, choose, type HsdsRow, inWords, report } from '../src/demo-hsds.ts';
import { readFilters } from '../src/filters.ts';
import { installInto, publishAll } from '../src/publish.ts';
import type { RunningRegistry } from '../src/registry-server.ts';

const skip = env.hsdsPython === undefined ? need('hsdsPython') : env.shared === undefined ? need('shared') : undefined;

/** HDF5's own that pipelines have, one that HSDS cannot load, one that it reads as zeros, one that is lossy. */
const FILTERS = ['shuffle', 'deflate', 'bitshuffle', 'bzip2', 'zfp'];
const PIPELINES = ['32008 bitshuffle', '307 bzip2', '32013 zfp'];

/** Processes of this machine with `marker` in their environment. */
function processesOf(marker: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(marker);
    } catch {
      return false; // gone meanwhile, or somebody else's
    }
  });
}

describe.skipIf(skip !== undefined)(`the demo with HSDS${skip === undefined ? '' : `: ${skip}`}`, () => {
  let registry: RunningRegistry;
  let app: string;
  let asked: Asked[];
  let rows: HsdsRow[];

  beforeAll(async () => {
    const filters = (await readFilters()).filter(({ name }) => FILTERS.includes(name));
    const names = filters.map(({ packageName }) => packageName);
    asked = choose(corpusData(env.shared as string), filters).filter((one) => PIPELINES.includes(one.filters));
    const others = (await readFilters()).map(({ packageName }) => packageName).filter((name) => !names.includes(name));
    registry = await publishAll(packed().filter(({ name }) => !others.includes(name)));
    app = await installInto(registry, ['h5z', ...names]);
    rows = await beforeAndAfter({ app, env: registry.env, base: env.hsdsPython as string, asked });
  });
  afterAll(async () => {
    await registry?.close();
    if (app !== undefined) rmSync(app, { recursive: true });
  });

  it('shows what HSDS does by itself: refused, no bytes, zeros', () => {
    const said = rows.map(({ filters, mode, before }) => [filters, mode, before.outcome, before.status]);
    expect(said, JSON.stringify(rows.map(({ before }) => before.why))).toEqual([
      ['307 bzip2', 'link', 'empty', 200],
      ['307 bzip2', 'copy', 'zeros', 200],
      ['32008 bitshuffle', 'link', 'not loaded', undefined],
      ['32008 bitshuffle', 'copy', 'not loaded', undefined],
      ['32013 zfp', 'link', 'empty', 200],
    ]);
    for (const { before } of rows) expect(before.ignoringFilters).toBe(true);
    // HSDS tries again for a while before it gives up.
    expect(rows[0]?.before.seconds).toBeGreaterThan(5);
  });

  it('shows the right bytes after it', () => {
    for (const { filters, mode, size, after } of rows)
      expect({ filters, mode, ...after }).toMatchObject({ outcome: 'right', status: 200, bytes: size });
    for (const { after } of rows) expect(after.ignoringFilters).toBeUndefined();
  });

  it('prints both, and fails where one is wrong or there is none', () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      const [first] = rows as [HsdsRow];
      expect(report(rows, 'the corpus', false)).toBe(true);
      const text = write.mock.calls.join('\n');
      expect(text).toMatch(/bzip2 +8192 +link +\* 200 in \d+\.\d s, EMPTY: 0 bytes +[\d.]+ +ok\n/);
      expect(text).toContain(`5 of 5 after`);
      for (const outcome of ['wrong', 'zeros', 'empty', 'error', 'not loaded'] as const)
        expect(report([...rows, { ...first, after: { ...first.after, outcome } }], 'the corpus', false)).toBe(false);
      expect(report([], 'the corpus', true)).toBe(false);
    } finally {
      write.mockRestore();
    }
    expect(inWords({ outcome: 'error', status: 500, bytes: 4, seconds: 0.01, why: 'h5z: H5Z_E_CORRUPT' })).toBe(
      '500 in 0.010 s, h5z: H5Z_E_CORRUPT',
    );
  });

  it('leaves no server behind when it is ended by a signal', async () => {
    const marker = `H5Z_DEMO_TEST=${process.pid}-${Date.now()}`;
    const module = join(import.meta.dirname, '../src/demo-hsds.ts');
    const program = `const { beforeAndAfter } = await import(${JSON.stringify(module)});
      const asked = ${JSON.stringify(asked.slice(0, 1))};
      await beforeAndAfter({ app: '/nowhere', env: process.env, base: ${JSON.stringify(env.hsdsPython)}, asked });`;
    const [name, value] = marker.split('=') as [string, string];
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, [name]: value },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    while (child.exitCode === null && !said.includes('hsload of')) await sleep(100);
    expect(said).toContain('hsload of');
    expect(processesOf(marker).length).toBeGreaterThan(3);
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    await vi.waitFor(() => expect(processesOf(marker)).toEqual([]), { timeout: 100_000, interval: 100 });
  });
});
