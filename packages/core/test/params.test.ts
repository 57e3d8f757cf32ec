// Parameters <-> cd_values: the documented encodings, the messages, and that whatever goes in comes out.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  completeOptions,
  type FilterDescription,
  fromStoredValues,
  type Parameter,
  parameterString,
  toClientValues,
} from '../dist/index.js';

function filter(parameters: Parameter[], extra: Partial<FilterDescription> = {}): FilterDescription {
  const base = { id: 40000, name: 'demo', title: 'Demo', summary: 's', lossy: false, licence: 'MIT', upstreams: [] };
  return { ...base, variants: {}, parameters, ...extra };
}
const integer = (name: string, word: number, extra: Partial<Parameter> = {}): Parameter => ({
  name,
  type: 'integer',
  minimum: 0,
  maximum: 9,
  doc: 'd',
  client: { word },
  ...extra,
});
const code = (problem: RegExp) =>
  expect.objectContaining({ code: 'H5Z_PARAMETER', message: expect.stringMatching(problem) });

// As in bitshuffle: three choices that set_local moves by three words, the last only for one codec.
const shuffled = filter(
  [
    integer('blockSize', 0, { maximum: 4294967288, multipleOf: 8, default: 0, unit: 'elements', stored: { word: 3 } }),
    {
      name: 'codec',
      type: 'enum',
      values: { none: 0, lz4: 2, zstd: 3 },
      default: 'lz4',
      doc: 'd',
      client: { word: 1 },
      stored: { word: 4 },
    },
    integer('level', 2, {
      minimum: -131072,
      maximum: 22,
      default: 3,
      omittable: true,
      when: { codec: 'zstd' },
      client: { word: 2, as: 'int32' },
      stored: { word: 5, as: 'int32' },
    }),
  ],
  { derived: [{ name: 'elementSize', type: 'integer', doc: 'd', stored: { word: 2 } }] },
);

