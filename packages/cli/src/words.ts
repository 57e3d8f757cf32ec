// Datatypes and pipelines in words.

import type { Datatype } from '@h5z/chunks';
import { type CdValues, type FilterPackage, parameterString } from '@h5z/core';
import { lookup, type Registry } from '@h5z/registry';

/** `int16 be`, `float32`, `compound of 3 (24 bytes)`. */
export function typeInWords(type: Datatype): string {
  switch (type.class) {
    case 'integer':
      return `${type.signed ? 'int' : 'uint'}${type.precision}${orderInWords(type)}`;
    case 'float':
      return `float${type.precision}${orderInWords(type)}`;
    case 'bitfield':
    case 'time':
      return `${type.class}${type.precision}${orderInWords(type)}`;
    case 'string':
      return type.variable ? 'string (variable)' : `string (${type.size})`;
    case 'opaque':
      return `opaque (${type.size})`;
    case 'compound':
      return `compound of ${type.members.length} (${type.size})`;
    case 'enum':
      return `enum of ${type.members.length} (${typeInWords(type.base)})`;
    case 'vlen':
      return `variable-length ${typeInWords(type.base)}`;
    case 'complex':
      return `complex ${typeInWords(type.base)}`;
    case 'array':
      return `array ${type.dims.join('x')} of ${typeInWords(type.base)}`;
    default:
      return type.class;
  }
}

function orderInWords({ order, size }: { order: string; size: number }): string {
  return order === 'le' || size === 1 ? '' : ` ${order}`;
}

/** A stage of a pipeline as a file keeps it. */
export interface Stage {
  readonly id: number;
  readonly cdValues: CdValues;
  readonly name?: string;
}

/** What libhdf5's own filters keep in their cd_values, as far as there is a word for it. */
const LIBRARY_WORDS: ReadonlyMap<number, readonly string[]> = new Map([
  [1, ['level']],
  [2, ['elementSize']],
  [3, []],
]);
const SCALE_TYPES = ['float', 'float-exponent', 'integer'];

/** `zstd(level=3)`: a stage with its parameters, as far as somebody here can read them. */
export async function stageInWords(stage: Stage, registry: Registry): Promise<string> {
  const words = await describe(stage, registry.get(stage.id));
  return `${nameOf(stage, registry)}${words.length > 0 ? `(${words.join(' ')})` : ''}`;
}

/** `level = 3`: the caller's choices of a stage as HDF5's parameter string; undefined where no package here can tell them. */
export async function stageParameters(stage: Stage, registry: Registry): Promise<string | undefined> {
  const filter = registry.get(stage.id);
  if (!filter) return undefined;
  try {
    const words = await filter.describe(stage.cdValues);
    const chosen = filter.description.parameters.filter(({ name }) => name in words);
    return parameterString(Object.fromEntries(chosen.map(({ name }) => [name, words[name]])));
  } catch {
    return undefined;
  }
}

/** Canonical name where there is one; else what the file calls it. */
export function nameOf(stage: { readonly id: number; readonly name?: string }, registry: Registry): string {
  const known = registry.lookup(stage.id) ?? lookup(stage.id);
  return known?.name ?? `${stage.id}${stage.name ? ` "${stage.name.slice(0, 40)}"` : ''}`;
}

async function describe(stage: Stage, filter: FilterPackage | undefined): Promise<string[]> {
  const cd = Array.from(stage.cdValues);
  if (filter) {
    try {
      return Object.entries(await filter.describe(cd)).map(([word, value]) => `${word}=${String(value)}`);
    } catch {
      return [`cd_values ${cd.join(',')}`]; // not what filter.json describes: show what is there
    }
  }
  const names = LIBRARY_WORDS.get(stage.id);
  if (names && cd.length <= names.length) return cd.map((value, i) => `${names[i]}=${value}`);
  if (stage.id === 6) return [`type=${SCALE_TYPES[cd[0] ?? -1] ?? cd[0]}`, `factor=${(cd[1] ?? 0) | 0}`];
  if (stage.id === 5) return [];
  if (cd.length === 0) return [];
  const shown = cd.slice(0, 8).join(',');
  return [`cd_values ${shown}${cd.length > 8 ? `,... ${cd.length} in all` : ''}`];
}
