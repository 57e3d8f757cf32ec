// docs/guide-browser.md, built by Vite as it is written and opened in Chromium.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { env, need } from '../support/env.ts';
import { programOf } from '../support/snippets.ts';
import { startChromium, visit } from './chromium.ts';
import { builders, filters, installPacked, ROOT, readJson, scratch, serve } from './site.ts';

const work = scratch('guide');
afterAll(() => work.remove());

/** What the guide leaves out: the answer to the test. */
const ENDING = `
const output = document.querySelector('output');
output.textContent = JSON.stringify({ value: { decoded: decoded.length, same: same.every((byte, i) => byte === decoded[i]) } });
output.dataset.done = 'yes';
`;

test('the guide decodes', async ({ skip }) => {
  if (!env.chromium) return skip(need('chromium'));
  const program = programOf(join(ROOT, 'docs/guide-browser.md'));
  const filter = filters().find((one) => program.includes(`'${one.package}'`));
  if (!filter) throw new Error('the guide uses no filter of this repository');
  const app = join(work.folder, 'app');
  const out = join(work.folder, 'site');
  mkdirSync(out, { recursive: true });
  mkdirSync(app);
  installPacked([join(ROOT, 'packages/core'), join(ROOT, 'registry'), filter.folder], app);
  writeFileSync(join(app, 'page.js'), program + ENDING);
  cpSync(join(ROOT, 'tests/browser/app/index.html'), join(app, 'index.html'));
  await builders.vite?.(app, out, filter);

  // The chunk that the guide's cdValues and size belong to.
  const { cases } = readJson(join(filter.folder, 'golden/index.json')) as {
    cases: { file: string; cdValues: number[]; size: number }[];
  };
  const chunk = cases.find((one) => program.includes(`cdValues: [${one.cdValues}], size: ${one.size}`));
  expect(chunk).toBeDefined();
  cpSync(join(filter.folder, 'golden', chunk?.file ?? ''), join(out, 'chunk.bin'));

  const site = await serve(out);
  const browser = await startChromium(env.chromium);
  try {
    const { value, error, complaints } = await visit(browser, site.url);
    expect(error).toBeUndefined();
    expect(value).toEqual({ decoded: chunk?.size, same: true });
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
    await site.close();
  }
});
