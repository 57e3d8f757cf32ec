// What the suite feeds a filter: combinations of its parameters, sizes around what matters, element types, data.
// Everything is made from filter.json and a fixed pseudo-random sequence, so that every run is the same.

import {
  type Codec,
  completeOptions,
  type DatasetDescription,
  type FilterDescription,
  isH5zError,
  type Parameter,
  toClientValues,
} from '../../packages/core/dist/index.js';

export interface Mode {
  readonly label: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly client: Uint32Array;
  /** Elements or bytes of a block that this mode names; sizes around it are tried. */
  readonly blocks: readonly number[];
}

/** Every combination of enums and switches, and from each the numbers varied one at a time. */
export function modesOf(description: FilterDescription): Mode[] {
  const choices = description.parameters.filter(({ type }) => type === 'enum' || type === 'boolean');
  const numbers = description.parameters.filter(({ type }) => type === 'integer' || type === 'number');
  const corners = choices.reduce<Record<string, unknown>[]>(
    (list, parameter) =>
      list.flatMap((options) => samples(parameter).map((value) => ({ ...options, [parameter.name]: value }))),
    [{}],
  );
  const found = new Map<string, Mode>();
  const add = (options: Record<string, unknown>) => {
    const mode = modeOf(description, options);
    if (mode) found.set(mode.label, mode);
  };
  add({});
  for (const corner of corners) {
    const required = numbers.filter((parameter) => isRequired(parameter) && applies(parameter, corner));
    const base = { ...corner, ...Object.fromEntries(required.map((p) => [p.name, samples(p)[0]])) };
    add(base);
    for (const parameter of numbers) for (const value of samples(parameter)) add({ ...base, [parameter.name]: value });
  }
  return [...found.values()];
}

/** Undefined for a combination that the description itself refuses, such as a level for a codec that has none. */
function modeOf(description: FilterDescription, options: Record<string, unknown>): Mode | undefined {
  try {
    const client = toClientValues(description, options);
    const complete = completeOptions(description, options);
    const blocks = description.parameters
      .filter(({ unit }) => unit === 'elements' || unit === 'bytes')
      .map(({ name }) => complete[name])
      .filter((value): value is number => typeof value === 'number' && value > 1 && value <= 65536);
    return { label: JSON.stringify(options), options, client, blocks };
  } catch {
    return undefined;
  }
}

/** Whether the choices made so far are those that a parameter is for. */
function applies({ when = {} }: Parameter, chosen: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(when).every(
    ([name, wanted]) => !(name in chosen) || [wanted].flat().includes(chosen[name] as never),
  );
}

function isRequired(parameter: Parameter): boolean {
  return parameter.default === undefined;
}

function samples(parameter: Parameter): unknown[] {
  if (parameter.type === 'boolean') return [false, true];
  if (parameter.type === 'enum') return Object.keys(parameter.values ?? {});
  const { minimum = 1, maximum = minimum + 1, multipleOf = 1 } = parameter;
  const inside = [1, 64, 1000]
    .map((value) => Math.ceil(value / multipleOf) * multipleOf)
    .filter((value) => value >= minimum && value <= maximum);
  const sized = parameter.unit === 'elements' || parameter.unit === 'bytes';
  return [
    ...new Set([parameter.default ?? inside[0] ?? minimum, minimum, maximum, ...(sized ? inside : inside.slice(0, 1))]),
  ];
}

/** Chunks to try, in elements: the small ones, the edges of blocks, an odd one. */
export function sizesOf(mode: Mode): number[] {
  const edges = [1024, ...mode.blocks].flatMap((block) => [block - 1, block, block + 1]);
  return [...new Set([1, 7, 8, 9, ...edges, 1237])].filter((size) => size > 0);
}

function smooth(bytes: Uint8Array, { typeClass, typeSize, bigEndian = false }: Element['describe']): Uint8Array {
  const view = new DataView(bytes.buffer);
  const next = randomNumbers(bytes.length);
  const float = typeClass === 'float';
  for (let i = 0; (i + 1) * typeSize <= bytes.length; i++) {
    const x = (i % 97) / 97;
    const value = 60 * x * (1 - x) * (1 + (i % 13) / 40) + (next() % 1000) / 4000;
    const at = i * typeSize;
    if (float && typeSize === 4) view.setFloat32(at, value, !bigEndian);
    else if (float) view.setFloat64(at, value, !bigEndian);
    else bytes[at + (bigEndian ? typeSize - 1 : 0)] = Math.round(value * 2);
  }
  return bytes;
}

