// Lossy filters under h5repack, nccopy and ncdump: values stay within what the parameters promise, the parameters are stored
// as the filter stores them, and a file that is packed once more keeps both. plugin.test.ts has the lossless ones.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { toClientValues } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { loadNative } from '@h5z/native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { env, need } from '../support/env.ts';
import { filterFolders } from '../support/packed.ts';

const run = promisify(execFile);
const { python: PYTHON, h5dump: H5DUMP, nccopy: NCCOPY } = env;
const LACKING = (['python', 'h5dump', 'nccopy'] as const).find((name) => !env[name]);
const SUFFIX = process.platform === 'darwin' ? '.dylib' : '.so';

const folder = mkdtempSync(join(tmpdir(), 'h5z-lossy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const FILTERS = filterFolders();
const libraries = ({ folder, name }: (typeof FILTERS)[number]) =>
  join(folder, 'prebuilds', currentPlatform(), `libh5z_${name}${SUFFIX}`);
const ENV = { ...process.env, HDF5_PLUGIN_PATH: FILTERS.map((filter) => dirname(libraries(filter))).join(delimiter) };

/** How far a value may be from what it was. */
type Bound = (value: number) => number;
const absolute =
  (error: number): Bound =>
  () =>
    error;
const relative =
  (error: number): Bound =>
  (value) =>
    error * Math.abs(value);

/** Options and what they promise of the field `t` (float32, 220 to 310), or where `of` says so of the image `u` (0 to 255). */
const PROMISES: Readonly<
  Record<string, readonly { options: Record<string, number | string>; bound: Bound; of?: 'u' }[]>
> = {
  // Decimal digits: half a unit of the last one.
  bitgroom: [{ options: { digits: 4 }, bound: relative(0.5e-3) }],
  'granular-bitround': [{ options: { digits: 4 }, bound: relative(0.5e-3) }],
  bitround: [{ options: { bits: 9 }, bound: relative(2 ** -10) }],
  zfp: [
    { options: { mode: 'accuracy', tolerance: 0.05 }, bound: absolute(0.05) },
    { options: { mode: 'reversible' }, bound: absolute(0) },
  ],
  sz: [
    { options: { mode: 'absolute', absolute: 0.02 }, bound: absolute(0.02) },
    { options: { mode: 'pointwise', pointwise: 1e-3 }, bound: relative(1e-3) },
  ],
  sz3: [{ options: { mode: 'absolute', absolute: 0.02 }, bound: absolute(0.02) }],
  sperr: [{ options: { mode: 'tolerance', tolerance: 0.03125 }, bound: absolute(0.03125) }],
  fcidecomp: [{ options: { near: 2 }, bound: absolute(2), of: 'u' }],
  // It promises nothing, but so smooth an image at this quality.
  jpeg: [{ options: { quality: 95 }, bound: absolute(6), of: 'u' }],
};

// Whole chunks: netCDF fills those at the edges with 1e37, near which no small error can be kept.
const SHAPE = [64, 80];
const CHUNK = [32, 40];
/** Chunks that a file is packed in once more. */
const OTHER = [64, 40];
const FIELD = Array.from({ length: 64 * 80 }, (_, i) => {
  const [y, x] = [Math.floor(i / 80), i % 80];
  return Math.fround(265 + 40 * Math.sin(y / 9) * Math.cos(x / 13) + ((i * 7919) % 101) / 500);
});
const IMAGE = FIELD.map((value) => Math.round((value - 220) * 2.5));

const TYPES = { t: { typeClass: 'float', typeSize: 4 }, u: { typeClass: 'integer', typeSize: 1 } } as const;
/** NC_FILL_FLOAT and NC_FILL_UBYTE, little-endian. */
const FILL = { t: Uint8Array.of(0, 0, 0xf0, 0x7c), u: Uint8Array.of(255) };

interface Stored {
  readonly values: number[];
  readonly chunk: number[] | null;
  readonly filters: Record<string, number[]>;
}

/** What h5py says of a variable in files, one after another. */
async function stored(name: string, ...files: readonly string[]): Promise<Stored[]> {
  const script = [
    'import h5py, json, sys',
    'def look(file):',
    '    d = h5py.File(file)[sys.argv[1]]',
    '    p = d.id.get_create_plist()',
    '    f = [p.get_filter(i) for i in range(p.get_nfilters())]',
    '    return {"values": d[...].ravel().tolist(), "chunk": d.chunks, "filters": {str(i): list(cd) for i, _, cd, _ in f}}',
    'json.dump([look(file) for file in sys.argv[2:]], sys.stdout)',
  ];
  const { stdout } = await run(PYTHON as string, ['-c', script.join('\n'), name, ...files], {
    env: ENV,
    maxBuffer: 1 << 26,
  });
  return JSON.parse(stdout) as Stored[];
}

const tool = async (of: string | undefined, program: string, ...args: string[]) =>
  (await run(join(dirname(of as string), program), args, { env: ENV, maxBuffer: 1 << 26 })).stdout;

/** nccopy's options for chunks, however small. */
const inChunks = ([y, x]: readonly number[]) => ['-c', `y/${y},x/${x}`, '-M', '1'];

/** A variable's numbers as ncdump prints them. */
async function dumped(file: string, name: string): Promise<number[]> {
  const text = await tool(NCCOPY, 'ncdump', '-p', '9,17', '-v', name, file);
  const [, numbers] = new RegExp(`data:\\s+${name} =([^;]*);`).exec(text) ?? [];
  return (numbers ?? '').split(',').map((number) => Math.fround(Number(number)));
}

describe.skipIf(LACKING)(LACKING ? need(LACKING) : 'lossy filters in the tools', () => {
  const plain = join(folder, 'plain.nc');

  beforeAll(async () => {
    const cdl = `netcdf plain { dimensions: y = ${SHAPE[0]} ; x = ${SHAPE[1]} ; variables: float t(y, x) ; ubyte u(y, x) ;
      data: t = ${FIELD.join()} ; u = ${IMAGE.join()} ; }`;
    writeFileSync(`${plain}.cdl`, cdl);
    await tool(NCCOPY, 'ncgen', '-4', '-o', plain, `${plain}.cdl`);
  });

  it('has every lossy filter that libhdf5 loads', () => {
    const lossy = FILTERS.filter(({ description }) => description.lossy && description.id >= 256);
    expect(Object.keys(PROMISES).sort()).toEqual(lossy.map(({ name }) => name).sort());
  });

  const all = Object.entries(PROMISES).flatMap(([name, promises]) => promises.map((promise) => ({ name, ...promise })));
  describe.each(all)('$name $options', ({ name, options, bound, of }) => {
    const variable: 't' | 'u' = of ?? 't';
    const filter = FILTERS.find((one) => one.name === name) as (typeof FILTERS)[number];
    const { description } = filter;
    const { id } = description;
    const client = [...toClientValues(description, options)];
    const original = variable === 'u' ? IMAGE : FIELD;
    const type = TYPES[variable];
    /** Rows and columns in JPEG's parameters are as good as asked for: it refuses others, and h5repack then keeps the chunks. */
    const next = name === 'jpeg' ? CHUNK : OTHER;
    /** What the filter stores; `fill`: the dataset has netCDF's fill value. */
    const derived = (chunk: number[], fill = false) => [
      ...loadNative(libraries(filter)).derive(client, { ...type, chunk, ...(fill ? { fill: FILL[variable] } : {}) }),
    ];
    const file = (step: string) =>
      join(folder, `${name}-${all.findIndex((one) => one.options === options)}-${step}.nc`);

    /** Values against the bound, `times` over; float32 rounds once more. */
    const outside = (values: readonly number[], times = 1) =>
      original.filter((value, i) => !(Math.abs(value - (values[i] as number)) <= times * bound(value) * (1 + 1e-5)));
    const isLossless = bound(1) === 0;

    const inEach = async (...files: readonly string[]) =>
      (await stored(variable, ...files)) as [Stored, Stored, Stored];
    /** Of a file, of the same without the filter, and of one packed once more in other chunks. */
    function check([packed, back, again]: readonly [Stored, Stored, Stored], fill: boolean) {
      expect(packed.filters[id]).toEqual(derived(CHUNK, fill));
      expect(packed.values).toHaveLength(original.length);
      expect(outside(packed.values)).toEqual([]);
      if (!isLossless) expect(packed.values).not.toEqual(original);
      expect(back).toMatchObject({ values: packed.values, filters: {} });
      expect(again.chunk).toEqual(next);
      expect(again.filters[id]).toEqual(derived(next, fill));
      expect(outside(again.values, 2)).toEqual([]);
    }

    it('nccopy writes, ncdump and h5py read', async () => {
      const [packed, back, again] = [file('nccopy'), file('nccopy-back'), file('nccopy-again')] as const;
      const words = [variable, id, ...client].join();
      await tool(NCCOPY, 'nccopy', '-4', '-F', words, ...inChunks(CHUNK), plain, packed);
      await tool(NCCOPY, 'nccopy', '-4', '-F', 'none', packed, back);
      // By the parameters in the file.
      await tool(NCCOPY, 'nccopy', '-4', ...inChunks(next), packed, again);
      const answers = await inEach(packed, back, again);
      check(answers, false);
      expect(await dumped(packed, variable)).toEqual(answers[0].values);
      // The parameters as netCDF shows them are those that HDF5 stores, or those that it was given.
      const said = /_Filter = "([\d, ]+)"/.exec(await tool(NCCOPY, 'ncdump', '-hs', packed))?.[1];
      expect([[id, ...client].join(), [id, ...derived(CHUNK)].join()]).toContain(said?.replaceAll(' ', ''));
    });

    it('h5repack writes, h5py reads', async () => {
      const [packed, back, again] = [file('h5repack'), file('h5repack-back'), file('h5repack-again')] as const;
      const words = `${variable}:UD=${[id, 0, client.length, ...client].join()}`;
      await tool(H5DUMP, 'h5repack', '-l', `${variable}:CHUNK=${CHUNK.join('x')}`, '-f', words, plain, packed);
      await tool(H5DUMP, 'h5repack', '-f', `${variable}:NONE`, packed, back);
      // By the parameters in the file.
      await tool(H5DUMP, 'h5repack', '-l', `${variable}:CHUNK=${OTHER.join('x')}`, packed, again);
      check(await inEach(packed, back, again), true);
    });
  });
});
