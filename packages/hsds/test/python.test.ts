// The Python package without HSDS: its own unit tests, in the environment that HSDS has.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { environment, installHere } from './support/environment.ts';

const run = promisify(execFile);

describe('h5z_hsds by itself', () => {
  it('decodes every golden chunk, runs pipelines, checks its libraries, registers numcodecs', async (context) => {
    if (env.hsdsPython === undefined) return context.skip(need('hsdsPython'));
    const here = environment(env.hsdsPython);
    try {
      installHere(here.sitePackages);
      const program = join(import.meta.dirname, 'python/test_library.py');
      const filters = join(import.meta.dirname, '../../../filters');
      const { stderr } = await run(here.python, ['-W', 'error', program], {
        env: { ...process.env, H5Z_FILTERS: filters },
      });
      expect(stderr).toMatch(/\nOK\n/);
      expect(Number(/Ran (\d+) tests/.exec(stderr)?.[1])).toBeGreaterThan(10);
    } finally {
      here.remove();
    }
  });

  it('replaces files of POSIX storage whole, where HSDS alone leaves cut ones', async (context) => {
    if (env.hsdsPython === undefined) return context.skip(need('hsdsPython'));
    const here = environment(env.hsdsPython);
    try {
      installHere(here.sitePackages, ['zstd']);
      const { stderr } = await run(here.python, [join(import.meta.dirname, 'python/test_storage.py')]);
      expect(stderr).toMatch(/Ran 5 tests/);
      expect(stderr).toMatch(/\nOK(?: \(skipped=1\))?\n/);
      if (stderr.includes('skipped=1')) console.warn('not tried: a folder of the bucket on another disk');
    } finally {
      here.remove();
    }
  });

  it('reports what is installed and whether it works', async (context) => {
    if (env.hsdsPython === undefined) return context.skip(need('hsdsPython'));
    const here = environment(env.hsdsPython);
    try {
      installHere(here.sitePackages, ['zstd', 'lz4']);
      const ask = async (command: string) => {
        const { stdout } = await run(here.python, ['-m', 'h5z_hsds', command, '--json']);
        return JSON.parse(stdout);
      };
      const test = await ask('self-test');
      expect(test).toMatchObject({ ok: true, problem: null });
      expect(test.filters).toMatchObject([
        { id: 32004, name: 'lz4', result: 'executed' },
        { id: 32015, name: 'zstd', result: 'executed' },
      ]);
      const status = await ask('status');
      expect(status).toMatchObject({ enabled: false, hsds: { ok: true }, h5pyd: { ok: true }, problem: null });
      // HSDS's own doing, which the hook mends: whoever looks is told.
      expect(status.numpy).toEqual({ version: '2.4.6', note: expect.stringContaining('H5Z_HSDS=1') });
      expect((await run(here.python, ['-m', 'h5z_hsds', 'status'])).stdout).toMatch(/^numpy 2\.4\.6 \(HSDS reads /m);
    } finally {
      here.remove();
    }
  });
});
