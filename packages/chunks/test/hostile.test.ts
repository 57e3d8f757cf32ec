// Chunk indexes that lie: B-trees that point at themselves, chunks twice or outside, sizes beyond the file, files cut short;
// and none or very many chunks. Each is an error that names file, dataset and chunk, or the right answer, in a time and a
// memory that have a bound.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { env, need } from '../../../tests/support/env.ts';
import { open, readDataset } from '../dist/index.js';
import { checksum } from './checksum.ts';

const SCRIPT = `
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w", libver="earliest") as f:
    f.create_dataset("d", data=np.arange(4000, dtype="<i4"), chunks=(10,), compression="gzip")
with h5py.File(sys.argv[2], "w", libver="latest") as f:
    p = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    p.set_chunk((1,))
    p.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    p.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(f.id, b"d", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((10000000,)), p)
with h5py.File(sys.argv[3], "w", libver="latest") as f:
    a = np.arange(4000, dtype="<i4")
    f.create_dataset("single", data=a, chunks=(4000,), compression="gzip")
    f.create_dataset("fixed", data=a, chunks=(10,), compression="gzip")
    f.create_dataset("tree", data=a.reshape(400, 10), chunks=(1, 10), maxshape=(None, None), compression="gzip")
    f.create_dataset("none", (0, 5), "<i4", chunks=(3, 5), maxshape=(None, 5), compression="gzip")
    f.create_dataset("unwritten", (50, 5), "<i4", chunks=(3, 5), compression="gzip", fillvalue=7)
`;

const COUNT = Int32Array.from({ length: 4000 }, (_, i) => i);

/** Of a version 1 B-tree's node: header, then keys (stored size, filter mask, offsets of rank + 1) and children by turns. */
const HEADER = 24;
const KEY = 24;
const ENTRY = KEY + 8;

