// The two halves of parameter strings, C (src/params.c) and TypeScript (@h5z/core), held to each other: same cd_values, same
// refusal in the same words, same text, for every filter and for one with every kind of place. Run under AddressSanitizer.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FilterDescription,
  fromStoredValues,
  H5zError,
  type Parameter,
  type Place,
  parameterString,
  parseParameterString,
  toClientValues,
} from '@h5z/core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { readFilters } from '../../farm/src/filters.ts';
import { identity } from '../../farm/src/identity.ts';
import { compiler } from './compile.ts';

const ABI = join(import.meta.dirname, '..');
const WHY_MAX = 512;

const parameter = (
  name: string,
  type: Parameter['type'],
  client: Place,
  extra: Partial<Parameter> = {},
): Parameter => ({
  name,
  type,
  doc: '.',
  client,
  ...extra,
});

/** Everything that filter.json can say and no shipped filter need say. */
const EVERYTHING: FilterDescription = {
  id: 40000,
  name: 'every.thing',
  title: 'A "filter"',
  summary: '.',
  lossy: true,
  licence: 'MIT',
  upstreams: [],
  variants: { native: {} },
  clientWords: 14,
  parameters: [
    parameter(
      'word',
      'enum',
      { word: 0 },
      { values: { plain: 7, 'two words': 4294967295, "it's": 3, größer: 4 }, default: 'plain' },
    ),
    parameter('signed', 'integer', { word: 1, as: 'int32' }, { minimum: -5e9, maximum: 5e9, default: -1 }),
    parameter('unsigned', 'integer', { word: 2 }, { minimum: -1, maximum: 1e15, default: 5, multipleOf: 5 }),
    parameter('le', 'number', { word: 3, as: 'float64-le' }, { default: 0.1 }),
    parameter(
      'be',
      'number',
      { word: 5, as: 'float64-be' },
      { default: -2.5e-8, stored: { word: 7, as: 'float64-be' } },
    ),
    parameter('half', 'number', { word: 9 }, { default: 0, multipleOf: 0.5, minimum: -1, exclusiveMaximum: 1e300 }),
    parameter('flag', 'boolean', { word: 10, as: 'bool' }, { default: true, when: { word: ['plain', "it's"] } }),
    parameter('bit', 'boolean', { word: 11, as: 'bits', shift: 31, width: 1 }, { default: false }),
    parameter(
      'nibble',
      'integer',
      { word: 11, as: 'bits', shift: 27, width: 4 },
      { minimum: 0, maximum: 16, default: 9 },
    ),
    parameter(
      'fixed',
      'number',
      { word: 11, as: 'fixed', shift: 0, width: 27, fraction: 16 },
      { default: 1.5, when: { flag: true } },
    ),
    parameter(
      'log',
      'number',
      { word: 12, as: 'log2', shift: 3, width: 28, fraction: 16 },
      { default: 1e-3, maximum: 1e300 },
    ),
    parameter(
      'fine',
      'number',
      { word: 13, as: 'log2', shift: 0, width: 32, fraction: 21 },
      { exclusiveMinimum: 0, default: 3 },
    ),
    parameter('needed', 'integer', { word: 14 }, { minimum: 0, maximum: 9, when: { word: 'two words', bit: true } }),
    parameter(
      'last',
      'integer',
      { word: 16 },
      { minimum: 1, maximum: 3, default: 2, omittable: true, when: { signed: [-1, 3] } },
    ),
  ],
};

const FILTERS = [...(await readFilters()).map(({ description }) => description), EVERYTHING];

interface Question {
  readonly kind: 'P' | 'C' | 'S';
  readonly bytes: Uint8Array;
}
interface Answer {
  readonly code: number;
  readonly bytes: Buffer;
}

