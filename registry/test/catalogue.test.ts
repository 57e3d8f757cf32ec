// The catalogue: complete, valid, current, and honest about what is shipped.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { filterFolders, writeStaticApi } from '../../packages/farm/src/catalogue.ts';
import { catalogue, lookup, missingFilter } from '../dist/index.js';
import { generate } from '../scripts/generate.ts';

const HERE = new URL('../', import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(new URL(path, HERE), 'utf8'));

describe('registry/filters', () => {
  const files = readdirSync(new URL('filters/', HERE));
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false });
  const validate = ajv.compile(json('schema/catalogue.schema.json'));

  test('holds all 44 registered IDs', () => {
    expect(files.length).toBe(44);
  });

  test.each(files)('%s keeps to the schema and is named for its ID', (name) => {
    const entry = json(`filters/${name}`);
    expect(validate(entry), ajv.errorsText(validate.errors)).toBe(true);
    expect(name).toBe(`${entry.id}.json`);
    if (entry.package) expect(entry.package).toBe(`@h5z/${entry.name}`);
  });

  test('canonical names are unique', () => {
    expect(new Set(catalogue.map((entry) => entry.name)).size).toBe(catalogue.length);
  });

  test('generated/catalogue.ts is current (else run registry/scripts/generate.ts)', async () => {
    expect(await generate()).toBe(readFileSync(new URL('src/generated/catalogue.ts', HERE), 'utf8'));
  });
});

describe('lookup', () => {
  test('by ID and by canonical name, which is case-sensitive', () => {
    expect(lookup(32013)).toMatchObject({ id: 32013, name: 'zfp', title: 'ZFP', lossy: true });
    expect(lookup('zfp')).toBe(lookup(32013));
    expect([lookup('ZFP'), lookup(40000), lookup('')]).toEqual([undefined, undefined, undefined]);
  });

  test('every folder of filters/ is shipped, under its own package name (else run ./farm build)', () => {
    const folders = filterFolders();
    expect(folders.length).toBeGreaterThan(2);
    for (const folder of folders) {
      const { id, name } = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8'));
      const npm = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      expect(lookup(id)).toMatchObject({ id, name, status: 'shipped', package: npm.name });
    }
    expect(catalogue.filter((entry) => entry.status === 'shipped').length).toBe(folders.length);
  });
});

describe('missingFilter', () => {
  const message = (...ids: number[]) =>
    missingFilter(
      ids.map((id) => ({ id })),
      'reading /data',
    );
  const shipped = catalogue.filter((entry) => entry.status === 'shipped');
  const planned = catalogue.filter((entry) => entry.status === 'planned' && entry.shippedBy.hdf5plugin === 'yes');

  test.each(shipped)('$name: the exact command', (entry) => {
    const error = message(entry.id);
    expect(error.code).toBe('H5Z_MISSING_FILTER');
    expect(error.message).toContain(`reading /data needs filter ${entry.id} (${entry.title}: `);
    expect(error.message).toContain(`run npm i ${entry.package} `);
    expect(error.details.packages).toEqual([entry.package]);
  });

  test.each(planned)('$name: who else reads it until then', (entry) => {
    expect(message(entry.id)).toMatchObject({ code: 'H5Z_MISSING_FILTER' });
    expect(message(entry.id).message).toMatch(
      /h5z has no package for .* yet: until then read the file with hdf5plugin/,
    );
  });

  test.each(catalogue.filter((entry) => entry.reason !== undefined))('$name: why nobody ships it', (entry) => {
    expect(message(entry.id).message).toContain(entry.reason?.replace(/\.$/, ''));
    expect(message(entry.id).message).not.toContain('npm i');
  });

  test.each([
    [7, /range of libhdf5's own filters/],
    [300, /range for tests/],
    [600, /not registered with The HDF Group/],
    [40000, /range for private filters/],
  ])('unknown ID %i: what its range means', (id, words) => {
    expect(message(id)).toMatchObject({ code: 'H5Z_UNKNOWN_FILTER', message: expect.stringMatching(words) });
  });

  test('several at once, and the name kept in the file', () => {
    const error = missingFilter([{ id: 32013 }, { id: 40000, name: 'ours' }], 'reading /data');
    expect(error.code).toBe('H5Z_MISSING_FILTER');
    expect(error.message).toMatch(
      /needs the filters 32013 \(ZFP: .*\) and 40000 \(called "ours" in the file\), which are/,
    );
  });
});

test('the static JSON API holds every entry by ID and by name', async () => {
  const target = mkdtempSync(join(tmpdir(), 'h5z-api-'));
  try {
    await writeStaticApi(target);
    const read = (path: string) => JSON.parse(readFileSync(join(target, 'v1', path), 'utf8'));
    expect(read('filters.json').length).toBe(catalogue.length);
    for (const { id, name } of catalogue) {
      expect(read(`filters/${id}.json`)).toMatchObject({ id, name });
      expect(read(`names/${name}.json`)).toEqual(read(`filters/${id}.json`));
    }
    for (const folder of filterFolders()) {
      const description = JSON.parse(readFileSync(join(folder, 'filter.json'), 'utf8'));
      expect(read(`filters/${description.id}.json`).description).toEqual(description);
    }
  } finally {
    rmSync(target, { recursive: true });
  }
});