describe('options to client cd_values', () => {
  test('numbers with a point in bits: fixed to the nearest, log2 rounded down', () => {
    const place = { word: 0, shift: 0, width: 28, fraction: 16 };
    const packed = filter([
      {
        name: 'mode',
        type: 'enum',
        values: { rate: 1, error: 3 },
        default: 'rate',
        doc: 'd',
        client: { word: 0, as: 'bits', shift: 28, width: 2 },
      },
      {
        name: 'rate',
        type: 'number',
        default: 2,
        when: { mode: 'rate' },
        doc: 'd',
        client: { ...place, as: 'fixed', width: 27 },
      },
      { name: 'error', type: 'number', when: { mode: 'error' }, doc: 'd', client: { ...place, as: 'log2' } },
      { name: 'swap', type: 'boolean', default: false, doc: 'd', client: { word: 0, as: 'bits', shift: 31, width: 1 } },
    ]);
    expect([...toClientValues(packed, { rate: 3.3 })]).toEqual([0x10034ccd]);
    expect([...toClientValues(packed, { mode: 'error', error: 0.25, swap: true })]).toEqual([0xb8020000]);
    expect([...toClientValues(packed, { mode: 'error', error: 3 })]).toEqual([0x300195c0]);
    expect(fromStoredValues(packed, [0xb8020000])).toEqual({ mode: 'error', error: 0.25, swap: true });
    expect(fromStoredValues(packed, [0x10034ccd]).rate).toBeCloseTo(3.3, 4);
    const read = fromStoredValues(packed, [...toClientValues(packed, { mode: 'error', error: 1e-3 })]).error as number;
    expect(read).toBeLessThanOrEqual(1e-3);
    expect(read).toBeGreaterThan(0.99998e-3);
    expect(() => toClientValues(packed, { rate: 2048 })).toThrow(code(/does not fit/));
    expect(() => toClientValues(packed, { rate: -1 })).toThrow(code(/does not fit/));
    expect(() => toClientValues(packed, { mode: 'error', error: 0 })).toThrow(code(/does not fit/));
  });

  test('defaults, and trailing omittable words left out', () => {
    expect([...toClientValues(shuffled)]).toEqual([0, 2]);
    expect([...toClientValues(shuffled, { codec: 'zstd' })]).toEqual([0, 3]);
    expect([...toClientValues(shuffled, { codec: 'zstd', level: -5 })]).toEqual([0, 3, 0xfffffffb]);
    expect([...toClientValues(filter([integer('a', 0, { default: 1, omittable: true })]))]).toEqual([]);
  });

  test('an omittable word before one that was given is written', () => {
    const two = filter([
      integer('a', 0, { default: 7, omittable: true }),
      integer('b', 1, { default: 8, omittable: true }),
    ]);
    expect([...toClientValues(two, { b: 1 })]).toEqual([7, 1]);
    expect([...toClientValues(two, { a: 1 })]).toEqual([1]);
  });

  test('words that no parameter owns are 0', () => {
    expect([...toClientValues(filter([integer('clevel', 4, { default: 5 })]))]).toEqual([0, 0, 0, 0, 5]);
  });

  test('doubles are two words in either order, bits share a word', () => {
    const number = (as: 'float64-le' | 'float64-be'): FilterDescription =>
      filter([{ name: 'rate', type: 'number', doc: 'd', client: { word: 2, as } }]);
    expect([...toClientValues(number('float64-le'), { rate: 1.5 })]).toEqual([0, 0, 0, 0x3ff80000]);
    expect([...toClientValues(number('float64-be'), { rate: 1.5 })]).toEqual([0, 0, 0x3ff80000, 0]);
    const bits = filter([
      integer('low', 0, { maximum: 15, client: { word: 0, as: 'bits', shift: 0, width: 4 } }),
      integer('high', 0, { maximum: 15, client: { word: 0, as: 'bits', shift: 28, width: 4 } }),
    ]);
    expect([...toClientValues(bits, { low: 5, high: 15 })]).toEqual([0xf0000005]);
  });

  test.each<[object, RegExp]>([
    [{ levle: 1 }, /demo has no option "levle"; its options are blockSize, codec, level$/],
    [{ blockSize: 12 }, /"blockSize" is 12; use an integer from 0 to 4294967288, a multiple of 8$/],
    [{ blockSize: -8 }, /"blockSize" is -8; use an integer from 0/],
    [{ blockSize: 8.5 }, /"blockSize" is 8.5/],
    [{ blockSize: Number.NaN }, /"blockSize" is NaN/],
    [{ blockSize: '8' }, /"blockSize" is "8"/],
    [{ blockSize: null }, /"blockSize" is null/],
    [{ codec: 'gzip' }, /"codec" is "gzip"; use "none", "lz4", "zstd"$/],
    [{ codec: 'toString' }, /"codec" is "toString"/],
    [{ codec: 2 }, /"codec" is 2/],
    [{ level: 3 }, /"level" applies only when codec is "zstd"; leave it out, or choose that$/],
  ])('%j is refused with the range', (options, message) => {
    expect(() => toClientValues(shuffled, options)).toThrow(code(message));
  });

  test('a parameter without default is required; undefined means not given', () => {
    const quality = filter([integer('quality', 0)]);
    expect(() => toClientValues(quality)).toThrow(code(/"quality" is required; use an integer from 0 to 9/));
    expect(() => toClientValues(quality, { quality: undefined })).toThrow(code(/is required/));
    expect(completeOptions(shuffled, { codec: undefined })).toEqual({ blockSize: 0, codec: 'lz4' });
  });

  test('options must be an object', () => {
    for (const options of [null, [1], 9 as unknown as object]) {
      expect(() => toClientValues(shuffled, options as object)).toThrow(code(/pass an object/));
    }
  });
});

