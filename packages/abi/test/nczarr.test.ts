// The JSON of Zarr's codecs to cd_values and back, by the table that the farm makes of filter.json, under AddressSanitizer and
// UBSan: what people write, and every text that is one step away from it. netCDF itself is in tests/plugin/nczarr.test.ts.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { identity } from '../../farm/src/identity.ts';
import { compiler } from './compile.ts';

const ABI = resolve(import.meta.dirname, '..');
const EFILTER = -132;

const place = (word: number) => ({ client: { word } });
const description = {
  id: 40000,
  name: 'sample',
  title: 'Sample',
  summary: 'A filter with every kind of member.',
  lossy: false,
  licence: 'MIT',
  upstreams: [],
  parameters: [
    { name: 'codec', type: 'enum', values: { fast: 0, 'small-1': 7 }, default: 'fast', doc: 'd', ...place(0) },
    { name: 'level', type: 'integer', minimum: -5, maximum: 9, default: 5, doc: 'd', client: { word: 1, as: 'int32' } },
    { name: 'shuffle', type: 'enum', values: { none: 0, byte: 1, bit: 2 }, default: 'byte', doc: 'd', ...place(2) },
    { name: 'checked', type: 'boolean', default: false, doc: 'd', client: { word: 3, as: 'bool' } },
  ],
  zarr: {
    id: 'sample',
    members: [
      { name: 'cname', parameter: 'codec' },
      { name: 'clevel', parameter: 'level' },
      { name: 'shuffle', parameter: 'shuffle', as: 'number' },
      { name: 'checked', parameter: 'checked' },
      { name: 'blocksize', value: 0 },
      { name: 'elementsize', word: 5 },
    ],
  },
  variants: { native: {} },
} as const;

let program = '';

/** `[code, cd_values, JSON]` of each text. */
function take(texts: readonly string[]): [number, number[], unknown][] {
  const output = execFileSync(program, { input: texts.map((text) => `${text}\0`).join(''), encoding: 'latin1' });
  const lines = output.trimEnd().split('\n');
  expect(lines).toHaveLength(texts.length);
  return lines.map((line) => {
    const [, code, values = '', back = '-'] = /^(-?\d+) \[(.*)\] (.*)$/.exec(line) ?? [];
    return [Number(code), values === '' ? [] : values.split(',').map(Number), back === '-' ? null : JSON.parse(back)];
  });
}

const WHOLE =
  '{"id": "sample", "cname": "small-1", "clevel": -3, "shuffle": 2, "checked": true, "blocksize": 0, "elementsize": 4}';

describe.skipIf(compiler === undefined)('the JSON of a codec', () => {
  beforeAll(() => {
    const work = mkdtempSync(join(tmpdir(), 'h5z-nczarr-'));
    program = join(work, 'nczarr');
    writeFileSync(join(work, 'identity.h'), identity({ description: description as never, version: '1.0.0' }));
    const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-DH5Z_BUILD_NATIVE'];
    const sanitize = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
    const sources = [join(ABI, 'test/nczarr.c'), ...['params.c', 'error.c'].map((file) => join(ABI, 'src', file))];
    const include = ['-include', join(work, 'identity.h'), `-I${join(ABI, 'include')}`, `-I${join(ABI, 'lib')}`];
    execFileSync(compiler as string, [...flags, ...sanitize, ...include, ...sources, '-ldl', '-lm', '-o', program]);
  });

  test('is read and made', () => {
    const made = {
      id: 'sample',
      cname: 'small-1',
      clevel: -3,
      shuffle: 2,
      checked: true,
      blocksize: 0,
      elementsize: 4,
    };
    const values = [7, 0xfffffffd, 2, 1, 0, 4];
    expect(take([WHOLE, JSON.stringify(made), WHOLE.replace('-3', '"-3"').replace('4}', '"4"}')])).toEqual([
      [0, values, made],
      [0, values, made],
      [0, values, made],
    ]);
  });

  test('members that nobody knows, null, and choices without a word are left out', () => {
    const more =
      '{"id":"sample","clevel":1,"later":{"a":["}",{"b":"\\"]"}]},"cname":null,"shuffle":-1,"elementsize":8}';
    const made = { id: 'sample', cname: 'fast', clevel: 1, shuffle: 1, checked: false, blocksize: 0, elementsize: 8 };
    expect(take([more])).toEqual([[0, [0, 1, 1, 0, 0, 8], made]]);
  });

  test.each([
    ['', 'no text'],
    ['[]', 'no object'],
    ['{"clevel": 10}', 'out of range'],
    ['{"clevel": 1.5}', 'no integer'],
    ['{"clevel": [1]}', 'a list'],
    ['{"cname": "sm\\u0061ll-1"}', 'an escape'],
    ['{"cname": "x\\", level = 1"}', 'a quote'],
    ['{"cname": 7}', 'a number for a word'],
    ['{"elementsize": -1}', 'a negative size'],
    ['{"elementsize": 99999999999}', 'more than 32 bits'],
    ['{"clevel": 1,}', 'a comma too many'],
    ['{"clevel" 1}', 'no colon'],
    ['{"clevel": 1, "clevel": 2}', 'a member twice'],
    [`{"clevel": ${'1'.repeat(3000)}}`, 'a number that never ends'],
  ])('%s is refused: %s', (text) => {
    expect(take([text])).toEqual([[EFILTER, [], null]]);
  });

  test('every text that is one step away from a good one is read or refused', () => {
    const texts: string[] = [];
    for (let i = 0; i <= WHOLE.length; i++) {
      texts.push(WHOLE.slice(0, i), WHOLE.slice(0, i) + WHOLE.slice(i + 1));
      for (const more of ['"', '\\', '{', '}', '[', ',', ':', ' ', '9', '\xff']) {
        texts.push(WHOLE.slice(0, i) + more + WHOLE.slice(i), WHOLE.slice(0, i) + more + WHOLE.slice(i + 1));
      }
    }
    const codes = new Set(take(texts.map((text) => text.replaceAll('\xff', 'ÿ'))).map(([code]) => code));
    expect([...codes].sort((a, b) => a - b)).toEqual([EFILTER, 0]);
  });
});