/** The C half of one filter, compiled when first asked. */
function programOf(description: FilterDescription): (questions: readonly Question[]) => Answer[] {
  let program: string | undefined;
  const compile = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'h5z-params-'));
    writeFileSync(join(folder, 'identity.h'), identity({ description, version: '1.0.0' }));
    const includes = ['include', 'lib'].map((name) => `-I${join(ABI, name)}`);
    const sources = ['src/params.c', 'test/params.c'].map((name) => join(ABI, name));
    const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-ffp-contract=off'];
    const warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Werror'];
    const flags = ['-std=c11', '-O1', '-g', ...warnings, ...sanitizers, '-include', join(folder, 'identity.h')];
    execFileSync(compiler as string, [...flags, ...includes, ...sources, '-o', join(folder, 'params')]);
    return join(folder, 'params');
  };
  return (questions) => {
    program ??= compile();
    const input = questions.flatMap(({ kind, bytes }) => {
      const head = Buffer.from(`${kind}    `);
      head.writeUInt32LE(bytes.length, 1);
      return [head, bytes];
    });
    const { status, stdout, stderr } = spawnSync(program, { input: Buffer.concat(input), maxBuffer: 1 << 28 });
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    const answers: Answer[] = [];
    for (let at = 0; at < stdout.length; ) {
      const length = stdout.readUInt32LE(at + 4);
      answers.push({ code: stdout.readInt32LE(at), bytes: stdout.subarray(at + 8, at + 8 + length) });
      at += 8 + length;
    }
    expect(answers).toHaveLength(questions.length);
    return answers;
  };
}

const encoder = new TextEncoder();
const bytesOf = (words: readonly number[] | Uint32Array): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

/** cd_values, or the message as C gives it: a C string of at most WHY_MAX bytes. */
function parsed(description: FilterDescription, text: string): string {
  try {
    return [...toClientValues(description, parseParameterString(description, text))].join(' ');
  } catch (error) {
    if (!(error instanceof H5zError)) throw error;
    expect(error.code).toBe('H5Z_PARAMETER');
    return Buffer.from(error.message.replaceAll('\0', '?'))
      .subarray(0, WHY_MAX - 1)
      .toString('latin1');
  }
}

function answered({ code, bytes }: Answer): string {
  if (code < 0) expect(code).toBe(-1);
  if (code < 0) return bytes.toString('latin1');
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i)).join(' ');
}

/** What a file's or a caller's words say, derived values left out. */
function printed({ derived: _, ...description }: FilterDescription, words: Uint32Array, stored: boolean): string {
  const parameters = description.parameters.map(({ stored: place, ...rest }) =>
    stored && place !== undefined ? { ...rest, stored: place } : rest,
  );
  return parameterString(fromStoredValues({ ...description, parameters }, words));
}

/** 2^-1075, the middle between 0 and the smallest double, digit for digit: 752 of them. */
const LEAST = `0.${`${5n ** 1075n}`.padStart(1075, '0')}`;

const NUMBERS = [
  LEAST,
  `${LEAST}${'0'.repeat(30)}1`,
  '0',
  '-0',
  '+7',
  '0.0',
  '-0.0',
  '1e999',
  '-1e999',
  '1e-999',
  '4.9406564584124654e-324',
  '2.4703282292062327e-324',
  '2.4703282292062328e-324',
  '1.7976931348623157e308',
  '1.7976931348623159e308',
  '9007199254740993',
  '9007199254740992.5',
  '0x1p3',
  '0xFF',
  '0xff_ff',
  '0x_1',
  '0x',
  '0o17',
  '0o8',
  '0b101',
  '0b2',
  '1_000',
  '1__0',
  '_1',
  '1_',
  '1_.5',
  '1._5',
  '.5',
  '5.',
  '1e',
  '1e+',
  '1e_5',
  '1e5',
  '1E+0_5',
  '01',
  '-01',
  'inf',
  '-inf',
  '+nan',
  'infinity',
  'NaN',
  '1e23',
  '2.5',
  '-2.5',
  '4294967295',
  '4294967296',
  '-2147483648',
  '-2147483649',
  '99999999999999999999',
  '0.1e1',
  '5e-324',
  '-',
  '+',
  '1e-7',
  `0x${'f'.repeat(300)}`,
  `0b1${'0'.repeat(53)}1`,
  `0b1${'0'.repeat(52)}11${'0'.repeat(90)}`,
  `1${'0'.repeat(400)}`,
  `0.${'0'.repeat(400)}1e401`,
  `${'9'.repeat(900)}e-890`,
  `1e${'9'.repeat(60)}`,
  `1e-${'9'.repeat(60)}`,
]; // prettier-ignore

