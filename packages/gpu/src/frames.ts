// Bitshuffle with Zstandard, cut in two: the cores decode a chunk's frames, each of them by itself, and the GPU transposes the rows of bits
// that they hold, as it does for chunks without compression.

import type { CdValues, Pipeline } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { blockBytes, blockIndex } from './formats.js';

const BITSHUFFLE = 32008;
const ZSTD = 32015;
const CODEC = 4;

/** What the cores do of a stage, and what they leave to the GPU. */
export interface Frames {
  /** *Stored* cd_values of the rest: bitshuffle without compression. */
  readonly rest: CdValues;
  /**
   * The rows of a chunk that is `size` bytes when it is whole, all frames decoded. Undefined: its blocks are not those that `rest` says.
   * Throws what its header or a frame is wrong with.
   */
  readonly rows: (chunk: Uint8Array, size: number) => Promise<Uint8Array | undefined>;
}

/** The two halves of a stage; undefined where it is none of frames, and a sentence where their codec is not there. */
export async function framesOf(
  id: number,
  cdValues: CdValues,
  registry: Pick<Registry, 'get' | 'pipeline'>,
): Promise<Frames | string | undefined> {
  if (id !== BITSHUFFLE || cdValues[CODEC] !== 3) return undefined;
  if (registry.get(ZSTD) === undefined) return 'with @h5z/zstd in the registry the GPU could do the rest';
  const zstd = await registry.pipeline([{ id: ZSTD, cdValues: [] }]);
  const [, , elem = 0, block = 0] = cdValues;
  return { rest: [0, 4, elem, block, 0], rows: (chunk, size) => rowsOf(chunk, cdValues, size, zstd) };
}

async function rowsOf(
  chunk: Uint8Array,
  cdValues: CdValues,
  size: number,
  zstd: Pipeline,
): Promise<Uint8Array | undefined> {
  const { blocks, blockSize } = blockIndex(chunk, { id: BITSHUFFLE, cdValues, size });
  if (blocks.length > 0 && blockSize !== blockBytes(cdValues)) return undefined;
  const frames = blocks.filter(({ raw }) => !raw);
  const stored = frames.map(({ srcOffset, srcSize, dstSize }) => ({
    data: chunk.subarray(srcOffset, srcOffset + srcSize),
    size: dstSize,
  }));
  const decoded = await zstd.decodeMany(stored);
  const rows = new Uint8Array(size);
  frames.forEach(({ dstOffset }, i) => {
    rows.set(decoded[i] ?? [], dstOffset);
  });
  for (const { raw, srcOffset, srcSize, dstOffset } of blocks)
    if (raw) rows.set(chunk.subarray(srcOffset, srcOffset + srcSize), dstOffset);
  return rows;
}
