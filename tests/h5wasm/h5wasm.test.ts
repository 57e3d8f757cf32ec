// @h5z/readers/h5wasm in h5wasm 0.8 and 0.10: every filter, in every mode of its filter.json, read from files that
// hdf5plugin wrote and written so that hdf5plugin reads them; and errors where h5wasm by itself gives garbage.

import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Codec, FilterPackage } from '@h5z/core';
import { createRegistry } from '@h5z/registry';
import { afterAll, describe, expect, test } from 'vitest';
import { canonicalBytes, compression, HOST_FILTERS, install, readRaw } from '../../packages/readers/dist/h5wasm.js';
import { scratch } from '../browser/site.ts';
import { env, need } from '../support/env.ts';
import {
  builtPackages,
  filterFolders,
  freshH5wasm,
  loadPackage,
  ROOT,
  sha256,
  sideModuleFile,
  VERSIONS,
} from './hosts.ts';
import { modesOf } from './modes.ts';
import { type Answer, peer, peerKnows } from './peer.ts';

const packages = (await builtPackages()).filter((one) => one.description.variants.h5wasm);
const work = scratch('h5wasm');
// vitest ends its workers without the exit event that removes plugin folders: they go with this one.
process.env.TMPDIR = work.folder;
afterAll(() => work.remove());

/** Filters that the peer has too: a filter of one's own may be known to nobody else. */
const shared = env.python ? peerKnows(packages.map((one) => one.id)) : [];

/** Why a comparison with the peer cannot be made, or undefined. */
function noPeer(filter: FilterPackage): string | undefined {
  if (!env.python) return need('python');
  return shared.includes(filter.id) ? undefined : `hdf5plugin has no filter ${filter.id}`;
}

/** Element types and shapes: several chunks, the last ones partial, sizes that leave tails in every codec. */
const ARRAYS = [
  { dtype: 'u1', shape: [1003], chunks: [250] },
  { dtype: '<i2', shape: [40, 33], chunks: [16, 33] },
  { dtype: '>i4', shape: [40, 33], chunks: [16, 20] },
  { dtype: '<f8', shape: [7, 9, 11], chunks: [4, 9, 11] },
  { dtype: 'u1', shape: [80, 60], chunks: [40, 32] },
  { dtype: '<f4', shape: [40, 30, 35], chunks: [20, 15, 35] },
] as const;

/** What h5wasm's create_dataset can make: little-endian numbers. */
const WRITABLE = [
  {
    dtype: '<B',
    make: (n: number) => Uint8Array.from({ length: n }, (_, i) => (i / 3) % 97),
    chunks: [250],
    shape: [1003],
  },
  {
    dtype: '<i',
    make: (n: number) => Int32Array.from({ length: n }, (_, i) => (i / 3) % 97),
    chunks: [16, 20],
    shape: [40, 33],
  },
  {
    dtype: '<d',
    make: (n: number) => Float64Array.from({ length: n }, (_, i) => (i % 91) / 4),
    chunks: [4, 9, 11],
    shape: [7, 9, 11],
  },
  {
    dtype: '<B',
    make: (n: number) => Uint8Array.from({ length: n }, (_, i) => (i / 3) % 97),
    chunks: [40, 32],
    shape: [80, 60],
  },
  {
    dtype: '<f',
    make: (n: number) => Float32Array.from({ length: n }, (_, i) => (i % 91) / 4),
    chunks: [20, 15, 35],
    shape: [40, 30, 35],
  },
] as const;

/** Whether the filter is for such data. The peer's may leave others as they are, or encode them so that they do not come back. */
function takes(codec: Codec, client: Uint32Array, { dtype, shape, chunks }: (typeof ARRAYS)[number]): boolean {
  const typeSize = Number(dtype.slice(-1));
  try {
    const cdValues = codec.derive(client, {
      typeClass: dtype.includes('f') ? 'float' : 'integer',
      typeSize,
      signed: dtype.includes('i'),
      bigEndian: dtype.startsWith('>'),
      precision: 8 * typeSize,
      chunk: [...chunks],
      shape: [...shape],
    });
    const content = new Uint8Array(chunks.reduce<number>((bytes, n) => bytes * n, typeSize));
    codec.encode(content, { cdValues });
    return true;
  } catch (error) {
    if (!/^H5Z_E_(NOT_APPLICABLE|PARAM)$/.test((error as { code?: string }).code ?? '')) throw error;
    return false;
  }
}

