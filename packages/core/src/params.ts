// filter.json's parameters at work: readable options -> validated client cd_values, and a file's stored cd_values ->
// words. One description gives both directions; what lies between (client -> stored) is the filter's own `derive` in C.
//
//   { level: 9 }  --toClientValues-->  [9]  --derive-->  [9]  --fromStoredValues-->  { level: 9 }

import { H5zError } from './errors.js';
import type { Derived, FilterDescription, Parameter, Place } from './generated/schema.js';
import type { CdValues } from './types.js';

/** Most cd_values a filter takes or gives: H5Z_CD_MAX of filter.h. */
export const MAX_CD_VALUES = 4096;

type Value = number | string | boolean;

/**
 * Client cd_values for `options`. Options left out take their defaults; trailing words that nobody asked for and that
 * the filter fills in itself (`omittable`) are left out. Throws H5Z_PARAMETER for anything else than a valid choice.
 */
export function toClientValues(description: FilterDescription, options: object = {}): Uint32Array {
  const values = resolveOptions(description, options);
  const words: number[] = [];
  let needed = description.clientWords ?? 0;
  for (const parameter of description.parameters) {
    const value = values.get(parameter.name);
    if (value === undefined) continue;
    writeWords(words, parameter.client, wireValue(parameter, value), description, parameter);
    const given = (options as Record<string, unknown>)[parameter.name] !== undefined;
    if (given || !parameter.omittable) needed = Math.max(needed, parameter.client.word + wordCount(parameter.client));
  }
  return Uint32Array.from({ length: needed }, (_, i) => words[i] ?? 0);
}

/** Every active option with its value: what the caller gave, and the defaults of the rest. */
export function completeOptions(description: FilterDescription, options: object = {}): Record<string, Value> {
  return Object.fromEntries(resolveOptions(description, options));
}

/**
 * The words that `description` gives to cd_values kept in a file. Never throws on their content: words that are missing
 * take the parameter's default or are left out, enum numbers without a name stay numbers. `client`, for a filter that
 * packs its parameters, is what its `restore` makes of the stored values.
 */
export function fromStoredValues(
  description: FilterDescription,
  stored: CdValues,
  client?: CdValues,
): Record<string, Value> {
  const words = Uint32Array.from(stored);
  const restored = client === undefined ? words : Uint32Array.from(client);
  const byName = new Map(description.parameters.map((parameter) => [parameter.name, parameter]));
  const read = new Map<string, Value | undefined>();
  const value = (name: string): Value | undefined => {
    const parameter = byName.get(name);
    if (parameter === undefined) return undefined;
    if (!read.has(name)) {
      read.set(name, undefined); // also what a circular `when` sees
      if (isActive(parameter, value)) {
        const found = parameter.stored
          ? readValue(words, parameter.stored, parameter)
          : readValue(restored, parameter.client, parameter);
        read.set(name, found ?? parameter.default);
      }
    }
    return read.get(name);
  };
  const result: Record<string, Value> = {};
  for (const derived of description.derived ?? []) {
    const found = readValue(words, derived.stored, derived);
    if (found !== undefined) result[derived.name] = found;
  }
  for (const { name } of description.parameters) {
    const found = value(name);
    if (found !== undefined) result[name] = found;
  }
  return result;
}

/** Any caller's cd_values as words: negative int32 become their bit patterns; anything that is no 32-bit word is refused. */
export function toWords(values: CdValues | undefined): Uint32Array {
  if (values instanceof Uint32Array) return checkCount(values);
  const words = new Uint32Array(checkCount(values ?? []).length);
  for (const [i, value] of (values ?? []).entries()) {
    if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
      throw new H5zError('H5Z_PARAMETER', `cd_values[${i}] is ${String(value)}, which is no 32-bit word`, {
        remedy: 'pass integers from 0 to 4294967295',
        details: { index: i, value },
      });
    }
    words[i] = value;
  }
  return words;
}

function checkCount<T extends { readonly length: number }>(values: T): T {
  if (values.length > MAX_CD_VALUES) {
    throw new H5zError('H5Z_PARAMETER', `there are ${values.length} cd_values`, {
      remedy: `pass at most ${MAX_CD_VALUES}`,
      details: { count: values.length },
    });
  }
  return values;
}

function resolveOptions(description: FilterDescription, options: object): Map<string, Value> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new H5zError('H5Z_PARAMETER', `${description.name}: options are ${describeValue(options)}`, {
      remedy: `pass an object with ${listNames(description)}`,
    });
  }
  const given = options as Record<string, unknown>;
  const byName = new Map(description.parameters.map((parameter) => [parameter.name, parameter]));
  for (const name of Object.keys(given)) {
    if (given[name] !== undefined && !byName.has(name)) {
      throw new H5zError('H5Z_PARAMETER', `${description.name} has no option "${name}"`, {
        remedy: `its options are ${listNames(description)}`,
        details: { option: name },
      });
    }
  }
  const resolved = new Map<string, Value | undefined>();
  const resolve = (name: string): Value | undefined => {
    const parameter = byName.get(name);
    if (parameter === undefined) return undefined;
    if (!resolved.has(name)) {
      resolved.set(name, undefined);
      resolved.set(name, resolveOne(description, parameter, given[name], isActive(parameter, resolve)));
    }
    return resolved.get(name);
  };
  const values = new Map<string, Value>();
  for (const { name } of description.parameters) {
    const value = resolve(name);
    if (value !== undefined) values.set(name, value);
  }
  return values;
}

