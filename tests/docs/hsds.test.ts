// docs/guide-hsds.md and docs/decisions/hsds.md: every command, request and program in them runs as it is written, with a real
// HSDS; the lines of HSDS that they cite are of files whose SHA-256 is pinned, so that they cannot move.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { load, settings } from '../../packages/hsds/test/support/client.ts';
import { type Environment, environment } from '../../packages/hsds/test/support/environment.ts';
import { BUCKET, Hsds } from '../../packages/hsds/test/support/server.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, ROOT, runIn } from '../support/packed.ts';
import { blocksOf, promisedOutput } from '../support/snippets.ts';

const GUIDE = join(ROOT, 'docs/guide-hsds.md');
const DESIGN = join(ROOT, 'docs/decisions/hsds.md');
const PYTHON = join(ROOT, 'packages/hsds/python/h5z_hsds');
const MAIN = join(ROOT, 'packages/cli/dist/main.js');
const ON = { H5Z_HSDS: '1' };

const guide = readFileSync(GUIDE, 'utf8');
const design = readFileSync(DESIGN, 'utf8');
const versions = JSON.parse(readFileSync(join(PYTHON, 'versions.json'), 'utf8')) as Record<
  string,
  Record<string, Record<string, string>>
>;

describe('what the pages say of versions', () => {
  it('names every supported release', () => {
    const readme = readFileSync(join(ROOT, 'packages/hsds/README.md'), 'utf8');
    for (const [distribution, releases] of Object.entries(versions)) {
      const known = Object.keys(releases).join(', ');
      expect(guide).toMatch(new RegExp(`^\\| ${distribution} \\| ${known} \\|`, 'm'));
      expect(readme.toLowerCase()).toContain(`${distribution} ${known}`);
    }
  });

  it('cites lines of pinned files alone', () => {
    const pinned = new Set(Object.values(versions).flatMap((releases) => Object.values(releases).flatMap(Object.keys)));
    let cited = 0;
    for (const page of [guide, design]) {
      for (const [, file = ''] of page.matchAll(/^\| `(?:h5pyd\/)?([\w/]+\.py)` \d/gm)) {
        expect([...pinned]).toContain(file);
        cited++;
      }
    }
    expect(cited).toBeGreaterThan(15);
  });

  it('explains errors that there are', () => {
    const sources = readdirSync(PYTHON)
      .filter((name) => name.endsWith('.py'))
      .map((name) => readFileSync(join(PYTHON, name), 'utf8'))
      .join('\n');
    const codes = [...guide.matchAll(/`(H5Z_[A-Z_]+)`/g)].map((match) => match[1] ?? '');
    expect(codes.length).toBeGreaterThan(8);
    for (const code of codes) expect(sources, code).toContain(code);
  });

  it('links to files that are there', () => {
    for (const [page, text] of [
      [GUIDE, guide],
      [DESIGN, design],
    ] as const)
      for (const [, target = ''] of text.matchAll(/\]\((?!https:)([^)#]+)\)/g))
        expect(() => readFileSync(join(dirname(page), target)), target).not.toThrow();
  });
});

describe.skipIf(env.hsdsPython === undefined)(
  `what the pages do${env.hsdsPython === undefined ? `: ${need('hsdsPython')}` : ''}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-docs-hsds-'));
    let here: Environment;
    let server: Hsds;

    const python = (program: string, cwd = folder) =>
      runIn(cwd, here.python, ['-W', 'error::RuntimeWarning', '-c', program], settings(server, ON));

    beforeAll(async () => {
      here = environment(env.hsdsPython as string);
      for (const filter of filterFolders()) {
        const link = join(folder, 'node_modules', filter.packageName);
        mkdirSync(dirname(link), { recursive: true });
        symlinkSync(filter.folder, link);
      }
      writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
      for (const line of blocksOf(GUIDE, 'sh').join('\n').split('\n')) {
        if (!line.startsWith('npx h5z ')) continue;
        const [, , ...args] = line
          .replace(/ +#.*$/, '')
          .replaceAll('/srv/hsds/bin/python', here.python)
          .split(/ +/);
        const answer = await runIn(folder, process.execPath, [MAIN, ...args]);
        expect({ line, ...answer }).toMatchObject({ status: 0 });
        ran.push(args.slice(0, 2).join(' '));
      }
      const all = await runIn(folder, process.execPath, [MAIN, 'hsds', 'install', '--python', here.python]);
      expect(all).toMatchObject({ status: 0 });
      server = await Hsds.start(here, { nodes: 1, settings: ON });
      const made = await python(`
import os, h5py, h5z_hsds, numpy
entry = h5z_hsds.filter_table().entry("bitshuffle")
h5py.h5pl.prepend(os.path.dirname(entry.path).encode())
data = numpy.arange(300 * 200, dtype="<u2").reshape(300, 200)
words = tuple(entry.library().parse('codec = "zstd"'))
for path in ("image.h5", ${JSON.stringify(join(server.bucket, 'image.h5'))}):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, chunks=(64, 64), shuffle=True, fletcher32=True, compression=entry.id,
                            compression_opts=words)`);
      expect(made).toMatchObject({ status: 0 });
    });
    const ran: string[] = [];
    afterAll(async () => {
      await server?.stop();
      here?.remove();
      rmSync(folder, { recursive: true });
    });

    it('runs every command of the guide', () => {
      expect(new Set(ran)).toEqual(new Set(['hsds install', 'hsds status', 'hsds self-test']));
      expect(readdirSync(join(folder, 'out'))).toEqual([expect.stringMatching(/^h5z_hsds-.*\.whl$/)]);
    });

    it('says what a node says when it starts', () => {
      const [, said = ''] = /`(h5z_hsds: on: )\d+ of \d+ filters \(/.exec(guide) ?? [];
      expect(said).not.toBe('');
      expect(server.log('dn1')).toContain(said);
    });

    it('loads and gets', async () => {
      const lines = blocksOf(GUIDE, 'sh')
        .join('\n')
        .split('\n')
        .filter((line) => /^hs(load|get) /.test(line));
      for (const line of lines) {
        const words = line
          .replace(/ +#.*$/, '')
          .replace('mybucket', BUCKET)
          .replace('/home/me', '/home/admin')
          .split(' ');
        const [program, ...args] = words as ['hsload' | 'hsget', ...string[]];
        await load(here, server, program, args, ON);
      }
      expect(lines).toHaveLength(3);
      const same = await python(
        `
import os, h5py, h5z_hsds
h5py.h5pl.prepend(os.path.dirname(h5z_hsds.filter_table().entry("bitshuffle").path).encode())
with h5py.File("back.h5") as back, h5py.File(${JSON.stringify(join(folder, 'image.h5'))}) as image:
    print((back["data"][...] == image["data"][...]).all(), back["data"].filter_ids == image["data"].filter_ids)`,
        join(server.bucket, '..'),
      );
      expect(same).toMatchObject({ status: 0, stdout: 'True True\n' });
    });

    it('reads and writes by h5pyd, and prints what the guide says', async () => {
      const [program = ''] = blocksOf(GUIDE, 'py');
      const answer = await python(program.replaceAll('/home/me', '/home/admin'));
      expect(answer).toMatchObject({ status: 0, stderr: '' });
      expect(answer.stdout.trim().split('\n')).toEqual(promisedOutput(program));
    });

    it('creates a dataset by a filter list', async () => {
      const domain = '/home/admin/list.h5';
      await server.send('PUT', '/', { domain });
      const [list = ''] = blocksOf(GUIDE, 'json');
      const made = await server.send('POST', '/datasets', { domain, json: JSON.parse(list) });
      expect([made.status, made.reason]).toEqual([201, 'Created']);
      const { id } = JSON.parse(made.body.toString()) as { id: string };
      const there = JSON.parse((await server.send('GET', `/datasets/${id}`, { domain })).body.toString());
      const filters = there.creationProperties.filters as { id: number; parameters: number[] }[];
      expect(filters.map(({ id, parameters }) => [id, parameters])).toEqual([
        [2, [2]],
        [307, [9]],
        [3, []],
      ]);
    });

    it('has zarr read the chunks of an HDF5 file through references', async () => {
      const [, program = ''] = blocksOf(GUIDE, 'py');
      const answer = await python(
        `${program}
expected = numpy.arange(300 * 200, dtype="<u2").reshape(300, 200)
print((values == expected).all(), values.shape)`.replace('import json', 'import json\nimport numpy'),
      );
      expect(answer).toMatchObject({ status: 0, stdout: 'True (300, 200)\n' });
    });

    it('has the design read and write whole pipelines by the entry points alone', async () => {
      const answer = await python(`${blocksOf(DESIGN, 'py').join('\n')}
import numpy
data = numpy.arange(64 * 48, dtype="<i4").reshape(64, 48)
def fails(work, *args):
    try:
        work(*args)
    except Exception as error:
        return len(str(error)) > 10
for ids in ([2, 32015, 3], [2, 32008], [3, 307], [6, 1]):
    filters = stored([{"id": number} for number in ids], data.dtype, data.shape)
    chunk = encode(filters, data)
    assert bytes(decode(filters, chunk, data.nbytes)) == data.tobytes(), ids
    assert fails(decode, filters, bytes(chunk)[:-5], data.nbytes), ids
    assert fails(decode, filters, chunk, data.nbytes - 4), ids
filters = stored([{"id": 2}, {"id": 32015}, {"id": 3}], data.dtype, data.shape)
masked = encode([filters[0], filters[2]], data)
assert bytes(decode(filters, masked, data.nbytes, 0b010)) == data.tobytes()
assert fails(FILTERS[32015].decode, [3], FILTERS[32015].encode([3], data), 100)
assert fails(stored, [{"id": 32022}], numpy.dtype("|i1"), (64, 48))
print(len({one.name for one in FILTERS.values()}))`);
      expect(answer).toEqual({ status: 0, stdout: `${filterFolders().length}\n`, stderr: '' });
    });
  },
);
