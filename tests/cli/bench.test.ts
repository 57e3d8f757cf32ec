// `h5z bench`: a row for each installed filter that takes the data, errors within the bound asked, words that
// `h5z repack` reads back as the same pipeline, a plot that shows every row. No times: machines differ.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as h5wasm from 'h5wasm-0.10/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datatype, FloatType } from '../../packages/chunks/dist/index.js';
import {
  type BenchReport,
  bench,
  benchInWords,
  Comparison,
  candidatesOf,
  frontOf,
  numbersOf,
  PartsComparison,
  partsOf,
  plotSvg,
  stagesOf,
} from '../../packages/cli/dist/index.js';
import type { Registry } from '../../registry/dist/index.js';
import { builtRegistry } from '../corpus/corpus.ts';
import { env, need } from '../support/env.ts';
import { filterFolders, ROOT, runIn } from '../support/packed.ts';

const MAIN = join(ROOT, 'packages/cli/dist/main.js');
const ERROR = 0.25;
const wave = (i: number) => 40 + 30 * Math.sin(i / 40) + ((i * 7919) % 97) / 60;
const DATASETS = {
  floats: { data: Float32Array.from({ length: 4 * 64 * 64 }, (_, i) => wave(i)), dtype: '<f4' },
  doubles: { data: Float64Array.from({ length: 4 * 64 * 64 }, (_, i) => wave(i)), dtype: '<d' },
  counts: { data: Int16Array.from({ length: 4 * 64 * 64 }, (_, i) => wave(i)), dtype: '<i2' },
  image: { data: Uint8Array.from({ length: 4 * 64 * 64 }, (_, i) => wave(i)), dtype: '<B' },
} as const;

