// h5wasm with h5z's side modules in a real browser, on the main thread (which may not compile them synchronously) and in
// a worker, under the same content security policy as the other apps.

import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FilterDescription, toClientValues } from '@h5z/core';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VERSIONS } from '../h5wasm/hosts.ts';
import { type Answer, peer, peerKnows } from '../h5wasm/peer.ts';
import { env, need } from '../support/env.ts';
import { startChromium, visit } from './chromium.ts';
import { filters, installPacked, ROOT, readJson, type Site, scratch, serve } from './site.ts';

const APP = join(import.meta.dirname, 'h5wasm-app');
const all = filters().filter((one) => one.h5wasm);
const work = scratch('h5wasm-browser');
let browser: Browser | undefined;
/** Data of the kinds that some filter takes: numbers of any kind, floats, an image. */
const ARRAYS = [
  { dtype: '>i4', shape: [40, 33], chunks: [16, 20] },
  { dtype: '<f4', shape: [40, 33, 20], chunks: [16, 20, 20] },
  { dtype: 'u1', shape: [40, 33], chunks: [16, 20] },
] as const;
/** By dataset, which is named for its filter and its data; what hdf5plugin refused is left out. */
let written: Record<string, Answer>;

beforeAll(async () => {
  if (!env.chromium || !env.python) return;
  browser = await startChromium(env.chromium);
  installPacked(
    [
      ...['packages/core', 'registry', 'packages/readers'].map((one) => join(ROOT, one)),
      ...all.map((one) => one.folder),
    ],
    work.folder,
  );
  const known = peerKnows(all.map((one) => one.id));
  const plan = all
    .filter((one) => known.includes(one.id))
    .flatMap(({ id, name, folder }) => {
      const client = [...toClientValues(readJson(join(folder, 'filter.json')) as FilterDescription, {})];
      return ARRAYS.map((array, i) => ({ ...array, name: `${name} ${i}`, filters: [{ id, client }] }));
    });
  const answers = Object.entries(peer('write', join(work.folder, 'data.h5'), plan));
  written = Object.fromEntries(answers.filter(([, answer]) => answer.sha256 !== undefined));
});

afterAll(async () => {
  await browser?.close();
  work.remove();
});

describe.each(VERSIONS)('%s', (version) => {
  let site: Site | undefined;

  beforeAll(async () => {
    if (!browser) return;
    const source = join(work.folder, `${version}-src`);
    const out = join(work.folder, `${version}-site`);
    mkdirSync(source);
    for (const file of readdirSync(APP)) {
      const text = readFileSync(join(APP, file), 'utf8')
        .replace('FILTER_IMPORTS;', all.map((one, i) => `import filter${i} from '${one.package}';`).join('\n'))
        .replace('[FILTER_NAMES]', `[${all.map((_, i) => `filter${i}`).join(', ')}]`);
      writeFileSync(join(source, file), text);
    }
    await build({
      entryPoints: { 'assets/page': join(source, 'page.js'), 'assets/worker': join(source, 'worker.js') },
      absWorkingDir: work.folder,
      outdir: out,
      bundle: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      logLevel: 'error',
      alias: { h5wasm: join(ROOT, 'node_modules', version, 'dist/esm/hdf5_hl.js') },
    });
    for (const one of all)
      cpSync(join(work.folder, 'node_modules', one.package, 'wasm'), join(out, 'wasm'), { recursive: true });
    cpSync(join(work.folder, 'data.h5'), join(out, 'data.h5'));
    const html = readFileSync(join(ROOT, 'tests/browser/app/index.html'), 'utf8').replace(
      './page.js',
      './assets/page.js',
    );
    writeFileSync(join(out, 'index.html'), html);
    site = await serve(out);
  });

  afterAll(() => site?.close());

  test.for(['page', 'worker'])('reads every filter in a %s', async (mode, { skip }) => {
    if (!browser || !site) return skip(need(env.chromium ? 'python' : 'chromium'));
    const { value, error, complaints } = await visit<{ installed: number[]; missing: number[]; digests: object }>(
      browser,
      `${site.url}?mode=${mode}`,
    );
    expect(error).toBeUndefined();
    const names = new Set(Object.keys(written).map((name) => name.split(' ')[0]));
    expect(value?.installed).toHaveLength(names.size);
    expect(value?.missing).toEqual([]);
    expect(value?.digests).toMatchObject(
      Object.fromEntries(Object.entries(written).map(([name, answer]) => [name, answer.sha256])),
    );
    expect(complaints).toEqual([]);
  });
});
