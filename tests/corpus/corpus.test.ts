// Real files by other people's software, digested through every variant and held to digests made independently.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HOST_FILTERS, open } from '../../packages/chunks/dist/index.js';
import { type Digest, digestFile, VARIANTS } from '../../packages/cli/dist/index.js';
import { HOST_FILTERS as H5WASM_HOST_FILTERS } from '../../packages/readers/dist/h5wasm.js';
import { need } from '../support/env.ts';
import { ALIASES, BUILT_INS, builtRegistry, type CorpusDataset, corpusFiles, isOfTwin, OURS } from './corpus.ts';

const files = corpusFiles();
/** Digests of corpus.json that only one processor's arithmetic gives, and the portable ones; see the file. */
const portable: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(new URL('portable.json', import.meta.url), 'utf8'),
).digests;
const registry = await builtRegistry();

const covered = ({ filters, sha256 }: CorpusDataset, via?: string) =>
  typeof sha256 === 'string' &&
  filters.every(({ id }) => BUILT_INS.includes(id) || (OURS.has(id) && !(via === 'h5wasm' && ALIASES.has(id))));
const missing = ({ filters }: CorpusDataset) =>
  filters.filter(({ id }) => !HOST_FILTERS.includes(id) && registry.get(id) === undefined);

if (files.length === 0) test(`the corpus: ${need('shared')}`, ({ skip }) => skip(need('shared')));

describe.skipIf(files.length === 0)('the corpus', () => {
  test('covers each filter in filters/, libhdf5 alone, and chunks whose filters were skipped', () => {
    const datasets = files.flatMap((file) => file.datasets).filter((dataset) => covered(dataset));
    const inCorpus = new Set(
      files.flatMap((file) => file.datasets).flatMap(({ filters }) => filters.map(({ id }) => id)),
    );
    for (const { id } of registry.packages) {
      if (!inCorpus.has(id)) continue; // nobody has published a file of it: its golden chunks must do
      expect(
        datasets.some(({ filters }) => filters.some((filter) => filter.id === id)),
        `filter ${id}`,
      ).toBe(true);
    }
    expect(datasets.some(({ filters }) => filters.every(({ id }) => BUILT_INS.includes(id)))).toBe(true);
    // Every filter of libhdf5 that filters/ has is ours in native and wasm: no stage of the corpus is left to libhdf5.
    for (const id of BUILT_INS) expect(OURS.has(id), `filter ${id} is in filters/`).toBe(true);
    expect(files.flatMap((file) => file.datasets).some((dataset) => dataset.chunks_with_nonzero_filter_mask)).toBe(
      true,
    );
  });

  describe.each(VARIANTS)('via %s', (via) => {
    test.each(files.map((file) => [file.file, file] as const))('%s', async (_name, file) => {
      const digests = new Map<string, Digest>();
      for await (const digest of digestFile(file.path, { via, registry })) digests.set(digest.dataset, digest);
      for (const dataset of file.datasets) {
        const label = `${file.file} ${dataset.path} via ${via}`;
        const digest = digests.get(`/${dataset.path.replace(/^\//, '')}`);
        expect(digest, `${label} is listed`).toBeDefined();
        if (digest === undefined) continue;
        if (via === 'h5wasm' && digest.error?.message.includes('does not tell their layout')) {
          // Floats with bits to spare, which h5wasm converts: nothing of ours can undo that, so it must be said.
          expect(digest.error.code, label).toBe('H5Z_E_UNSUPPORTED');
          expect(file.file, label).toMatch(/le_data/);
        } else if (covered(dataset, via)) {
          expect(digest.error, label).toBeUndefined();
          if (!isOfTwin(dataset, digest.bytes))
            expect(digest.sha256, label).toBe(portable[dataset.sha256 as string] ?? dataset.sha256);
          // libhdf5 in h5wasm uses its own filters whatever is installed; elsewhere what is in filters/ must be ours.
          const isHost = (id: number) => (via === 'h5wasm' ? H5WASM_HOST_FILTERS.has(id) : !OURS.has(id));
          const ran = digest.filters.filter(({ variant }) => variant !== 'skipped');
          if (ran.length < digest.filters.length)
            expect(dataset.chunks_with_nonzero_filter_mask, label).toBeGreaterThan(0);
          for (const { id, variant } of ran) expect(variant, `${label} ${id}`).toBe(isHost(id) ? 'host' : via);
          expect(digest.via, label).toBe(ran.some(({ id }) => !isHost(id)) ? via : 'host');
          expect(digest.filters.map(({ id }) => id)).toEqual(dataset.filters.map(({ id }) => id));
        } else if (missing(dataset).length > 0 && digest.sha256 !== undefined) {
          // No chunk went through the missing filter, or the reader's libhdf5 has it (szip in h5wasm).
          expect(digest.sha256, label).toBe(dataset.sha256);
          for (const { id } of missing(dataset)) {
            const { variant } = digest.filters.find((filter) => filter.id === id) ?? {};
            expect(variant, `${label} ${id}`).toBe(via === 'h5wasm' && id === 4 ? 'host' : 'skipped');
          }
        } else if (missing(dataset).length > 0 && digest.error?.code !== 'H5Z_E_UNSUPPORTED') {
          expect(digest.error?.code, label).toMatch(/^H5Z_(MISSING|UNKNOWN)_FILTER$/);
          for (const { id } of missing(dataset)) expect(digest.error?.message, label).toContain(String(id));
          expect(digest.error?.message, label).toContain('; ');
        } else if (digest.error) {
          expect(digest.error.code, label).toMatch(/^H5Z_/);
        }
      }
    });
  });

  test.each(
    files.map((file) => [file.file, file] as const),
  )('%s: pipelines and chunks as written', async (_name, file) => {
    const opened = await open(file.path);
    try {
      for (const expected of file.datasets) {
        const dataset = opened.dataset(expected.path);
        expect(dataset.info.shape).toEqual(expected.shape);
        expect(dataset.info.filters.map(({ id, flags }) => [id, flags])).toEqual(
          expected.filters.map(({ id, flags }) => [id, flags]),
        );
        // The corpus was described by a program that took no more than 16 cd_values: what follows there is noise.
        for (const [i, filter] of dataset.info.filters.entries()) {
          const stored = expected.filters[i]?.cd_values ?? [];
          expect(filter.cdValues).toHaveLength(stored.length);
          expect(Array.from(filter.cdValues).slice(0, 16)).toEqual(stored.slice(0, 16));
        }
        if (expected.n_chunks !== undefined) expect(dataset.chunks).toHaveLength(expected.n_chunks);
      }
    } finally {
      opened.close();
    }
  });
});
