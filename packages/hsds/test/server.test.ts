// A real HSDS with h5z_hsds: real files linked, read through every filter.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CorpusDataset, corpusFiles, OURS } from '../../../tests/corpus/corpus.ts';
import { env, need } from '../../../tests/support/env.ts';
import { Client, load } from './support/client.ts';
import { type Environment, environment, installHere } from './support/environment.ts';
import { BUCKET, Hsds } from './support/server.ts';

const ON = { H5Z_HSDS: '1' };
const run = promisify(execFile);
const skip = env.hsdsPython === undefined ? need('hsdsPython') : env.shared === undefined ? need('shared') : undefined;

interface Picked {
  readonly file: string;
  readonly path: string;
  readonly name: string;
  readonly dataset: CorpusDataset & { readonly dtype: string; readonly tolerance?: unknown; readonly nbytes: number };
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
      if (!plain || !known || typeof sha256 !== 'string' || elements <= 512 || nbytes > 4_000_000) continue;
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

  beforeAll(async () => {
    here = environment(env.hsdsPython as string);
    installHere(here.sitePackages);
    server = await Hsds.start(here, { nodes: 3, settings: ON });
    client = new Client(here, server);
    picked = pick(2);
    const list = picked.map(({ file, path, name }) => ({ file, path, name }));
    const combining = run(here.python, [join(import.meta.dirname, 'python/combine.py'), join(server.bucket, 'all.h5')]);
    combining.child.stdin?.end(JSON.stringify(list));
    const failed = JSON.parse((await combining).stdout) as { name: string }[];
    picked = picked.filter(({ name }) => !failed.some((one) => one.name === name));
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
});