/** What does not depend on the version of h5wasm, by filter: asked of the peer once. */
const simpleArrays = new Map<number, Promise<(typeof ARRAYS)[number]>>();
const peerWrites = new Map<number, Record<string, Answer>>();

/** The first of ARRAYS that hdf5plugin and we write with the filter's defaults. */
function simpleArray(filter: FilterPackage): Promise<(typeof ARRAYS)[number]> {
  const find = async () => {
    const client = filter().cdValues;
    const written = peer(
      'write',
      join(work.folder, `${filter.canonicalName}-simple.h5`),
      ARRAYS.map((array, a) => ({ ...array, name: `a${a}`, filters: [{ id: filter.id, client: [...client] }] })),
    );
    const codec = await filter.load({ only: 'wasm', encode: true });
    const found = ARRAYS.find((array, a) => written[`a${a}`]?.sha256 && takes(codec, client, array));
    if (!found) throw new Error(`hdf5plugin writes none of the arrays with ${filter.canonicalName}`);
    return found;
  };
  const known = simpleArrays.get(filter.id) ?? find();
  simpleArrays.set(filter.id, known);
  return known;
}

/** What hdf5plugin says when it writes WRITABLE in every mode: m<mode>a<array>. */
function writtenByPeer(filter: FilterPackage): Record<string, Answer> {
  const known =
    peerWrites.get(filter.id) ??
    peer(
      'write',
      join(work.folder, `${filter.canonicalName}-theirs.h5`),
      modesOf(filter).flatMap((mode, m) =>
        WRITABLE.map(({ dtype, shape, chunks }, a) => ({
          name: `m${m}a${a}`,
          dtype: { '<B': 'u1', '<i': '<i4', '<d': '<f8', '<f': '<f4' }[dtype],
          shape,
          chunks,
          filters: [{ id: filter.id, client: [...filter(mode.options).cdValues] }],
        })),
      ),
    );
  peerWrites.set(filter.id, known);
  return known;
}

