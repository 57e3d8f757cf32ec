// Which class of HDF5's the native plugin shows: H5Z_class2_t, and only where the build asks for it H5Z_class3_t with the
// callbacks of the string API, called here as RFC-HDFG-2026-001 says.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FilterDescription } from '@h5z/core';
import { expect, test } from 'vitest';
import { identity } from '../../farm/src/identity.ts';
import { compiler } from './compile.ts';

const ABI = join(import.meta.dirname, '..');

const description: FilterDescription = {
  id: 40004,
  name: 'moved',
  title: 'A test filter',
  summary: '.',
  lossy: false,
  licence: 'MIT',
  upstreams: [],
  variants: { native: {} },
  parameters: [
    {
      name: 'level',
      type: 'integer',
      minimum: 0,
      maximum: 9,
      default: 3,
      doc: '.',
      client: { word: 0 },
      stored: { word: 1 },
    },
  ],
};

/** What class3.c finds in a plugin compiled with `flags`. */
function found(...flags: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'h5z-class3-'));
  const header = join(folder, 'identity.h');
  writeFileSync(header, identity({ description, version: '1.0.0' }));
  const sources = ['src/hdf5_plugin.c', 'src/params.c', 'src/error.c', 'test/class3.c'].map((name) => join(ABI, name));
  const includes = [...['include', 'lib'].map((name) => `-I${join(ABI, name)}`), '-include', header];
  const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror'];
  const program = join(folder, 'class3');
  const libraries = process.platform === 'linux' ? ['-ldl'] : [];
  const options = ['-std=c11', '-O1', '-DH5Z_BUILD_NATIVE', ...flags, ...warnings, ...includes, ...sources];
  execFileSync(compiler as string, [...options, '-o', program, ...libraries]);
  return execFileSync(program, { encoding: 'utf8' }).trimEnd().split('\n');
}

test.skipIf(compiler === undefined)('a build shows H5Z_class2_t, which every libhdf5 knows', () => {
  expect(found()).toEqual(['version 1, ID 40004, A test filter']);
});

test.skipIf(compiler === undefined)(
  'with H5Z_CLASS3 it shows H5Z_class3_t, whose callbacks read and write strings',
  () => {
    expect(found('-DH5Z_CLASS3')).toEqual([
      'version 2, ID 40004, moved',
      'description A test filter',
      'size query 0: 1',
      'set_config 0: 1, 7',
      'default 0, no room -1, refused -1',
      'length query 0: 9',
      'client 0: level = 7, 9',
      'stored 0: level = 8',
      'no room -1',
      'filter 6: chunk',
    ]);
  },
);
