// What may go wrong under a real HSDS while it writes and reads chunks of our filters, and must not become wrong data: data
// nodes killed in the middle, chunks damaged where they lie, a library of another machine or none, parameters out of a file
// that make no sense. Each is named in the log and in the answer, and the datasets beside it stay as they are.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { filterFolders } from '../../../tests/support/packed.ts';
import { Client, load } from './support/client.ts';
import { type Environment, environment, installHere } from './support/environment.ts';
import { type Answer, BUCKET, Hsds } from './support/server.ts';

const DOMAIN = '/home/admin/kept.h5';
const skip = env.hsdsPython === undefined ? need('hsdsPython') : undefined;
const run = promisify(execFile);

const CHUNKS = 6;
const EDGE = 64;
const COUNT = EDGE * EDGE;

/** The values of a chunk in a version of it: which chunk and version they are can be read off them, and all must agree. */
function values(chunk: number, version: number): Int32Array {
  const out = new Int32Array(COUNT);
  for (let i = 0; i < COUNT; i++) out[i] = ((i * (version * CHUNKS + chunk + 1)) >> 3) & 0xfff;
  out[0] = chunk;
  out[1] = version;
  return out;
}

const bytesOf = (array: Int32Array): Uint8Array => new Uint8Array(array.buffer);
const selectOf = (chunk: number): string => `[${chunk}:${chunk + 1},0:${EDGE},0:${EDGE}]`;

/** The version that a chunk's bytes are; undefined for anything else. */
function versionOf(chunk: number, body: Buffer): number | undefined {
  if (body.length !== COUNT * 4) return undefined;
  const version = body.readInt32LE(4);
  return body.equals(bytesOf(values(chunk, version))) ? version : undefined;
}

