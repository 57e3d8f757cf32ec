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

/**
 * Another setting of the same filter, by the parameters' names: `cdValues` with what the rule that `size` holds by asks for. The kernels
 * take its chunks, and how long they are is known. Undefined where there is none.
 */
export function plainSetting(description: Described, cdValues: CdValues): number[] | undefined {
  const plain = [...cdValues];
  for (const [name, wanted] of Object.entries(description.gpu?.size?.rule?.when ?? {})) {
    const place = wordOf(description, name);
    if (place < 0 || place >= plain.length) return undefined;
    plain[place] = numberOf(description, name, [wanted].flat()[0]);
  }
  const { refusal, adds } = kernelNeeds(description, plain);
  return refusal === undefined && adds === 0 ? plain : undefined;
}

const named = ({ parameters, derived }: Described, name: string) =>
  parameters.find((one) => one.name === name) ?? derived?.find((one) => one.name === name);

/** The stored word of a parameter or derived word; -1: it has none. */
function wordOf(description: Described, name: string): number {
  const place = description.parameters.find((one) => one.name === name);
  return (place?.stored ?? place?.client ?? named(description, name)?.stored)?.word ?? -1;
}

function numberOf(description: Described, name: string, value: unknown): number {
  return typeof value === 'string' ? (named(description, name)?.values?.[value] ?? -1) : Number(value);
}

function ruleHolds({ when = {}, product, above = 0 }: Rule, description: Described, cdValues: CdValues): boolean {
  const stored = (name: string): number => cdValues[wordOf(description, name)] ?? 0;
  return (
    Object.entries(when).every(([name, wanted]) =>
      [wanted].flat().some((value) => numberOf(description, name, value) === stored(name)),
    ) &&
    (product === undefined || product.reduce((all, name) => all * stored(name), 1) > above)
  );
}
