// Which options of a filter are worth measuring, from its filter.json alone: its defaults, each of its other choices in
// turn, a low and a high step of its scales, and for bounds of the error what the data's range makes of the one asked.
//
//   enum, boolean      every value, one parameter at a time
//   scale              an integer with a default inside its limits: a level, a quality, digits kept
//   number that bounds the error asked in the parameter's own terms: absolute, of the range, of the value, decibels

import { completeOptions, type FilterDescription, type FilterPackage, isH5zError, type Parameter } from '@h5z/core';
import type { Candidate } from './measure.js';
import { wordsOf } from './repack.js';

/** What lossy filters are asked for: the largest absolute error, and what it is measured against. */
export interface ErrorBound {
  readonly absolute: number;
  /** Largest value minus smallest; 0 for data that are no numbers. */
  readonly range: number;
  /** Bytes of an element. */
  readonly itemSize: number;
}

type Options = Record<string, number | string | boolean>;

/** The candidates of one filter, its defaults first. Each differs in the options that it names. */
export function candidatesOf(filter: FilterPackage, bound: ErrorBound): Candidate[] {
  const { description } = filter;
  const found = new Map<string, Candidate>();
  const add = (choice: Options) => {
    const options = completed(description, choice, bound);
    if (options === undefined) return undefined;
    const words = wordsOf(filter.canonicalName, options);
    if (!found.has(words)) found.set(words, { words, stages: [filter(options)], filter: filter.canonicalName });
    return options;
  };
  const corners: Options[] = [{}];
  for (const parameter of description.parameters) {
    for (const value of choicesOf(parameter)) corners.push({ ...prerequisites(parameter), [parameter.name]: value });
  }
  for (const corner of corners) {
    const options = add(corner);
    if (options === undefined) continue;
    const active = completeOptions(description, options);
    const scales = description.parameters.filter((parameter) => parameter.name in active && isScale(parameter));
    if (scales.length > MOST_SCALES) continue; // limits that belong together, not a scale
    for (const scale of scales) {
      // Elsewhere than from the defaults only where this choice is what makes the scale apply.
      const own = Object.keys(corner).length === 0 || Object.keys(scale.when ?? {}).some((name) => name in corner);
      if (own) for (const value of stepsOf(scale)) add({ ...options, [scale.name]: value });
    }
    for (const parameter of description.parameters) {
      const value = parameter.default === undefined ? undefined : boundFor(parameter, bound);
      if (value !== undefined && parameter.name in active) add({ ...options, [parameter.name]: value });
    }
  }
  return [...found.values()];
}

const MOST_SCALES = 2;

/** What must be chosen for a parameter to apply. */
function prerequisites({ when = {} }: Parameter): Options {
  return Object.fromEntries(Object.entries(when).map(([name, wanted]) => [name, [wanted].flat()[0] as never]));
}

function choicesOf(parameter: Parameter): (string | boolean)[] {
  if (parameter.type === 'boolean') return [true, false].filter((value) => value !== parameter.default);
  if (parameter.type !== 'enum') return [];
  return Object.keys(parameter.values ?? {}).filter((value) => value !== parameter.default);
}

/** The choice with values for what it leaves open; undefined where no valid ones are known. */
function completed(description: FilterDescription, choice: Options, bound: ErrorBound): Options | undefined {
  const options = { ...choice };
  for (let round = 0; round <= description.parameters.length; round++) {
    try {
      completeOptions(description, options);
      return options;
    } catch (error) {
      const name = isH5zError(error) ? error.details?.option : undefined;
      const parameter = description.parameters.find((one) => one.name === name);
      if (parameter === undefined || parameter.name in options) return undefined;
      const value = boundFor(parameter, bound) ?? middleOf(parameter, bound);
      if (value === undefined) return undefined;
      options[parameter.name] = value;
    }
  }
  return undefined;
}

/** The error asked for in a parameter's own terms; undefined where it does not bound the error, or cannot take that. */
function boundFor(parameter: Parameter, { absolute, range }: ErrorBound): number | undefined {
  const { bounds, type, unit, minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = parameter;
  const share = range > 0 ? threeDigits(absolute / range) : 0;
  const decibels = share > 0 ? Math.ceil(-20 * Math.log10(share)) : undefined;
  let value: number | undefined;
  if (bounds === 'absolute') value = absolute;
  else if (bounds === 'range') value = share;
  else if (bounds === 'pointwise') value = share;
  else if (bounds === 'psnr' || unit === 'decibel') value = decibels;
  else if (type === 'number' && unit === undefined && parameter.default === undefined) value = absolute;
  else if (type === 'integer' && unit === 'digits' && parameter.default === undefined && absolute > 0) {
    value = Math.max(minimum, Math.ceil(-Math.log10(2 * absolute)));
  }
  if (value === undefined || !(value > 0 || type === 'integer')) return undefined;
  if (type === 'integer') value = Math.floor(value);
  return value >= minimum && value <= maximum && value !== parameter.default ? value : undefined;
}

/** Never above the value. */
function threeDigits(value: number): number {
  const rounded = Number(value.toPrecision(3));
  return rounded <= value ? rounded : Number((value * 0.995).toPrecision(3));
}

/** For what must be given and bounds no error, such as a rate in bits: half of what an element has. */
function middleOf({ type, minimum = 1, maximum = Number.POSITIVE_INFINITY }: Parameter, { itemSize }: ErrorBound) {
  if (type !== 'number' && type !== 'integer') return undefined;
  return Math.min(maximum, Math.max(minimum, 4 * itemSize));
}

/** A level and the like: not a size, and its default is no `automatic` at the lower end. */
function isScale(parameter: Parameter): boolean {
  const { type, unit, bounds, minimum, maximum, default: usual } = parameter;
  if (type !== 'integer' || bounds !== undefined || unit === 'elements' || unit === 'bytes' || unit === 'pixels') {
    return false;
  }
  return typeof usual === 'number' && minimum !== undefined && maximum !== undefined && usual > minimum;
}

/** An integer of a lossy filter whose size says how much of the values is kept, without being a bound of the error. */
export function isStepped(parameter: Parameter): boolean {
  const { type, unit, bounds, minimum, maximum, default: usual } = parameter;
  if (type !== 'integer' || bounds !== undefined || minimum === undefined || maximum === undefined) return false;
  if (unit === 'elements' || unit === 'bytes' || unit === 'pixels') return false;
  return usual === undefined ? parameter.when !== undefined : isScale(parameter);
}

/** A step near the lower end and one near the upper: the ends themselves are for records. */
function stepsOf({ minimum = 0, maximum = 0, default: usual, multipleOf = 1 }: Parameter): number[] {
  const middle = usual as number;
  const rounded = (value: number) => Math.round(value / multipleOf) * multipleOf;
  const low = minimum < 0 ? 1 : Math.max(1, rounded(minimum + 0.15 * (middle - minimum)));
  const high = rounded(middle + 0.85 * (maximum - middle));
  return [...new Set([low, high])].filter((value) => value !== middle && value >= minimum && value <= maximum);
}
