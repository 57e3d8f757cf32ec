// `h5z tune`: a front that nothing measured beats, the goal kept, and printed lines that work as they are: in a shell with
// `h5z repack`, in Python with h5py, in JavaScript. No times: machines differ.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as h5wasm from 'h5wasm-0.10/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDataset } from '../../packages/chunks/dist/index.js';
import { goalOf, isStepped, stagesOf, type TuneReport, tune } from '../../packages/cli/dist/index.js';
import { createRegistry, type Registry } from '../../registry/dist/index.js';
import { builtRegistry } from '../corpus/corpus.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, ROOT, runIn } from '../support/packed.ts';

const MAIN = join(ROOT, 'packages/cli/dist/main.js');
const ERROR = 0.05;
const SHAPE = [128, 64];
const values = Float32Array.from({ length: 128 * 64 }, (_, i) => 40 + 30 * Math.sin(i / 40) + ((i * 7919) % 97) / 60);

let app: string;
let registry: Registry;
const reports = new Map<string, TuneReport>();
const h5z = (...args: string[]) => runIn(app, process.execPath, [MAIN, ...args]);

beforeAll(async () => {
  app = mkdtempSync(join(tmpdir(), 'h5z-tune-'));
  mkdirSync(join(app, 'node_modules/@h5z'), { recursive: true });
  mkdirSync(join(app, 'node_modules/.bin'));
  writeFileSync(join(app, 'package.json'), '{ "private": true, "type": "module" }\n');
  for (const filter of filterFolders()) symlinkSync(filter.folder, join(app, 'node_modules', filter.packageName));
  for (const name of ['chunks', 'registry']) {
    symlinkSync(join(ROOT, name === 'registry' ? name : `packages/${name}`), join(app, 'node_modules/@h5z', name));
  }
  writeFileSync(join(app, 'node_modules/.bin/h5z'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, {
    mode: 0o755,
  });
  registry = await builtRegistry();
  await h5wasm.ready;
  const out = new h5wasm.File(join(app, 'waves.h5'), 'w');
  out.create_dataset({ name: 'waves', data: values, dtype: '<f4', shape: SHAPE, chunks: [32, 64] });
  out.close();
  for (const goal of ['speed', 'ratio', `error<=${ERROR}`]) {
    const options = { registry, goal: goalOf(goal), budget: 8 };
    reports.set(goal, await tune(join(app, 'waves.h5'), options));
  }
});
afterAll(() => rmSync(app, { recursive: true }));

describe('h5z tune', () => {
  test('prints a front that nothing measured beats, and keeps its goal', () => {
    for (const [goal, { front, results, best, tried }] of reports) {
      expect(results.length).toBe(tried);
      const bound = goal.startsWith('error') ? ERROR : 0;
      const keeps = ({ exact, quality }: (typeof results)[number]) =>
        exact || (quality !== undefined && quality.maxError <= bound);
      expect(front.length).toBeGreaterThan(0);
      for (const one of front) {
        expect(keeps(one), one.words).toBe(true);
        const better = results.filter(
          (other) =>
            keeps(other) &&
            other.ratio >= one.ratio &&
            other.decode >= one.decode &&
            (other.ratio > one.ratio || other.decode > one.decode),
        );
        expect(
          better.map(({ words }) => words),
          one.words,
        ).toEqual([]);
      }
      expect(keeps(best)).toBe(true);
      const score = (one: typeof best) => (goal === 'speed' ? one.read : one.ratio);
      expect(score(best)).toBe(Math.max(...results.filter(keeps).map(score)));
      // All of the sample: what the best is said to do it does for every chunk of this file.
      const whole = Math.max(...results.filter(({ chunk }) => chunk.join() === best.chunk.join()).map((r) => r.chunks));
      expect(best.chunks).toBe(whole);
      expect(best.chunks).toBe(best.of);
    }
  });

  test('tries chains and chunk shapes, and the words of each are read as they were measured', () => {
    for (const { results } of reports.values()) {
      expect(new Set(results.map(({ chunk }) => chunk.join())).size).toBeGreaterThan(1);
      const key = ({ words, chunk }: (typeof results)[number]) => `${words} ${chunk}`;
      expect(new Set(results.map(key)).size).toBe(results.length);
      const preparing = results.filter(({ prepares }) => prepares);
      if (preparing.length > 0) {
        const chained = results.filter(({ words }) => preparing.some((head) => words.startsWith(`${head.words},`)));
        expect(chained.length).toBeGreaterThan(0);
      }
      for (const { words } of results) expect(stagesOf([words], registry).length).toBeGreaterThan(0);
    }
    const bounded = reports.get(`error<=${ERROR}`) as TuneReport;
    expect(bounded.best.ratio).toBeGreaterThanOrEqual((reports.get('ratio') as TuneReport).best.ratio * 0.999);
  });

  test('holds the best for an error to it on every chunk, and drops what kept it on the sample alone', async () => {
    // One chunk of thirty-two, not the one that is sampled, has values a thousand times as large. Of the lossy filters only
    // those that keep digits, whose error grows with the values.
    const spike = Float32Array.from(
      { length: 32 * 512 },
      (_, i) => (values[i % values.length] ?? 0) * (i >> 9 === 5 ? 1000 : 1),
    );
    const out = new h5wasm.File(join(app, 'spike.h5'), 'w');
    out.create_dataset({ name: 'spike', data: spike, dtype: '<f4', shape: [32, 512], chunks: [1, 512] });
    out.close();
    const bounded = ({ description }: (typeof registry.packages)[number]) =>
      description.parameters.some(({ bounds }) => bounds === 'absolute');
    const few = createRegistry(registry.packages.filter((one) => !one.description.lossy || !bounded(one)));
    const options = { registry: few, goal: goalOf(`error<=${ERROR}`), budget: 6, sample: 2048 };
    const seen: number[] = [];
    const found = await tune(join(app, 'spike.h5'), { ...options, onCheck: (done) => seen.push(done) });
    const unchecked = await tune(join(app, 'spike.h5'), { ...options, check: false });
    expect(unchecked).toMatchObject({ broke: [] });
    expect(unchecked.checked).toBeUndefined();
    const { best, broke, checked } = found;
    const lossless = stagesOf([best.words], few).every(({ id }) => few.get(id)?.description.lossy !== true);
    if (lossless) expect(checked).toBeUndefined();
    else {
      expect(checked?.maxError).toBeLessThanOrEqual(ERROR);
      expect(checked?.chunks).toBe(Math.ceil(32 / (best.chunk[0] ?? 1)) * Math.ceil(512 / (best.chunk[1] ?? 1)));
      expect(seen.at(-1)).toBe(checked?.chunks);
    }
    for (const words of broke) expect(found.results.map((one) => one.words)).not.toContain(words);
    if (
      registry.packages.some(
        (one) => one.description.lossy && one.description.parameters.some(isStepped) && !bounded(one),
      )
    )
      expect(broke.length).toBeGreaterThan(0);
  });

  test('its line for h5z repack works in a shell', async () => {
    for (const [goal, { lines, best }] of reports) {
      const out = `${goal.replace(/\W/g, '')}.h5`;
      const path = `${join(app, 'node_modules/.bin')}:${process.env.PATH}`;
      const { status, stderr } = await runIn(app, '/bin/sh', ['-c', lines.repack.replace('OUT.h5', out)], {
        PATH: path,
      });
      expect(status, `${lines.repack}: ${stderr}`).toBe(0);
      const { data } = await readDataset(join(app, out), '/waves', { registry });
      const off = values.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(data[i]))), 0);
      expect(off, best.words).toBeLessThanOrEqual(goal.startsWith('error') ? ERROR : 0);
      const { datasets } = JSON.parse((await h5z('inspect', out, '--json')).stdout);
      expect(datasets[0].chunk).toEqual(best.chunk);
      expect(datasets[0].filters.map(({ id }: { id: number }) => id)).toEqual(
        stagesOf([best.words], registry).map(({ id }) => id),
      );
    }
  });

  test('its lines for JavaScript work', async () => {
    for (const [goal, { lines, best }] of reports) {
      const out = `js-${goal.replace(/\W/g, '')}.h5`;
      writeFileSync(join(app, 'repacks.js'), lines.javascript.replace('OUT.h5', out));
      const { status, stderr } = await runIn(app, process.execPath, ['repacks.js']);
      expect(status, stderr).toBe(0);
      const { datasets } = JSON.parse((await h5z('inspect', out, '--json')).stdout);
      expect(datasets[0].filters.length, best.words).toBe(stagesOf([best.words], registry).length);
    }
  });

  test('its lines for Python work in h5py', async ({ skip }) => {
    if (!env.python) return skip(need('python'));
    const { stdout: plugins } = await h5z('plugin-path');
    for (const [goal, { lines, best }] of reports) {
      const out = `py-${goal.replace(/\W/g, '')}.h5`;
      const program = [
        'import h5py, sys',
        "source = h5py.File('waves.h5')",
        "data = source['waves'][...]",
        `file = h5py.File('${out}', 'w')`,
        lines.python.replace(', hdf5plugin', ''),
        'file.close()',
        `print(abs(h5py.File('${out}')['waves'][...] - data).max())`,
      ].join('\n');
      const { status, stdout, stderr } = await runIn(app, env.python, ['-c', program], {
        HDF5_PLUGIN_PATH: plugins.trim(),
      });
      expect(status, `${lines.python}\n${stderr}`).toBe(0);
      expect(Number(stdout), best.words).toBeLessThanOrEqual(goal.startsWith('error') ? ERROR : 0);
    }
  });

  test('as a command: table, line and JSON; wrong goals name the right ones', async () => {
    const quick = ['--budget', '1', '--sample', '30000'];
    const { status, stdout } = await h5z('tune', 'waves.h5', '--for', 'ratio', ...quick);
    expect(status).toBe(0);
    for (const part of [
      'RATIO',
      'DECODE MB/s',
      'Best: ',
      'h5z repack waves.h5 OUT.h5',
      'import h5py',
      'import { repack }',
    ])
      expect(stdout).toContain(part);
    const json = JSON.parse((await h5z('tune', 'waves.h5', '--for', 'speed', '--json', ...quick)).stdout);
    expect(json).toMatchObject({ dataset: '/waves', goal: { kind: 'speed', error: 0 } });
    for (const wrong of ['size', 'error<=', 'error<=-1', 'error<=many']) {
      const { status, stderr } = await h5z('tune', 'waves.h5', '--for', wrong, ...quick);
      expect(status, wrong).toBe(1);
      expect(stderr).toContain("'error<=0.01'");
    }
    expect((await h5z('tune', 'waves.h5')).status).toBe(2);
    expect((await h5z('tune', 'waves.h5', '--for', 'ratio', '--dataset', 'none')).stderr).toContain('h5z inspect');
  });
});

describe('shuffle in the words of a pipeline', () => {
  test('goes before what compresses, behind a lossy filter that stands before it', () => {
    const lossy = registry.packages.find(
      ({ description }) => description.lossy && description.parameters.every((p) => p.default !== undefined),
    );
    expect(stagesOf(['deflate,shuffle'], registry).map(({ id }) => id)).toEqual([2, 1]);
    if (!lossy) return;
    const ids = stagesOf([`${lossy.canonicalName},deflate,shuffle`], registry).map(({ id }) => id);
    expect(ids).toEqual([lossy.id, 2, 1]);
  });
});
