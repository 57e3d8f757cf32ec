// Kernels as PTX: the text is what the README of toolchains/ptx says, the same wherever it was made, and nothing of the dialect's
// header goes into any other build. For every filter whose filter.json says that it has kernels.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildTarget } from '../src/build.ts';
import { readFilters } from '../src/filters.ts';
import { ROOT } from '../src/paths.ts';
import { filterPlans } from '../src/targets.ts';

const scratch = mkdtempSync(join(tmpdir(), 'h5z-ptx-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const withKernels = (await readFilters()).filter(
  ({ description }) => (description.variants.cuda?.mode ?? 'none') !== 'none',
);

/** NVIDIA's assembler, which no driver's package has: it comes with the CUDA toolkit, and as nvidia-cuda-nvcc from PyPI. */
const hasPtxas = spawnSync('ptxas', ['--version']).status === 0;

test('there is a filter to look at', () => expect(withKernels.length).toBeGreaterThan(0));

describe.each(withKernels)('$name', (filter) => {
  const plans = filterPlans(filter.description);
  const plan = plans.find(({ target }) => target === 'ptx');
  if (plan === undefined) throw new Error(`${filter.name} has kernels and no target ptx`);

  test('a text for every GPU since Volta, with its kernels', async () => {
    // A copy elsewhere, so that a path in the text would be another one.
    const folder = join(scratch, filter.name);
    cpSync(filter.dir, folder, {
      recursive: true,
      filter: (path) => !/prebuilds|dist|wasm$|golden/.test(path.slice(filter.dir.length)),
    });
    const copy = { ...filter, dir: folder };
    const text = readFileSync(join(await buildTarget(copy, plan), `${filter.name}.ptx`), 'utf8');
    expect(text).toMatch(/^\.version 6\.0$/m);
    expect(text).toMatch(/^\.target sm_70$/m);
    expect(text).toMatch(/^\.address_size 64$/m);
    const kernels = [...text.matchAll(/\.visible \.entry (\w+)\(/g)].map(([, name]) => name);
    expect(kernels.length).toBeGreaterThan(0);
    for (const kernel of kernels) expect(kernel).toMatch(new RegExp(`^h5z_${filter.name}_`));
    // Nothing that a driver would have to link: what is called is in the text.
    expect(text).not.toMatch(/^\.extern|printf|vprintf/m);
    const functions = new Set([...text.matchAll(/^\.func (?:\(.*\) )?(\w+)\($/gm)].map(([, name]) => name));
    const called = [...text.matchAll(/^\s*call(?:\.uni)? *(?:\(\w+\), *)?([^,;]+)/gm)].map(([, name]) => name?.trim());
    for (const name of called) expect(functions, `call of ${name}`).toContain(name);
    // Nothing that only a person would read.
    expect(text).not.toMatch(/\/\/|\t| {2}|^ | $|\n\n/m);
    expect(text).not.toContain(ROOT);
    expect(text).not.toContain(scratch);
    const here = join(filter.dir, plan.outputs[0] as string);
    expect(existsSync(here), `${here} is missing: run ./farm build`).toBe(true);
    expect(readFileSync(here, 'utf8')).toBe(text);
  });

  test('ptxas assembles it', ({ skip }) => {
    if (!hasPtxas) skip('no ptxas on PATH: it comes with the CUDA toolkit, and as nvidia-cuda-nvcc from PyPI');
    for (const arch of ['sm_80', 'sm_90']) {
      const text = join(filter.dir, plan.outputs[0] as string);
      const { status, stderr } = spawnSync('ptxas', [`-arch=${arch}`, text, '-o', join(scratch, 'cubin')]);
      expect([status, stderr.toString()], arch).toEqual([0, '']);
    }
  });

  test('gpu.h goes into the kernels and nothing else', () => {
    const uses = plans.filter(({ inputs }) => inputs.some((glob) => /gpu\.h$|include\/\*\*/.test(glob)));
    expect(uses.map(({ target }) => target)).toEqual(['ptx']);
  });
});