let folder: string;
let file: string;
let registry: Registry;
const reports = new Map<string, BenchReport>();
/** Whether this filter is built here: some runs have only one. */
const registryHas = (name: string) => filterFolders().some((filter) => filter.name === name);
const report = (name: string) => reports.get(name) as BenchReport;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'h5z-bench-'));
  file = join(folder, 'waves.h5');
  registry = await builtRegistry();
  await h5wasm.ready;
  const out = new h5wasm.File(file, 'w');
  for (const [name, { data, dtype }] of Object.entries(DATASETS)) {
    // Chunks that stick out, so that padding is measured too; some filters take whole ones only.
    const chunks = name === 'image' || name === 'doubles' ? [64, 64] : [48, 64];
    out.create_dataset({ name, data, dtype, shape: [4 * 64, 64], chunks });
  }
  out.create_dataset({ name: 'contiguous', data: DATASETS.floats.data, dtype: '<f4', shape: [4 * 64, 64] });
  out.create_dataset({ name: 'words', data: ['one', 'two'] });
  out.close();
  for (const dataset of Object.keys(DATASETS)) {
    reports.set(dataset, await bench(file, { registry, dataset, error: ERROR, budget: 10, sample: 50_000 }));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('h5z bench', () => {
  test('has a row for every installed filter that takes the data, and a reason for the others', () => {
    const measured = new Set<string>();
    for (const { results, refused } of reports.values()) {
      const named = new Set([...results, ...refused].map(({ filter }) => filter));
      expect([...named].sort()).toEqual(registry.packages.map(({ canonicalName }) => canonicalName).sort());
      for (const { filter } of results) measured.add(filter);
      for (const { error, words } of refused) {
        expect(['H5Z_E_NOT_APPLICABLE', 'H5Z_PARAMETER'], `${words}: ${error.message}`).toContain(error.code);
      }
    }
    const lossless = registry.packages.filter(({ description }) => !description.lossy);
    for (const { canonicalName } of lossless) expect(measured).toContain(canonicalName);
    for (const { canonicalName, description } of registry.packages) {
      if (description.variants.h5wasm) expect(measured).toContain(canonicalName);
    }
  });

  test('says exactly what came back: lossless filters everything, lossy ones within the bound asked', () => {
    let bounded = 0;
    for (const { results, error } of reports.values()) {
      expect(error).toBe(ERROR);
      for (const { words, filter, exact, quality, ratio, encode, decode, bytes, stored } of results) {
        const { description } = registry.packages.find(({ canonicalName }) => canonicalName === filter) as never as {
          description: { lossy: boolean; parameters: { name: string; bounds?: string }[] };
        };
        if (!description.lossy) expect(exact, words).toBe(true);
        expect(ratio).toBeCloseTo(bytes / stored);
        for (const rate of [encode, decode]) expect(rate).toBeGreaterThan(0);
        expect(quality === undefined, words).toBe(!description.lossy);
        if (exact && quality) expect(quality).toMatchObject({ maxError: 0, psnr: Number.POSITIVE_INFINITY });
        const asked = description.parameters.some(
          ({ name, bounds }) => bounds === 'absolute' && words.includes(`${name}=${ERROR}`),
        );
        if (!asked || !quality) continue;
        bounded++;
        expect(quality.maxError, words).toBeLessThanOrEqual(ERROR * (1 + 1e-5));
      }
    }
    const takes = registry.packages.some(({ description }) =>
      description.parameters.some(({ bounds, type }) => bounds === 'absolute' && type === 'number'),
    );
    if (takes) expect(bounded).toBeGreaterThan(0);
  });

  test('every row is words that repack reads as the same pipeline', () => {
    const bound = { absolute: ERROR, range: 62, itemSize: 4 };
    for (const filter of registry.packages) {
      const candidates = candidatesOf(filter as never, bound);
      expect(candidates.length).toBeGreaterThan(0);
      expect(new Set(candidates.map(({ words }) => words)).size).toBe(candidates.length);
      for (const { words, stages } of candidates) {
        const read = stagesOf([words], registry).map(({ id, cdValues }) => [id, ...cdValues]);
        expect(read, words).toEqual(stages.map(({ id, cdValues }) => [id, ...cdValues]));
      }
      for (const parameter of filter.description.parameters) {
        if (parameter.type !== 'enum') continue;
        const other = Object.keys(parameter.values ?? {}).filter((value) => value !== parameter.default);
        const tried = other.filter((value) =>
          candidates.some(({ words }) => words.includes(`${parameter.name}=`) && words.includes(value)),
        );
        expect(tried.length, `${filter.canonicalName} ${parameter.name}`).toBeGreaterThan(0);
      }
    }
  });

  test('draws every row, and the axes with their units', () => {
    for (const { results } of reports.values()) {
      const svg = plotSvg('a <file> & "more"', 'about', results);
      expect(svg).toContain('a &lt;file&gt; &amp; &quot;more&quot;');
      expect(svg.match(/<title>/g)?.length).toBe(results.length);
      expect(svg).toContain('Decode speed, MB/s');
      expect(svg).toContain('Compression ratio');
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  test('the line in the plot joins what nothing beats', () => {
    const { results } = report('floats');
    const front = frontOf(results);
    const beats = (a: (typeof results)[number], b: (typeof results)[number]) =>
      a.ratio >= b.ratio && a.decode >= b.decode && (a.ratio > b.ratio || a.decode > b.decode);
    for (const one of front)
      expect(
        results.some((other) => beats(other, one)),
        one.words,
      ).toBe(false);
    for (const one of results) {
      if (!front.includes(one)) expect(front.some((other) => other === one || other.ratio >= one.ratio)).toBe(true);
    }
  });
});

describe('errors of values', () => {
  test('are the textbook ones', () => {
    const original = Float64Array.from({ length: 256 }, (_, i) => i);
    const same = new Comparison([16, 16], 255);
    same.add(original, original);
    expect(same.quality).toEqual({ maxError: 0, psnr: Number.POSITIVE_INFINITY, ssim: 1 });
    const shifted = new Comparison([16, 16], 255);
    shifted.add(
      original,
      original.map((value, i) => value + (i % 2 === 0 ? 2 : -2)),
    );
    expect(shifted.quality.maxError).toBe(2);
    expect(shifted.quality.psnr).toBeCloseTo(20 * Math.log10(255 / 2), 10);
    expect(shifted.quality.ssim).toBeLessThan(1);
    const reversed = new Comparison([16, 16], 255);
    reversed.add(
      original,
      original.map((_, i) => 255 - i),
    );
    expect(reversed.quality.ssim).toBeLessThan(shifted.quality.ssim);
  });

  test('are of the values beside holes, and unknown where there are only holes', () => {
    const holes = Float64Array.from({ length: 256 }, (_, i) => (i % 3 === 0 ? Number.NaN : i));
    const close = new Comparison([16, 16], 255);
    close.add(
      holes,
      holes.map((value, i) => value + (i % 2 === 0 ? 0.1 : -0.1)),
    );
    expect(close.quality.ssim).toBeGreaterThan(0.999);
    expect(close.quality.ssim).toBeLessThan(1);
    const other = new Comparison([16, 16], 255);
    other.add(
      holes,
      holes.map((value) => 255 - value),
    );
    expect(other.quality.ssim).toBeLessThan(0.9);
    const none = new Comparison([1, 4], 1);
    none.add(Float64Array.of(Number.NaN, 1, Number.NaN, Number.NaN), Float64Array.of(Number.NaN, 2, 0, Number.NaN));
    expect(none.quality.ssim).toBeNaN();
  });

  test('tell of values that became not finite, and keep those that were', () => {
    const original = Float64Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 4);
    const kept = new Comparison([4], 3);
    kept.add(original, original);
    expect(kept.quality.maxError).toBe(0);
    const lost = new Comparison([4], 3);
    lost.add(original, Float64Array.of(1, 0, Number.POSITIVE_INFINITY, 4));
    expect(lost.quality.maxError).toBe(Number.POSITIVE_INFINITY);
  });

  test('of half floats, of arrays and of complex numbers, and of the members of compounds', () => {
    const half: FloatType = {
      class: 'float',
      size: 2,
      order: 'le',
      precision: 16,
      offset: 0,
      signAt: 15,
      exponent: [10, 5],
      mantissa: [0, 10],
      bias: 15,
      implied: true,
    };
    const brain: FloatType = { ...half, exponent: [7, 8], mantissa: [0, 7], bias: 127 };
    const bytes = Uint8Array.of(0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c);
    expect(Array.from(numbersOf(bytes, half) ?? [])).toEqual([1, -2, 2 ** -24, Number.POSITIVE_INFINITY]);
    const swapped = bytes.map((_, i) => bytes[i ^ 1] as number);
    expect(Array.from(numbersOf(swapped, { ...half, order: 'be' }) ?? [])).toEqual([
      1,
      -2,
      2 ** -24,
      Number.POSITIVE_INFINITY,
    ]);
    expect(Array.from(numbersOf(Uint8Array.of(0x80, 0x3f, 0x49, 0xc0), brain) ?? [])).toEqual([1, -3.140625]);
    const array = { class: 'array', size: 4, dims: [2], base: half } as const;
    const complex = { class: 'complex', size: 4, base: half } as const;
    for (const type of [array, complex]) expect(numbersOf(bytes, type)?.length).toBe(4);
    const compound = { class: 'compound', size: 4, members: [{ name: 'a', offset: 0, type: half }] } as const;
    expect(numbersOf(bytes, compound)).toBeUndefined();
    expect(partsOf(half)).toMatchObject([{ name: '', inner: [], isNumber: true }]);
    expect(partsOf(array)).toMatchObject([{ name: '', inner: [2] }]);
    const [part, ...more] = partsOf(compound);
    expect(more).toEqual([]);
    expect(part).toMatchObject({ name: 'a', inner: [], isNumber: true });
    expect(Array.from(part?.valuesOf(bytes) ?? [])).toEqual([1, 2 ** -24]);
  });

  const integer = (size: number, order: 'le' | 'be' = 'le') =>
    ({ class: 'integer', size, order, signed: false, precision: 8 * size, offset: 0 }) as const;
  /** { id: u1, place: { x: u2 big-endian, y: u1[2] }, hits: { n: u1, tag: 2 characters }[2], name: 3 characters }, 1 byte of padding. */
  const text = (size: number) =>
    ({ class: 'string', size, variable: false, padding: 'null-pad', cset: 'ascii' }) as const;
  const nested = {
    class: 'compound',
    size: 16,
    members: [
      { name: 'id', offset: 0, type: integer(1) },
      {
        name: 'place',
        offset: 1,
        type: {
          class: 'compound',
          size: 4,
          members: [
            { name: 'x', offset: 0, type: integer(2, 'be') },
            { name: 'y', offset: 2, type: { class: 'array', size: 2, dims: [2], base: integer(1) } },
          ],
        },
      },
      {
        name: 'hits',
        offset: 6,
        type: {
          class: 'array',
          size: 6,
          dims: [2],
          base: {
            class: 'compound',
            size: 3,
            members: [
              { name: 'n', offset: 0, type: integer(1) },
              { name: 'tag', offset: 1, type: text(2) },
            ],
          },
        },
      },
      { name: 'name', offset: 12, type: text(3) },
    ],
  } as unknown as Datatype;
  const elements = Uint8Array.from({ length: 4 * 16 }, (_, i) => i);

  test('find members in members, in arrays and beside padding', () => {
    const values = Object.fromEntries(
      partsOf(nested).map(({ name, inner, isNumber, valuesOf }) => [
        name,
        [inner, isNumber, Array.from(valuesOf(elements.subarray(0, 32)))],
      ]),
    );
    expect(values).toEqual({
      id: [[], true, [0, 16]],
      'place.x': [[], true, [0x0102, 0x1112]],
      'place.y': [[2], true, [3, 4, 19, 20]],
      'hits.n': [[2], true, [6, 9, 22, 25]],
      'hits.tag': [[2], false, [7, 8, 10, 11, 23, 24, 26, 27]],
      name: [[], false, [12, 13, 14, 28, 29, 30]],
    });
  });

  test('of a compound are the worst of its members, which are told by name', () => {
    const parts = partsOf(nested);
    const ranges = parts.map(({ isNumber }) => (isNumber ? 48 : 0));
    const qualityOf = (...changes: readonly (readonly [number, number])[]) => {
      const comparison = new PartsComparison(parts, [4], ranges);
      const decoded = elements.slice();
      for (const [at, by] of changes) decoded[at] = (decoded[at] as number) + by;
      comparison.add(elements, decoded);
      return comparison.quality;
    };
    expect(qualityOf()?.members?.map(({ name }) => name)).toEqual(['id', 'place.x', 'place.y', 'hits.n']);
    expect(qualityOf()).toMatchObject({ maxError: 0, psnr: Number.POSITIVE_INFINITY, ssim: 1 });
    // Padding holds no value.
    expect(qualityOf([5, 9], [15, 9], [31, 1])).toEqual(qualityOf());
    const two = qualityOf([16, 2], [25, 6]);
    expect(two?.maxError).toBe(6);
    const member = (name: string) => two?.members?.find((one) => one.name === name);
    expect(member('id')?.maxError).toBe(2);
    expect(member('id')?.psnr).toBeCloseTo(20 * Math.log10(48) - 10 * Math.log10(4 / 4), 10);
    expect(member('hits.n')?.maxError).toBe(6);
    expect(member('hits.n')?.psnr).toBeCloseTo(20 * Math.log10(48) - 10 * Math.log10(36 / 8), 10);
    expect(member('place.x')).toMatchObject({ maxError: 0, ssim: 1 });
    expect(two?.psnr).toBe(member('hits.n')?.psnr);
    expect(two?.ssim).toBe(Math.min(...(two?.members ?? []).map(({ ssim }) => ssim)));
    // What is no number is named only where it changed, and then nothing small can be said.
    const changed = qualityOf([12, 1]);
    expect(changed?.maxError).toBe(Number.POSITIVE_INFINITY);
    expect(changed?.members?.at(-1)).toMatchObject({ name: 'name', maxError: Number.POSITIVE_INFINITY });
    // Nothing but text has no errors to tell.
    const words = new PartsComparison(partsOf(text(3) as unknown as Datatype), [1], [0]);
    words.add(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4));
    expect(words.quality).toBeUndefined();
  });

  const lacking = registryHas('jpeg') ? (env.python ? undefined : need('python')) : 'the filter jpeg is not built here';
  const title = 'of colours that JPEG changes are measured by colour, and the table shows each';
  test.skipIf(lacking)(lacking ?? title, async () => {
    const path = join(folder, 'colours.h5');
    const script = [
      'import h5py, numpy as np, sys',
      'y, x = np.mgrid[0:96, 0:64]',
      "a = np.zeros((96, 64), dtype=[('r', 'u1'), ('g', 'u1'), ('b', 'u1')])",
      "a['r'] = 120 + 80 * np.sin(x / 11)",
      "a['g'] = 100 + 60 * np.cos(y / 13)",
      "a['b'] = (x * 7 + y * 3) % 251",
      "h5py.File(sys.argv[1], 'w').create_dataset('rgb', data=a, chunks=(48, 64))",
    ];
    execFileSync(env.python as string, ['-c', script.join('\n'), path]);
    const filters = ['jpeg:quality=90,color=rgb', 'zstd'].filter((words) => registryHas(words.split(':')[0] as string));
    const found = await bench(path, { registry, dataset: 'rgb', filters, budget: 2 });
    const { quality } = found.results.find(({ filter }) => filter === 'jpeg') ?? {};
    expect(quality?.members?.map(({ name }) => name)).toEqual(['r', 'g', 'b']);
    const [red, green, blue] = quality?.members ?? [];
    // Smooth colours come back well, the jagged one does not: only members tell.
    for (const smooth of [red, green]) expect(smooth?.psnr).toBeGreaterThan((blue?.psnr ?? 0) + 5);
    expect(quality).toMatchObject({ maxError: blue?.maxError, psnr: blue?.psnr });
    const lines = benchInWords(found).split('\n');
    const at = lines.findIndex((line) => /^FILTER +MEMBER +MAX ERROR +PSNR dB +SSIM$/.test(line));
    expect(lines.slice(at + 1, at + 4).map((line) => line.trim().split(/ +/).slice(-4, -2))).toEqual(
      [red, green, blue].map((one) => [one?.name, String(one?.maxError)]),
    );
  });
});

describe('h5z bench as a command', () => {
  let app: string;
  const h5z = (...args: string[]) => runIn(app, process.execPath, [MAIN, ...args]);
  const { name } = (() => filterFolders().find(({ name }) => name === 'shuffle') ?? filterFolders()[0])() as {
    name: string;
  };

  beforeAll(() => {
    app = join(folder, 'app');
    mkdirSync(join(app, 'node_modules/@h5z'), { recursive: true });
    writeFileSync(join(app, 'package.json'), '{ "private": true }\n');
    for (const filter of filterFolders()) {
      if (filter.name === name) symlinkSync(filter.folder, join(app, 'node_modules', filter.packageName));
    }
  });

  test('prints an aligned table, JSON and a plot', async () => {
    const quick = ['--budget', '2', '--sample', '20000'];
    const { status, stdout } = await h5z('bench', file, '--dataset', 'floats', '--svg', 'plot.svg', ...quick);
    expect(status).toBe(0);
    const lines = stdout.split('\n');
    const head = lines.findIndex((line) => line.startsWith('FILTER'));
    expect(lines[head]).toMatch(/RATIO +ENCODE MB\/s +DECODE MB\/s/);
    const end = (lines[head] as string).indexOf('RATIO') + 'RATIO'.length;
    expect(lines[head + 1]).toMatch(new RegExp(`^${name}\\b`));
    expect((lines[head + 1] as string).slice(0, end)).toMatch(/\d\.\d\d$/);
    expect(readFileSync(join(app, 'plot.svg'), 'utf8')).toContain('waves.h5: /floats');
    const json = JSON.parse((await h5z('bench', file, '--dataset', 'contiguous', '--json', ...quick)).stdout);
    expect(json).toMatchObject({ dataset: '/contiguous', refused: [] });
    expect(json.results[0]).toMatchObject({ filter: name, exact: true });
    // The chunk is cut so that it fits into the sample.
    expect(json.chunk.reduce((product: number, n: number) => product * n, 4)).toBeLessThanOrEqual(20000);
  });

  test('measures the largest dataset, or pipelines of one’s own', async () => {
    const json = JSON.parse(
      (await h5z('bench', file, '--filter', 'shuffle,deflate:level=1', '--budget', '2', '--json')).stdout,
    );
    expect(json.dataset).toBe('/doubles');
    expect(json.results.map(({ words }: { words: string }) => words)).toEqual(['shuffle,deflate:level=1']);
    expect(json.results[0].ratio).toBeGreaterThan(1);
  });

  test('names the fix', async () => {
    const words = await h5z('bench', file, '--dataset', 'words');
    expect(words.status).toBe(1);
    expect(words.stderr).toMatch(/variable-length/);
    expect((await h5z('bench', file, '--dataset', 'nothing')).stderr).toContain('h5z inspect');
    expect((await h5z('bench', file, '--budget', '0')).status).toBe(2);
    expect((await h5z('bench', file, '--filter', 'zstd:wrong=1')).status).toBe(1);
    const bare = await runIn(folder, process.execPath, [MAIN, 'bench', file]);
    if (bare.status !== 0) expect(bare.stderr).toContain('npm i @h5z/');
  });
});