function resolveOne(
  filter: FilterDescription,
  parameter: Parameter,
  given: unknown,
  active: boolean,
): Value | undefined {
  if (!active) {
    if (given === undefined) return undefined;
    const condition = Object.entries(parameter.when ?? {})
      .map(([name, wanted]) => `${name} is ${[wanted].flat().map(describeValue).join(' or ')}`)
      .join(' and ');
    throw new H5zError('H5Z_PARAMETER', `${filter.name}: "${parameter.name}" applies only when ${condition}`, {
      remedy: 'leave it out, or choose that',
      details: { option: parameter.name, value: given },
    });
  }
  const value = given ?? parameter.default;
  if (given === null || value === undefined || !isValid(parameter, value)) {
    const problem = given === undefined ? 'is required' : `is ${describeValue(given)}`;
    throw new H5zError('H5Z_PARAMETER', `${filter.name}: "${parameter.name}" ${problem}`, {
      remedy: `use ${describeRange(parameter)}`,
      details: { option: parameter.name, value: given },
    });
  }
  return value as Value;
}

function isActive(parameter: Parameter, lookUp: (name: string) => Value | undefined): boolean {
  return Object.entries(parameter.when ?? {}).every(([name, wanted]) => {
    const value = lookUp(name);
    return value !== undefined && [wanted].flat().includes(value);
  });
}