describe.skipIf(skip !== undefined)(`HSDS when things go wrong${skip === undefined ? '' : `: ${skip}`}`, () => {
  let here: Environment;
  let server: Hsds;
  /** Dataset IDs by the name of the filter. */
  const datasets = new Map<string, string>();

  const put = (id: string, chunk: number, version: number): Promise<Answer> =>
    server.send('PUT', `/datasets/${id}/value?select=${selectOf(chunk)}`, {
      domain: DOMAIN,
      bytes: bytesOf(values(chunk, version)),
    });
  const get = (id: string, chunk: number): Promise<Answer> =>
    server.send('GET', `/datasets/${id}/value?select=${selectOf(chunk)}`, { domain: DOMAIN, binary: true });
  const restart = async (): Promise<void> => {
    await server.stop();
    await server.startAll();
  };
  const flush = async (): Promise<void> => {
    expect((await server.send('PUT', '/?flush=1', { domain: DOMAIN })).status).toBe(204);
  };

  /** Writes `version` into every chunk of every dataset, and all of it to storage. */
  const fill = async (version: number): Promise<void> => {
    for (const id of datasets.values())
      for (let chunk = 0; chunk < CHUNKS; chunk++)
        expect((await put(id, chunk, version)).status, server.log().slice(-2000)).toBe(200);
    await flush();
  };

  /** Which version each chunk is, by filter. */
  const found = async (): Promise<Record<string, (number | string | undefined)[]>> => {
    const all: Record<string, (number | string | undefined)[]> = {};
    for (const [name, id] of datasets) {
      all[name] = [];
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const { status, reason, body } = await get(id, chunk);
        all[name].push(status === 200 ? versionOf(chunk, body) : reason);
      }
    }
    return all;
  };
  const everywhere = (version: number) =>
    Object.fromEntries([...datasets.keys()].map((name) => [name, Array(CHUNKS).fill(version)]));

  /** The files in which HSDS keeps the chunks of a dataset, in their order. */
  const filesOf = (id: string): string[] => {
    const [, a, b, ...rest] = id.split('-');
    const folder = join(server.bucket, `db/${a}-${b}/d/${rest.join('-')}`);
    return Array.from({ length: CHUNKS }, (_, chunk) => join(folder, `${chunk}_0_0`));
  };

  /** Dataset IDs of a domain by name. */
  const datasetsOf = async (domain: string): Promise<Map<string, string>> => {
    const { root } = JSON.parse((await server.send('GET', '/', { domain })).body.toString());
    const { links } = JSON.parse((await server.send('GET', `/groups/${root}/links`, { domain })).body.toString());
    return new Map((links as { title: string; id: string }[]).map(({ title, id }) => [title, id]));
  };

  beforeAll(async () => {
    here = environment(env.hsdsPython as string);
    installHere(here.sitePackages);
    // Chunks as small as asked for, in storage within a second; a node that is gone is given up after a few seconds.
    const settings = { H5Z_HSDS: '1', MIN_CHUNK_SIZE: '1k', S3_AGE_TIME: '0' };
    server = await Hsds.start(here, { nodes: 3, settings });
    await server.send('PUT', '/', { domain: DOMAIN });
    for (const { description } of filterFolders()) {
      if (description.lossy) continue;
      const answer = await server.send('POST', '/datasets', {
        domain: DOMAIN,
        json: {
          type: 'H5T_STD_I32LE',
          shape: [CHUNKS, EDGE, EDGE],
          creationProperties: {
            layout: { class: 'H5D_CHUNKED', dims: [1, EDGE, EDGE] },
            filters: [{ class: 'H5Z_FILTER_USER', id: description.id }],
          },
        },
      });
      if (answer.status === 201) datasets.set(description.name, JSON.parse(answer.body.toString()).id);
    }
  });

  afterAll(async () => {
    await server?.stop();
    here?.remove();
  });

  it('has a dataset of every lossless filter that takes such values', () => {
    const names = ['bitshuffle', 'blosc', 'blosc2', 'bzip2', 'deflate', 'fletcher32', 'lz4', 'lzf', 'nbit', 'shuffle'];
    expect([...datasets.keys()].sort()).toEqual([...names, 'szip', 'vbz', 'zstd']);
  });

  it('keeps the old chunk or the new one, never a broken one, where data nodes are killed while they write', async () => {
    await fill(1);
    let stop = false;
    const wrong: string[] = [];
    const counts = { written: 0, read: 0, refused: 0 };
    /** The last version that each chunk was asked to take: what is read may be older, but no older than what was stored. */
    const tried = new Map<string, number>();
    const may = (name: string, chunk: number, version: unknown): boolean =>
      typeof version === 'number' && version >= 1 && version <= (tried.get(`${name} ${chunk}`) ?? 1);
    const writer = async (name: string, id: string): Promise<void> => {
      for (let version = 2; !stop; version++)
        for (let chunk = 0; chunk < CHUNKS && !stop; chunk++) {
          tried.set(`${name} ${chunk}`, version);
          const answer = await put(id, chunk, version).catch(() => undefined);
          if (answer?.status === 200) counts.written++;
          else counts.refused++;
        }
    };
    const reader = async (from: number): Promise<void> => {
      const list = [...datasets];
      for (let turn = from; !stop; turn++) {
        const [name, id] = list[turn % list.length] as [string, string];
        const chunk = (turn * 5) % CHUNKS;
        const answer = await get(id, chunk).catch(() => undefined);
        if (answer?.status !== 200) {
          if (answer?.reason.includes('H5Z_E_')) wrong.push(`${name} ${chunk}: ${answer.reason}`);
          counts.refused++;
          continue;
        }
        counts.read++;
        if (!may(name, chunk, versionOf(chunk, answer.body)))
          wrong.push(`${name} ${chunk}: ${createHash('sha256').update(answer.body).digest('hex')}`);
      }
    };
    const all = [...[...datasets].map(([name, id]) => writer(name, id)), reader(0), reader(3)];
    for (const [turn, name] of ['dn1', 'dn2', 'dn3', 'dn1'].entries()) {
      await sleep(1500 + 230 * turn); // HSDS writes to storage once a second: at another point of it each time
      await server.stopNode(name, 'SIGKILL');
      await sleep(200);
      server.startNode(name);
      await server.ready();
    }
    const { written, read } = counts;
    while (Math.min(counts.written - written, counts.read - read) < 50 && wrong.length === 0) await sleep(20);
    stop = true;
    await Promise.all(all);
    expect(wrong).toEqual([]);
    await restart();
    for (const [name, versions] of Object.entries(await found()))
      for (const [chunk, version] of versions.entries())
        if (!may(name, chunk, version)) wrong.push(`${name} ${chunk} after all: ${version}`);
    expect(wrong).toEqual([]);
    expect(server.log()).not.toContain('H5Z_E_CORRUPT');
    await fill(1_000_000);
    await restart();
    expect(await found()).toEqual(everywhere(1_000_000));
  });

  it('names a chunk that is damaged where HSDS keeps it, and the others are read', async () => {
    await fill(1_000_000);
    const [name, id] = ['bzip2', datasets.get('bzip2') as string];
    const files = filesOf(id);
    const whole = readFileSync(files[2] as string);
    truncateSync(files[2] as string, whole.length >> 1);
    await restart();
    const expected = everywhere(1_000_000);
    const seen = await found();
    expect(seen[name]?.[2]).toMatch(/^h5z: chunk .*H5Z_E_CORRUPT.*bzip2/);
    expect(server.log()).toMatch(/ERROR> h5z_hsds: chunk \S+: H5Z_E_CORRUPT/);
    (expected[name] as unknown[])[2] = seen[name]?.[2];
    expect(seen).toEqual(expected);
    writeFileSync(files[2] as string, whole);
    await restart();
    expect(await found()).toEqual(everywhere(1_000_000));
  });

  it('refuses to write and to read what only a library of another architecture, a changed one or none could, and nothing else', async () => {
    await fill(1_000_000);
    const library = (name: string): string => join(here.sitePackages, `h5z_hsds/filters/${name}/libh5z_${name}.so`);
    const table = join(here.sitePackages, 'h5z_hsds/installed.json');
    const kept = {
      table: readFileSync(table),
      ...Object.fromEntries(BROKEN.map((name) => [name, readFileSync(library(name))])),
    } as Record<string, Buffer>;
    const before = Object.fromEntries(
      BROKEN.map((name) => [name, filesOf(datasets.get(name) as string).map((file) => readFileSync(file))]),
    );
    // Another architecture, in a file that is as it was installed: only the system's loader can tell.
    const foreign = Buffer.from(kept.lzf as Buffer);
    foreign.writeUInt16LE(0xf3, 18); // e_machine: RISC-V
    writeFileSync(library('lzf'), foreign);
    const installed = JSON.parse(kept.table?.toString() ?? '');
    for (const filter of installed.filters)
      if (filter.name === 'lzf') filter.sha256 = createHash('sha256').update(foreign).digest('hex');
    writeFileSync(table, JSON.stringify(installed));
    const changed = Buffer.from(kept.bitshuffle as Buffer);
    changed[2000] = (changed[2000] ?? 0) ^ 1;
    writeFileSync(library('bitshuffle'), changed);
    rmSync(library('bzip2'));
    await restart();
    const reasons: Record<string, RegExp> = {
      lzf: /H5Z_NATIVE_LOAD/,
      bitshuffle: /H5Z_INTEGRITY/,
      bzip2: /H5Z_MISSING_FILE/,
    };
    const seen = await found();
    for (const name of BROKEN) {
      for (const reason of seen[name] ?? [])
        expect([name, reason]).toEqual([name, expect.stringMatching(reasons[name] as RegExp)]);
      const answer = await put(datasets.get(name) as string, 0, 7);
      expect(`${name} ${answer.status}`).toBe(`${name} 500`);
      expect(server.log('dn1')).toMatch(new RegExp(`filter ${name} \\(\\d+\\) is off: ${reasons[name]?.source}`));
      expect(server.log()).toMatch(new RegExp(`ERROR> h5z_hsds: .*${reasons[name]?.source}`));
      delete seen[name];
    }
    const others = everywhere(1_000_000);
    for (const name of BROKEN) delete others[name];
    expect(seen).toEqual(others);
    await flush();
    for (const name of BROKEN) {
      writeFileSync(library(name), kept[name] as Buffer);
      expect(filesOf(datasets.get(name) as string).map((file) => readFileSync(file))).toEqual(before[name]);
    }
    writeFileSync(table, kept.table as Buffer);
    await restart();
    expect(await found()).toEqual(everywhere(1_000_000));
  });

  it('names filters and parameters in a linked file that it does not know, and reads the datasets beside them', async () => {
    const domain = '/home/admin/parameters.h5';
    const program = `import h5py, h5z_hsds, numpy, sys
data = numpy.arange(4096, dtype="<f4").reshape(64, 64)
stored = bytes(h5z_hsds.pipeline([(32008, [0, 4, 4, 0, 2])]).encode(data)[0])
good = ("good", 32008, (0, 4, 4, 0, 2))
for path, datasets in ((sys.argv[1], (good, ("zfp", 32013, (99, 1, 2, 3)), ("bitshuffle", 32008, (0, 4, 4, 0, 77)))),
                       (sys.argv[2], (good, ("unknown", 32999, ())))):
    with h5py.File(path, "w") as f:
        for name, filter, values in datasets:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((64, 64))
            properties.set_filter(filter, h5py.h5z.FLAG_OPTIONAL, values)
            space = h5py.h5s.create_simple((64, 64))
            made = h5py.h5d.create(f.id, name.encode(), h5py.h5t.IEEE_F32LE, space, properties)
            made.write_direct_chunk((0, 0), stored)`;
    const files = ['parameters.h5', 'filter.h5'];
    await run(here.python, ['-c', program, ...files.map((file) => join(server.bucket, file))]);
    await expect(
      load(here, server, 'hsload', ['--link', `${BUCKET}/filter.h5`, '/home/admin/filter.h5']),
    ).rejects.toThrow(/H5Z_MISSING_FILTER: filter 32999 .*npx h5z hsds install/);
    await load(here, server, 'hsload', ['--link', `${BUCKET}/parameters.h5`, domain]);
    const client = new Client(here, server);
    try {
      const answers = await client.digest(domain, ['good', 'zfp', 'bitshuffle']);
      const data = Float32Array.from({ length: 4096 }, (_, i) => i);
      const digest = createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex');
      expect(answers[0]?.sha256).toBe(digest);
      for (const [name, at] of [
        ['zfp', 1],
        ['bitshuffle', 2],
      ] as const) {
        const id = (await datasetsOf(domain)).get(name) as string;
        const answer = await server.send('GET', `/datasets/${id}/value`, { domain, binary: true });
        expect([name, answer.status, answer.reason]).toEqual([
          name,
          500,
          expect.stringMatching(new RegExp(`^h5z: chunk at byte \\d+ of parameters\\.h5: H5Z_E_\\w+: filter ${name} `)),
        ]);
        expect(answers[at]?.error).toBeDefined();
        expect(server.log()).toMatch(
          new RegExp(`ERROR> h5z_hsds: chunk at byte \\d+ of parameters\\.h5: H5Z_E_\\w+: filter ${name} `),
        );
      }
    } finally {
      client.close();
    }
  });
});

const BROKEN = ['lzf', 'bitshuffle', 'bzip2'] as const;
