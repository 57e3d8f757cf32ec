// A real HSDS with h5z_hsds: real files linked and copied, datasets of every filter written and read after a restart,
// clients at once while a data node is killed, damage of every kind named in the log and in the answer.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CorpusDataset, corpusFiles, OURS } from '../../../tests/corpus/corpus.ts';
import { env, need } from '../../../tests/support/env.ts';
import { filterFolders } from '../../../tests/support/packed.ts';
import { Client, load, type NewDataset } from './support/client.ts';
import { type Environment, environment, installHere } from './support/environment.ts';
import { BUCKET, Hsds } from './support/server.ts';

const ON = { H5Z_HSDS: '1' };
const run = promisify(execFile);
const skip = env.hsdsPython === undefined ? need('hsdsPython') : env.shared === undefined ? need('shared') : undefined;

/** Element types that a dataset is tried with until its filter takes one; bytes first, which every filter for them makes smaller. */
const TYPES = ['|u1', '<u2', '<i2', '<f4'];

interface Picked {
  readonly file: string;
  readonly path: string;
  readonly name: string;
  readonly dataset: CorpusDataset & { readonly dtype: string; readonly lossy?: boolean; readonly nbytes: number };
}

/** Digests of corpus.json that only one processor's arithmetic gives, and the portable ones; see the file. */
const portable: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../tests/corpus/portable.json'), 'utf8'),
).digests;

const expected = (one: Picked | undefined): string | undefined =>
  portable[one?.dataset.sha256 as string] ?? one?.dataset.sha256 ?? undefined;

/** For each filter up to `count` datasets of the corpus with plain numbers, smallest pipelines of other filters too. */
function pick(count: number): Picked[] {
  const picked: Picked[] = [];
  const seen = new Map<string, number>();
  for (const file of corpusFiles()) {
    for (const dataset of file.datasets as Picked['dataset'][]) {
      const { filters, sha256, nbytes = 0, dtype, shape } = dataset;
      const pipeline = filters.map(({ id }) => id).join('+');
      const elements = shape.reduce((product, extent) => product * extent, 1);
      const plain = /^'?[<>|=]?[iuf]\d/.test(dtype) || /^(u?int|float)\d+$/.test(dtype);
      const known = filters.length > 0 && filters.every(({ id }) => OURS.has(id));
      if (
        !plain ||
        !known ||
        typeof sha256 !== 'string' ||
        elements <= 512 ||
        nbytes > 4_000_000 ||
        (dataset.n_chunks ?? 0) > 500
      )
        continue;
      if ((dataset.decodable_by ?? []).some((by) => by.startsWith('inferred'))) continue;
      if ((seen.get(pipeline) ?? 0) >= count) continue;
      seen.set(pipeline, (seen.get(pipeline) ?? 0) + 1);
      const name = `${pipeline}_${picked.length}`;
      picked.push({ file: file.path, path: dataset.path, name, dataset });
    }
  }
  return picked;
}

