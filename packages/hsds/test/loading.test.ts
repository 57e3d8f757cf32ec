// hsload, hscopy and hsget with H5Z_HSDS=1: every filter of the catalogue arrives with the parameters that the file has, by link,
// by copy, after a restart, and in the file that hsget writes; and h5pyd and hsls show them.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { filterFolders } from '../../../tests/support/packed.ts';
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
  /** What h5pyd's (or h5py's) properties of the dataset say. */
  readonly shown: readonly [compression: string | null, options: unknown, chunks: readonly number[]];
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
/** Filters with their defaults, beside those of WORDS; the lossy ones may be so far from the values, which lie between 10 and 110. */
const PLAIN = new Map(
  filterFolders().flatMap(({ description: { name, lossy } }) =>
    name in WORDS ? [] : [[name, lossy ? 8 : 0] as const],
  ),
);
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

    /**
     * Some encodings on, with the parameters of the file. `copied`: HSDS makes chunks of its own size, which jpeg with rows and
     * columns cannot encode, and it has no place for shuffle with nothing after it.
     */
    const expectCarried = (found: Record<string, Described>, encodings: number, copied = false): void => {
      expect(filtersOf(found)).toEqual({ ...filtersOf(file), ...(copied ? { jpeg: [], shuffle: [] } : {}) });
      for (const [name, [, bound]] of Object.entries(WORDS))
        expect(found[name]?.wrong, name).toBeLessThanOrEqual(bound * encodings + ROUNDING);
      for (const [name, bound] of PLAIN) expect(found[name]?.wrong, name).toBeLessThanOrEqual(bound * encodings);
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
      expect(Object.keys(file).sort()).toEqual([...Object.keys(WORDS), ...PLAIN.keys()].sort());
      for (const [name, [words]] of Object.entries(WORDS)) expect(file[name]?.filters[0]?.[1]).toMatch(words);
      expect(file.three?.filters.map(([id]) => id)).toEqual([2, 307, 3]);
      expectCarried(file, 1);
      for (const name of ['zfp', 'sz3', 'sperr']) expect(file[name]?.wrong).toBeGreaterThan(0);
    });

    const withoutShown = (found: Record<string, Described>) =>
      Object.fromEntries(Object.entries(found).map(([name, { shown: _, ...rest }]) => [name, rest]));

    it('links every filter: the same values and parameters, seen by h5pyd', async () => {
      await load(here, server, 'hsload', ['--link', `${BUCKET}/made.h5`, '/home/admin/linked.h5']);
      const linked = await program('describe', 'hdf5://home/admin/linked.h5');
      expect(withoutShown(linked)).toEqual(withoutShown(file));
      // h5pyd's names are HSDS's; like h5py it calls no checksum and no rearrangement a compression.
      const names: Readonly<Record<string, string | null>> = {
        ...{ deflate: 'gzip', blosc: 'blosclz', three: 'bzip2', line: 'zstd' },
        ...{ shuffle: null, fletcher32: null, nbit: null, scaleoffset: null },
      };
      const listing = await load(here, server, 'hsls', ['-r', '-v', '/home/admin/linked.h5']);
      for (const [name, { shown }] of Object.entries(linked)) {
        const expected = name in names ? names[name] : name;
        expect([name, shown[0]]).toEqual([name, expected]);
        if (expected === null) continue;
        const [, lines] = new RegExp(`^/${name} Dataset.*\n((?: .*\n)*)`, 'm').exec(listing) ?? [];
        expect(lines).toMatch(new RegExp(`Filter-\\d: ${expected} OPT \\{.*\\}$`, 'm'));
      }
      expect(linked.three?.shown[1]).toEqual([3]);
      expect(linked.deflate?.shown[1]).toBe(6);
      const { stdout } = await run(here.python, [
        '-c',
        `import h5z_hsds, json; print(json.dumps(h5z_hsds.filter_table().entry("zfp").library().print(${JSON.stringify(linked.zfp?.shown[1])})))`,
      ]);
      expect(JSON.parse(stdout)).toBe(file.zfp?.filters[0]?.[1]);
    });

    it('copies every filter: the same parameters, values within the bound, read from storage', async () => {
      await load(here, server, 'hsload', [join(server.bucket, 'made.h5'), '/home/admin/copied.h5']);
      expect((await server.send('PUT', '/?flush=1', { domain: '/home/admin/copied.h5' })).status).toBe(204);
      await server.stop();
      await server.startAll();
      const copied = await program('describe', 'hdf5://home/admin/copied.h5');
      expectCarried(copied, 2, true);
      expect(copied.three?.sha256).toBe(file.three?.sha256);
    });

    it('copies from domain to domain: the same parameters', async () => {
      await load(here, server, 'hscopy', ['/home/admin/copied.h5', '/home/admin/again.h5']);
      expectCarried(await program('describe', 'hdf5://home/admin/again.h5'), 3, true);
    });

    it('writes files again: the same parameters', async () => {
      for (const [domain, encodings] of [
        ['linked', 2],
        ['copied', 3],
      ] as const) {
        const target = join(here.folder, `${domain}.h5`);
        await load(here, server, 'hsget', [`/home/admin/${domain}.h5`, target]);
        const back = await program('describe', target);
        expectCarried(back, encodings, domain === 'copied');
        expect(back.three?.sha256).toBe(file.three?.sha256);
        if (domain === 'linked')
          for (const [name, { shown }] of Object.entries(file))
            expect([name, back[name]?.shown]).toEqual([name, shown]);
      }
    });
  },
);
