// Chunk indexes that lie: B-trees that point at themselves, chunks twice or outside, sizes beyond the file; and very many
// chunks. Each is an error that names file, dataset and chunk, in a time that has a bound.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { open, readDataset } from '../dist/index.js';

const SCRIPT = `
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="earliest") as f:
    f.create_dataset("d", data=np.arange(4000, dtype="<i4"), chunks=(10,), compression="gzip")
with h5py.File(sys.argv[2], "w", libver="latest") as f:
    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    p.set_chunk((1,))
    p.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    p.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(f.id, b"d", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((1000000,)), p)
`;

/** Of a version 1 B-tree's node: header, then keys (stored size, filter mask, offsets of rank + 1) and children by turns. */
const HEADER = 24;
const KEY = 24;
const ENTRY = KEY + 8;

describe.skipIf(env.python === undefined)('lying indexes', () => {
  let folder: string;
  let bytes: Buffer;
  let many: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-hostile-'));
    many = join(folder, 'many.h5');
    execFileSync(env.python ?? '', ['-c', SCRIPT, join(folder, 'tree.h5'), many]);
    bytes = readFileSync(join(folder, 'tree.h5'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Where the chunk index has a node of this level. */
  function nodes(level: number): number[] {
    const found: number[] = [];
    for (let at = bytes.indexOf('TREE'); at >= 0; at = bytes.indexOf('TREE', at + 4)) {
      if (bytes[at + 4] === 1 && bytes[at + 5] === level) found.push(at);
    }
    return found;
  }

  async function failure(damage: (copy: Buffer) => void): Promise<string> {
    const copy = Buffer.from(bytes);
    damage(copy);
    const file = await open(new Uint8Array(copy), { name: 'hostile.h5' });
    const error = await readDataset(file, '/d').then(
      () => undefined,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ name: 'H5zError' });
    const { message } = error as Error;
    expect(message).toContain('hostile.h5: /d: ');
    return message;
  }

  test('the file is what the test takes it for', async () => {
    const file = await open(new Uint8Array(bytes));
    expect((await readDataset(file, '/d')).data).toEqual(Int32Array.from({ length: 4000 }, (_, i) => i));
    expect([nodes(1).length, nodes(0).length > 2]).toEqual([1, true]);
  });

  test('a node that is its own child', async () => {
    const [root = 0] = nodes(1);
    const message = await failure((copy) => {
      for (let i = 0; i < copy.readUInt16LE(root + 6); i++) {
        copy.writeBigUInt64LE(BigInt(root), root + HEADER + KEY + i * ENTRY);
      }
    });
    expect(message).toMatch(/index|chunk|libhdf5/);
  });

  test('two entries that lead to one leaf', async () => {
    const [root = 0] = nodes(1);
    const message = await failure((copy) => {
      copy.copy(copy, root + HEADER + KEY + ENTRY, root + HEADER + KEY, root + HEADER + KEY + 8);
    });
    expect(message).toMatch(/chunk \d+ is there twice/);
  });

  test('a chunk outside the dataset, one between places', async () => {
    const [leaf = 0] = nodes(0);
    for (const offset of [10n << 40n, 1n << 63n, 5n]) {
      const message = await failure((copy) => copy.writeBigUInt64LE(offset, leaf + HEADER + 8));
      // Between places libhdf5 itself sees it.
      expect(message).toMatch(
        offset % 10n === 0n ? `chunk ${offset} lies outside the chunk grid` : 'bad coordinate offset',
      );
    }
  });

  test('a chunk that is longer than the file, one that lies beyond it', async () => {
    const [leaf = 0] = nodes(0);
    expect(await failure((copy) => copy.writeUInt32LE(0xffffffff, leaf + HEADER))).toMatch(
      /chunk \d+ lies at .*file ends/,
    );
    expect(await failure((copy) => copy.writeBigUInt64LE(1n << 62n, leaf + HEADER + KEY))).toMatch(/chunk|index/);
  });

  test('a filter mask with every bit set: the stored bytes are no chunk', async () => {
    const [leaf = 0] = nodes(0);
    expect(await failure((copy) => copy.writeUInt32LE(0xffffffff, leaf + HEADER + 4))).toMatch(
      /chunk \d+ at \d+: the chunk decoded to/,
    );
  });

  test('a million chunks, of which a slice reads three', async () => {
    const file = await open(many);
    const { chunks } = file.dataset('/d');
    expect(chunks.length).toBe(1_000_000);
    expect(chunks.find([999_999])).toEqual(chunks.at(-1));
    let read = 0;
    const { shape } = await readDataset(file, '/d', { slice: [[500_000, 500_003]], onChunk: () => read++ });
    expect([shape, read]).toEqual([[3], 3]);
    file.close();
  });
});
if (env.python === undefined) test(`lying indexes: ${need('python')}`, ({ skip }) => skip(need('python')));