test('every filter that declares a side module has one, and a package to carry it', () => {
  expect(packages.map((one) => one.id).sort()).toEqual(
    filterFolders()
      .map((folder) => JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8')) as FilterPackage['description'])
      .filter(({ variants }) => variants.h5wasm)
      .map(({ id }) => id)
      .sort(),
  );
  expect(packages.length).toBeGreaterThan(0);
});

describe.each(VERSIONS)('%s', (version) => {
  describe.each(packages.map((filter) => ({ name: filter.package.name, filter })))('$name', ({ filter }) => {
    // The side module is the same in all of them: the newest h5wasm has every mode of it, older ones show that they load it.
    const modes = modesOf(filter).slice(0, version === VERSIONS.at(-1) ? undefined : 3);

    test('reads what hdf5plugin writes, in every mode', async ({ skip }) => {
      const reason = noPeer(filter);
      if (reason) return skip(reason);
      const file = join(work.folder, `${filter.canonicalName}-${version}-read.h5`);
      const plan = modes.flatMap((mode, m) =>
        ARRAYS.map((array, a) => ({
          ...array,
          name: `m${m}a${a}`,
          filters: [{ id: filter.id, client: [...filter(mode.options).cdValues] }],
        })),
      );
      const written = peer('write', file, plan);
      const h5wasm = await freshH5wasm(version);
      const h5 = new h5wasm.File(file, 'r');
      const { filters, missing } = await install(h5wasm, { for: h5 as never, packages });
      expect(filters.map((one) => one.id)).toEqual([filter.id]);
      expect(missing).toEqual([]);
      // Only the module that is needed lies where libhdf5 looks.
      expect(filters.flatMap((one) => readdirSync(one.folder))).toHaveLength(1);
      let compared = 0;
      const codec = await filter.load({ only: 'wasm', encode: true });
      for (const [name, answer] of Object.entries(written)) {
        const [mode, array] = name.slice(1).split('a').map(Number) as [number, number];
        const client = filter(modes[mode]?.options ?? {}).cdValues;
        if (!answer.sha256 || !takes(codec, client, ARRAYS[array] as (typeof ARRAYS)[number])) continue;
        const raw = await readRaw(h5wasm, h5, `/${name}`);
        expect(sha256(canonicalBytes(raw)), `${name}: ${modes[mode]?.title}`).toBe(answer.sha256);
        compared++;
      }
      h5.close();
      expect(compared).toBeGreaterThan(0);
    });

    test('writes what hdf5plugin reads, in every mode', async ({ skip }) => {
      const reason = noPeer(filter);
      if (reason) return skip(reason);
      const file = join(work.folder, `${filter.canonicalName}-${version}-write.h5`);
      const h5wasm = await freshH5wasm(version);
      await install(h5wasm, { for: filter.id, packages });
      const h5 = new h5wasm.File(file, 'w');
      const expected: Record<string, string> = {};
      for (const [m, mode] of modes.entries()) {
        for (const [a, { dtype, make, shape, chunks }] of WRITABLE.entries()) {
          const data = make(shape.reduce<number>((product, n) => product * n, 1));
          const name = `m${m}a${a}`;
          const spec = filter(mode.options);
          const options = { name, data, dtype, shape: [...shape], chunks: [...chunks], ...compression(spec) };
          try {
            expect(h5.create_dataset(options).filters.map((one) => one.id)).toEqual([filter.id]);
          } catch (error) {
            // Not for such data, numbers at their ends that exclude each other, or not for this chunk: then libhdf5 fails
            // when it flushes, and says no more.
            const { code = '', message } = error as Error & { code?: string };
            if (!/^H5Z_E_(NOT_APPLICABLE|PARAM)$/.test(code) && !message.includes('filter returned failure'))
              throw error;
            continue;
          }
          expected[name] = sha256(new Uint8Array(data.buffer));
        }
      }
      h5.close();
      expect(Object.keys(expected).length).toBeGreaterThan(0);
      if (filter.description.lossy) {
        // What comes back is what the filter makes of it, in h5wasm and in the peer.
        const again = new h5wasm.File(file, 'r');
        for (const name of Object.keys(expected))
          expected[name] = sha256(canonicalBytes(await readRaw(h5wasm, again, `/${name}`)));
        again.close();
      }
      // A choice that the peer does not write it need not read (a newer revision of the format).
      const theirs = writtenByPeer(filter);
      const read = peer('read', file);
      let compared = 0;
      for (const [name, digest] of Object.entries(expected)) {
        if (theirs[name]?.sha256 === undefined) continue;
        compared++;
        const mode = modes[Number(name.slice(1, name.indexOf('a')))];
        expect(read[name]?.error, `${name} (${mode?.title})`).toBeUndefined();
        expect(read[name]?.sha256, `${name} (${mode?.title})`).toBe(digest);
        // What the file says of itself is what was asked for.
        const stored = read[name]?.filters?.[0]?.cdValues ?? [];
        const words = await filter.describe(stored);
        // A filter that packs its parameters may say the same in other words: the conformance suite holds it to that.
        if (filter.description.restore !== true)
          expect(words, `${name} (${mode?.title})`).toMatchObject(mode?.options ?? {});
      }
      expect(compared).toBeGreaterThan(0);
    });

    test('a missing filter is an error that names it, for reading and for writing', async ({ skip }) => {
      const reason = noPeer(filter);
      if (reason) return skip(reason);
      const file = join(work.folder, `${filter.canonicalName}-${version}-missing.h5`);
      const array = await simpleArray(filter);
      peer('write', file, [{ ...array, name: 'data', filters: [{ id: filter.id, client: [...filter().cdValues] }] }]);
      const rows = array.shape.map((n, i): [number, number] => [0, i === 0 ? Math.min(n, 5) : n]);
      const size = (dims: readonly number[]) => dims.reduce((product, n) => product * n, 1);
      const h5wasm = await freshH5wasm(version);
      const others = packages.filter((one) => one.id !== filter.id);
      const h5 = new h5wasm.File(file, 'a');
      const wanted = { code: 'H5Z_MISSING_FILTER', message: expect.stringContaining(`npm i ${filter.package.name}`) };

      await expect(install(h5wasm, { for: filter.id, packages: others })).rejects.toMatchObject(wanted);
      await expect(install(h5wasm, { for: h5.get('data'), packages: others })).rejects.toMatchObject(wanted);
      const { missing } = await install(h5wasm, { for: h5, packages: others });
      expect(missing.map((one) => one.id)).toEqual([filter.id]);
      expect(() => h5.get('data').value).toThrow(expect.objectContaining(wanted));
      expect(() => h5.get('data').slice(rows)).toThrow(expect.objectContaining(wanted));
      await expect(readRaw(h5wasm, h5, '/data')).rejects.toMatchObject(wanted);
      const region = h5.get('data').create_region_reference(rows);
      expect(() => h5.dereference(region).value).toThrow(expect.objectContaining(wanted));
      const out = new h5wasm.File(`${file}.out`, 'w');
      expect(() =>
        out.create_dataset({
          name: 'x',
          data: new Int32Array(100),
          shape: [100],
          chunks: [10],
          ...compression(filter()),
        }),
      ).toThrow(expect.objectContaining(wanted));
      out.close();

      // The caller's own throwing handler changes nothing; installing later mends it.
      (await h5wasm.ready).activate_throwing_error_handler();
      expect(() => h5.get('data').value).toThrow(expect.objectContaining(wanted));
      await install(h5wasm, { for: h5.get('data'), packages });
      expect((h5.get('data').value as Uint8Array).length).toBe(size(array.shape));
      expect((h5.dereference(region).value as Uint8Array).length).toBe(size(rows.map(([, end]) => end)));
      h5.close();
    });

    test('a damaged chunk is an error, and h5wasm goes on', async ({ skip }) => {
      const reason = noPeer(filter);
      if (reason) return skip(reason);
      const file = join(work.folder, `${filter.canonicalName}-${version}-damaged.h5`);
      const filters = [{ id: filter.id, client: [...filter().cdValues] }];
      const damages = [
        '',
        '00',
        'ff'.repeat(40),
        '00'.repeat(64),
        `7fffffffffffffff${'01'.repeat(30)}`,
        'fd2fb528ff'.repeat(5),
      ];
      const array = await simpleArray(filter);
      const plan = damages.map((damage, i) => ({ ...array, name: `bad${i}`, filters, damage }));
      const written = peer('write', file, [...plan, { ...array, name: 'good', filters }]);
      const h5wasm = await freshH5wasm(version);
      const h5 = new h5wasm.File(file, 'r');
      await install(h5wasm, { for: h5, packages });
      const codec = await filter.load({ only: 'wasm' });
      const cdValues = h5.get('good').filters.find((one) => one.id === filter.id)?.cd_values ?? [];
      /** Where there is no header, bytes may be a whole but smaller chunk, and libhdf5 before 2.2 does not count. */
      const isSmaller = (damage: string): boolean => {
        try {
          const whole = array.chunks.reduce<number>((size, n) => size * n, Number(array.dtype.slice(-1)));
          return codec.decode(Buffer.from(damage, 'hex'), { cdValues, size: whole }).length < whole;
        } catch {
          return false;
        }
      };
      for (const [i, damage] of damages.entries()) {
        // libhdf5 takes a chunk of no bytes for one that was never written.
        if (damage === '') continue;
        let error: unknown;
        try {
          h5.get(`bad${i}`).value;
        } catch (thrown) {
          error = thrown;
        }
        // Some lossy codecs take any bits for numbers; all others notice.
        if ((!filter.description.lossy && !isSmaller(damage)) || error !== undefined) {
          expect(error, damage).toMatchObject({
            code: expect.stringMatching(/^H5Z_E_/),
            message: expect.stringContaining(`/bad${i}`),
          });
        }
        expect(sha256(canonicalBytes(await readRaw(h5wasm, h5, '/good')))).toBe(written.good?.sha256);
      }
      h5.close();
    });

    test('a flipped byte in the side module is refused with both hashes, and can be retried', async () => {
      const folder = packageFolder(filter);
      const copy = join(work.folder, version, 'flipped', filter.canonicalName);
      mkdirSync(copy, { recursive: true });
      for (const part of ['dist', 'wasm', 'package.json'])
        cpSync(join(folder, part), join(copy, part), { recursive: true });
      linkModules(join(work.folder, version));
      const side = sideModuleFile(folder).replace(folder, copy);
      const bytes = readFileSync(side);
      const middle = bytes.length >> 1;
      writeFileSync(
        side,
        bytes.map((byte, i) => (i === middle ? byte ^ 1 : byte)),
      );

      const h5wasm = await freshH5wasm(version);
      const flipped = await loadPackage(copy);
      await expect(install(h5wasm, { for: filter.id, packages: [flipped] })).rejects.toMatchObject({
        code: 'H5Z_INTEGRITY',
        message: expect.stringMatching(/[0-9a-f]{64}.*[0-9a-f]{64}/),
      });
      const { filters } = await install(h5wasm, { for: filter.id, packages: [filter] });
      expect(filters).toHaveLength(1);
    });
  });

  test('all filters at once do not disturb each other', async ({ skip }) => {
    if (!env.python) return skip(need('python'));
    const file = join(work.folder, `together-${version}.h5`);
    const known = packages.filter((one) => shared.includes(one.id));
    const plan: unknown[] = [];
    for (const filter of known) {
      const filters = [{ id: filter.id, client: [...filter().cdValues] }];
      plan.push({ ...(await simpleArray(filter)), name: filter.canonicalName, filters });
    }
    const written = peer('write', file, plan);
    const h5wasm = await freshH5wasm(version);
    const h5 = new h5wasm.File(file, 'r');
    const { filters } = await install(h5wasm, { for: h5, packages });
    expect(filters).toHaveLength(known.length);
    for (const round of [1, 2, 3]) {
      for (const filter of round % 2 ? known : [...known].reverse()) {
        const raw = await readRaw(h5wasm, h5, `/${filter.canonicalName}`);
        expect(sha256(canonicalBytes(raw)), filter.canonicalName).toBe(written[filter.canonicalName]?.sha256);
      }
    }
    h5.close();
  });

  test('installing again, at once and later, installs nothing twice', async () => {
    const h5wasm = await freshH5wasm(version);
    const [first, second] = await Promise.all([install(h5wasm, { packages }), install(h5wasm, { packages })]);
    const third = await install(h5wasm, { packages });
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    const paths = (await h5wasm.ready).get_plugin_search_paths as () => string[];
    expect(paths().filter((path) => first.filters.some((one) => one.folder === path))).toHaveLength(packages.length);
  });

  test('a registry serves as well as a list, and a spec as well as an ID', async () => {
    const h5wasm = await freshH5wasm(version);
    const registry = createRegistry(packages);
    const { filters } = await install(h5wasm, { for: packages.map((one) => one()), registry });
    expect(filters.map((one) => one.id).sort()).toEqual(packages.map((one) => one.id).sort());
  });

  test('no packages at all, and a path that is no dataset, are errors that say what to pass', async () => {
    const h5wasm = await freshH5wasm(version);
    await expect(install(h5wasm, { for: 32015 })).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    const h5 = new h5wasm.File(join(work.folder, `empty-${version}.h5`), 'w');
    await expect(readRaw(h5wasm, h5, '/nothing')).rejects.toMatchObject({ code: 'H5Z_PARAMETER' });
    h5.close();
  });

  test("libhdf5's own filters are the host's and need no package", async ({ skip }) => {
    if (!env.python) return skip(need('python'));
    const file = join(work.folder, `host-${version}.h5`);
    const written = peer('host', file);
    const h5wasm = await freshH5wasm(version);
    const h5 = new h5wasm.File(file, 'r');
    const { filters, missing } = await install(h5wasm, { for: h5, packages });
    expect({ filters, missing }).toEqual({ filters: [], missing: [] });
    const seen = new Set<number>();
    for (const [name, answer] of Object.entries(written)) {
      for (const one of h5.get(name).filters) seen.add(one.id);
      expect(sha256(canonicalBytes(await readRaw(h5wasm, h5, `/${name}`))), name).toBe(answer.sha256);
    }
    expect([...seen].sort()).toEqual([...HOST_FILTERS].sort());
    h5.close();
  });

  test('readRaw and canonicalBytes give every datatype as numpy does', async ({ skip }) => {
    if (!env.python) return skip(need('python'));
    const file = join(work.folder, `types-${version}.h5`);
    const written = peer('types', file);
    const h5wasm = await freshH5wasm(version);
    const h5 = new h5wasm.File(file, 'r');
    for (const [name, answer] of Object.entries(written)) {
      expect(sha256(canonicalBytes(await readRaw(h5wasm, h5, `/${name}`))), name).toBe(answer.sha256);
    }
    await expect(readRaw(h5wasm, h5, '/variable')).rejects.toMatchObject({ code: 'H5Z_E_UNSUPPORTED' });
    expect(await readRaw(h5wasm, h5, '/null')).toMatchObject({ bytes: new Uint8Array(0), shape: undefined });
    h5.close();
  });

  test('something that is not h5wasm is an error that says what to pass', async () => {
    await expect(install({ ready: Promise.resolve({}) }, { packages })).rejects.toMatchObject({
      code: 'H5Z_PARAMETER',
    });
  });
});

function packageFolder(filter: FilterPackage): string {
  const folder = filterFolders().find(
    (one) => (JSON.parse(readFileSync(join(one, 'filter.json'), 'utf8')) as { id: number }).id === filter.id,
  );
  if (!folder) throw new Error(`no folder for ${filter.id}`);
  return folder;
}

/** Makes @h5z/core resolvable from copies of package folders. */
function linkModules(folder: string): void {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  try {
    symlinkSync(join(ROOT, 'node_modules/@h5z'), join(folder, 'node_modules/@h5z'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}