describe.skipIf(env.python === undefined)('lying indexes', () => {
  let folder: string;
  let bytes: Buffer;
  let latest: Buffer;
  let many: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'h5z-hostile-'));
    many = join(folder, 'many.h5');
    execFileSync(env.python ?? '', ['-c', SCRIPT, join(folder, 'tree.h5'), many, join(folder, 'latest.h5')]);
    bytes = readFileSync(join(folder, 'tree.h5'));
    latest = readFileSync(join(folder, 'latest.h5'));
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

  async function failure(damage: (copy: Buffer) => void, of = bytes, path = '/d'): Promise<string> {
    const copy = Buffer.from(of);
    damage(copy);
    const file = await open(new Uint8Array(copy), { name: 'hostile.h5' });
    const error = await attempt(() => readDataset(file, path));
    expect(error).toMatchObject({ name: 'H5zError' });
    const { message } = error as Error;
    expect(message).toContain(`hostile.h5: ${path}: `);
    return message;
  }

  /** What it throws; undefined when nothing. */
  async function attempt(work: () => Promise<unknown>): Promise<unknown> {
    try {
      await work();
    } catch (error) {
      return error;
    }
    return undefined;
  }

  /** The only place where these bytes lie. */
  function placeOf(pattern: Uint8Array, from = 0): number {
    const at = latest.indexOf(pattern, from);
    expect([at >= 0, latest.indexOf(pattern, at + 1)]).toEqual([true, -1]);
    return at;
  }

  function le64(...words: (number | bigint)[]): Buffer {
    const out = Buffer.alloc(8 * words.length);
    for (const [i, word] of words.entries()) out.writeBigUInt64LE(BigInt(word), 8 * i);
    return out;
  }

  /** Writes the checksum that ends at `end` anew, over what lies from the signature before it on. */
  function sign(copy: Buffer, signature: string, end: number): void {
    const start = copy.lastIndexOf(signature, end - 4);
    // The file as it was says that this is the place.
    expect(checksum(latest.subarray(start, end - 4))).toBe(latest.readUInt32LE(end - 4));
    copy.writeUInt32LE(checksum(copy.subarray(start, end - 4)), end - 4);
  }

  /** Where a version 2 object header around `at` ends. */
  function headerEnd(at: number): number {
    const start = latest.lastIndexOf('OHDR', at);
    const flags = latest[start + 5] ?? 0;
    const sizeAt = start + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    const width = 1 << (flags & 3);
    return sizeAt + width + latest.readUIntLE(sizeAt, width) + 4;
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

  test('a chunk that lies in another, one that is another', async () => {
    const [leaf = 0] = nodes(0);
    const first = bytes.readBigUInt64LE(leaf + HEADER + KEY);
    const second = leaf + HEADER + ENTRY + KEY;
    expect(await failure((copy) => copy.writeBigUInt64LE(first + 3n, second))).toMatch(/chunk \d+ at \d+: deflate/);
    // HDF5 has no rule against it: both places hold what lies there.
    const copy = Buffer.from(bytes);
    copy.copy(copy, leaf + HEADER + ENTRY, leaf + HEADER, leaf + HEADER + 8); // stored size and filter mask
    copy.writeBigUInt64LE(first, second);
    const { data } = await readDataset(await open(new Uint8Array(copy)), '/d');
    const [from, to] = [0, 1].map((i) => Number(bytes.readBigUInt64LE(leaf + HEADER + i * ENTRY + 8)));
    expect(data.slice(to, (to ?? 0) + 10)).toEqual(data.slice(from, (from ?? 0) + 10));
  });

  test('the newer indexes are what the tests take them for', async () => {
    const file = await open(new Uint8Array(latest));
    for (const path of ['/single', '/fixed', '/tree']) expect((await readDataset(file, path)).data).toEqual(COUNT);
  });

  test('a chunk that claims 2^63 bytes, one at 2^63, chunks of 2^63 elements', async () => {
    const chunk = (await open(new Uint8Array(latest))).dataset('/single').chunks.at(0);
    const place = placeOf(Buffer.concat([le64(chunk?.size ?? 0), Buffer.alloc(4), le64(chunk?.address ?? 0)]));
    const patched = (at: number, value: bigint) =>
      failure(
        (copy) => {
          copy.writeBigUInt64LE(value, at);
          sign(copy, 'OHDR', headerEnd(at));
        },
        latest,
        '/single',
      );
    for (const size of [1n << 63n, (1n << 63n) + 1n, (1n << 64n) - 1n, 1n << 53n, 1n << 32n]) {
      // libhdf5 keeps 32 bits of it, so that what it says may be none or one byte.
      expect(await patched(place, size)).toMatch(
        /chunk 0 (lies at \d+, .* bytes long, but the file ends|at 0: deflate )/,
      );
    }
    expect(await patched(place + 12, 1n << 63n)).toMatch(/chunk 0 lies at .* but the file ends/);
    expect(await patched(place + 12, BigInt(latest.length))).toMatch(/chunk 0 lies at .* but the file ends/);
    // 4000 elements and their 4 bytes, in two bytes each, before the kind of index.
    const dims = placeOf(Uint8Array.of(2, 0xa0, 0x0f, 4, 0, 1));
    const huge = Buffer.from(latest);
    huge.writeUInt16LE(0xffff, dims + 1);
    huge.writeUInt16LE(0xffff, dims + 3);
    sign(huge, 'OHDR', headerEnd(dims));
    const error = await attempt(async () =>
      readDataset(await open(new Uint8Array(huge), { name: 'hostile.h5' }), '/single'),
    );
    expect(error).toMatchObject({ name: 'H5zError', message: expect.stringContaining('hostile.h5: /single') });
  });

  test('a version 2 B-tree whose root is its own child, or has one child twice', async () => {
    const root = latest.indexOf('BTIN');
    const leaves: number[] = [];
    for (let at = latest.indexOf('BTLF'); at >= 0; at = latest.indexOf('BTLF', at + 4)) leaves.push(at);
    const children = leaves
      .map((leaf) => [leaf, latest.indexOf(le64(leaf), root)] as const)
      .filter(([, at]) => at >= 0);
    expect(children.length).toBeGreaterThan(2);
    // Child pointers are an address and a count of one byte; the checksum is what follows them.
    const end = Math.max(...children.map(([, at]) => at)) + 8 + 1 + 4;
    const message = await failure(
      (copy) => {
        for (const [, at] of children) copy.writeBigUInt64LE(BigInt(root), at);
        sign(copy, 'BTIN', end);
      },
      latest,
      '/tree',
    );
    expect(message).toMatch(/B-tree|chunk|index/);
    const twice = await failure(
      (copy) => {
        const [[leaf = 0] = [], [, at = 0] = []] = children;
        copy.writeBigUInt64LE(BigInt(leaf), at);
        sign(copy, 'BTIN', end);
      },
      latest,
      '/tree',
    );
    expect(twice).toMatch(/chunk \d+,0 is there twice|B-tree/);
  });

  test('no chunks at all', async () => {
    const file = await open(new Uint8Array(latest));
    const none = await readDataset(file, '/none');
    expect([none.shape, none.data.length, file.dataset('/none').chunks.length]).toEqual([[0, 5], 0, 0]);
    expect([...file.dataset('/unwritten').chunks]).toEqual([]);
    expect((await readDataset(file, '/unwritten')).data).toEqual(new Int32Array(250).fill(7));
  });

  test('a file on disk cut at every 4 KiB, and one that is cut while it is open', async () => {
    const path = join(folder, 'cut.h5');
    let chunksNamed = 0;
    for (let size = 0; size < latest.length; size += 4096) {
      writeFileSync(path, latest.subarray(0, size));
      for (const name of ['/single', '/fixed', '/tree', '/unwritten']) {
        const error = await attempt(async () => {
          const { data } = await readDataset(path, name);
          expect(data).toEqual(name === '/unwritten' ? new Int32Array(250).fill(7) : COUNT);
        });
        if (error === undefined) continue;
        expect(error).toMatchObject({ name: 'H5zError', message: expect.stringContaining(path) });
        const { message } = error as Error;
        if (message.includes(' chunk ')) chunksNamed += Number(/: \/\w+: chunk \d+(,\d+)? /.test(message));
      }
    }
    // A file that HDF5 takes for whole although it is shorter than it says: the superblock's end of file is changed along.
    for (let size = 4096; size < latest.length; size += 4096) {
      const copy = Buffer.from(latest.subarray(0, size));
      copy.writeBigUInt64LE(BigInt(size), 28);
      copy.writeUInt32LE(checksum(copy.subarray(0, 44)), 44);
      writeFileSync(path, copy);
      for (const name of ['/single', '/fixed', '/tree']) {
        const error = await attempt(async () => expect((await readDataset(path, name)).data).toEqual(COUNT));
        if (error === undefined) continue;
        expect(error).toMatchObject({ name: 'H5zError', message: expect.stringContaining(path) });
        if (/: \/\w+: chunk \d+(,\d+)? /.test((error as Error).message)) chunksNamed++;
      }
    }
    expect(chunksNamed).toBeGreaterThan(0);
    writeFileSync(path, latest);
    const file = await open(path);
    const { chunks } = file.dataset('/fixed');
    truncateSync(path, Math.floor((chunks.at(200)?.address ?? 0) / 4096) * 4096);
    const error = await attempt(() => readDataset(file, '/fixed'));
    expect(error).toMatchObject({
      name: 'H5zError',
      message: expect.stringMatching(/cut\.h5: \/fixed: chunk \d+ at \d+: /),
    });
    file.close();
    await expect(readDataset(file, '/fixed')).rejects.toMatchObject({ code: 'H5Z_FILE' });
  });

  test('ten million chunks, of which a slice reads three', async () => {
    const script = `
      const { open, readDataset } = await import(${JSON.stringify(join(import.meta.dirname, '../dist/index.js'))});
      const file = await open(${JSON.stringify(many)});
      const { peak } = await import(${JSON.stringify(join(import.meta.dirname, '../../bench/src/peak.ts'))});
      const before = peak();
      const { chunks } = file.dataset('/d');
      const found = JSON.stringify(chunks.find([9_999_999])) === JSON.stringify(chunks.at(-1));
      let read = 0;
      const { shape } = await readDataset(file, '/d', { slice: [[5_000_000, 5_000_003]], onChunk: () => read++ });
      console.log(JSON.stringify({ length: chunks.length, found, shape, read, perChunk: (peak() - before) / chunks.length }));`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const { perChunk, ...rest } = JSON.parse(out) as { perChunk: number };
    expect(rest).toEqual({ length: 10_000_000, found: true, shape: [3], read: 3 });
    // Four doubles, and no second copy of them.
    expect(perChunk).toBeLessThan(48);
  });
});
if (env.python === undefined) test(`lying indexes: ${need('python')}`, ({ skip }) => skip(need('python')));
