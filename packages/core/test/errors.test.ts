// The error table is filter.h's: names, numbers and sentences, in its order.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FILTER_ERRORS, filterError, H5zError, HOST_ERRORS, isH5zError } from '../dist/index.js';

const header = readFileSync(new URL('../../abi/include/h5z/filter.h', import.meta.url), 'utf8');

describe('errors', () => {
  test('FILTER_ERRORS is the X-macro H5Z_ERRORS of filter.h', () => {
    const body = /#define H5Z_ERRORS\(X\)([\s\S]*?)\n\n/.exec(header)?.[1] ?? '';
    const inHeader = [...body.matchAll(/X\((\w+),\s*(-\d+),\s*"([^"]*)"\)/g)].map((m) => [m[1], Number(m[2]), m[3]]);
    const inCore = Object.entries(FILTER_ERRORS).map(([code, kind]) => [code, kind.value, kind.text]);
    expect(inHeader.length).toBeGreaterThan(7);
    expect(inCore).toEqual(inHeader);
  });

  test('a message is a sentence that ends with what to do', () => {
    const corrupt = filterError(-2, 'zstd (32015) decode');
    expect(corrupt.code).toBe('H5Z_E_CORRUPT');
    expect(corrupt.message).toBe(
      'zstd (32015) decode: corrupt input: the chunk is truncated or damaged; read the chunk again, or restore the file from a copy',
    );
    expect(new H5zError('H5Z_PARAMETER', 'level is 99', { remedy: 'use 0 to 9' }).message).toBe(
      'level is 99; use 0 to 9',
    );
    for (const kind of [...Object.values(FILTER_ERRORS), ...Object.values(HOST_ERRORS)]) {
      expect(kind.remedy).toMatch(/^[a-z].*[^.]$/);
    }
  });

  test('an unknown number is an internal error and keeps the number', () => {
    const error = filterError(-77, 'x');
    expect(error.code).toBe('H5Z_E_INTERNAL');
    expect(error.details).toEqual({ value: -77 });
  });

  test('isH5zError knows errors of another copy of core, and nothing else', () => {
    const foreign = Object.assign(new Error('x'), { name: 'H5zError', code: 'H5Z_E_CORRUPT' });
    expect([new H5zError('H5Z_PARAMETER', 'x'), foreign, new Error('x'), 'x', null].map(isH5zError)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  test('cause is kept', () => {
    const cause = new Error('dlopen');
    expect(new H5zError('H5Z_NATIVE_LOAD', 'x', { cause }).cause).toBe(cause);
    expect('cause' in new H5zError('H5Z_NATIVE_LOAD', 'x')).toBe(false);
  });
});