describe('stored cd_values to words', () => {
  test('derived facts and choices, by their stored places', () => {
    expect(fromStoredValues(shuffled, [0, 4, 2, 0, 3, 0xfffffffb])).toEqual({
      elementSize: 2,
      blockSize: 0,
      codec: 'zstd',
      level: -5,
    });
  });

  test('missing words take defaults; unknown enum numbers stay numbers; nothing throws', () => {
    expect(fromStoredValues(shuffled, [0, 4, 2, 0, 2])).toEqual({ elementSize: 2, blockSize: 0, codec: 'lz4' });
    expect(fromStoredValues(shuffled, [])).toEqual({ blockSize: 0, codec: 'lz4' });
    expect(fromStoredValues(shuffled, [0, 4, 2, 0, 99])).toEqual({ elementSize: 2, blockSize: 0, codec: 99 });
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 40 }), (stored) => {
        fromStoredValues(shuffled, stored);
      }),
    );
  });

  test('a circular `when` describes nothing rather than looping', () => {
    const circular = filter([
      integer('a', 0, { default: 1, when: { b: 1 } }),
      integer('b', 1, { default: 1, when: { a: 1 } }),
    ]);
    expect(fromStoredValues(circular, [1, 1])).toEqual({});
    expect([...toClientValues(circular)]).toEqual([]);
  });

  test('as a parameter string', () => {
    expect(parameterString({ level: 9, rate: 4.5, codec: 'zstd', fast: true })).toBe(
      'level = 9, rate = 4.5, codec = "zstd", fast = true',
    );
  });
});

describe('property: what goes in comes out', () => {
  /** A parameter on words of its own, with a value it takes. */
  const kinds: ((
    word: number,
  ) => fc.Arbitrary<{ parameter: Parameter; value: number | string | boolean; words: number }>)[] = [
    (word) =>
      fc
        .nat({ max: 0xffffffff })
        .map((value) => ({ parameter: integer(`p${word}`, word, { maximum: 0xffffffff }), value, words: 1 })),
    (word) =>
      fc.integer().map((value) => ({
        parameter: integer(`p${word}`, word, {
          minimum: -(2 ** 31),
          maximum: 2 ** 31 - 1,
          client: { word, as: 'int32' },
        }),
        value,
        words: 1,
      })),
    (word) =>
      fc.boolean().map((value) => ({
        parameter: { name: `p${word}`, type: 'boolean', doc: 'd', client: { word, as: 'bool' } },
        value,
        words: 1,
      })),
    (word) =>
      fc.constantFrom('one', 'two').map((value) => ({
        parameter: { name: `p${word}`, type: 'enum', values: { one: 1, two: 0xffffffff }, doc: 'd', client: { word } },
        value,
        words: 1,
      })),
    ...(['float64-le', 'float64-be'] as const).map(
      (as) => (word: number) =>
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({
          parameter: { name: `p${word}`, type: 'number', doc: 'd', client: { word, as } } as Parameter,
          value,
          words: 2,
        })),
    ),
    (word) =>
      fc
        .tuple(
          fc.integer({ min: 0, max: 31 }),
          fc.integer({ min: 1, max: 32 }),
          fc.double({ min: 0, max: 1, noNaN: true }),
        )
        .map(([shift, wide, share]) => {
          const width = Math.min(wide, 32 - shift);
          const maximum = 2 ** width - 1;
          const client = { word, as: 'bits' as const, shift, width };
          return {
            parameter: integer(`p${word}`, word, { maximum, client }),
            value: Math.floor(share * maximum),
            words: 1,
          };
        }),
  ];

  test('for any description', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: kinds.length - 1 }), { maxLength: 6 }), fc.gen(), (choice, gen) => {
        const parameters: Parameter[] = [];
        const options: Record<string, unknown> = {};
        let word = 0;
        for (const kind of choice) {
          const made = gen(kinds[kind] as (typeof kinds)[number], word);
          parameters.push(made.parameter);
          options[made.parameter.name] = made.value;
          word += made.words;
        }
        const words = toClientValues(filter(parameters), options);
        expect(words.length).toBe(word);
        expect(fromStoredValues(filter(parameters), words)).toEqual(options);
      }),
    );
  });

  const root = new URL('../../../filters/', import.meta.url);
  test.each(readdirSync(root))('for filters/%s: every default is a valid choice', (name) => {
    const description: FilterDescription = JSON.parse(readFileSync(new URL(`${name}/filter.json`, root), 'utf8'));
    const required = description.parameters.filter((parameter) => parameter.default === undefined && !parameter.when);
    if (required.length === 0) expect(toClientValues(description).length).toBeLessThanOrEqual(4096);
    else expect(() => toClientValues(description)).toThrow(code(/is required/));
  });
});
