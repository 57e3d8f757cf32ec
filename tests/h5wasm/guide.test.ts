// docs/guide-h5wasm.md, run as it is written, with the packed packages and both h5wasm versions.

import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { filters, installPacked, ROOT, scratch } from '../browser/site.ts';
import { programOf, promisedOutput } from '../support/snippets.ts';
import { VERSIONS } from './hosts.ts';

const work = VERSIONS.map((version) => ({ version, ...scratch('guide') }));
afterAll(() => {
  for (const one of work) one.remove();
});

test.each(work)('the guide prints what it says with $version', ({ version, folder }) => {
  const program = programOf(join(ROOT, 'docs/guide-h5wasm.md'));
  const used = filters().filter((one) => program.includes(`'${one.package}'`));
  expect(used.length).toBeGreaterThan(0);
  const libraries = ['packages/core', 'registry', 'packages/readers'].map((one) => join(ROOT, one));
  installPacked([...libraries, ...used.map((one) => one.folder)], folder);
  symlinkSync(join(ROOT, 'node_modules', version), join(folder, 'node_modules/h5wasm'));
  writeFileSync(join(folder, 'guide.mjs'), program);
  const printed = execFileSync(process.execPath, ['guide.mjs'], { cwd: folder, encoding: 'utf8' });
  expect(printed.trim().split('\n')).toEqual(promisedOutput(program));
});
