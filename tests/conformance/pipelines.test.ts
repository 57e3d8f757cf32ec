// Pipelines of any filters in any order: what was encoded with some stages skipped decodes with the filter mask that says so.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Codec, createPipeline, FLAG_OPTIONAL, type LoadedStage } from '../../packages/core/dist/index.js';
import { type FilterUnderTest, filters } from './filters.ts';
import { dataset, ELEMENTS, type Element, type Mode, modesOf } from './modes.ts';
import { isRefusal, outcome, same } from './outcome.ts';

describe('pipelines of all filters', () => {
  const stages = async (variant: 'native' | 'wasm', filter: FilterUnderTest): Promise<Codec> => {
    const found =
      filter.variants.find(({ name }) => name === variant) ??
      filter.variants.find(({ name }) => name !== 'wasm-decode');
    if (!found) throw new Error(`${filter.description.name} has no variant that encodes`);
    return found.load();
  };
  const element = ELEMENTS[0] as Element;

  const lossless = filters.filter(({ description }) => !description.lossy);
  test.runIf(lossless.length > 0).each(['native', 'wasm'] as const)(
    '%s: any order, any mask, decodes what was encoded',
    async (variant) => {
      const codecs = await Promise.all(lossless.map((filter) => stages(variant, filter)));
      fc.assert(
        fc.property(
          fc.array(fc.nat({ max: codecs.length - 1 }), { maxLength: 6 }),
          fc.nat({ max: 63 }),
          fc.uint8Array({ minLength: 1, maxLength: 3000 }),
          (choice, mask, data) => {
            const all: LoadedStage[] = choice.flatMap((i, position) => {
              const codec = codecs[i] as Codec;
              const modes = modesOf((lossless[i] as FilterUnderTest).description);
              const stored: Uint32Array[] = [];
              const derived = outcome(() => {
                stored.push(codec.derive((modes[0] as Mode).client, dataset(element, [data.length])));
                return 0;
              }, codec.name);
              if ('code' in derived && !isRefusal(derived.code)) throw new Error(`${codec.name}: ${derived.code}`);
              // What a filter stores may pin the size of its input: behind another stage, that is not the chunk's.
              if (position > 0 && 'bytes' in derived) {
                const longer = outcome(() => {
                  stored.push(codec.derive((modes[0] as Mode).client, dataset(element, [data.length + 8])));
                  return 0;
                }, codec.name);
                if ('code' in longer || String(stored.pop()) !== String(stored[0])) return [];
              }
              return stored.map((cdValues) => ({ id: codec.id, cdValues, flags: FLAG_OPTIONAL, codec }));
            });
            // Encode without the masked stages, decode with all of them and the mask.
            const ran = all.map((stage, i) => ({ stage, i })).filter(({ i }) => ((mask >> i) & 1) === 0);
            const encoded = createPipeline(ran.map(({ stage }) => stage)).encode(data);
            let filterMask = mask & ((1 << all.length) - 1);
            for (const [at, { i }] of ran.entries()) if ((encoded.filterMask >> at) & 1) filterMask |= 1 << i;
            const decoded = createPipeline(all).decode(encoded.data, { filterMask, size: data.length });
            expect(same(decoded, data)).toBe(true);
          },
        ),
        { numRuns: 60, seed: 20261123 },
      );
    },
  );
});
