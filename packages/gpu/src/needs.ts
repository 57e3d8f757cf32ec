// What the kernels of a filter need to be launched with, and of what cd_values they take no chunk: "gpu" in its filter.json.

import type { CdValues, FilterDescription } from '@h5z/core';

export interface KernelNeeds {
  /** Lanes of a group on CUDA. */
  readonly lanes: number;
  /** The kernels of a direction ask for scratch as large as what they write. */
  readonly scratch: { readonly decode: boolean; readonly encode: boolean };
  /** Why no kernel takes any chunk; undefined when they may. */
  readonly refusal: string | undefined;
  /** How many bytes encoding adds to any chunk; undefined where that depends on what they are. */
  readonly adds: number | undefined;
}

type Gpu = NonNullable<FilterDescription['gpu']>;
type Rule = NonNullable<NonNullable<Gpu['size']>['rule']>;
type Described = Pick<FilterDescription, 'parameters' | 'derived' | 'gpu'>;

const LANES = 128;

/** What the kernels of a filter need for *stored* cd_values. */
export function kernelNeeds(description: Described, cdValues: CdValues): KernelNeeds {
  const { lanes = LANES, scratch = {}, refuses = [], size } = description.gpu ?? {};
  const holds = (rule: Rule): boolean => ruleHolds(rule, description, cdValues);
  const wants = (rules: boolean | Rule[] = false): boolean => (Array.isArray(rules) ? rules.some(holds) : rules);
  return {
    lanes,
    scratch: { decode: wants(scratch.decode), encode: wants(scratch.encode) },
    refusal: refuses.find(holds)?.reason,
    adds: size !== undefined && holds(size.rule ?? {}) ? size.adds : undefined,
  };
}

function ruleHolds({ when = {}, product, above = 0 }: Rule, description: Described, cdValues: CdValues): boolean {
  const named = (name: string) =>
    description.parameters.find((one) => one.name === name) ?? description.derived?.find((one) => one.name === name);
  const stored = (name: string): number => {
    const place = description.parameters.find((one) => one.name === name);
    const { word } = place?.stored ?? place?.client ?? named(name)?.stored ?? { word: -1 };
    return cdValues[word] ?? 0;
  };
  const number = (name: string, value: unknown): number =>
    typeof value === 'string' ? (named(name)?.values?.[value] ?? -1) : Number(value);
  return (
    Object.entries(when).every(([name, wanted]) =>
      [wanted].flat().some((value) => number(name, value) === stored(name)),
    ) &&
    (product === undefined || product.reduce((all, name) => all * stored(name), 1) > above)
  );
}