/** The numbers of a chunk; undefined for elements that are none. */
export function numbersOf(bytes: Uint8Array, { describe, size }: Element): number[] | undefined {
  const { typeClass, signed = false, bigEndian = false } = describe;
  const kind = { float: 'Float', integer: signed ? 'Int' : 'Uint' }[typeClass as string];
  if (kind === undefined || ![1, 2, 4, 8].includes(size)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const name = `get${kind === 'Float' || size < 8 ? kind : `Big${kind}`}${size * 8}` as 'getFloat64';
  return Array.from({ length: bytes.length / size }, (_, i) => Number(view[name](i * size, !bigEndian)));
}

export interface Element {
  readonly label: string;
  readonly size: number;
  readonly describe: Pick<DatasetDescription, 'typeClass' | 'typeSize'> & Partial<DatasetDescription>;
}

const element = (
  typeClass: DatasetDescription['typeClass'],
  size: number,
  extra: Partial<DatasetDescription> = {},
): Element => ({
  label: `${typeClass}${size * 8}${extra.bigEndian ? 'be' : ''}`,
  size,
  describe: { typeClass, typeSize: size, ...extra },
});

/** Sizes 1 to 16 and an odd one beyond, the classes that HDF5 has for them. */
export const ELEMENTS: readonly Element[] = [
  element('integer', 1),
  element('integer', 2, { signed: true }),
  element('opaque', 3),
  element('float', 4),
  element('integer', 4, { bigEndian: true }),
  element('string', 5),
  element('compound', 6),
  element('opaque', 7),
  element('float', 8),
  element('array', 9, { baseClass: 'integer', baseSize: 1 }),
  ...[10, 11].map((size) => element('opaque', size)),
  element('compound', 12),
  ...[13, 14, 15].map((size) => element('opaque', size)),
  element('compound', 16),
  element('opaque', 33),
];

/** A dataset of four chunks of this shape, in elements. */
export function dataset({ describe }: Element, chunk: readonly number[]): DatasetDescription {
  return { ...describe, chunk, shape: chunk.map((n, i) => (i === 0 ? n * 4 : n)) };
}

/** Chunks of more than one dimension, for filters whose stored cd_values depend on the shape or that refuse one dimension. */
export const SHAPES: readonly (readonly number[])[] = [
  [24, 31],
  [1, 1237],
  [9, 17, 11],
  [40, 21, 3],
  [3, 1, 65, 9],
  [5, 6, 7, 8],
  [2, 3, 4, 5, 6],
];

/** A repeatable sequence of numbers from 0 to 2^32 - 1 (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

export const PATTERNS = ['zeros', 'counts', 'noise', 'smooth'] as const;
export type Pattern = (typeof PATTERNS)[number];

/**
 * Bytes of a chunk: all zero, small changing numbers (compressible), noise (not), or a smooth finite curve with a little
 * roughness, in the element's own type, for numbers that lossy filters take.
 */
export function chunkOf(pattern: Pattern, elements: number, { size, describe }: Element): Uint8Array {
  const bytes = new Uint8Array(elements * size);
  if (pattern === 'zeros') return bytes;
  if (pattern === 'smooth') return smooth(bytes, describe);
  const next = randomNumbers(elements * 31 + size);
  for (let i = 0; i < bytes.length; i++) {
    if (pattern === 'noise') bytes[i] = next();
    else if (i % size === 0) bytes[i] = (i / size / 16 + (next() % 3)) & 0xff;
  }
  return bytes;
}

/** A chunk that the filter takes with its default parameters: the first of all element types and shapes that it does not refuse. */
export function sampleOf(
  codec: Codec,
  description: FilterDescription,
): { data: Uint8Array; cdValues: Uint32Array; chunk: Uint8Array; element: Element; shape: readonly number[] } {
  const client = modesOf(description)[0]?.client ?? new Uint32Array(0);
  for (const element of ELEMENTS) {
    for (const shape of [[1237], ...SHAPES]) {
      for (const pattern of ['counts', 'smooth'] as const) {
        const elements = shape.reduce((n, dim) => n * dim, 1);
        const data = chunkOf(pattern, elements, element);
        try {
          const cdValues = codec.derive(client, dataset(element, shape));
          return { data, cdValues, chunk: codec.encode(data, { cdValues }), element, shape };
        } catch (error) {
          if (!isH5zError(error)) throw error;
        }
      }
    }
  }
  throw new Error(`${description.name} takes none of the suite's chunks`);
}