function isValid(parameter: Parameter, value: unknown): boolean {
  switch (parameter.type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'enum':
      return typeof value === 'string' && Object.hasOwn(parameter.values ?? {}, value);
    default:
      return (
        typeof value === 'number' &&
        (parameter.type === 'integer' ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
        value >= (parameter.minimum ?? Number.NEGATIVE_INFINITY) &&
        value <= (parameter.maximum ?? Number.POSITIVE_INFINITY) &&
        value > (parameter.exclusiveMinimum ?? Number.NEGATIVE_INFINITY) &&
        value < (parameter.exclusiveMaximum ?? Number.POSITIVE_INFINITY) &&
        (parameter.multipleOf === undefined || value % parameter.multipleOf === 0)
      );
  }
}

/** What a parameter takes, in words: for messages, docs and generated types. */
export function describeRange(parameter: Parameter): string {
  if (parameter.type === 'boolean') return 'true or false';
  if (parameter.type === 'enum')
    return Object.keys(parameter.values ?? {})
      .map(describeValue)
      .join(', ');
  const low = parameter.minimum ?? parameter.exclusiveMinimum;
  const high = parameter.maximum ?? parameter.exclusiveMaximum;
  const lowWord = parameter.minimum === undefined ? 'above ' : '';
  const highWord = parameter.maximum === undefined ? 'below ' : '';
  let range = parameter.type === 'integer' ? 'an integer' : 'a number';
  if (low !== undefined && high !== undefined) range += ` from ${lowWord}${low} to ${highWord}${high}`;
  else if (low !== undefined) range += lowWord ? ` above ${low}` : ` of at least ${low}`;
  else if (high !== undefined) range += highWord ? ` below ${high}` : ` of at most ${high}`;
  if (parameter.multipleOf !== undefined && parameter.multipleOf !== 1)
    range += `, a multiple of ${parameter.multipleOf}`;
  return range;
}

function describeValue(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : Array.isArray(value) ? 'an array' : String(value);
}

function listNames(description: FilterDescription): string {
  const names = description.parameters.map((parameter) => parameter.name);
  return names.length === 0 ? 'none' : names.join(', ');
}

function wireValue(parameter: Parameter, value: Value): number {
  if (parameter.type === 'enum') return parameter.values?.[String(value)] ?? 0;
  return Number(value);
}

function wordCount(place: Place): number {
  return place.as === 'float64-le' || place.as === 'float64-be' ? 2 : 1;
}

const float = new DataView(new ArrayBuffer(8));

function writeWords(
  words: number[],
  place: Place,
  value: number,
  filter: FilterDescription,
  parameter: Parameter,
): void {
  const { word } = place;
  const fits = (low: number, high: number) => {
    if (Number.isInteger(value) && value >= low && value <= high) return;
    throw new H5zError(
      'H5Z_PARAMETER',
      `${filter.name}: "${parameter.name}" = ${value} does not fit its place in cd_values`,
      {
        remedy: `use a value from ${low} to ${high}`,
        details: { option: parameter.name, value },
      },
    );
  };
  switch (place.as ?? 'uint32') {
    case 'uint32':
      fits(0, 0xffffffff);
      words[word] = value;
      break;
    case 'int32':
      fits(-0x80000000, 0x7fffffff);
      words[word] = value >>> 0;
      break;
    case 'bool':
      words[word] = value ? 1 : 0;
      break;
    case 'bits': {
      const width = place.width ?? 32;
      fits(0, 2 ** width - 1);
      words[word] = ((words[word] ?? 0) | (value << (place.shift ?? 0))) >>> 0;
      break;
    }
    case 'fixed':
    case 'log2': {
      const { width = 32, shift = 0, fraction = 0, as } = place;
      const scaled = as === 'fixed' ? Math.round(value * 2 ** fraction) : log2Down(value, fraction);
      const sign = as === 'log2' ? 2 ** (width - 1) : 0;
      const [least, most] = sign > 0 ? [1 - sign, sign - 1] : [0, 2 ** width - 1];
      if (!Number.isInteger(scaled) || scaled < least || scaled > most) {
        const number = (whole: number) => (sign > 0 ? exp2Of(whole, fraction) : whole / 2 ** fraction);
        throw new H5zError(
          'H5Z_PARAMETER',
          `${filter.name}: "${parameter.name}" = ${value} does not fit its place in cd_values`,
          {
            remedy: `use a value from ${number(least)} to ${number(most)}`,
            details: { option: parameter.name, value },
          },
        );
      }
      words[word] = ((words[word] ?? 0) | ((Math.abs(scaled) + (scaled < 0 ? sign : 0)) * 2 ** shift)) >>> 0;
      break;
    }
    case 'float64-le':
      float.setFloat64(0, value, true);
      words[word] = float.getUint32(0, true);
      words[word + 1] = float.getUint32(4, true);
      break;
    case 'float64-be':
      float.setFloat64(0, value);
      words[word] = float.getUint32(0);
      words[word + 1] = float.getUint32(4);
      break;
  }
}

/** 2^(1/2), 2^(1/4), ...: each the root of the one before. */
const ROOTS: readonly number[] = Array.from({ length: 31 }).reduce<number[]>(
  (roots) => [...roots, Math.sqrt(roots.at(-1) ?? 2)],
  [],
);

/** 2^(scaled / 2^fraction), by products: Math.log2 and Math.pow differ between engines, and from C (params.c has the same). */
function exp2Of(scaled: number, fraction: number): number {
  const steps = 2 ** fraction;
  const whole = Math.floor(scaled / steps);
  let rest = scaled - whole * steps;
  let value = 1;
  for (let bit = 1; bit <= fraction; bit++) {
    const part = 2 ** (fraction - bit);
    if (rest < part) continue;
    rest -= part;
    value *= ROOTS[bit - 1] as number;
  }
  return value * 2 ** whole;
}

/** The largest whole number that exp2Of makes nothing larger than `value` of; NaN where there is none. */
function log2Down(value: number, fraction: number): number {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) return Number.NaN;
  const tiny = value < 2 ** -1022;
  float.setFloat64(0, tiny ? value * 2 ** 54 : value);
  const high = float.getUint32(0);
  let scaled = (high >>> 20) - 1023 - (tiny ? 54 : 0);
  float.setUint32(0, ((high & 0xfffff) | (1023 << 20)) >>> 0);
  const mantissa = float.getFloat64(0);
  let reached = 1;
  for (const root of ROOTS.slice(0, fraction)) {
    scaled *= 2;
    if (reached * root > mantissa) continue;
    reached *= root;
    scaled++;
  }
  return scaled;
}

function readValue(words: Uint32Array, place: Place, shape: Parameter | Derived): Value | undefined {
  const raw = readWords(words, place);
  if (raw === undefined) return undefined;
  if (shape.type === 'boolean') return raw !== 0;
  if (shape.type !== 'enum') return raw;
  return Object.entries(shape.values ?? {}).find(([, number]) => number === raw)?.[0] ?? raw;
}

function readWords(words: Uint32Array, place: Place): number | undefined {
  const first = words[place.word];
  if (first === undefined) return undefined;
  switch (place.as ?? 'uint32') {
    case 'int32':
      return first | 0;
    case 'bool':
      return first === 0 ? 0 : 1;
    case 'bits':
      return bitsOf(first, place);
    case 'fixed':
      return bitsOf(first, place) / 2 ** (place.fraction ?? 0);
    case 'log2': {
      const sign = 2 ** ((place.width ?? 32) - 1);
      const bits = bitsOf(first, place);
      return exp2Of(bits < sign ? bits : sign - bits, place.fraction ?? 0);
    }
    case 'float64-le':
    case 'float64-be': {
      const second = words[place.word + 1];
      if (second === undefined) return undefined;
      const little = place.as === 'float64-le';
      float.setUint32(0, little ? second : first);
      float.setUint32(4, little ? first : second);
      return float.getFloat64(0);
    }
    default:
      return first;
  }
}

function bitsOf(word: number, { shift = 0, width = 32 }: Place): number {
  return Number((BigInt(word) >> BigInt(shift)) & ((1n << BigInt(width)) - 1n));
}