const double = fc.double({ noNaN: true });
/** The decimal in the middle between two neighbours, digit for digit, and one a bit off. */
const middle = fc
  .tuple(
    fc.bigInt(1n << 52n, (1n << 53n) - 1n),
    fc.integer({ min: -1075, max: 60 }),
    fc.constantFrom('', '0001', `${'0'.repeat(30)}1`),
  )
  .map(([mantissa, exponent, more]) => {
    const odd = 2n * mantissa + 1n;
    if (exponent >= 0) return `${odd << BigInt(exponent)}`;
    const digits = `${odd * 5n ** BigInt(-exponent)}`.padStart(1 - exponent, '0');
    return `${digits.slice(0, exponent)}.${digits.slice(exponent)}${more}`;
  });
const numberText = fc.oneof(
  fc.constantFrom(...NUMBERS),
  double.map(String),
  fc.integer({ min: -1074, max: 1023 }).map((exponent) => String(2 ** exponent)),
  fc.tuple(double, fc.integer({ min: 1, max: 100 })).map(([value, digits]) => value.toPrecision(digits)),
  middle,
  fc.integer().map(String),
  fc.integer({ min: -40, max: 300 }).map(String),
);

const escaped = (word: string): string =>
  [...word].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
const quoted = (word: string) => fc.constantFrom(`"${word}"`, `'${word}'`, `"${escaped(word)}"`, word);

/** Pairs as a person or an enemy may write them: mostly of this filter's parameters, mostly well separated. */
function strings(description: FilterDescription): fc.Arbitrary<string> {
  const names = [...description.parameters.map(({ name }) => name), 'other', 'größe', ''];
  const words = [...description.parameters.flatMap(({ values }) => Object.keys(values ?? {})), 'no', 'a\u0000b', '😀'];
  const value = (parameter: Parameter | undefined): fc.Arbitrary<string> => {
    const likely = parameter?.values
      ? fc.constantFrom(...Object.keys(parameter.values)).chain(quoted)
      : parameter?.type === 'boolean'
        ? fc.constantFrom('true', 'false')
        : fc
            .integer({
              min: Math.floor(Math.max(parameter?.minimum ?? 0, -0x80000000)) - 1,
              max: Math.min(parameter?.maximum ?? 100, 0x7ffffffe) + 1,
            })
            .map(String);
    const any = fc.oneof(
      numberText,
      fc.constantFrom('true', 'false', 'True', '"', "'x", '"\\', '"\\u12', '"\\q"', '"\u0007"', '"a\nb"', '""', ''),
      fc.constantFrom(...words).chain(quoted),
    );
    return fc.oneof(
      { arbitrary: likely, weight: 6 },
      { arbitrary: numberText, weight: parameter?.type === 'number' ? 9 : 1 },
      any,
    );
  };
  const pair = fc
    .tuple(fc.nat(names.length - 1), fc.constantFrom(' = ', '=', ' =\t', ' = ', ' ', '=='))
    .chain(([i, equals]) =>
      fc
        .tuple(
          fc.oneof({ arbitrary: fc.constant(names[i] as string), weight: 8 }, quoted(names[i] as string)),
          value(description.parameters[i]),
        )
        .map(([name, text]) => `${name}${equals}${text}`),
    );
  const separator = fc.oneof(
    { arbitrary: fc.constantFrom(', ', ',', '\n', ' , '), weight: 9 },
    fc.constantFrom(' ', ',,', ';', '\r\n', '\n,'),
  );
  const list = fc
    .array(fc.tuple(pair, separator), { maxLength: 5 })
    .map((pairs) => pairs.map(([text, end], i) => (i + 1 < pairs.length ? text + end : text)).join(''));
  const damaged = fc
    .tuple(list, fc.nat(), fc.constantFrom('', '"', '\\', '\u0000', '=', ',', 'é', '😀', '\u007f', '0'), fc.nat(2))
    .map(([text, place, insert, removed]) => {
      const at = place % (text.length + 1);
      return Buffer.from(`${text.slice(0, at)}${insert}${text.slice(at + removed)}`).toString(); // no half surrogates
    });
  return fc.oneof({ arbitrary: list, weight: 6 }, { arbitrary: damaged, weight: 3 }, fc.string({ unit: 'grapheme' }));
}

