// Every filter package in a real browser: an app that has this one filter and no other, built by Vite, by esbuild and not
// at all, under a content security policy that allows WebAssembly and nothing else, decodes a chunk from somebody's file.

import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../support/env.ts';
import { type Case, caseOf } from './cases.ts';
import { startChromium, visit } from './chromium.ts';
import { builders, type Filter, filters, layOutApp, ROOT, type Site, scratch, serve, sizesOf } from './site.ts';

const all = filters();
const sizes: Record<string, Record<string, ReturnType<typeof sizesOf>>> = {};
const work = scratch('browser');
let browser: Browser | undefined;

beforeAll(async () => {
  if (env.chromium) browser = await startChromium(env.chromium);
});

afterAll(async () => {
  await browser?.close();
  work.remove();
  if (Object.keys(sizes).length > 0) {
    mkdirSync(join(ROOT, 'bench-results'), { recursive: true });
    writeFileSync(join(ROOT, 'bench-results/bundle-sizes.json'), `${JSON.stringify(sizes, null, 2)}\n`);
  }
});

interface Decoded {
  readonly variant: string;
  readonly canEncode: boolean;
  readonly length: number;
  readonly sha256: string;
}

interface Batch {
  /** All of the last chunks were decoded by workers. */
  readonly onWorkers: boolean;
  /** The first ones were decoded in the page. */
  readonly inPage: boolean;
  readonly sums: readonly string[];
  readonly failure: { readonly code: string; readonly chunk: number };
}

