// readDataset against numpy's slices of the same files, and what damaged files do: an error that names file, dataset and
// chunk, or the right answer; never a crash or a hang.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { bytesSource, type H5File, open, readDataset, type Slice, type Source } from '../dist/index.js';

type Row = [path: string, slice: Slice[], shape: number[], sha256: string];

const sha256 = (data: ArrayBufferView) =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
const coded = (code: string) => expect.objectContaining({ code });

/** A source that counts the bytes asked for, chunk data among them. */
function counting(bytes: Uint8Array): Source & { read: [number, number][] } {
  const inner = bytesSource(bytes, 'counted.h5');
  const read: [number, number][] = [];
  return {
    ...inner,
    read,
    readInto(offset, to) {
      read.push([offset, to.length]);
      inner.readInto(offset, to);
    },
  };
}

describe.skipIf(env.python === undefined).each(['earliest', 'latest'])('libver %s', (libver) => {
  let folder: string;
  let path: string;
  let bytes: Uint8Array;
  let rows: Row[];
  let file: H5File;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-slices-'));
    path = join(folder, 'slices.h5');
    const script = join(import.meta.dirname, 'slices.py');
    rows = JSON.parse(execFileSync(env.python ?? '', [script, path, libver], { encoding: 'utf8' }));
    bytes = new Uint8Array(readFileSync(path));
    file = await open(path);
  });
  afterAll(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  test('slices are numpy’s', async () => {
    expect(file.problems).toEqual([]);
    for (const [dataset, slice, shape, digest] of rows) {
      const label = `${dataset} ${JSON.stringify(slice)}`;
      const result = await readDataset(file, dataset, { slice });
      expect(result.shape, label).toEqual(shape);
      expect(sha256(result.data), label).toBe(digest);
    }
  });

  test('classes, `into`, bytes', async () => {
    expect((await readDataset(file, '/tbu8')).data).toBeInstanceOf(BigUint64Array);
    expect((await readDataset(file, '/tlf2')).data).toBeInstanceOf(Float32Array);
    const compound = await readDataset(file, '/compound', { slice: [[2, 4]] });
    expect([compound.dtype, compound.shape, compound.data.byteLength]).toEqual(['bytes', [2], 12]);
    const into = new Int16Array(77);
    expect((await readDataset(path, '/tbi2', { into })).data).toBe(into);
    await expect(readDataset(file, '/tbi2', { into: new Int16Array(76) })).rejects.toThrow(coded('H5Z_PARAMETER'));
    await expect(readDataset(file, '/tbi2', { into: new Uint16Array(77) })).rejects.toThrow(coded('H5Z_PARAMETER'));
    await expect(readDataset(file, '/words')).rejects.toThrow(coded('H5Z_E_UNSUPPORTED'));
    for (const slice of [[7], [-8], [[0, 5, 0]], [[0, 5, -1]], [0, 0, 0], [1.5]] as Slice[][]) {
      await expect(readDataset(file, '/fixed', { slice })).rejects.toThrow(coded('H5Z_PARAMETER'));
    }
    await expect(readDataset(file, '/fixed', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
  });

  test('a filter mask that skips everything, 32 filters', async () => {
    expect([...(await readDataset(file, '/masked')).data]).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect([...(await readDataset(file, '/thirty-two')).data]).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  test('virtual and external data are reported and refused', async () => {
    const { sources } = file.dataset('/virtual').info;
    expect(sources?.map((s) => [s.file, s.dataset])).toEqual([
      ['other.h5', 'd'],
      ['.', 'contiguous'],
    ]);
    expect(sources?.[0]?.here).toEqual([{ start: [0, 0], stride: [1, 2], count: [1, 6], block: [2, 1] }]);
    expect(sources?.[1]?.there).toEqual([{ start: [0, 0], stride: [1, 1], count: [1, 1], block: [2, 11] }]);
    expect(file.dataset('/external').info.external).toEqual([{ file: 'raw.bin', offset: 8, size: 16 }]);
    await expect(readDataset(file, '/external')).rejects.toThrow(/raw\.bin/);
    await expect(readDataset(file, '/virtual')).rejects.toThrow(/other\.h5:d/);
  });

  test('reads only the chunks that a slice touches', async () => {
    const source = counting(bytes);
    const counted = await open(source);
    const { chunks } = counted.dataset('/implicit');
    expect(chunks.length).toBe(12);
    expect(chunks.find([2, 5])).toEqual(chunks.at(4));
    source.read.length = 0;
    await readDataset(counted, '/implicit', {
      slice: [
        [2, 4],
        [5, 9],
      ],
    });
    expect(source.read).toEqual([[chunks.at(4)?.address, 40]]);
    source.read.length = 0;
    await readDataset(counted, '/contiguous', { slice: [2] });
    expect(source.read).toEqual([[(counted.dataset('/contiguous').info.address ?? 0) + 2 * 44, 44]]);
  });

  test('cut anywhere: the right answer or an H5zError', async () => {
    for (let size = 0; size < bytes.length; size += 4096) await survive(bytes.subarray(0, size), rows);
  });

  test('bytes patched in metadata: the right answer, other values, or an H5zError', async () => {
    let seed = 42;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    for (let round = 0; round < 60; round++) {
      const damaged = bytes.slice();
      for (let i = 0; i < 4; i++) {
        const at = random(damaged.length - 8);
        const word = [0xff, 0x00, 0x7f, random(256)][random(4)] ?? 0;
        damaged.fill(word, at, at + 1 + random(8));
      }
      await survive(damaged);
    }
  });
});
if (env.python === undefined) test(`slices.py: ${need('python')}`, ({ skip }) => skip(need('python')));

/** Reads everything there is; with `rows`, values that come without an error are the right ones. */
async function survive(bytes: Uint8Array, rows: readonly Row[] = []): Promise<void> {
  const named = (error: unknown, name: string) => {
    expect(error).toMatchObject({ name: 'H5zError' });
    expect((error as Error).message).toContain(name);
  };
  let file: H5File;
  try {
    file = await open(bytes, { name: 'damaged.h5' });
  } catch (error) {
    return named(error, 'damaged.h5');
  }
  for (const dataset of file.datasets) {
    if (dataset.byteLength > 1 << 26) continue;
    try {
      const { data } = await readDataset(file, dataset.path);
      const [, , , digest] = rows.find(([path, slice]) => path === dataset.path && slice.length === 0) ?? [];
      if (digest !== undefined) expect(sha256(data), dataset.path).toBe(digest);
    } catch (error) {
      named(error, 'damaged.h5');
      named(error, dataset.path);
    }
  }
  for (const { error } of file.problems) named(error, 'damaged.h5');
}
