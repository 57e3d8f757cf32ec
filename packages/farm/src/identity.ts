// The header that the build includes into every C file of a filter: who it is, and its parameters as the constant table that
// packages/abi/src/params.c reads strings by. All of filter.json that C code knows comes through here.

import type { FilterDescription, Parameter, Place } from '../../core/src/generated/schema.ts';
import type { Filter } from './filters.ts';
import { FarmError } from './log.ts';
import type { Upstream } from './sources.ts';

/** The header's text. Strings are C strings: JSON's escapes are C's, for printable text. */
export function identity(filter: Pick<Filter, 'description' | 'version'>, upstreams: readonly Upstream[] = []): string {
  const { id, name, title, lossy, onlyOptional } = filter.description;
  const codecs = upstreams.map((upstream) => `${upstream.name} ${upstream.version}`).join(', ');
  const flags = [
    'H5Z_CAN_ENCODE',
    'H5Z_CAN_DECODE',
    ...(lossy ? ['H5Z_LOSSY'] : []),
    ...(onlyOptional === true ? ['H5Z_ONLY_OPTIONAL'] : []),
  ];
  const values = {
    ID: String(id),
    NAME: JSON.stringify(name),
    TITLE: JSON.stringify(title),
    VERSION: JSON.stringify(codecs === '' ? filter.version : `${filter.version} (${codecs})`),
    FLAGS: `(${flags.join(' | ')})`,
    ...parameterTable(filter.description),
    ...zarrTable(filter.description),
  };
  const lines = Object.entries(values).map(([key, value]) => `#define H5Z_FILTER_${key} ${value}`.trimEnd());
  return ['/* Written by ./farm from filter.json and package.json. */', ...lines, ''].join('\n');
}

/** Rows of params.c's three arrays, each with a comma behind. */
function parameterTable({ name: filter, parameters, clientWords }: FilterDescription): Record<string, string> {
  const words: string[] = [];
  const conditions: string[] = [];
  const rows: string[] = [];
  for (const parameter of parameters) {
    const own = Object.entries(parameter.values ?? {});
    const when = Object.entries(parameter.when ?? {}).flatMap(([name, wanted]) => {
      const index = parameters.findIndex((other) => other.name === name);
      const other = parameters[index];
      if (other === undefined)
        throw new FarmError(`${filter}: "when" of ${parameter.name} names ${name}, which is no parameter.`);
      return [wanted].flat().map((value) => `{${index}, ${constantOf(filter, other, value)}}, `);
    });
    rows.push(row(filter, parameter, words.length, own.length, conditions.length, when.length));
    words.push(...own.map(([word, number]) => `{${enumWord(filter, word)}, ${number}u}, `));
    conditions.push(...when);
  }
  return {
    PARAMETERS: rows.join(''),
    PARAMETER_WORDS: words.join(''),
    PARAMETER_CONDITIONS: conditions.join(''),
    CLIENT_WORDS: String(clientWords ?? 0),
  };
}

/** Numcodecs' name of the codec and the members of its JSON, for nczarr.h; nothing where Zarr has no such codec. */
function zarrTable({ name: filter, zarr, parameters }: FilterDescription): Record<string, string> {
  if (zarr === undefined) return {};
  const words: string[] = [];
  const members = (zarr.members ?? []).map(({ name, parameter: said, as, value, word }) => {
    if (said === undefined)
      return `{${JSON.stringify(name)}, 0, ZARR_${fixedOrStored(filter, name, value, word)}, 0, 0}, `;
    const parameter = parameters.find((candidate) => candidate.name === said);
    if (parameter === undefined)
      throw new FarmError(`${filter}: "zarr" says that ${name} is ${said}, which is no parameter. Correct it.`);
    const own = as === 'number' ? Object.entries(parameter.values ?? {}) : [];
    const kind = parameter.type !== 'enum' ? 'NUMBER' : as === 'number' ? 'CHOICE' : 'TEXT';
    const first = words.length;
    words.push(...own.map(([text, number]) => `{${enumWord(filter, text)}, ${number}}, `));
    return `{${[name, said].map((text) => JSON.stringify(text)).join(', ')}, ZARR_${kind}, 0, ${first}, ${own.length}}, `;
  });
  return { ZARR_ID: JSON.stringify(zarr.id), ZARR_MEMBERS: members.join(''), ZARR_WORDS: words.join('') };
}

function fixedOrStored(filter: string, name: string, value: number | undefined, word: number | undefined): string {
  if ((value === undefined) === (word === undefined))
    throw new FarmError(`${filter}: "zarr" member ${name} needs one of parameter, value, word. Correct filter.json.`);
  return value === undefined ? `STORED, ${word}` : `FIXED, ${value}`;
}

function row(
  filter: string,
  parameter: Parameter,
  firstWord: number,
  words: number,
  firstCondition: number,
  conditions: number,
): string {
  const { name, type, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf, omittable } = parameter;
  const numbers = { minimum, maximum, above: exclusiveMinimum, below: exclusiveMaximum };
  const given = Object.entries(numbers).filter((entry): entry is [string, number] => entry[1] !== undefined);
  const has = given.map(([key]) => key.toUpperCase());
  const fields = [`.name = ${JSON.stringify(name)}`, `.type = ${type.toUpperCase()}`];
  fields.push(`.client = ${placeOf(parameter.client)}`);
  if (parameter.stored !== undefined) fields.push(`.stored = ${placeOf(parameter.stored)}`);
  if (words > 0) fields.push(`.first_word = ${firstWord}, .words = ${words}`);
  if (conditions > 0) fields.push(`.first_condition = ${firstCondition}, .conditions = ${conditions}`);
  fields.push(...given.map(([key, value]) => `.${key} = ${double(value)}`));
  if (multipleOf !== undefined) fields.push(`.multiple = ${double(multipleOf)}`);
  if (parameter.default !== undefined) {
    has.push('DEFAULT');
    fields.push(`.value = ${constantOf(filter, parameter, parameter.default)}`);
  }
  if (omittable) has.push('OMITTABLE');
  if (has.length > 0) fields.push(`.has = ${has.join(' | ')}`);
  return `{${fields.join(', ')}}, `;
}

function placeOf({ word, as = 'uint32', shift = 0, width = 32, fraction = 0 }: Place): string {
  return `{${word}, ${as.toUpperCase().replace('-', '_')}, ${shift}, ${width}, ${fraction}}`;
}

/** A value as params.c keeps it: a boolean is 0 or 1, an enum the index of its word. */
function constantOf(filter: string, { name, type, values }: Parameter, value: unknown): string {
  const words = Object.keys(values ?? {});
  const good =
    type === 'enum' ? words.includes(value as string) : typeof value === (type === 'boolean' ? type : 'number');
  if (!good)
    throw new FarmError(`${filter}: ${JSON.stringify(value)} is no value of ${name}. Correct it in filter.json.`);
  return double(type === 'enum' ? words.indexOf(value as string) : Number(value));
}

function enumWord(filter: string, word: string): string {
  const literal = JSON.stringify(word);
  if (literal !== `"${word}"` || word.includes('\u007f'))
    throw new FarmError(`${filter}: the word ${literal} holds a character that needs an escape. Choose another word.`);
  return literal;
}

/** A C double: JavaScript's shortest digits, never a C integer, which could be too large for one. */
function double(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