describe.skipIf(compiler === undefined).each(FILTERS)('$name', (description) => {
  const ask = programOf(description);
  const seed = Date.now() % 0x7fffffff;
  const numRuns = description === EVERYTHING ? 30_000 : 3000;
  beforeAll(() => void ask([]));

  test('a string is the same cd_values, or refused in the same words', () => {
    const texts = ['', ...fc.sample(strings(description), { numRuns, seed })];
    const answers = ask(texts.map((text) => ({ kind: 'P', bytes: encoder.encode(text) })));
    for (const [i, text] of texts.entries())
      expect(answered(answers[i] as Answer), `${JSON.stringify(text)}, seed ${seed}`).toBe(parsed(description, text));
  });

  test('cd_values print as the same text', () => {
    const word = fc.oneof(
      fc.nat(12),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(0x80000000, 0x7ff00000, 0xfff00000, 0x00100000, 0x3ff00000),
    );
    const lists = [
      ...fc.sample(fc.array(word, { maxLength: 18 }), { numRuns, seed }).map((list) => Uint32Array.from(list)),
      ...fc.sample(strings(description), { numRuns: 500, seed }).flatMap((text) => {
        try {
          return [toClientValues(description, parseParameterString(description, text))];
        } catch {
          return [];
        }
      }),
    ];
    for (const kind of description.restore ? (['C'] as const) : (['C', 'S'] as const)) {
      const answers = ask(lists.map((list) => ({ kind, bytes: bytesOf(list) })));
      for (const [i, list] of lists.entries()) {
        const text = answers[i]?.bytes.toString();
        expect(text, `${kind} ${list}, seed ${seed}`).toBe(printed(description, list, kind === 'S'));
      }
      const back = ask(answers.map(({ bytes }) => ({ kind: 'P', bytes })));
      for (const [i, { bytes }] of answers.entries())
        expect(answered(back[i] as Answer), `${bytes}, seed ${seed}`).toBe(parsed(description, bytes.toString()));
    }
  });
});

describe.skipIf(compiler === undefined)('hostile strings', () => {
  test('of megabytes, answered at once', () => {
    const description = EVERYTHING;
    const long = 1 << 20;
    const texts = [
      `le = ${'9'.repeat(long)}e-${long}`,
      `le = 0.${'0'.repeat(long)}1e${long}`,
      `le = 0x${'1'.repeat(long)}`,
      `word = "${'a'.repeat(long)}"`,
      `word = "${'\\u0061'.repeat(long / 8)}"`,
      `"${'"'.repeat(long)}`,
      '"'.repeat(long),
      "'".repeat(long),
      ','.repeat(long),
      '\n'.repeat(long),
      `le = ${'1_'.repeat(long / 2)}1`,
      'le = 1\n'.repeat(long / 8),
      '\\'.repeat(long),
      'é'.repeat(long / 2),
    ];
    const answers = programOf(description)(texts.map((text) => ({ kind: 'P', bytes: encoder.encode(text) })));
    for (const [i, text] of texts.entries())
      expect(answered(answers[i] as Answer), text.slice(0, 30)).toBe(parsed(description, text));
  });
});
