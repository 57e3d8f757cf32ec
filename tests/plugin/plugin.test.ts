// Our native libraries as HDF5 plugins, in processes of their own: h5py's wheel, Debian's h5py, h5repack and netCDF write and
// read, h5dump reads, hosts have libhdf5 to themselves, hdf5plugin checks both directions. cases.ts makes the matrix from filter.json.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { loadWasm } from '@h5z/core';
import { currentPlatform } from '@h5z/core/node';
import { loadNative } from '@h5z/native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBinary } from '../../packages/farm/src/binary.ts';
import { env, need } from '../support/env.ts';
import { type FilterFolder, filterFolders, filtersUnderTest } from '../support/packed.ts';
import { type Case, cases, fewer } from './cases.ts';

const run = promisify(execFile);
const { python: PYTHON, systemPython: SYSTEM_PYTHON, h5dump: H5DUMP, nccopy: NCCOPY } = env;
/** It comes with h5dump. */
const H5REPACK = H5DUMP && join(dirname(H5DUMP), 'h5repack');
const SYSTEM_HDF5 = globSync('/usr/lib/*/libhdf5_serial.so.*')[0];
/** libhdf5s that a host can have to itself. With h5py's wheel (2.0) they are every series in use (toolchains/hdf5). */
const HOSTS: Readonly<Record<string, string | undefined>> = {
  "Debian's, HDF5 1.10 or 1.14": SYSTEM_HDF5,
  'HDF5 1.12': olderHdf5('1.12'),
  'HDF5 1.14': olderHdf5('1.14'),
  "netCDF4's wheel, HDF5 2.2":
    PYTHON && globSync(join(dirname(PYTHON), '../lib/*/site-packages/netcdf4.libs/libhdf5-*'))[0],
};
function olderHdf5(series: string): string | undefined {
  return env.hdf5s?.split(delimiter).find((library) => library.includes(`/hdf5-${series}-`));
}
const SUFFIX = process.platform === 'darwin' ? '.dylib' : '.so';

/** IDs below are reserved for what is part of libhdf5. */
const FIRST_PLUGIN_ID = 256;

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface Outcome {
  /** Of libhdf5's own filters: base64. */
  readonly data?: string;
  readonly chunk?: string;
  readonly sha256?: string;
  readonly error?: string;
  readonly filters?: readonly { id: number; flags: number; cd: number[]; name: string }[];
  readonly masks?: readonly number[];
  readonly headerless?: boolean;
}
type Outcomes = Readonly<Record<string, Outcome>>;
interface Answer<T> {
  readonly answer: T;
  readonly versions: { readonly h5py?: string; readonly hdf5?: string; readonly available?: boolean };
  readonly images: { readonly ours: string[]; readonly theirs: string[]; readonly hdf5: string[] };
  readonly stderr: string;
}

