// The parameter string of HDF5's coming string API (RFC-HDFG-2026-001): parameters as pairs of TOML, separated by commas
// or lines. `mode = "accuracy", tolerance = 1e-3`. Printing and parsing; what the values mean is params.ts's business.
//
//   string = [ pair { ( "," | newline ) pair } ]
//   pair   = key "=" value           key: bare (A-Z a-z 0-9 _ -) or a string
//   value  = true | false | integer (_ between digits, 0x 0o 0b) | float (inf and nan too) | "basic" | 'literal'

import { H5zError } from './errors.js';
import type { FilterDescription, Parameter } from './generated/schema.js';
import { describeRange, toClientValues } from './params.js';

type Value = number | string | boolean;

/** Readable values as a parameter string: `level = 9, codec = "zstd"`. */
export function parameterString(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${/^[A-Za-z0-9_-]+$/.test(name) ? name : quote(name)} = ${print(value)}`)
    .join(', ');
}

function print(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'number' || Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
}

/** A basic string. JSON's escapes are TOML's; TOML wants one for U+007F too. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007F');
}

/**
 * The options that `text` spells out for this filter, checked: no other keys than its parameters, none twice, each value of
 * its parameter's type and within its range. Throws H5Z_PARAMETER, whose `details.position` counts characters from 0.
 */
export function parseParameterString(description: FilterDescription, text: string): Record<string, Value> {
  const reader = new Reader(description.name, text);
  const options: Record<string, Value> = {};
  const parameters = new Map(description.parameters.map((parameter) => [parameter.name, parameter]));
  for (const { key, value, isInteger, keyAt, valueAt } of reader.pairs()) {
    const parameter = parameters.get(key);
    if (parameter === undefined) {
      const names = [...parameters.keys()].join(', ') || 'none';
      throw reader.error(keyAt, `"${key}" is no parameter of ${description.name}`, `its parameters are ${names}`);
    }
    if (Object.hasOwn(options, key)) throw reader.error(keyAt, `"${key}" is there twice`, 'give it once');
    if (!fits(parameter, value, isInteger)) {
      throw reader.error(valueAt, `"${key}" is no ${typeName(parameter)}`, `use ${describeRange(parameter)}`);
    }
    options[key] = value;
  }
  toClientValues(description, options); // ranges, and what goes with what
  return options;
}

function fits(parameter: Parameter, value: Value, isInteger: boolean): boolean {
  if (parameter.type === 'boolean') return typeof value === 'boolean';
  if (parameter.type === 'enum') return typeof value === 'string';
  return typeof value === 'number' && (isInteger || parameter.type === 'number');
}

const typeName = ({ type }: Parameter) => (type === 'enum' ? 'word in quotes' : type);

interface Pair {
  readonly key: string;
  readonly value: Value;
  /** A TOML integer, which is no float even where the number is the same. */
  readonly isInteger: boolean;
  readonly keyAt: number;
  readonly valueAt: number;
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  '"': '"',
  '\\': '\\',
};

const INTEGER =
  /^(?:[+-]?(?:0|[1-9](?:_?[0-9])*)|0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*)$/;
const FLOAT =
  /^[+-]?(?:(?:0|[1-9](?:_?[0-9])*)(?:\.[0-9](?:_?[0-9])*(?:[eE][+-]?[0-9](?:_?[0-9])*)?|[eE][+-]?[0-9](?:_?[0-9])*)|inf|nan)$/;

class Reader {
  readonly #filter: string;
  readonly #text: string;
  #at = 0;

  constructor(filter: string, text: string) {
    this.#filter = filter;
    this.#text = text;
  }

  error(position: number, problem: string, remedy: string): H5zError {
    return new H5zError(
      'H5Z_PARAMETER',
      `${this.#filter}: at character ${position + 1} of its parameters: ${problem}`,
      {
        remedy,
        details: { position },
      },
    );
  }

  *pairs(): Generator<Pair> {
    this.#skip(/[ \t\r\n]*/y);
    while (this.#at < this.#text.length) {
      const keyAt = this.#at;
      const key = this.#isQuote() ? this.#string() : this.#skip(/[A-Za-z0-9_-]*/y);
      if (this.#at === keyAt) throw this.error(keyAt, 'a name is missing', 'write name = value, and commas between');
      this.#skip(/[ \t]*/y);
      if (this.#text[this.#at] !== '=')
        throw this.error(this.#at, `"=" is missing after "${key}"`, 'write name = value');
      this.#at++;
      this.#skip(/[ \t]*/y);
      const valueAt = this.#at;
      const { value, isInteger } = this.#value(key);
      yield { key, value, isInteger, keyAt, valueAt };
      this.#skip(/[ \t\r]*/y);
      const end = this.#at;
      if (end === this.#text.length) return;
      const separator = this.#text[end];
      if (separator !== ',' && separator !== '\n')
        throw this.error(end, `a comma is missing after "${key}"`, 'write a comma between parameters');
      this.#at++;
      this.#skip(/[ \t\r\n]*/y);
      if (separator === ',' && this.#at === this.#text.length)
        throw this.error(end, 'nothing follows the comma', 'leave it out');
    }
  }

  #value(key: string): { value: Value; isInteger: boolean } {
    const start = this.#at;
    if (this.#isQuote()) return { value: this.#string(), isInteger: false };
    const word = this.#skip(/[A-Za-z0-9_.+-]*/y);
    if (word === 'true' || word === 'false') return { value: word === 'true', isInteger: false };
    const digits = word.replaceAll('_', '');
    if (INTEGER.test(word)) return { value: Number(digits), isInteger: true };
    if (FLOAT.test(word)) {
      const magnitude = digits.replace(/^[+-]/, '');
      const number =
        magnitude === 'inf' ? Number.POSITIVE_INFINITY : magnitude === 'nan' ? Number.NaN : Number(magnitude);
      return { value: digits.startsWith('-') ? -number : number, isInteger: false };
    }
    const problem = word === '' ? `the value of "${key}" is missing` : `"${word}" is no value`;
    throw this.error(start, problem, 'use a number, true, false, or a word in quotes');
  }

  #isQuote(): boolean {
    return this.#text[this.#at] === '"' || this.#text[this.#at] === "'";
  }

  #string(): string {
    const start = this.#at;
    const quote = this.#text[this.#at++] as string;
    let content = '';
    for (;;) {
      const c = this.#text[this.#at];
      if (c === undefined || c === '\n') throw this.error(start, 'a string has no end', `close it with ${quote}`);
      if (c === quote) {
        this.#at++;
        return content;
      }
      if ((c < ' ' && c !== '\t') || c === '\u007f')
        throw this.error(this.#at, 'a string holds a control character', 'write it as \\u and four digits');
      this.#at++;
      content += c === '\\' && quote === '"' ? this.#escape() : c;
    }
  }

  #escape(): string {
    const start = this.#at - 1;
    const c = this.#text[this.#at++] ?? '';
    const simple = ESCAPES[c];
    if (simple !== undefined) return simple;
    const hex = c === 'u' ? this.#skip(/[0-9A-Fa-f]{4}/y) : c === 'U' ? this.#skip(/[0-9A-Fa-f]{8}/y) : '';
    const code = Number.parseInt(hex, 16);
    if (hex === '' || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      throw this.error(
        start,
        'a string holds an unknown escape',
        'use \\b \\t \\n \\f \\r \\" \\\\ \\uXXXX or \\UXXXXXXXX',
      );
    return String.fromCodePoint(code);
  }

  /** Moves over what matches here, and returns it. */
  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found = ''] = pattern.exec(this.#text) ?? [];
    this.#at += found.length;
    return found;
  }
}
