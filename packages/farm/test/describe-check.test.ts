// A filter.json that lies is stopped, with file and line, before anything is packed; so is a licence text that is not there.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { descriptionProblems } from '../src/describe-check.ts';
import { readFilters } from '../src/filters.ts';
import { collectLicences } from '../src/licences.ts';
import { upstreamsOf } from '../src/sources.ts';

const root = mkdtempSync(join(tmpdir(), 'h5z-descriptions-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => rmSync(join(root, 'filters'), { recursive: true, force: true }));

const write = (name: string, text: string): void => {
  mkdirSync(join(root, 'filters', name), { recursive: true });
  writeFileSync(join(root, 'filters', name, 'filter.json'), text);
};

/** One property a line, in this order: id is on line 2, variants on line 10. */
const good = (name: string, change: object = {}): string =>
  JSON.stringify(
    {
      id: 40000,
      name,
      title: 'T',
      summary: 'S.',
      lossy: false,
      licence: 'MIT',
      upstreams: [],
      parameters: [],
      variants: { wasm: {} },
      ...change,
    },
    null,
    2,
  );

describe('filter.json', () => {
  test('this repository tells the truth', () => expect(descriptionProblems()).toEqual([]));

  test.each([
    ['a type', { id: 'many' }, /^filters\/one\/filter\.json:2: id must be integer/],
    ['a range', { id: 65536 }, /^filters\/one\/filter\.json:2: id must be <= 65535/],
    ['an unknown word', { colour: 'red' }, /^filters\/one\/filter\.json:13: .*additional properties \(colour\)/],
    ['a foreign name', { name: 'other' }, /^filters\/one\/filter\.json:3: says name "other" in the folder one/],
    [
      'an unpinned upstream',
      { upstreams: ['no-such'] },
      /^filters\/one\/filter\.json:9: there is no upstreams\/no-such/,
    ],
    [
      'a rule for kernels about nothing',
      { gpu: { scratch: { decode: [{ product: ['size'], above: 1 }] } } },
      /^filters\/one\/filter\.json:13: its rules name size, no parameter or derived word/,
    ],
  ])('%s', (_what, change, message) => {
    write('one', good('one', change));
    const problems = descriptionProblems(root);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
  });

  test('broken JSON', () => {
    write('one', '{\n "id": 1,\n "name" "one"\n}\n');
    expect(descriptionProblems(root)[0]).toMatch(/^filters\/one\/filter\.json:3: is not JSON/);
  });

  test('an ID twice, also as an alias', () => {
    write('one', good('one'));
    write('two', good('two'));
    expect(descriptionProblems(root)).toEqual([
      'filters/two/filter.json:2: ID 40000 is that of filters/one/filter.json:2 too',
    ]);
    write('two', good('two', { id: 40001, aliases: [{ id: 40000, doc: 'D.' }] }));
    expect(descriptionProblems(root)[0]).toMatch(/two\/filter\.json:1\d: ID 40000 is that of filters\/one/);
  });
});

test('a licence file that the tree lacks', async () => {
  const filters = await readFilters();
  for (const filter of filters) {
    const [upstream] = await upstreamsOf(filter);
    if (upstream === undefined) continue;
    const folder = join(root, 'LICENSES');
    const lying = { ...upstream, licenceFiles: ['NO-SUCH-LICENCE'] };
    const words = new RegExp(`upstreams/${upstream.name}/upstream\\.json: licenceFiles lists NO-SUCH-LICENCE`);
    await expect(collectLicences([lying], [], folder)).rejects.toThrow(words);
    return;
  }
});
