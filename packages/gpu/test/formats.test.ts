// blockIndex: the blocks that it names decode one by one to the chunk, for every golden chunk of both filters, and a damaged or
// lying chunk gives ranges inside of it or an error, never anything else.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Codec, type FilterDescription, isH5zError, loadWasm } from '../../core/dist/index.js';
import { damagedCopies, numbers } from '../../farm/src/damage.ts';
import { type Block, type BlockIndex, blockIndex, kernelNeeds } from '../dist/index.js';

interface Case {
  readonly name: string;
  readonly file: string;
  readonly cdValues: readonly number[];
  readonly size: number;
  readonly sha256: string;
}

const LZ4 = 32004;
const BITSHUFFLE = 32008;
const folder = (name: string): string => fileURLToPath(new URL(`../../../filters/${name}/`, import.meta.url));
const golden = (name: string): { cases: Case[]; bad: (Case & { error: string })[] } =>
  JSON.parse(readFileSync(join(folder(name), 'golden/index.json'), 'utf8'));
const FILTERS = [
  { id: LZ4, name: 'lz4' },
  { id: BITSHUFFLE, name: 'bitshuffle' },
] as const;
const codecs = new Map<number, Codec>();
beforeAll(async () => {
  for (const { id, name } of FILTERS)
    codecs.set(id, await loadWasm(readFileSync(join(folder(name), 'wasm', `${name}.wasm`)), { id }));
});
const codec = (id: number): Codec => codecs.get(id) as Codec;

const isBlocks = (id: number, { cdValues }: Case): boolean => id === LZ4 || cdValues[4] === 2 || cdValues[4] === 3;
const read = (name: string, { file }: Case): Buffer => readFileSync(join(folder(name), 'golden', file));

/** A block by itself, as a program that fetched it would decode it: as a chunk of this one block. */
function decodeBlock(id: number, chunk: Uint8Array, block: Block, { elementSize, codec: of }: BlockIndex): Uint8Array {
  const bytes = chunk.subarray(block.srcOffset, block.srcOffset + block.srcSize);
  if (block.raw) return bytes;
  const alone = Buffer.alloc(16 + bytes.length);
  alone.writeBigUInt64BE(BigInt(block.dstSize));
  alone.writeUInt32BE(block.dstSize, 8);
  alone.writeUInt32BE(bytes.length, 12);
  alone.set(bytes, 16);
  return codec(id).decode(alone, {
    cdValues: id === LZ4 ? [block.dstSize] : [0, 4, elementSize, block.dstSize / elementSize, of === LZ4 ? 2 : 3],
    size: block.dstSize,
  });
}

