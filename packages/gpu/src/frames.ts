// Bitshuffle with Zstandard, cut in two: the cores decode a chunk's frames, each of them by itself, and the GPU transposes the rows of bits
// that they hold, as it does for chunks without compression.

import type { CdValues, FilterDescription, Pipeline } from '@h5z/core';
import type { Registry } from '@h5z/registry';
import { blockBytes, blockCodec, blockIndex } from './formats.js';
import { plainSetting } from './needs.js';

/** What the cores do of a stage, and what they leave to the GPU. */
export interface Frames {
  /** *Stored* cd_values of the rest: the filter without compression. */
  readonly rest: CdValues;
  /**
   * The rows of a chunk that is `size` bytes when it is whole, all frames decoded. Undefined: its blocks are not those that `rest` says.
   * Throws what its header or a frame is wrong with.
   */
  readonly rows: (chunk: Uint8Array, size: number) => Promise<Uint8Array | undefined>;
}

/** The two halves of a stage; undefined where it is none of frames, and a sentence where their codec is not there. */
export async function framesOf(
  description: FilterDescription,
  cdValues: CdValues,
  registry: Pick<Registry, 'get' | 'pipeline'>,
): Promise<Frames | string | undefined> {
  const { id } = description;
  const codec = blockCodec(id, cdValues);
  const rest = plainSetting(description, cdValues);
  if (codec === undefined || rest === undefined) return undefined;
  if (registry.get(codec) === undefined) return `with filter ${codec} in the registry the GPU could do the rest`;
  const coder = await registry.pipeline([{ id: codec, cdValues: [] }]);
  return { rest, rows: (chunk, size) => rowsOf(chunk, { id, cdValues, size }, coder) };
}

async function rowsOf(
  chunk: Uint8Array,
  options: { readonly id: number; readonly cdValues: CdValues; readonly size: number },
  coder: Pipeline,
): Promise<Uint8Array | undefined> {
  const { blocks, blockSize } = blockIndex(chunk, options);
  if (blocks.length > 0 && blockSize !== blockBytes(options.cdValues)) return undefined;
  const frames = blocks.filter(({ raw }) => !raw);
  const stored = frames.map(({ srcOffset, srcSize, dstSize }) => ({
    data: chunk.subarray(srcOffset, srcOffset + srcSize),
    size: dstSize,
  }));
  const decoded = await coder.decodeMany(stored);
  const rows = new Uint8Array(options.size);
  frames.forEach(({ dstOffset }, i) => {
    rows.set(decoded[i] ?? [], dstOffset);
  });
  for (const { raw, srcOffset, srcSize, dstOffset } of blocks)
    if (raw) rows.set(chunk.subarray(srcOffset, srcOffset + srcSize), dstOffset);
  return rows;
}
