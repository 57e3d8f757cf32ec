// hsload and hsget with H5Z_HSDS=1: filters arrive with the parameters that the file has, zfp, SZ3 and sperr included, by link,
// by copy, after a restart, and in the file that hsget writes.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { load, settings } from './support/client.ts';
import { type Environment, environment, installHere } from './support/environment.ts';
import { BUCKET, Hsds } from './support/server.ts';

const ON = { H5Z_HSDS: '1' };
const run = promisify(execFile);

interface Described {
  /** HDF5 filter ID and parameters in words, of each stage. */
  readonly filters: readonly (readonly [number, string])[];
  /** Largest distance from the values that were written. */
  readonly wrong: number;
  readonly sha256: string;
}

/** What each filter was told, and how far one encoding may be from the values. */
const WORDS: Readonly<Record<string, readonly [RegExp, number]>> = {
  zfp: [/^mode = "accuracy", tolerance = 0\.0625$/, 0.0625],
  sz3: [/^mode = "absolute", absolute = 0\.03\b/, 0.03],
  sperr: [/^mode = "tolerance", tolerance = 0\.0(5|4999)/, 0.05],
  three: [/^$/, 0],
  line: [/^$/, 0],
};
/** float32 holds numbers of this size to about so much. */
const ROUNDING = 1e-5;

describe.skipIf(env.hsdsPython === undefined)(
  `hsload and hsget${env.hsdsPython === undefined ? `: ${need('hsdsPython')}` : ''}`,
  () => {
    let here: Environment;
    let server: Hsds;
    let file: Record<string, Described>;

    const program = async (command: 'make' | 'describe', argument: string): Promise<Record<string, Described>> => {
      const script = join(import.meta.dirname, 'python/loading.py');
      const options = { env: settings(server, ON), cwd: here.folder };
      return JSON.parse((await run(here.python, [script, command, argument], options)).stdout);
    };
    const filtersOf = (found: Record<string, Described>) =>
      Object.fromEntries(Object.entries(found).map(([name, { filters }]) => [name, filters]));

    /** Some encodings on, with the parameters of the file. */
    const expectCarried = (found: Record<string, Described>, encodings: number): void => {
      expect(filtersOf(found)).toEqual(filtersOf(file));
      for (const [name, [, bound]] of Object.entries(WORDS))
        expect(found[name]?.wrong, name).toBeLessThanOrEqual(bound * encodings + ROUNDING);
    };

    beforeAll(async () => {
      here = environment(env.hsdsPython as string);
      installHere(here.sitePackages);
      server = await Hsds.start(here, { nodes: 2, settings: ON });
      await program('make', join(server.bucket, 'made.h5'));
      file = await program('describe', join(server.bucket, 'made.h5'));
    });
    afterAll(async () => {
      await server?.stop();
      here?.remove();
    });

    it('starts from a file with parameters that nobody would guess', () => {
      expect(Object.keys(file).sort()).toEqual(Object.keys(WORDS).sort());
      for (const [name, [words]] of Object.entries(WORDS)) expect(file[name]?.filters[0]?.[1]).toMatch(words);
      expect(file.three?.filters.map(([id]) => id)).toEqual([2, 307, 3]);
      expectCarried(file, 1);
      for (const name of ['zfp', 'sz3', 'sperr']) expect(file[name]?.wrong).toBeGreaterThan(0);
    });

    it('links: the same values and parameters, seen by h5pyd', async () => {
      await load(here, server, 'hsload', ['--link', `${BUCKET}/made.h5`, '/home/admin/linked.h5']);
      expect(await program('describe', 'hdf5://home/admin/linked.h5')).toEqual(file);
    });

    it('copies: the same parameters, values within the bound, read from storage', async () => {
      await load(here, server, 'hsload', [join(server.bucket, 'made.h5'), '/home/admin/copied.h5']);
      expect((await server.send('PUT', '/?flush=1', { domain: '/home/admin/copied.h5' })).status).toBe(204);
      await server.stop();
      await server.startAll();
      const copied = await program('describe', 'hdf5://home/admin/copied.h5');
      expectCarried(copied, 2);
      expect(copied.three?.sha256).toBe(file.three?.sha256);
    });

    it('writes files again: the same parameters', async () => {
      for (const [domain, encodings] of [
        ['linked', 2],
        ['copied', 3],
      ] as const) {
        const target = join(here.folder, `${domain}.h5`);
        await load(here, server, 'hsget', [`/home/admin/${domain}.h5`, target]);
        const back = await program('describe', target);
        expectCarried(back, encodings);
        expect(back.three?.sha256).toBe(file.three?.sha256);
      }
    });
  },
);
