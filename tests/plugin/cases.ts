// The matrix of plugin.test.ts, made from filter.json: every value of every choice, numbers at and around their limits,
// one at a time, for every value of the enums; then element types, shapes and pipelines with the filter's defaults.

import { toClientValues } from '@h5z/core';
import type { FilterDescription } from '../../packages/core/src/types.ts';

type Option = string | number | boolean;
type Options = Readonly<Record<string, Option>>;

export interface Case {
  readonly name: string;
  readonly client: readonly number[];
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  /** H5Z_FLAG_*: 0 mandatory, 1 optional. */
  readonly flags: number;
  readonly data: 'ramp' | 'zeros' | 'noise';
  readonly before: readonly string[];
  readonly after: readonly string[];
}

type Parameter = FilterDescription['parameters'][number];

/** Values worth trying, the default first. Extremes that ask for gigabytes of work memory are left to unit tests. */
function candidates(parameter: Parameter): Option[] {
  const p: Parameter & Record<string, unknown> = parameter;
  if (p.type === 'enum') return Object.keys(p.values as object);
  if (p.type === 'boolean') return [false, true];
  const step = typeof p.multipleOf === 'number' ? p.multipleOf : 1;
  const above = typeof p.exclusiveMinimum === 'number' ? p.exclusiveMinimum : Number.NEGATIVE_INFINITY;
  const low = typeof p.minimum === 'number' ? p.minimum : Math.max(0, Math.floor(above) + 1);
  const high = typeof p.maximum === 'number' ? p.maximum : Number.MAX_SAFE_INTEGER;
  const standard = typeof p.default === 'number' ? p.default : low;
  const near = [low, high].filter((limit) => Math.abs(limit) <= 100);
  const values = [standard, standard + 3 * step, -5 * step, 8 * step, 64 * step, ...near];
  return [...new Set(values.filter((value) => value >= low && value <= high))];
}

/** Whether a parameter is one of those that these choices have. */
const applies = (parameter: Parameter, chosen: Options) =>
  Object.entries(parameter.when ?? {}).every(([name, wanted]) => [wanted].flat().includes(chosen[name] as never));

/** Sets of options: the defaults, then one parameter changed at a time, for every combination of the enums. */
export function modes(description: FilterDescription): Options[] {
  const { parameters } = description;
  const enums = parameters.filter((parameter) => parameter.type === 'enum' || parameter.type === 'boolean');
  let bases: Options[] = [{}];
  for (const parameter of enums) {
    bases = bases.flatMap((base) => candidates(parameter).map((value) => ({ ...base, [parameter.name]: value })));
  }
  const all: Options[] = [{}];
  for (const choice of bases) {
    const numbers = parameters.filter((parameter) => !enums.includes(parameter) && applies(parameter, choice));
    const required = numbers.filter((parameter) => parameter.default === undefined);
    const base = { ...choice, ...Object.fromEntries(required.map((p) => [p.name, candidates(p)[0] as Option])) };
    all.push(base);
    for (const parameter of numbers) {
      for (const value of candidates(parameter)) all.push({ ...base, [parameter.name]: value });
    }
  }
  const seen = new Set<string>();
  return all.filter((options) => {
    const key = toClientValues(description, options).join();
    return !seen.has(key) && seen.add(key);
  });
}

export function cases(description: FilterDescription): Case[] {
  const client = [...toClientValues(description, {})];
  const usual = {
    client,
    dtype: '<i4',
    shape: [1000],
    chunk: [300],
    flags: 0,
    data: 'ramp',
    before: [],
    after: [],
  } as const;
  const list: Case[] = [];
  const add = (name: string, differs: Partial<Case>) => list.push({ ...usual, name, ...differs });

  for (const options of modes(description)) {
    const words = [...toClientValues(description, options)];
    add(`options ${JSON.stringify(options)}`, { client: words, shape: [40, 77], chunk: [13, 50] });
    add(`options ${JSON.stringify(options)} f8`, { client: words, dtype: '<f8', shape: [5000], chunk: [4097] });
    add(`options ${JSON.stringify(options)} f4`, {
      client: words,
      dtype: '<f4',
      shape: [40, 30, 35],
      chunk: [20, 15, 35],
    });
    add(`options ${JSON.stringify(options)} image`, { client: words, dtype: 'u1', shape: [80, 60], chunk: [40, 32] });
  }
  for (const dtype of [
    'i1',
    'u1',
    '<i2',
    '>i2',
    '<u4',
    '>i4',
    '<i8',
    '>u8',
    '<f2',
    '<f4',
    '>f4',
    '>f8',
    'S1',
    'S5',
    'S16',
    'V7',
    'compound',
    'array',
    'bigarray',
  ]) {
    add(`type ${dtype}`, { dtype });
    add(`type ${dtype} image`, { dtype, shape: [60, 50], chunk: [30, 50] });
  }
  for (const [n, chunk] of [
    [1, 1],
    [7, 7],
    [8, 8],
    [9, 9],
    [20, 20],
    [10, 3],
    [1, 1000],
    [100_003, 65_536],
    [300_000, 300_000],
  ] as const) {
    add(`${n} elements in chunks of ${chunk}`, { shape: [n], chunk: [chunk] });
    add(`${n} bytes in chunks of ${chunk}`, { dtype: 'u1', shape: [n], chunk: [chunk] });
  }
  for (const data of ['zeros', 'noise'] as const) add(data, { data, shape: [20_000], chunk: [7000] });
  add('optional', { flags: 1 });
  add('optional, noise', { flags: 1, data: 'noise', dtype: 'u1' });
  for (const dtype of ['<i4', '<f4', '<f8']) {
    add(`four dimensions ${dtype}`, { dtype, shape: [4, 5, 6, 7], chunk: [2, 3, 4, 5] });
    add(`five dimensions ${dtype}`, { dtype, shape: [2, 3, 4, 5, 6], chunk: [2, 2, 3, 4, 5] });
  }
  add('three colours', { dtype: 'u1', shape: [40, 30, 3], chunk: [20, 30, 3] });
  for (const flags of [0, 1]) {
    add(`shuffle before, flags ${flags}`, { flags, before: ['shuffle'], dtype: '<f8' });
    add(`fletcher32 after, flags ${flags}`, { flags, after: ['fletcher32'] });
    // A checksum of what a lossy filter will change fails whoever reads it.
    if (!description.lossy) add(`fletcher32 before, flags ${flags}`, { flags, before: ['fletcher32'] });
    add(`shuffle before, fletcher32 after, flags ${flags}`, {
      flags,
      before: ['shuffle'],
      after: ['fletcher32'],
      dtype: 'compound',
    });
  }
  return list.map((entry, i) => ({ ...entry, name: `${i} ${entry.name}`.replaceAll('/', ' ') }));
}

/** Fewer of them, for what varies the host: small ones, and every set of options once, in one shape or another. */
export function fewer(all: readonly Case[]): Case[] {
  const small = all.filter(({ shape }) => shape.reduce((size, length) => size * length, 1) <= 50_000);
  const options = small.filter(({ name }) => / options /.test(name));
  const sets = [...new Set(options.map(({ client }) => client.join()))];
  const chosen = sets.map((set, i) => {
    const shapes = options.filter(({ client }) => client.join() === set);
    return shapes[i % shapes.length] as Case;
  });
  return [...chosen, ...small.filter((entry) => !options.includes(entry))];
}
