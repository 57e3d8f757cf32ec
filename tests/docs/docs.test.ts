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

it('says what the kernels of a filter need and leave to the CPU', () => {
  const lines = readFileSync(join(docs, 'filters/bitshuffle.md'), 'utf8').split('\n');
  const from = lines.indexOf('## On a GPU');
  const gpu = lines.slice(from + 2, lines.indexOf('', from + 2));
  expect(gpu[0]).toMatch(/^- CUDA, partial: without compression and with LZ4, in both directions; .*\w\.$/);
  expect(gpu[1]).toMatch(/^- WebGPU, \w+: /);
  expect(gpu.slice(2)).toEqual([
    '- Groups have 32 lanes on CUDA.',
    '- To decode takes scratch as large as the output where `codec` is lz4 and `blockSize` times `elementSize` is more than 8192, or `codec` is lz4 and `elementSize` is more than 64.',
    '- To encode takes scratch as large as the output where `codec` is lz4.',
    expect.stringMatching(
      /^- The CPU decodes all chunks where `codec` is zstd: its chunks are compressed by Zstandard/,
    ),
    '- Any chunk becomes 0 bytes longer where `codec` is none.',
  ]);
  expect(readFileSync(join(docs, 'filters/fletcher32.md'), 'utf8')).toContain('- Any chunk becomes 4 bytes longer.');
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
