// decodeSparse against the plain way: read everything, go through it, keep what is above the threshold.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { decodeSparse, type H5File, open, readDataset, type SparseValues } from '../dist/index.js';

const coded = (code: string) => expect.objectContaining({ code });

/** Kept elements by index, ascending, of values read whole. */
async function plainly(file: H5File, path: string, threshold: number, rows?: [number, number]) {
  const { data, shape } = await readDataset(file, path);
  const row = shape.slice(1).reduce((product, n) => product * n, 1);
  const kept: [number, number | bigint][] = [];
  for (const [index, value] of data.entries()) {
    const at = Math.floor(index / row);
    if (value > threshold && (rows === undefined || (at >= rows[0] && at < rows[1]))) kept.push([index, value]);
  }
  return kept;
}

const byIndex = ({ indices, values }: SparseValues) =>
  [...indices].map((index, i) => [index, values[i]]).sort(([a], [b]) => Number(a) - Number(b));

describe.skipIf(env.python === undefined)('decodeSparse', () => {
  let folder: string;
  let path: string;
  let file: H5File;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-sparse-'));
    path = join(folder, 'slices.h5');
    execFileSync(env.python ?? '', [join(import.meta.dirname, 'slices.py'), path, 'latest']);
    execFileSync(env.python ?? '', [
      '-c',
      `
import h5py, numpy as np
with h5py.File(${JSON.stringify(path)}, "a") as f:
    a = (np.arange(5 * 6 * 7) * 37 % 251).reshape(5, 6, 7)
    for name, chunks in [("frames", (1, 6, 7)), ("blocks", (2, 4, 3)), ("columns", (5, 6, 2)), ("pairs", (2, 4, 7))]:
        f.create_dataset("cube/" + name, data=a.astype("<u2"), chunks=chunks, compression="gzip")
    nan = np.array([np.nan, 1, np.inf, -np.inf, 3], "<f4")
    f.create_dataset("nan", data=nan, chunks=(2,))
    f.create_dataset("line", data=np.arange(2_000_000, dtype="<i4"))
    f.create_dataset("scalar", data=np.float64(7))
    f.create_dataset("big", data=np.array([2**62, 2**62 + 1], "<i8"), chunks=(1,))
`,
    ]);
    file = await open(path);
  });
  afterAll(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  test('every plain dataset: the same elements, counts per chunk, ascending in each', async () => {
    let checked = 0;
    for (const { path: name, info } of file.datasets) {
      if (info.layout === 'virtual' || info.external?.length || info.shape.length === 0 || name === '/line') continue;
      const whole = await readDataset(file, name).catch(() => undefined);
      if (whole === undefined || whole.dtype === 'bytes') continue;
      for (const threshold of [-1, 100, 248.5, 1e9]) {
        if (threshold < 1.5 && name === '/unwritten') continue;
        const label = `${name} ${threshold}`;
        const sparse = await decodeSparse(file, name, { threshold });
        expect(byIndex(sparse), label).toEqual(await plainly(file, name, threshold));
        expect([sparse.values.constructor, sparse.dtype], label).toEqual([whole.data.constructor, whole.dtype]);
        expect(
          sparse.chunks.reduce((sum, { count }) => sum + count, 0),
          label,
        ).toBe(sparse.indices.length);
        let at = 0;
        for (const { count } of sparse.chunks) {
          const part = [...sparse.indices.subarray(at, at + count)];
          at += count;
          expect(part, label).toEqual(part.toSorted((a, b) => a - b));
        }
      }
      checked++;
    }
    expect(checked).toBeGreaterThan(25);
  });

  test.each(['frames', 'blocks', 'columns', 'pairs'])('rows of chunks that lie across: %s', async (name) => {
    for (const rows of [
      [0, 5],
      [1, 4],
      [3, 4],
      [2, 2],
    ] as [number, number][]) {
      const sparse = await decodeSparse(file, `/cube/${name}`, { threshold: 120, rows, threads: 2 });
      expect(byIndex(sparse), String(rows)).toEqual(await plainly(file, `/cube/${name}`, 120, rows));
    }
    const tail = await decodeSparse(path, `/cube/${name}`, { threshold: 120, rows: [-2] });
    expect(byIndex(tail)).toEqual(await plainly(file, `/cube/${name}`, 120, [3, 5]));
  });

  test('chunks say where they begin', async () => {
    const { chunks } = await decodeSparse(file, '/cube/frames', { threshold: 120, rows: [1, 3] });
    expect(chunks.map(({ offset }) => offset)).toEqual([
      [1, 0, 0],
      [2, 0, 0],
    ]);
  });

  test('NaN, infinities, scalars, 64 bits, data in several pieces', async () => {
    const kept = async (name: string, threshold: number | bigint) =>
      byIndex(await decodeSparse(file, name, { threshold }));
    expect(await kept('/nan', 0)).toEqual([
      [1, 1],
      [2, Number.POSITIVE_INFINITY],
      [4, 3],
    ]);
    expect(await kept('/nan', Number.POSITIVE_INFINITY)).toEqual([]);
    expect(await kept('/scalar', 6)).toEqual([[0, 7]]);
    expect(await kept('/big', 2n ** 62n)).toEqual([[1, 2n ** 62n + 1n]]);
    const line = await decodeSparse(file, '/line', { threshold: 999_999 });
    expect([line.indices.length, line.indices[0], line.values[999_999]]).toEqual([1_000_000, 1_000_000, 1_999_999]);
    expect(line.chunks).toEqual([{ offset: [0], count: 1_000_000 }]);
    const part = await decodeSparse(file, '/line', { threshold: 5, rows: [4, 8] });
    expect([...part.indices]).toEqual([6, 7]);
    const empty = await decodeSparse(file, '/empty', { threshold: 0 });
    expect([empty.indices.length, empty.chunks]).toEqual([0, []]);
  });

  test('what is refused', async () => {
    const refused = (name: string, options: object, code: string) =>
      expect(decodeSparse(file, name, options as { threshold: number })).rejects.toThrow(coded(code));
    await refused('/fixed', {}, 'H5Z_PARAMETER');
    await refused('/fixed', { threshold: Number.NaN }, 'H5Z_PARAMETER');
    await refused('/fixed', { threshold: 0, rows: [0.5] }, 'H5Z_PARAMETER');
    await refused('/fixed', { threshold: 0, rows: [0, 5, 2] }, 'H5Z_PARAMETER');
    await refused('/fixed', { threshold: 0, threads: 0 }, 'H5Z_PARAMETER');
    await refused('/sparse', { threshold: -8 }, 'H5Z_PARAMETER');
    await refused('/compound', { threshold: 0 }, 'H5Z_E_UNSUPPORTED');
    await refused('/words', { threshold: 0 }, 'H5Z_E_UNSUPPORTED');
    await refused('/external', { threshold: 0 }, 'H5Z_E_UNSUPPORTED');
    await refused('/virtual', { threshold: 0 }, 'H5Z_E_UNSUPPORTED');
    await refused('/nowhere', { threshold: 0 }, 'H5Z_FILE');
    const signal = AbortSignal.abort(new Error('no'));
    await expect(decodeSparse(file, '/fixed', { threshold: 0, signal })).rejects.toThrow('no');
  });

  test('a damaged chunk is named; input bytes stay as they were', async () => {
    const bytes = new Uint8Array(readFileSync(path));
    const one = file.dataset('/cube/blocks').chunks.at(3);
    bytes.fill(0xa5, one?.address, (one?.address ?? 0) + (one?.size ?? 0));
    const before = bytes.slice();
    const damaged = await open(bytes, { name: 'damaged.h5' });
    await expect(decodeSparse(damaged, '/cube/blocks', { threshold: 0 })).rejects.toThrow(
      /^damaged\.h5: \/cube\/blocks: chunk 3 at 0,4,0: /,
    );
    await decodeSparse(damaged, '/compact', { threshold: 0 });
    expect(Buffer.compare(bytes, before)).toBe(0);
  });
});
if (env.python === undefined) test(`slices.py: ${need('python')}`, ({ skip }) => skip(need('python')));
