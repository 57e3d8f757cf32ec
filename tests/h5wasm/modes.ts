// Ways to use a filter, made from its filter.json: the defaults, every word of every enum, and numbers at their ends.

import type { FilterPackage } from '@h5z/core';

export interface Mode {
  readonly title: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Larger numbers are block sizes that only differ in being larger than any chunk. */
const LARGEST = 100_000;

export function modesOf({ description }: FilterPackage): Mode[] {
  const modes = new Map<string, Mode>();
  const add = (given: Record<string, unknown>) => {
    const options = { ...given };
    for (const { name, default: usual, when, minimum, exclusiveMinimum } of description.parameters) {
      const applies = Object.entries(when ?? {}).every(([other, wanted]) =>
        [wanted].flat().includes(options[other] as never),
      );
      if (usual === undefined && applies) options[name] ??= minimum ?? (exclusiveMinimum ?? 0) + 1;
    }
    const title =
      Object.entries(options)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ') || 'defaults';
    modes.set(title, { title, options });
  };
  add({});
  for (const parameter of description.parameters) {
    const context = contextOf(parameter.when);
    if (parameter.type === 'enum')
      for (const word of Object.keys(parameter.values ?? {})) add({ [parameter.name]: word });
    else if (parameter.type === 'boolean')
      for (const value of [false, true]) add({ ...context, [parameter.name]: value });
    else {
      for (const value of [parameter.minimum, parameter.maximum, 1024]) {
        if (value === undefined || Math.abs(value) > LARGEST) continue;
        if (value < (parameter.minimum ?? value) || value > (parameter.maximum ?? value)) continue;
        add({ ...context, [parameter.name]: value });
      }
    }
  }
  return [...modes.values()];
}

/** The options that make a parameter's `when` true. */
function contextOf(when: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(when ?? {}).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}