describe.each(FILTERS)('blockIndex of $name', ({ id, name }) => {
  test('names blocks that decode one by one to the chunk', () => {
    const cases = golden(name).cases.filter((one) => isBlocks(id, one));
    expect(cases.length).toBeGreaterThan(10);
    for (const one of cases) {
      const chunk = read(name, one);
      const index = blockIndex(chunk, { id, cdValues: one.cdValues, size: one.size });
      const { blocks, size, codec: of } = index;
      expect(of, one.name).toBe(one.cdValues[4] === 3 ? 32015 : LZ4);
      expect(size, one.name).toBe(one.size);
      const whole = Buffer.alloc(size);
      let at = 0;
      for (const block of blocks) {
        expect(block.dstOffset, one.name).toBe(at);
        whole.set(decodeBlock(id, chunk, block, index), at);
        at += block.dstSize;
      }
      expect(at, one.name).toBe(size);
      expect(createHash('sha256').update(whole).digest('hex'), one.name).toBe(one.sha256);
    }
  });

  test('refuses what the filter refuses for its structure, with its code', () => {
    let refused = 0;
    for (const one of golden(name).bad.filter((bad) => isBlocks(id, bad))) {
      try {
        blockIndex(read(name, one), { id, cdValues: one.cdValues, size: one.size });
      } catch (error) {
        if (!isH5zError(error)) throw error;
        refused++;
        expect(['H5Z_E_CORRUPT', 'H5Z_E_OUTPUT', 'H5Z_PARAMETER'], one.name).toContain(error.code);
      }
    }
    expect(refused).toBeGreaterThan(5);
  });

  test('of damaged chunks: every range lies inside, or it is an error', () => {
    const random = numbers(id);
    let [found, failed] = [0, 0];
    for (const one of golden(name).cases.filter((sound) => isBlocks(id, sound) && sound.size <= 20_000)) {
      const bytes = read(name, one);
      const header = Array.from({ length: 20 }, () => {
        const copy = Buffer.from(bytes);
        if (copy.length > 0) copy[random(Math.min(24, copy.length))] = random(256);
        return copy;
      });
      for (const chunk of [...damagedCopies(bytes, 6, random), ...header]) {
        try {
          const { blocks, size } = blockIndex(chunk, { id, cdValues: one.cdValues });
          found++;
          expect(size / 255).toBeLessThanOrEqual(chunk.length);
          let end = 12;
          for (const { srcOffset, srcSize, dstOffset, dstSize } of blocks) {
            expect(srcOffset).toBeGreaterThanOrEqual(end);
            end = srcOffset + srcSize;
            expect(dstOffset + dstSize).toBeLessThanOrEqual(size);
          }
          expect(end).toBe(chunk.length);
        } catch (error) {
          if (!isH5zError(error)) throw error;
          expect(error.code).toBe('H5Z_E_CORRUPT');
          failed++;
        }
      }
    }
    expect(Math.min(found, failed)).toBeGreaterThan(50);
  });
});

test('filters and cd_values without blocks are refused by name', () => {
  const refused = (id: number, cdValues: number[]) => {
    try {
      blockIndex(new Uint8Array(20), { id, cdValues });
    } catch (error) {
      return isH5zError(error) ? error.message : error;
    }
    return 'nothing';
  };
  expect(refused(1, [6])).toMatch(/filter 1 has no index of blocks; use it for filters 32004 and 32008/);
  expect(refused(BITSHUFFLE, [0, 4, 2, 0, 0])).toMatch(/codec 0 has no such blocks/);
  expect(refused(BITSHUFFLE, [0, 4, 0, 0, 2])).toMatch(/stored ones/);
  expect(refused(BITSHUFFLE, [0, 4, 2, 12, 2])).toMatch(/multiple of 8/);
});

test('a claim of the whole address space makes no room', () => {
  const chunk = new Uint8Array(40).fill(0xff);
  expect(() => blockIndex(chunk, { id: LZ4, cdValues: [] })).toThrow(/40 bytes claim to be 18446744073709551615/);
});

test('what the kernels want and refuse, by filter.json', () => {
  const of = (name: string, cdValues: readonly number[]) => {
    const file = new URL(`../../../filters/${name}/filter.json`, import.meta.url);
    return kernelNeeds(JSON.parse(readFileSync(file, 'utf8')) as FilterDescription, cdValues);
  };
  const bitshuffle = (elem: number, block = 0, codec = 2) => of('bitshuffle', [0, 4, elem, block, codec]);
  expect(bitshuffle(4, 0, 3).refusal).toMatch(/Zstandard/);
  expect(bitshuffle(4).refusal).toBeUndefined();
  expect([2, 64, 65].map((elem) => bitshuffle(elem).scratch.decode)).toEqual([false, false, true]);
  expect([4096, 4104].map((block) => bitshuffle(2, block).scratch.decode)).toEqual([false, true]);
  expect(bitshuffle(2, 4104, 0).scratch.decode).toBe(false);
  expect([0, 2, 3].map((codec) => bitshuffle(4, 0, codec).adds)).toEqual([0, undefined, undefined]);
  // Old plugins left the codec out: none.
  expect(of('bitshuffle', [0, 2, 4]).adds).toBe(0);
  expect([of('shuffle', [4]).adds, of('fletcher32', []).adds, of('lz4', [0]).adds]).toEqual([0, 4, undefined]);
  expect(['lz4', 'bitshuffle', 'shuffle', 'zfp'].map((name) => of(name, []).lanes)).toEqual([32, 32, 128, 128]);
});
