// Kernels in WGSL, made whole: what is included is there with its words replaced, and a package carries the same text twice, as a
// file and as a module that bundlers take along.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { wholeWgsl } from '../src/wgsl.ts';

const folder = mkdtempSync(join(tmpdir(), 'h5z-wgsl-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, ...lines: string[]): string => {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  return join(folder, name);
};

test('includes files, replaces words, leaves their comments behind', () => {
  write('part.wgsl', '// About the part.', 'fn H5Z_NAME() -> u32 { return H5Z_VALUE; } // kept');
  const file = write(
    'whole.wgsl',
    '// About the whole.',
    '//#include "part.wgsl" H5Z_NAME=one H5Z_VALUE=1u',
    '//#include "part.wgsl" H5Z_NAME=two H5Z_VALUE=2u',
  );
  expect(wholeWgsl(file)).toBe(
    '// About the whole.\nfn one() -> u32 { return 1u; } // kept\nfn two() -> u32 { return 2u; } // kept\n',
  );
});

test.each([
  ['//#include "absent.wgsl"', /whole\.wgsl:2: .*includes nothing/],
  ['//#include gpu.wgsl', /whole\.wgsl:2: .*includes nothing/],
  ['//#include "part.wgsl" H5Z_OTHER=x', /does not say H5Z_OTHER/],
])('%s is an error with its line', (line, message) => {
  write('part.wgsl', 'const H5Z_NAME = 1;');
  expect(() => wholeWgsl(write('whole.wgsl', '', line))).toThrow(message);
});

const filters = (await readFilters()).filter(
  ({ description }) => (description.variants.webgpu?.mode ?? 'none') !== 'none',
);

describe.each(filters.map(({ name, dir }) => ({ name, dir })))('the package of $name', ({ name, dir }) => {
  test('has its kernels as a file and as a module, of the hash in its manifest', async () => {
    const text = wholeWgsl(join(dir, 'src/gpu.wgsl'));
    expect(text).not.toMatch(/#include|H5Z_NAME|H5Z_MEMORY|H5Z_BARRIER\b|H5Z_BYTE/);
    expect(readFileSync(join(dir, `gpu/${name}.wgsl`), 'utf8')).toBe(text);
    const { default: filter } = await import(pathToFileURL(join(dir, 'dist/node.js')).href);
    const kernels = await filter.kernels('webgpu');
    expect(kernels).toMatchObject({ kind: 'webgpu', text, reason: filter.manifest.variants.webgpu.reason });
    expect(filter.manifest.variants.webgpu.verifiedOn).toEqual([]);
  });
});

test('a filter without kernels says why, and gives no text', async () => {
  for (const { dir, description } of await readFilters()) {
    const { variants } = description;
    for (const kind of ['cuda', 'webgpu'] as const) expect(variants[kind]?.reason, `${dir} ${kind}`).toMatch(/\w{3,}/);
    if (variants.webgpu?.mode !== 'none') continue;
    const { default: filter } = await import(pathToFileURL(join(dir, 'dist/node.js')).href);
    expect(await filter.kernels('webgpu')).toEqual({
      kind: 'webgpu',
      mode: 'none',
      reason: variants.webgpu.reason,
      encode: false,
    });
  }
  expect(filters.length).toBeGreaterThan(3);
  expect(filters[0]?.dir.startsWith(ROOT)).toBe(true);
});
