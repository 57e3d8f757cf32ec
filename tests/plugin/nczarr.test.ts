// netCDF-C's own NCZarr with our native libraries and no others: what it writes numcodecs decodes by the JSON that our hook
// gave, what numcodecs encodes it reads, and stores that lie are errors. For every filter whose filter.json has "zarr".

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isH5zError, toClientValues } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { loadNative } from '@h5z/native';
import { afterAll, describe, expect, it } from 'vitest';
import { env } from '../support/env.ts';
import { filterFolders } from '../support/packed.ts';
import { modes } from './cases.ts';

const PYTHON = hasPeers(env.python) ? env.python : undefined;
const NEED = 'H5Z_PYTHON has no netCDF4 and numcodecs: run the tests by ./farm test, which gets them';

function hasPeers(python: string | undefined): boolean {
  if (python === undefined || process.platform !== 'linux') return false;
  return spawnSync(python, ['-c', 'import netCDF4, numcodecs'], { stdio: 'ignore' }).status === 0;
}

const folder = mkdtempSync(join(tmpdir(), 'h5z-nczarr-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FILTERS = filterFolders().filter(({ description }) => description.zarr !== undefined);
const pluginsOf = (filters: typeof FILTERS) =>
  filters.map(({ folder: filter }) => join(filter, 'prebuilds', currentPlatform())).join(':');

interface Answer {
  readonly error?: string;
  readonly data: string;
  readonly chunk: string;
  readonly loaded: readonly string[];
}

/** Answers of one process, which has our plugins and no others. */
function peers(jobs: readonly Record<string, unknown>[], filters = FILTERS): Answer[] {
  const out = execFileSync(PYTHON as string, ['-X', 'faulthandler', join(import.meta.dirname, 'nczarr.py')], {
    input: JSON.stringify(jobs),
    env: { ...process.env, HDF5_PLUGIN_PATH: pluginsOf(filters), PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 1 << 28,
  });
  return JSON.parse(out.toString()) as Answer[];
}

const peer = (job: Record<string, unknown>, filters = FILTERS): Answer => peers([job], filters)[0] as Answer;

type Config = Record<string, unknown> & { id: string };
interface Zarray {
  readonly filters: Config[] | null;
  readonly compressor: Config | null;
}

/** Slow steps, so that every codec has something to find. */
function wave(dtype: string, n: number): Buffer {
  const size = Number(dtype.slice(2));
  const bytes = Buffer.alloc(n * size);
  for (let i = 0; i < n; i++) {
    const value = 1000 + 3 * Math.floor(i / 16);
    if (dtype[1] === 'f' && size === 8) bytes.writeDoubleLE(value / 7, i * size);
    else bytes.writeUIntLE(value % 2 ** (8 * Math.min(size, 4)), i * size, Math.min(size, 4));
  }
  return dtype[0] === '>' ? bytes.subarray().reverse() : bytes;
}

/** Whether the filter would rather have the first chunk stored as it is. */
function isIncompressible(
  { folder: place, name }: (typeof FILTERS)[number],
  dtype: string,
  cd: number[],
  data: Buffer,
) {
  const codec = loadNative(join(place, 'prebuilds', currentPlatform(), `libh5z_${name}.so`));
  const typeClass = dtype[1] === 'f' ? 'float' : 'integer';
  const cdValues = codec.derive(cd, { typeClass, typeSize: Number(dtype.slice(2)), chunk: [500] });
  try {
    codec.encode(data.subarray(0, 500 * Number(dtype.slice(2))), { cdValues });
    return false;
  } catch (error) {
    if (isH5zError(error) && error.code === 'H5Z_E_NOT_APPLICABLE') return true;
    throw error;
  }
}

let stores = 0;
const newStore = () => join(folder, `store-${stores++}`);

/** A store as Zarr's own implementation lays it out: one array `v` of one dimension, whole chunks. */
function layOut(
  store: string,
  dtype: string,
  chunk: number,
  codecs: readonly Config[],
  chunks: readonly Buffer[],
): void {
  mkdirSync(join(store, 'v'), { recursive: true });
  writeFileSync(join(store, '.zgroup'), JSON.stringify({ zarr_format: 2 }));
  const [compressor, ...filters] = [...codecs].reverse();
  const array = {
    zarr_format: 2,
    shape: [chunk * chunks.length],
    chunks: [chunk],
    dtype,
    fill_value: 0,
    order: 'C',
    filters: filters.length === 0 ? null : filters.reverse(),
    compressor,
  };
  writeFileSync(join(store, 'v/.zarray'), JSON.stringify(array));
  writeFileSync(join(store, 'v/.zattrs'), '{}');
  for (const [i, bytes] of chunks.entries()) writeFileSync(join(store, 'v', String(i)), bytes);
}

const zarrayOf = (store: string) => JSON.parse(readFileSync(join(store, 'v/.zarray'), 'utf8')) as Zarray;
const codecsOf = ({ filters, compressor }: Zarray) => [
  ...(filters ?? []),
  ...(compressor === null ? [] : [compressor]),
];

describe.each(FILTERS)('$name', (filter) => {
  const { description } = filter;
  const { id, name, zarr } = description;
  const members = ['id', ...(zarr?.members ?? []).map((member) => member.name)];

  it.skipIf(!PYTHON)(
    PYTHON ? 'writes what numcodecs decodes by the JSON, for every choice' : NEED,
    { timeout: 300_000 },
    () => {
      const tries = ['<i2', '<f8', '>u4'].flatMap((dtype) =>
        (dtype === '<i2' ? modes(description) : [{}]).map((options: Record<string, unknown>) => {
          const cd = [...toClientValues(description, options)];
          const data = wave(dtype, 2000);
          return { dtype, options, cd, data, store: newStore(), label: `${dtype} ${JSON.stringify(options)}` };
        }),
      );
      const written = peers(
        tries.map(({ store, dtype, cd, data }) => {
          return { do: 'write', store, dtype, chunk: 500, filters: [{ id, cd }], data: data.toString('base64') };
        }),
        [filter],
      );
      const kept = tries.filter(({ dtype, cd, data, label }, i) => {
        const { error, loaded } = written[i] as Answer;
        if (isIncompressible(filter, dtype, cd, data)) {
          // HDF5 notes in a mask that a chunk is stored as it is. Zarr has no such mask, so netCDF gives up.
          expect(error, label).toMatch(/^RuntimeError: nc_close: NetCDF: Filter error/);
          return false;
        }
        expect(error, label).toBeUndefined();
        expect(loaded, label).toEqual([`libh5z_${name}.so`]);
        return true;
      });
      expect(kept.length).toBeGreaterThan(2);
      const read = peers(
        kept.map(({ store, dtype, data }) => ({ do: 'read', store, dtype, size: data.length })),
        [filter],
      );
      const decoded = peers(
        kept.map(({ store }) => {
          const [config] = codecsOf(zarrayOf(store));
          return { do: 'decode', config, chunk: readFileSync(join(store, 'v/1')).toString('base64') };
        }),
      );
      for (const [i, { store, dtype, options, data, label }] of kept.entries()) {
        const codecs = codecsOf(zarrayOf(store));
        expect(codecs.map((config) => [config.id, Object.keys(config).sort()])).toEqual([[zarr?.id, members.sort()]]);
        for (const { name: member, parameter, as } of zarr?.members ?? [])
          if (parameter !== undefined && parameter in options && as === undefined)
            expect(codecs[0]?.[member], label).toBe(options[parameter]);
        expect(readdirSync(join(store, 'v')).filter((file) => /^\d/.test(file))).toHaveLength(4);
        const back = read[i] as Answer;
        expect(back.error, label).toBeUndefined();
        expect(back.loaded, label).toEqual([`libh5z_${name}.so`]);
        expect(Buffer.from(back.data, 'base64').equals(data), label).toBe(true);
        const { data: values, error: refused } = decoded[i] as Answer;
        // Blosc's word for an inner codec that numcodecs' wheels are built without.
        if (refused === 'RuntimeError: error during blosc decompression: -5') continue;
        expect(refused, label).toBeUndefined();
        // netCDF has numbers in the machine's order in memory, and in the variable's order in the store.
        const size = Number(dtype.slice(2));
        const stored = Buffer.from(data.subarray(500 * size, 1000 * size));
        if (dtype[0] === '>') stored.swap32();
        expect(Buffer.from(values, 'base64').equals(stored), label).toBe(true);
      }
    },
  );

  it.skipIf(!PYTHON)(
    PYTHON ? 'reads what numcodecs encoded, numbers in quotes and members of later versions too' : NEED,
    () => {
      const dtype = '<i4';
      const data = wave(dtype, 1000);
      const plain: Config = { id: zarr?.id as string, ...(name === 'shuffle' ? { elementsize: 4 } : {}) };
      const halves = [data.subarray(0, 2000), data.subarray(2000)].map((half) => {
        const { chunk, error } = peer({ do: 'encode', config: plain, dtype, data: half.toString('base64') });
        expect(error).toBeUndefined();
        return Buffer.from(chunk, 'base64');
      });
      const quoted = Object.fromEntries(
        (zarr?.members ?? [])
          .filter(({ parameter, as }) => parameter !== undefined && as === undefined)
          .map(({ name: member, parameter }) => {
            const said = description.parameters.find((candidate) => candidate.name === parameter);
            return [member, String(said?.default)];
          }),
      );
      for (const config of [plain, { ...plain, ...quoted }, { ...plain, later: { a: [1, '}"', null] }, more: null }]) {
        const store = newStore();
        layOut(store, dtype, 500, [config], halves);
        const { data: read, error } = peer({ do: 'read', store, dtype, size: data.length }, [filter]);
        expect(error, JSON.stringify(config)).toBeUndefined();
        expect(Buffer.from(read, 'base64').equals(data), JSON.stringify(config)).toBe(true);
      }
    },
  );

  it.skipIf(!PYTHON)(PYTHON ? 'refuses members that lie and chunks that are damaged' : NEED, () => {
    const dtype = '<i4';
    const data = wave(dtype, 500);
    const plain: Config = { id: zarr?.id as string, ...(name === 'shuffle' ? { elementsize: 4 } : {}) };
    const whole = Buffer.from(
      peer({ do: 'encode', config: plain, dtype, data: data.toString('base64') }).chunk,
      'base64',
    );
    const lies = (zarr?.members ?? [])
      .filter(({ value }) => value === undefined)
      .flatMap(({ name: member, as }) => [
        { ...plain, [member]: 'no"; such = word' },
        { ...plain, [member]: [1] },
        ...(as === undefined ? [{ ...plain, [member]: 123456 }] : []),
      ]);
    const tries: [Config, Buffer][] = lies.map((config) => [config, whole]);
    if (name !== 'shuffle') tries.push([plain, whole.subarray(0, whole.length - 3)]);
    for (const [config, chunk] of tries) {
      const store = newStore();
      layOut(store, dtype, 500, [config], [chunk]);
      const { error, data: read } = peer({ do: 'read', store, dtype, size: data.length }, [filter]);
      expect(error ?? `read ${Buffer.from(read, 'base64').equals(data)}`, JSON.stringify(config)).toMatch(
        /^RuntimeError: nc_/,
      );
    }
  });
});

describe('all of them together', () => {
  it.skipIf(!PYTHON)(PYTHON ? 'a pipeline keeps its order' : NEED, () => {
    const store = newStore();
    const data = wave('<f8', 2000);
    const of = (name: string) => FILTERS.find(({ description }) => description.name === name)?.description;
    const filters = ['shuffle', 'zstd', 'fletcher32'].map((name) => {
      const description = of(name);
      if (description === undefined) throw new Error(`no filter ${name} has "zarr"`);
      return { id: description.id, cd: [...toClientValues(description, {})] };
    });
    const job = { do: 'write', store, dtype: '<f8', chunk: 1000, filters, data: data.toString('base64') };
    expect(peer(job).error).toBeUndefined();
    expect(codecsOf(zarrayOf(store))[0]).toEqual({ id: 'shuffle', elementsize: 8 });
    expect(codecsOf(zarrayOf(store)).map(({ id }) => id)).toEqual(['shuffle', 'zstd', 'fletcher32']);
    let chunk = readFileSync(join(store, 'v/0')).toString('base64');
    for (const config of codecsOf(zarrayOf(store)).reverse()) chunk = peer({ do: 'decode', config, chunk }).data;
    expect(Buffer.from(chunk, 'base64').equals(data.subarray(0, 8000))).toBe(true);
    const { data: read } = peer({ do: 'read', store, dtype: '<f8', size: data.length });
    expect(Buffer.from(read, 'base64').equals(data)).toBe(true);
  });
});