describe.skipIf(skip !== undefined)(`HSDS with every filter${skip === undefined ? '' : `: ${skip}`}`, () => {
  let here: Environment;
  let server: Hsds;
  let client: Client;
  let picked: Picked[];
  let chunks: Readonly<Record<string, readonly [number, number]>>;

  beforeAll(async () => {
    here = environment(env.hsdsPython as string);
    installHere(here.sitePackages);
    server = await Hsds.start(here, { nodes: 3, settings: ON });
    client = new Client(here, server);
    picked = pick(2);
    const list = picked.map(({ file, path, name }) => ({ file, path, name }));
    const combining = run(here.python, [join(import.meta.dirname, 'python/combine.py'), join(server.bucket, 'all.h5')]);
    combining.child.stdin?.end(JSON.stringify(list));
    const combined = JSON.parse((await combining).stdout) as { failed: { name: string }[]; chunks: typeof chunks };
    picked = picked.filter(({ name }) => !combined.failed.some((one) => one.name === name));
    chunks = combined.chunks;
  });

  afterAll(async () => {
    client?.close();
    await server?.stop();
    here?.remove();
  });

  it('tests itself at start and says what is on', () => {
    for (const name of ['sn', ...server.dataNodes])
      expect(server.log(name)).toMatch(/h5z_hsds: on: \d+ of \d+ filters/);
  });

  it('reads linked files of other people through every filter', async () => {
    await load(here, server, 'hsload', ['--link', `${BUCKET}/all.h5`, '/home/admin/linked.h5']);
    const answers = await client.digest(
      '/home/admin/linked.h5',
      picked.map(({ name }) => name),
    );
    expect(answers.filter(({ sha256 }, index) => sha256 !== expected(picked[index]))).toEqual([]);
    expect(new Set(picked.flatMap(({ dataset }) => dataset.filters.map(({ id }) => id))).size).toBeGreaterThan(15);
  });

  it('decoded them with our libraries, in the data nodes', () => {
    const maps = server.dataNodes.map((name) => server.maps(name)).join('\n');
    for (const { dataset } of picked) expect(dataset.filters.length).toBeGreaterThan(0);
    expect(maps).toContain(join(here.sitePackages, 'h5z_hsds/filters/zstd/'));
    expect(maps).not.toContain('hdf5plugin');
  });

  it('copies them', async () => {
    await load(here, server, 'hsload', [join(server.bucket, 'all.h5'), '/home/admin/copied.h5']);
    const answers = await client.digest(
      '/home/admin/copied.h5',
      picked.map(({ name }) => name),
    );
    expect(answers.filter(({ sha256 }, index) => sha256 !== expected(picked[index]))).toEqual([]);
  });

  /**
   * A dataset of every filter alone, and one of every filter before bzip2: HSDS does some filters in its own way, but not where
   * one that it does not know is in the pipeline.
   */
  let written: NewDataset[] = [];
  const PIPELINES = filterFolders().flatMap(({ description: { name } }) => [[name], [name, 'bzip2']]);
  const WRITTEN = ['/home/admin/written.h5', '/home/admin/beside.h5'];

  /** Writes a dataset with each filter, of the first element type that it takes. */
  async function writeAll(writer: Client, domain: string): Promise<NewDataset[]> {
    const done: NewDataset[] = [];
    let todo = PIPELINES;
    for (const dtype of TYPES) {
      const shape = { dtype, shape: [64, 96], chunks: [64, 96] };
      const datasets = todo.map((filters) => ({ name: filters.join('+'), ...shape, filters }));
      const made = await writer.create(domain, datasets);
      done.push(...datasets.filter((_, index) => made[index]?.error === undefined));
      todo = todo.filter((_, index) => made[index]?.error !== undefined);
    }
    expect(todo).toEqual([]);
    return done;
  }

  it('writes with every filter by two clients at once, copies too, and two read all of it after a restart', async () => {
    client.close();
    client = new Client(here, server, ON);
    const beside = new Client(here, server, ON);
    [written] = (await Promise.all(
      WRITTEN.map((domain, index) => writeAll(index === 0 ? client : beside, domain)),
    )) as [NewDataset[]];
    beside.close();
    for (const domain of [...WRITTEN, '/home/admin/copied.h5'])
      expect((await server.send('PUT', '/?flush=1', { domain })).status).toBe(204);
    client.close();
    await server.stop();
    await server.startAll();
    client = new Client(here, server);
    const other = new Client(here, server);
    const lossy = new Set(filterFolders().flatMap(({ description: { lossy, name } }) => (lossy ? [name] : [])));
    const answers = await Promise.all(
      WRITTEN.map((domain, index) => (index === 0 ? other : client).check(domain, written)),
    );
    other.close();
    // Values lie between 10 and 110; JPEG's and SZ's defaults are coarse.
    for (const found of answers) {
      expect(found).toHaveLength(written.length);
      const bound = (name: string) => (lossy.has(name.split('+')[0] as string) ? 8 : 0);
      expect(found.filter(({ name, difference = 1e9 }) => difference > bound(name))).toEqual([]);
    }
    const copied = await client.digest(
      '/home/admin/copied.h5',
      picked.map(({ name }) => name),
    );
    const exact = copied.filter((_, index) => picked[index]?.dataset.lossy !== true);
    const exactly = picked.filter(({ dataset }) => dataset.lossy !== true);
    expect(exact.filter(({ sha256 }, index) => sha256 !== expected(exactly[index]))).toEqual([]);
    expect(copied.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('writes a file again by hsget, with the filters', async () => {
    const target = join(here.folder, 'back.h5');
    await load(here, server, 'hsget', ['/home/admin/written.h5', target]);
    const program = `import h5py, h5z_hsds, hashlib, json, os, sys
for entry in h5z_hsds.filter_table().entries:
    h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
def first(plist):
    return plist.get_filter(0)[0] if plist.get_nfilters() else None
with h5py.File(sys.argv[1]) as f:
    print(json.dumps({n: [first(f[n].id.get_create_plist()), f[n].id.get_storage_size(), f[n].nbytes,
                          hashlib.sha256(f[n][...].tobytes()).hexdigest()] for n in f}))`;
    const { stdout } = await run(here.python, ['-c', program, target]);
    const back = JSON.parse(stdout) as Record<string, [number | null, number, number, string]>;
    const served = await client.digest(
      '/home/admin/written.h5',
      written.map(({ name }) => name),
    );
    for (const { description } of filterFolders())
      for (const name of [description.name, `${description.name}+bzip2`]) {
        // Alone, HSDS takes these without parameters and does nothing.
        const id = ['nbit', 'scaleoffset'].includes(name) ? null : description.id;
        expect([name, back[name]?.[0]]).toEqual([name, id]);
        const there = served.find((one) => one.name === name);
        if (!description.lossy) expect([name, back[name]?.[3]]).toEqual([name, there?.sha256]);
      }
    expect(Object.keys(back).length).toBe(written.length);
    expect(back.zstd?.[1]).toBeLessThan(back.zstd?.[2] ?? 0);
  });

  /** The raw answer for the values of a dataset of the linked file. */
  const values = (id: string, domain = '/home/admin/linked.h5') =>
    server.send('GET', `/datasets/${id}/value`, { domain, binary: true });

  it('gives right bytes or an error to clients at once while a data node is killed and started again', async () => {
    const names = picked.map(({ name }) => name);
    const ids = await client.digest('/home/admin/linked.h5', names);
    const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
    const right: string[] = [];
    for (const { id } of ids) right.push(digestOf((await values(id as string)).body));
    let stop = false;
    const wrong: string[] = [];
    let good = 0;
    const reader = async (from: number): Promise<void> => {
      for (let turn = from; !stop; turn++) {
        const at = turn % ids.length;
        const answer = await values(ids[at]?.id as string).catch(() => undefined);
        if (answer?.status !== 200) continue;
        if (digestOf(answer.body) !== right[at]) wrong.push(`${ids[at]?.name}: ${answer.body.length} bytes`);
        else good++;
      }
    };
    /** Goes on until so many more were read, which the test's own limit bounds. */
    const more = async (count: number): Promise<void> => {
      for (const until = good + count; good < until && wrong.length === 0; ) await sleep(20);
    };
    const readers = Array.from({ length: 6 }, (_, index) => reader(index * 3));
    await more(2 * ids.length);
    await server.stopNode('dn2', 'SIGKILL');
    await sleep(500);
    server.startNode('dn2');
    await server.ready();
    await more(2 * ids.length);
    stop = true;
    await Promise.all(readers);
    expect(wrong).toEqual([]);
    const after = await client.digest('/home/admin/linked.h5', names);
    expect(after.filter(({ sha256 }, index) => sha256 !== expected(picked[index]))).toEqual([]);
  });

  it('answers other requests while it decodes a chunk that takes long', async () => {
    const file = join(server.bucket, 'slow.h5');
    // Chunks of the same bytes: each is decoded when it is asked for.
    const CHUNKS = 6;
    const program = `import h5py, h5z_hsds, numpy, os, sys
h5py.h5pl.prepend(os.path.dirname(h5z_hsds.filter_table().entry("bzip2").path).encode())
data = numpy.random.default_rng(1).integers(0, 40, (2048, 6144), "u1")
with h5py.File(sys.argv[1], "w") as f:
    slow = f.create_dataset("slow", shape=(2048 * ${CHUNKS}, 6144), dtype="u1", chunks=data.shape, compression=307)
    slow[:2048] = data
    mask, stored = slow.id.read_direct_chunk((0, 0))
    for chunk in range(1, ${CHUNKS}):
        slow.id.write_direct_chunk((2048 * chunk, 0), stored, mask)`;
    await run(here.python, ['-c', program, file]);
    const domain = '/home/admin/slow.h5';
    await load(here, server, 'hsload', ['--link', `${BUCKET}/slow.h5`, domain]);
    const [id] = JSON.parse((await server.send('GET', '/datasets', { domain })).body.toString()).datasets as string[];
    /** How long a chunk took, and how long the longest of the other requests meanwhile, in ms. */
    const measure = async (chunk: number): Promise<{ took: number; longest: number }> => {
      let done = false;
      const start = Date.now();
      const select = `[${2048 * chunk}:${2048 * chunk + 1},0:8]`;
      const reading = server.send('GET', `/datasets/${id}/value?select=${select}`, { domain, binary: true });
      const took = reading
        .finally(() => {
          done = true;
        })
        .then(() => Date.now() - start);
      let longest = 0;
      while (!done)
        for (const name of server.dataNodes) {
          const asked = Date.now();
          expect((await server.about(name)).status).toBe(200);
          longest = Math.max(longest, Date.now() - asked);
          await sleep(10);
        }
      expect([(await reading).status, (await reading).body.length]).toEqual([200, 8]);
      return { took: await took, longest };
    };
    // A node that decodes on its event loop answers nobody until the chunk is done, every time; a machine with much else to do is
    // late now and then.
    const measured: { took: number; longest: number }[] = [];
    const answered = () => measured.some(({ took, longest }) => took > 150 && longest < took / 2);
    for (let chunk = 0; chunk < CHUNKS && !answered(); chunk++) measured.push(await measure(chunk));
    expect(answered(), JSON.stringify(measured)).toBe(true);
  });

  const holding = (id: number): Picked => {
    const found = picked.find(({ dataset }) => dataset.filters.length === 1 && dataset.filters[0]?.id === id);
    if (found === undefined) throw new Error(`no dataset of the corpus has filter ${id} alone`);
    return found;
  };

  it('names a damaged chunk in the answer and in the log, at once, and reads the others', async () => {
    const bytes = readFileSync(join(server.bucket, 'all.h5'));
    const damaged = holding(32015).name;
    const [offset, size] = chunks[damaged] as [number, number];
    bytes.fill(0xff, offset, offset + Math.min(size, 64));
    writeFileSync(join(server.bucket, 'damaged.h5'), bytes);
    await load(here, server, 'hsload', ['--link', `${BUCKET}/damaged.h5`, '/home/admin/damaged.h5']);
    const whole = holding(32008).name;
    const [bad, fine] = await client.digest('/home/admin/damaged.h5', [damaged, whole]);
    expect(bad?.error).toBeDefined();
    expect(fine?.sha256).toBe(expected(holding(32008)));
    const id = (await client.digest('/home/admin/linked.h5', [damaged]))[0]?.id;
    const other = JSON.parse(
      (await server.send('GET', '/datasets', { domain: '/home/admin/damaged.h5' })).body.toString(),
    );
    expect(other.datasets).not.toContain(id);
    /** What the nodes have said of the damaged chunk: once for each time that they tried it. */
    const said = () =>
      server.log().match(/ERROR> h5z_hsds: chunk at byte \d+ of damaged\.h5: H5Z_E_CORRUPT/g)?.length ?? 0;
    let named = false;
    for (const one of other.datasets as string[]) {
      const before = said();
      const answer = await values(one, '/home/admin/damaged.h5');
      if (answer.status === 200) continue;
      named = true;
      expect(answer.status).toBe(500);
      expect(answer.reason).toMatch(/^h5z: .*H5Z_E_CORRUPT.*zstd/);
      expect(answer.body.length).toBeGreaterThan(0);
      expect(said() - before).toBe(1); // nobody tries again what cannot become right
    }
    expect(named).toBe(true);
  });

  it('refuses filters and parameters that it does not know when a dataset is created', async () => {
    const create = (filter: object, type: unknown = 'H5T_IEEE_F32LE') =>
      server.send('POST', '/datasets', {
        domain: '/home/admin/written.h5',
        json: { type, shape: [64, 64], creationProperties: { filters: [filter] } },
      });
    const USER = 'H5Z_FILTER_USER';
    const refusals: [object, RegExp][] = [
      [{ class: USER, id: 32999 }, /H5Z_MISSING_FILTER.*npx h5z hsds install/],
      [{ class: USER, id: 32013, mode: 'best' }, /H5Z_E_PARAM.*mode/],
      [{ class: USER, id: 32013, parameters: ['x'] }, /H5Z_E_PARAM/],
      [{ class: USER, name: 'bzip2', level: 42 }, /H5Z_E_PARAM.*level/],
    ];
    for (const [filter, reason] of refusals) {
      const answer = await create(filter);
      expect([answer.status, answer.reason]).toEqual([400, expect.stringMatching(reason)]);
    }
    const words = await create({ class: USER, id: 32013, mode: 'accuracy', tolerance: 0.5 });
    expect(words.status).toBe(201);
    const integers = await create({ class: USER, name: 'bitgroom' }, 'H5T_STD_I8LE');
    expect(integers.reason).toMatch(/H5Z_E_NOT_APPLICABLE|H5Z_E_PARAM/);
  });

  it('needs the library of every filter for what was written with it, and of no other', async () => {
    const ids = await client.digest(
      '/home/admin/written.h5',
      written.map(({ name }) => name),
    );
    const filters = join(here.sitePackages, 'h5z_hsds/filters');
    const names = filterFolders().flatMap(({ description: { name } }) => (name === 'bzip2' ? [] : [name]));
    const kept = join(here.folder, 'kept');
    mkdirSync(kept);
    for (const name of names) renameSync(join(filters, name), join(kept, name));
    try {
      await server.stop();
      await server.startAll();
      const own = new Set<string>();
      for (const { name, id } of ids) {
        const [first] = name.split('+') as [string];
        const { status, reason } = await values(id as string, '/home/admin/written.h5');
        if (first === 'bzip2') expect([name, status]).toEqual([name, 200]);
        else if (status === 200) own.add(name);
        else expect([name, status, reason]).toEqual([name, 500, expect.stringContaining(`filter ${first} (`)]);
      }
      // Alone, and so stored in HSDS's own way.
      expect([...own].sort()).toEqual(['deflate', 'fletcher32', 'lz4', 'nbit', 'scaleoffset', 'shuffle', 'zstd']);
    } finally {
      for (const name of names) renameSync(join(kept, name), join(filters, name));
      await server.stop();
      await server.startAll();
    }
  });

  it('goes on without a library that was changed or is gone, and says which', async () => {
    const library = (name: string): string => join(here.sitePackages, `h5z_hsds/filters/${name}/libh5z_${name}.so`);
    for (const name of ['zstd', 'bzip2']) cpSync(library(name), `${library(name)}.kept`);
    const bytes = readFileSync(library('zstd'));
    bytes[1000] = (bytes[1000] ?? 0) ^ 0xff;
    writeFileSync(library('zstd'), bytes);
    rmSync(library('bzip2'));
    await server.stop();
    await server.startAll();
    const names = [holding(32015), holding(307), holding(32008)];
    const ids = await client.digest(
      '/home/admin/linked.h5',
      names.map(({ name }) => name),
    );
    expect(ids.map(({ error }) => error === undefined)).toEqual([false, false, true]);
    expect(ids[2]?.sha256).toBe(expected(names[2]));
    expect(server.log()).toMatch(/filter zstd \(32015\) is off: H5Z_INTEGRITY/);
    expect(server.log()).toMatch(/filter bzip2 \(307\) is off: H5Z_MISSING_FILE/);
    expect(server.log()).toMatch(/ERROR> h5z_hsds: chunk .*H5Z_INTEGRITY.*npx h5z hsds install --filters zstd/);
    for (const name of ['zstd', 'bzip2']) renameSync(`${library(name)}.kept`, library(name));
  });

  it('leaves an unknown HSDS, and any HSDS when off, exactly as it was', async () => {
    client.close();
    await server.stop();
    const info = join(here.sitePackages, 'hsds-0.9.99.dist-info');
    mkdirSync(info);
    writeFileSync(join(info, 'METADATA'), 'Metadata-Version: 2.1\nName: hsds\nVersion: 0.9.99\n');
    const filters = [{ class: 'H5Z_FILTER_USER', id: 307 }];
    const json = { type: 'H5T_STD_I32LE', shape: [1000], creationProperties: { filters } };
    for (const settings of [ON, {}]) {
      const plain = await Hsds.start(here, { name: 'H5Z_HSDS' in settings ? 'unknown' : 'off', nodes: 1, settings });
      try {
        const lines = plain
          .log('dn1')
          .split('\n')
          .filter((line) => line.startsWith('h5z_hsds: '));
        if ('H5Z_HSDS' in settings)
          expect(lines).toEqual([expect.stringMatching(/off: H5Z_HSDS_VERSION: hsds 0\.9\.99 /)]);
        else expect(lines).toEqual([]);
        await plain.send('PUT', '/', { domain: '/home/admin/x.h5' });
        const answer = await plain.send('POST', '/datasets', { domain: '/home/admin/x.h5', json });
        expect([answer.status, answer.reason]).toEqual([400, 'filter H5Z_FILTER_USER not recognized']);
      } finally {
        await plain.stop();
      }
    }
  });
});