const folder = mkdtempSync(join(tmpdir(), 'h5z-plugin-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const libraryOf = ({ folder, name }: FilterFolder) =>
  join(folder, 'prebuilds', currentPlatform(), `libh5z_${name}${SUFFIX}`);
const PLUGIN_PATH = filterFolders()
  .map((filter) => dirname(libraryOf(filter)))
  .join(delimiter);

let jobs = 0;
/** Runs a job of peer.py in a fresh process, with our plugins on HDF5's path or with hdf5plugin's. */
async function peer<T>(python: string, job: { hdf5plugin?: boolean } & Record<string, unknown>): Promise<Answer<T>> {
  const file = join(folder, `job-${jobs++}.json`);
  writeFileSync(file, JSON.stringify(job));
  const env = {
    ...process.env,
    HDF5_PLUGIN_PATH: job.hdf5plugin ? '/nonexistent' : PLUGIN_PATH,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const script = join(import.meta.dirname, 'peer.py');
  const { stdout, stderr } = await run(python, ['-X', 'faulthandler', script, file], { env, maxBuffer: 1 << 28 });
  return { ...(JSON.parse(stdout) as Omit<Answer<T>, 'stderr'>), stderr };
}

describe.each(filtersUnderTest())('$name', (filter) => {
  const { description, name } = filter;
  const library = libraryOf(filter);
  const { id, lossy } = description;
  const all = cases(description);

  it('is built for this platform', () => {
    expect(existsSync(library), `${library} is missing: run ./farm build`).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')('exports what its loaders ask for and needs only libc and libm', () => {
    const { exported, imported, needed } = readBinary(readFileSync(library));
    const hook = description.zarr === undefined ? [] : ['NCZ_get_codec_info'];
    expect(exported).toEqual(['H5PLget_plugin_info', 'H5PLget_plugin_type', ...hook, 'h5z_filter_v1']);
    expect(needed.filter((so) => !/^(libc|libm|libdl|libpthread|ld-linux-[a-z0-9-]+)\.so/.test(so))).toEqual([]);
    // libc++abi's last word when nobody catches an exception, which no filter lets happen (packages/farm/test/cxx.test.ts).
    const terminate = readFileSync(library).includes('libc++abi: ') ? ['abort', 'fprintf'] : [];
    expect(
      imported
        .filter((symbol) => /^(H5|abort$|exit$|_exit$|pthread_create|fprintf|printf|puts|fopen)/.test(symbol))
        .filter((symbol) => !terminate.includes(symbol)),
    ).toEqual([]);
  });

  if (id < FIRST_PLUGIN_ID) {
    // Such a filter is in libhdf5, which therefore never looks for a plugin. What is left to test is that the two agree.
    const title = "is libhdf5's own: it never loads our plugin, reads what ours writes and writes what ours reads";
    it.skipIf(!PYTHON)(PYTHON ? title : need('python'), { timeout: 300_000 }, async () => {
      const python = PYTHON as string;
      const some = all
        .filter(
          ({ before, after, chunk, dtype, data }) =>
            before.length + after.length === 0 &&
            chunk.reduce((n, dim) => n * dim, 1) < 1e5 &&
            // libhdf5 crashes at the end when a mandatory filter of its own refuses what is not a plain number.
            /^[<>]?[iu][1248]$|^[<>]f[48]$/.test(dtype) &&
            data !== 'noise',
        )
        .map((entry) => ({ ...entry, flags: 1 }));
      const job = { id, file: join(folder, `${name}-library.h5`) };
      const theirs = await peer<Outcomes>(python, { ...job, do: 'library', cases: some });
      expect(theirs.images.ours).toEqual([]);
      const applied = some.filter((entry) => theirs.answer[entry.name]?.masks?.[0] === 0);
      expect(applied.length, JSON.stringify(Object.values(theirs.answer)[0])).toBeGreaterThan(10);
      const wasm = await loadWasm(readFileSync(join(filter.folder, 'wasm', `${name}.wasm`)), { id });
      for (const codec of [loadNative(library), wasm]) {
        const sent: (Case & { encoded: string; expected: string })[] = [];
        for (const entry of applied) {
          const { data = '', chunk = '', sha256, filters = [] } = theirs.answer[entry.name] ?? {};
          const content = Buffer.from(data, 'base64');
          // libhdf5 did not set its filter up for this type: what is stored are the client's values.
          const least = Math.max(0, ...(description.derived ?? []).map(({ stored }) => stored.word + 1));
          if ((filters[0]?.cd.length ?? 0) < least) continue;
          // Parameters beyond what filter.json allows, with which libhdf5 stores the chunk as it is.
          if (isBeyond(() => codec.encode(content, { cdValues: filters[0]?.cd ?? [] }))) continue;
          const options = { cdValues: filters[0]?.cd ?? [], size: content.length };
          const label = `${entry.name}, ${codec.variant}`;
          expect(sha256Of(codec.decode(Buffer.from(chunk, 'base64'), options)), label).toBe(sha256);
          const encoded = codec.encode(content, options);
          const expected = lossy ? sha256Of(codec.decode(encoded, options)) : sha256Of(content);
          sent.push({ ...entry, encoded: Buffer.from(encoded).toString('base64'), expected });
        }
        expect(sent.length, 'cases compared').toBeGreaterThan(10);
        const { answer } = await peer<Outcomes>(python, { ...job, do: 'library_reads', cases: sent });
        for (const { name: label, expected } of sent)
          expect(answer[label], `${label}, ${codec.variant}`).toEqual({ sha256: expected });
      }
    });
    return;
  }

  describe.skipIf(!PYTHON)(PYTHON ? 'under h5py' : need('python'), () => {
    const python = PYTHON as string;
    const path = (who: string) => join(folder, `${name}-${who}.h5`);
    /** who wrote -> what it says of each dataset */
    const wrote = new Map<string, Answer<Outcomes>>();
    /** `reader < writer` */
    const read = new Map<string, Answer<Outcomes>>();
    let theirsAvailable = false;

    beforeAll(async () => {
      const job = (act: string, writer: string, list: readonly Case[] = all) => ({
        do: act,
        id,
        file: path(writer),
        cases: list,
      });
      wrote.set('ours', await peer(python, job('write', 'ours')));
      const theirs = await peer<Outcomes>(python, { ...job('write', 'theirs'), hdf5plugin: true });
      theirsAvailable = theirs.versions.available === true;
      wrote.set('theirs', theirs);
      if (SYSTEM_PYTHON) wrote.set('system', await peer(SYSTEM_PYTHON, job('write', 'system')));
      for (const writer of wrote.keys()) {
        if (writer === 'theirs' && !theirsAvailable) continue;
        read.set(`ours < ${writer}`, await peer(python, job('read', writer)));
        if (SYSTEM_PYTHON) read.set(`system < ${writer}`, await peer(SYSTEM_PYTHON, job('read', writer)));
        if (theirsAvailable)
          read.set(`theirs < ${writer}`, await peer(python, { ...job('read', writer), hdf5plugin: true }));
      }
    }, 300_000);

    it('is the plugin that ran, and hdf5plugin is where it should', () => {
      for (const who of ['ours', ...(SYSTEM_PYTHON ? ['system'] : [])]) {
        const { images, versions } = wrote.get(who) as Answer<Outcomes>;
        expect(versions.available).toBe(true);
        if (process.platform !== 'linux') continue;
        // Others stay mapped after libhdf5 looked into them: C++ libraries are never unloaded (H5zFilter.cmake).
        expect(images.ours).toContain(library);
        expect(images.theirs).toEqual([]);
      }
      expect(wrote.get('theirs')?.images.ours).toEqual([]);
    });

    const isWritten = (writer: string, entry: Pick<Case, 'name'>) => {
      const outcome = wrote.get(writer)?.answer[entry.name];
      return outcome !== undefined && outcome.error === undefined;
    };
    /** Our filter left the chunk as it is. */
    const isLeft = (entry: Case) =>
      read.get('ours < ours')?.answer[entry.name]?.masks?.some((mask) => mask !== 0) === true;
    /** The first case with numbers that our filter writes with its defaults: for tests of something else than data. */
    const simple = (): Case => {
      const numbers = ['u1', '<u2', '<i4', '<f4', '<f8'];
      const found = all.find(
        (entry) => entry.flags === 0 && numbers.includes(entry.dtype) && isWritten('ours', entry) && !isLeft(entry),
      );
      if (!found) throw new Error(`${name} writes none of the cases`);
      return found;
    };

    it.for(all)('$name', (entry) => {
      const problems: string[] = [];
      for (const [pair, { answer }] of read) {
        const [, writer] = pair.split(' < ') as [string, string];
        const written = wrote.get(writer)?.answer[entry.name];
        const got = answer[entry.name];
        // A choice that the peer does not write it need not read (a newer revision of the format).
        if (pair.startsWith('theirs') && !isWritten('theirs', entry)) continue;
        if (written?.error !== undefined) {
          // The peer may not know a choice of ours; we may refuse what our filter cannot encode, and say so. But not what
          // the peer's encodes.
          // Numbers in the other byte order, or of half precision where a peer knows none, come back as anything.
          const foreign = lossy && (entry.dtype.startsWith('>') || entry.dtype === '<f2');
          const refused = written.error.includes('not applicable') && (foreign || !isWritten('theirs', entry));
          if (writer === 'theirs' || refused) continue;
          problems.push(`${writer} could not write: ${written.error}`);
        } else if (
          writer === 'theirs' &&
          (read.get('theirs < theirs')?.answer[entry.name]?.error !== undefined || isLeft(entry))
        ) {
          // What the peer cannot read itself is nobody's to read; nor what would not come back, and it encodes all the same.
        } else if (got?.error !== undefined || got === undefined) {
          problems.push(`${pair}: ${got?.error ?? 'not read'}`);
        } else if (
          lossy
            ? got.sha256 !== read.get(`${writer} < ${writer}`)?.answer[entry.name]?.sha256
            : got.sha256 !== written?.sha256
        ) {
          problems.push(`${pair}: other values`);
        } else if (writer !== 'theirs') {
          const stage = got.filters?.find((filter) => filter.id === id);
          if (stage?.flags !== (description.onlyOptional ? 1 : entry.flags))
            problems.push(`${pair}: flags ${stage?.flags}`);
          if (stage?.name !== description.title) problems.push(`${pair}: name ${stage?.name}`);
          // A filter that is always optional leaves out what it cannot encode, as the peer's does.
          if (entry.flags === 0 && !description.onlyOptional && got.masks?.some((mask) => mask !== 0))
            problems.push(`${pair}: masks ${got.masks}`);
        }
      }
      expect(problems).toEqual([]);
    });

    it('writes something, and was compared with hdf5plugin where that has the filter', ({ skip }) => {
      expect(all.filter((entry) => isWritten('ours', entry)).length).toBeGreaterThan(0);
      if (!theirsAvailable) return skip(`hdf5plugin has no filter ${id}`);
      expect(all.filter((entry) => isWritten('theirs', entry)).length).toBeGreaterThan(0);
    });

    it.skipIf(!SYSTEM_PYTHON)(
      SYSTEM_PYTHON ? 'stores the same cd_values under both libhdf5s' : need('systemPython'),
      () => {
        for (const entry of all) {
          const stored = (pair: string) => read.get(pair)?.answer[entry.name]?.filters?.map((filter) => filter.cd);
          expect(stored('ours < system'), entry.name).toEqual(stored('ours < ours'));
        }
      },
    );

    it('refuses a truncated chunk, and the error stack names filter and cause', async () => {
      const some = all
        .filter(
          (entry) =>
            entry.after.length === 0 &&
            entry.before.length === 0 &&
            entry.flags === 0 &&
            entry.data === 'ramp' &&
            isWritten('ours', entry) &&
            !isLeft(entry),
        )
        .slice(0, 20);
      for (const interpreter of [python, ...(SYSTEM_PYTHON ? [SYSTEM_PYTHON] : [])]) {
        const file = path('corrupt');
        await peer(python, { do: 'write', id, file, cases: some });
        const { answer, stderr } = await peer<Outcomes>(interpreter, { do: 'corrupt', id, file, library, cases: some });
        expect(Object.keys(answer).length).toBe(3 * some.length);
        expect(
          Object.entries(answer).filter(([, outcome]) => outcome.error === undefined && !outcome.headerless),
        ).toEqual([]);
        if (Object.values(answer).every((outcome) => outcome.headerless)) continue;
        expect(stderr).toContain(`h5z filter ${name} (ID ${id}`);
        expect(stderr).toMatch(/cannot decode a chunk of \d+ bytes: [a-z ]+:/);
      }
    });

    const others = Object.values(HOSTS).filter((library) => library !== undefined);
    it('serves several libhdf5s of one process', async ({ skip }) => {
      if (others.length === 0) return skip("no libhdf5 but h5py's is here");
      const job = { do: 'together', id, file: path('together'), libhdf5s: others, case: simple() };
      const { answer, images } = await peer<Record<string, { same: boolean; cd: number[] }>>(python, job);
      const [first, ...rest] = Object.values(answer);
      // By turns, again, and beside the others.
      expect(rest).toHaveLength(3 * (1 + others.length) - 1);
      if (!lossy) expect(first?.same).toBe(true);
      for (const other of rest) expect(other).toEqual(first);
      if (process.platform !== 'linux') return;
      // Others stay mapped after libhdf5 looked into them: C++ libraries are never unloaded (H5zFilter.cmake).
      expect(images.ours).toContain(library);
      expect(images.hdf5.filter((file) => !file.includes('_hl'))).toHaveLength(1 + others.length);
    });

    describe('in a host that has libhdf5 to itself', () => {
      const some = fewer(all);
      const hosts = new Map<string, Answer<Record<'wrote' | 'own' | 'theirs', Outcomes> & { hdf5: string }>>();
      let back: Answer<Record<string, Outcomes>>;

      beforeAll(async () => {
        const here = Object.entries(HOSTS).filter(([, libhdf5]) => libhdf5 !== undefined);
        const files = Object.fromEntries(here.map(([series], i) => [series, path(`host-${i}`)]));
        const job = { id, cases: some };
        for (const [series, libhdf5] of here) {
          const more = { do: 'private', file: files[series], theirs: path('ours'), libhdf5 };
          hosts.set(series, await peer(python, { ...job, ...more }));
        }
        back = await peer(python, { ...job, do: 'read_each', files });
      });

      it.for(Object.keys(HOSTS))('writes and reads: %s', (series, { skip }) => {
        const host = hosts.get(series);
        if (host === undefined)
          return skip(series.startsWith('HDF5') ? need('hdf5s') : `no libhdf5 of ${series} is here`);
        const { answer, images } = host;
        expect(answer.hdf5, 'another libhdf5 than h5py').not.toBe(wrote.get('ours')?.versions.hdf5);
        const tried = some.filter((entry) => entry.name in answer.wrote);
        const problems: string[] = [];
        for (const entry of tried) {
          const written = answer.wrote[entry.name]?.error;
          if ((written === undefined) !== isWritten('ours', entry)) problems.push(`${entry.name}: ${written}`);
          if (written !== undefined) continue;
          const ours = read.get('ours < ours')?.answer[entry.name];
          const theirs = back.answer[series]?.[entry.name];
          const sums = { itself: answer.own[entry.name], 'of h5py': answer.theirs[entry.name], 'under h5py': theirs };
          for (const [who, outcome] of Object.entries(sums))
            if (outcome?.sha256 === undefined || outcome.sha256 !== ours?.sha256)
              problems.push(`${entry.name}, ${who}: ${outcome?.error ?? 'other values'}`);
          expect(theirs?.filters, entry.name).toEqual(ours?.filters);
        }
        expect(problems).toEqual([]);
        expect(tried.filter((entry) => isWritten('ours', entry)).length).toBeGreaterThan(5);
        if (process.platform !== 'linux') return;
        expect(images.ours).toContain(library);
        expect(images.hdf5).toHaveLength(1);
      });
    });

    // Not for lossy filters: these programs compare values, and write what they read once more.
    const exactly = lossy ? () => undefined : it.skipIf(!NCCOPY);
    exactly(NCCOPY ? 'writes under nccopy what ncdump and h5py read' : need('nccopy'), async () => {
      const env = { ...process.env, HDF5_PLUGIN_PATH: PLUGIN_PATH };
      const tool = (program: string, ...args: string[]) =>
        run(join(dirname(NCCOPY as string), program), args, { env, maxBuffer: 1 << 26 });
      const [plain, filtered] = [path('nc-plain'), path('nc-filtered')];
      // Bytes of an image are what most filters take; netCDF leaves out a filter that refuses.
      const numbers = Array.from({ length: 64 * 48 }, (_, i) => Math.floor(i / 7) % 113);
      const cdl = `netcdf t { dimensions: y = 64 ; x = 48 ; variables: ubyte v(y, x) ; data: v = ${numbers.join()} ; }`;
      writeFileSync(`${plain}.cdl`, cdl);
      await tool('ncgen', '-4', '-o', plain, `${plain}.cdl`);
      const words = ['v', id, ...simple().client].join();
      await tool('nccopy', '-4', '-s', '-F', words, '-c', 'y/32,x/48', plain, filtered);
      const values = async (file: string) => (await tool('ncdump', file)).stdout.replace(/^netcdf .*/, '');
      expect((await tool('ncdump', '-hs', filtered)).stdout).toContain(`v:_Filter = "${id}`);
      expect(await values(filtered)).toBe(await values(plain));
      const read = `import h5py, sys; print(int(h5py.File(sys.argv[1])['v'][...].astype('u8').sum()))`;
      const sum = await run(python, ['-c', read, filtered], { env });
      expect(Number(sum.stdout)).toBe(numbers.reduce((total, value) => total + value, 0));
    });

    const again = lossy ? () => undefined : it.skipIf(!H5REPACK);
    again(H5REPACK ? 'encodes and decodes under h5repack' : need('h5dump'), async () => {
      const env = { ...process.env, HDF5_PLUGIN_PATH: PLUGIN_PATH };
      const { name: dataset, client } = simple();
      const [packed, back] = [path('repacked'), path('unpacked')];
      const filter = ['UD=', [id, 0, client.length, ...client].join()].join('');
      const repack = (from: string, to: string, ...args: string[]) =>
        run(H5REPACK as string, [...args, from, to], { env, maxBuffer: 1 << 26 });
      await repack(path('ours'), back, '-f', `/${dataset}:NONE`);
      await repack(back, packed, '-f', `/${dataset}:${filter}`);
      const job = { do: 'read', id, file: packed, cases: all.filter((entry) => entry.name === dataset) };
      const { answer } = await peer<Outcomes>(python, job);
      const ours = read.get('ours < ours')?.answer[dataset];
      expect(answer[dataset]?.sha256).toBe(ours?.sha256);
      expect(answer[dataset]?.filters?.find((stage) => stage.id === id)?.cd).toEqual(
        ours?.filters?.find((stage) => stage.id === id)?.cd,
      );
    });

    it("keeps HDF5 2.2's rules for buffers, with no libhdf5 in the process", async () => {
      const stored = read.get('ours < ours')?.answer[simple().name]?.filters;
      const cd = stored?.find((filter) => filter.id === id)?.cd ?? [];
      const { answer } = await peer<Record<string, { headerless?: boolean }>>(python, {
        do: 'callback',
        id,
        library,
        case: simple(),
        cd,
      });
      expect(answer).toMatchObject({ type: 0, version: 1, id, name: description.title, encoded: { fits: true } });
      // Where encoding keeps the length there is no header, and half a chunk is a smaller one.
      if (!answer.encoded?.headerless) expect(answer.truncated).toEqual({ n: 0, untouched: true });
      for (const spare of [0, 1, 100_000]) {
        expect(answer[`decoded with ${spare} spare`]).toMatchObject({
          ...(lossy ? {} : { same: true }),
          whole: true,
          fits: true,
        });
      }
      expect(answer['strange cd']).toEqual(new Array(10).fill(true));
      if ('set_local without HDF5' in answer) expect(answer['set_local without HDF5']).toBeLessThan(0);
    });

    it.skipIf(!H5DUMP)(H5DUMP ? 'decodes under h5dump' : need('h5dump'), async () => {
      const list = all.filter(
        (entry) => isWritten('ours', entry) && entry.shape.length === 1 && !/^[SV]|compound|array/.test(entry.dtype),
      );
      const env = { ...process.env, HDF5_PLUGIN_PATH: PLUGIN_PATH };
      for (const entry of list) {
        const out = join(folder, 'dump.bin');
        await run(H5DUMP as string, ['-d', `/${entry.name}`, '-b', 'FILE', '-o', out, path('ours')], {
          env,
          maxBuffer: 1 << 28,
        });
        const digest = createHash('sha256').update(readFileSync(out)).digest('hex');
        expect(digest, entry.name).toBe(read.get('ours < ours')?.answer[entry.name]?.sha256);
      }
    });
  });
});

/** True when the filter says that it does not know these cd_values. */
function isBeyond(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'H5Z_E_PARAM';
  }
}