describe.each(all)('$package', (filter) => {
  let one: Case;
  const app = join(work.folder, filter.name);

  beforeAll(() => {
    one = caseOf(filter, all);
    mkdirSync(app, { recursive: true });
    layOutApp(filter, app);
  });

  describe.each(Object.keys(builders))('built with %s', (builder) => {
    let site: Site;
    let damaged: Site;
    let workerless: Site;

    beforeAll(async () => {
      const out = join(work.folder, 'sites', filter.name, builder);
      mkdirSync(out, { recursive: true });
      const built = await builders[builder]?.(app, out, filter);
      if (builder !== 'none') sizes[filter.name] = { ...sizes[filter.name], [builder]: sizesOf(out) };
      const options = { ...built, extra: { '/case.json': JSON.stringify(one) } };
      site = await serve(out, options);
      damaged = await serve(out, { ...options, damageWasm: true });
      workerless = await serve(out, { ...options, missing: /\/worker-web[^/]*$/ });
    });

    /** Vite puts files of less than 4 KiB into the script as data: URLs. */
    const isInlined = ({ folder, name }: Filter): boolean =>
      builder === 'vite' && statSync(join(folder, 'wasm', `${name}.wasm`)).size < 4096;

    afterAll(async () => {
      await site?.close();
      await damaged?.close();
      await workerless?.close();
    });

    /** Opens the page in a mode; skips loudly where there is no browser. */
    async function open<T>(skip: (why: string) => void, mode: string, where: Site = site) {
      if (!browser) {
        skip(need('chromium'));
        throw new Error('skipped');
      }
      where.takeRequests();
      const result = await visit<T>(browser, `${where.url}?mode=${mode}`);
      return { ...result, requests: where.takeRequests() };
    }

    test('decodes a real chunk with the decode-only module alone, the console free of errors', async ({ skip }) => {
      const { value, error, complaints, requests } = await open<Decoded>(skip, 'load');
      expect(error).toBeUndefined();
      expect(value).toEqual({ variant: 'wasm', canEncode: false, length: one.size, sha256: one.sha256 });
      expect(complaints).toEqual([]);
      expect(requests.filter((path) => isFull(filter, path) || isSide(filter, path))).toEqual([]);
    });

    test('decodes by filter ID through createRegistry([one package])', async ({ skip }) => {
      const { value, error, complaints } = await open<Decoded & { pipeline: string }>(skip, 'registry');
      expect(error).toBeUndefined();
      expect(value).toMatchObject({ variant: 'wasm', sha256: one.sha256, pipeline: one.sha256 });
      expect(complaints).toEqual([]);
    });

    // What core does is the same for every filter: by the first builder with all of them, by the others with one.
    const testMore = builder === Object.keys(builders)[0] || filter === all[0] ? test : () => {};
    testMore('a filter that is not imported is an error that names its package', async ({ skip }) => {
      const { error, complaints } = await open(skip, 'missing');
      expect(error?.code).toBe('H5Z_MISSING_FILTER');
      expect(error?.message).toContain(one.otherPackage);
      expect(complaints).toEqual([]);
    });

    testMore('the encoder comes only when it is asked for', async ({ skip }) => {
      const { value, error, complaints, requests } = await open<Decoded & { again: string }>(skip, 'encode');
      expect(error).toBeUndefined();
      expect(value?.sha256).toBe(one.sha256);
      expect(value?.again).toBe(filter.lossy ? value?.again : one.sha256);
      const afterDecoding = requests.indexOf('/decoded.txt');
      expect(afterDecoding).toBeGreaterThan(0);
      expect(requests.slice(0, afterDecoding).filter((path) => isFull(filter, path))).toEqual([]);
      expect(requests.slice(afterDecoding).filter((path) => isFull(filter, path))).toHaveLength(
        isInlined(filter) ? 0 : 1,
      );
      expect(complaints).toEqual([]);
    });

    // Import maps do not apply inside workers, so that without a bundler a worker cannot import packages by name.
    const testInWorker = builder === 'none' ? () => {} : testMore;
    testInWorker('decodes in a worker', async ({ skip }) => {
      const { value, error, complaints } = await open<Decoded>(skip, 'worker');
      expect(error).toBeUndefined();
      expect(value?.sha256).toBe(one.sha256);
      expect(complaints).toEqual([]);
    });

    // The workers are core's, the same for every filter: one shows them.
    const testOnce = filter === all[0] ? test : () => {};
    testOnce('decodes batches on workers of its own, found under a strict policy', async ({ skip }) => {
      const { value, error, complaints, requests } = await open<Batch>(skip, 'batch&seconds=120');
      expect(error).toBeUndefined();
      expect(value).toEqual({
        onWorkers: true,
        inPage: true,
        sums: [one.sha256],
        failure: { code: expect.stringMatching(/^H5Z_E_/), chunk: 0 },
      });
      expect(complaints).toEqual([]);
      expect(requests.filter((path) => /\/worker-web(-[\w-]{8})?\.js$/.test(path)).length).toBeGreaterThan(0);
    });

    testOnce('decodes batches in the page where the worker is not found', async ({ skip }) => {
      const { value, error } = await open<Batch>(skip, 'batch&seconds=3', workerless);
      expect(error).toBeUndefined();
      expect(value).toMatchObject({ onWorkers: false, inPage: true, sums: [one.sha256] });
    });

    test('a flipped byte in a module is refused with both hashes', async ({ skip }) => {
      const { error, requests } = await open(skip, 'encode', damaged);
      // What is inside the script has no bytes of its own to flip.
      if (isInlined(filter)) return expect(requests.filter((path) => isFull(filter, path))).toEqual([]);
      expect(error?.code).toBe('H5Z_INTEGRITY');
      expect(error?.message.match(/\b[0-9a-f]{64}\b/g)).toHaveLength(2);
    });
  });
});

/** The module with the encoder, with or without a bundler's hash in its name. */
function isFull(filter: Filter, path: string): boolean {
  return new RegExp(`/${escaped(filter.name)}(-[\\w-]{8})?\\.wasm$`).test(path);
}

function isSide(filter: Filter, path: string): boolean {
  return path.includes(`/${filter.name}.h5wasm`);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
}

test('every filter has its WebAssembly built', () => {
  expect(all.length).toBeGreaterThan(0);
  for (const filter of all) {
    expect(existsSync(join(filter.folder, 'wasm', `${filter.name}.decode.wasm`)), filter.name).toBe(true);
  }
});
