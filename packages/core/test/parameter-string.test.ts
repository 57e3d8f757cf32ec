// The parameter string: what is printed parses to the same options, and everything else is an error with a position.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilterDescription } from '../src/index.js';
import { completeOptions, H5zError, parameterString, parseParameterString, toClientValues } from '../src/index.js';

const description = {
  id: 40000,
  name: 'sample',
  title: 'Sample',
  summary: 'A filter with a parameter of each type.',
  lossy: true,
  licence: 'MIT',
  upstreams: [],
  parameters: [
    {
      name: 'mode',
      type: 'enum',
      values: { rate: 1, 'to the bit': 2 },
      default: 'rate',
      doc: '.',
      client: { word: 0 },
    },
    {
      name: 'level',
      type: 'integer',
      minimum: -7,
      maximum: 22,
      default: 3,
      doc: '.',
      client: { word: 1, as: 'int32' },
    },
    { name: 'tolerance', type: 'number', minimum: 0, default: 0.5, doc: '.', client: { word: 2, as: 'float64-le' } },
    { name: 'fast', type: 'boolean', default: false, doc: '.', client: { word: 4, as: 'bool' } },
  ],
  variants: { wasm: {} },
} satisfies FilterDescription;

const parse = (text: string) => parseParameterString(description, text);

/** Position and message of the error that `text` is. */
function errorOf(text: string): { position: unknown; message: string } {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof H5zError)) throw error;
    expect(error.code).toBe('H5Z_PARAMETER');
    return { position: error.details.position, message: error.message };
  }
  throw new Error(`${text} parses`);
}

describe('parseParameterString', () => {
  test.each([
    ['', {}],
    ['  ', {}],
    ['level = 9', { level: 9 }],
    ['level=-7,fast=true', { level: -7, fast: true }],
    [' mode = "rate" , tolerance = 1e-3 ', { mode: 'rate', tolerance: 1e-3 }],
    ['mode = "to\\u0020the\\U00000020bit"', { mode: 'to the bit' }],
    ['\'level\' = 0x0F\n"fast" = false', { level: 15, fast: false }],
    ["mode = 'to the bit'", { mode: 'to the bit' }],
    ['level = 0b1_0', { level: 2 }],
    ['level = 0o17', { level: 15 }],
    ['tolerance = 1_000', { tolerance: 1000 }],
    ['tolerance = 1_0.2_5e+1', { tolerance: 102.5 }],
    ['tolerance = 0.0', { tolerance: 0 }],
  ] as [string, object][])('%s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  test.each([
    ['level', 5, '"=" is missing'],
    ['level =', 7, 'is missing'],
    ['level = 9,', 9, 'nothing follows'],
    ['level = 9 fast = true', 10, 'a comma is missing'],
    ['level = 9, level = 9', 11, 'there twice'],
    ['rate = 9', 0, 'no parameter of sample'],
    [', level = 9', 0, 'a name is missing'],
    ['level = 9.0', 8, 'no integer'],
    ['level = "9"', 8, 'no integer'],
    ['level = true', 8, 'no integer'],
    ['fast = 1', 7, 'no boolean'],
    ['fast = True', 7, 'no value'],
    ['mode = rate', 7, 'no value'],
    ['mode = 1', 7, 'no word in quotes'],
    ['tolerance = .5', 12, 'no value'],
    ['tolerance = 5.', 12, 'no value'],
    ['level = 09', 8, 'no value'],
    ['level = 1__0', 8, 'no value'],
    ['level = +0x0f', 8, 'no value'],
    ['mode = "rate', 7, 'no end'],
    ["mode = 'rate\n'", 7, 'no end'],
    ['mode = "r\\ate"', 9, 'unknown escape'],
    ['mode = "\\uD800"', 8, 'unknown escape'],
    ['mode = "\u0001"', 8, 'control character'],
  ])('%s is refused at character %i: %s', (text, position, message) => {
    expect(errorOf(text)).toEqual({ position, message: expect.stringContaining(message) });
  });

  test.each([
    'level = 23',
    'tolerance = inf',
    'tolerance = nan',
    'tolerance = -0.1',
    'mode = "lossless"',
  ])('%s is out of range', (text) => {
    expect(errorOf(text).message).toMatch(/sample: "[a-z]+" is /);
  });

  test('gives back what parameterString printed', () => {
    fc.assert(
      fc.property(
        fc.record(
          {
            mode: fc.constantFrom('rate', 'to the bit'),
            level: fc.integer({ min: -7, max: 22 }),
            tolerance: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
            fast: fc.boolean(),
          },
          { requiredKeys: [] },
        ),
        (options) => {
          const back = parse(parameterString(options));
          expect(back).toEqual(options);
          expect(toClientValues(description, back)).toEqual(toClientValues(description, options));
          expect(parse(parameterString(completeOptions(description, options)))).toEqual(
            completeOptions(description, options),
          );
        },
      ),
    );
  });

  test('never throws anything but H5Z_PARAMETER', () => {
    const piece = fc.constantFrom(
      'level',
      'mode',
      '=',
      ' ',
      ',',
      '"',
      "'",
      '\\',
      '\n',
      '9',
      '_',
      '.',
      'e',
      '-',
      '0x',
      'true',
      'inf',
      'rate',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
        ),
        (text) => {
          try {
            parse(text);
          } catch (error) {
            expect((error as H5zError).code).toBe('H5Z_PARAMETER');
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('strings print with escapes that parse', () => {
    expect(parameterString({ a: 'tab\t"\\\u007f', 'b c': Number.POSITIVE_INFINITY, d: Number.NaN })).toBe(
      'a = "tab\\t\\"\\\\\\u007F", "b c" = inf, d = nan',
    );
  });
});
