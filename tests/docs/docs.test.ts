// The pages made from data say what the data say.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { benchmarksPage, writeDocs } from '../../packages/farm/src/docs.ts';
import { emptyFolder, filterFolders, ROOT } from '../support/packed.ts';

const docs = await emptyFolder();
afterAll(() => rmSync(docs, { recursive: true, force: true }));
const written = writeDocs(docs);

describe.each(filterFolders())('the page of $name', ({ name, packageName, description }) => {
  const file = join(docs, 'filters', `${name}.md`);
  it('names ID, package, every parameter and every upstream', () => {
    expect(written).toContain(file);
    const page = readFileSync(file, 'utf8');
    expect(page).toContain(`| HDF5 filter ID | ${description.id} |`);
    expect(page).toContain(`npm install ${packageName}`);
    for (const parameter of description.parameters) expect(page).toContain(`\`${parameter.name}\``);
    for (const upstream of description.upstreams) {
      expect(page).toContain(`| ${typeof upstream === 'string' ? upstream : upstream.name} |`);
    }
  });
});

it('the index lists every filter and every registered ID', () => {
  const page = readFileSync(join(docs, 'filters/README.md'), 'utf8');
  for (const { name } of filterFolders()) expect(page).toContain(`[${name}](${name}.md)`);
  for (const id of [1, 305, 32015, 32033]) expect(page).toMatch(new RegExp(`^\\| ${id} \\|`, 'm'));
});

it('docs/benchmarks.md is what docs/data/bench.json gives', () => {
  const data = join(ROOT, 'docs/data/bench.json');
  expect(existsSync(data)).toBe(true);
  const page = readFileSync(join(ROOT, 'docs/benchmarks.md'), 'utf8');
  expect(page).toBe(benchmarksPage(JSON.parse(readFileSync(data, 'utf8'))));
});

describe('README', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  it('links only to files that are there or that ./farm docs makes', () => {
    for (const [, target] of readme.matchAll(/\]\(([^)#]+)\)/g))
      expect(existsSync(join(ROOT, target ?? '')), target).toBe(true);
  });
});
