// What the two block formats say before a block is decoded, LZ4 (32004) and bitshuffle with LZ4 or Zstandard (32008): where the
// blocks of a chunk are, for programs that fetch and decode them by themselves (an FPGA, say).
//
//     u64 be decoded size | u32 be bytes of a block | u32 be length, block 0 | u32 be length, block 1 | ... | raw tail
//
// LZ4: a block whose length is its decoded size is stored as it is; the last block is what is left over. Bitshuffle: every block
// is one LZ4 block, or one Zstandard frame, of bit-transposed elements, the last one of a multiple of 8 elements, and fewer than 8 elements follow raw.
// Sources: filters/lz4/src/filter.c and filters/bitshuffle/src/filter.c, which name the formats' own.

import { type CdValues, H5zError } from '@h5z/core';

const LZ4 = 32004;
const BITSHUFFLE = 32008;
const ZSTD = 32015;
/** Bitshuffle's cd_values[4] as the filter that codes blocks so. */
const CODECS: Readonly<Record<number, number>> = { 2: LZ4, 3: ZSTD };
/** Most bytes that one stored byte can become: LZ4's longest match; a whole block of Zstandard of one value. */
const mostOfOne = (codec: number): bigint => (codec === LZ4 ? 255n : 131072n);
const HEADER = 12;
const LENGTH = 4;
/** LZ4_MAX_INPUT_SIZE: no LZ4 block is larger. Frames have other bounds. */
const MOST = 0x7e000000;

/** One block of a chunk. Offsets are in bytes from the chunk's first stored and first decoded byte. */
export interface Block {
  readonly srcOffset: number;
  readonly srcSize: number;
  readonly dstOffset: number;
  readonly dstSize: number;
  /** The stored bytes are the decoded ones; false: they are what {@link BlockIndex.codec} makes of one block. */
  readonly raw: boolean;
  /** The decoded bytes are the rows of bits of `dstSize` / elementSize elements, to be transposed back. */
  readonly transposed: boolean;
}

export interface BlockIndex {
  /** Decoded bytes of the chunk. */
  readonly size: number;
  /** Decoded bytes of every block but the last. */
  readonly blockSize: number;
  /** What the blocks that are not raw are, as a filter ID: 32004 for bare LZ4 blocks, 32015 for Zstandard frames. */
  readonly codec: number;
  /** Bytes of an element; 1 for LZ4, which does not know. */
  readonly elementSize: number;
  /** In order, without gaps in what is decoded. */
  readonly blocks: readonly Block[];
}

export interface BlockIndexOptions {
  /** HDF5 filter ID: 32004 or 32008. */
  readonly id: number;
  /** *Stored* cd_values. */
  readonly cdValues: CdValues;
  /** The chunk's full size in bytes, when it is known: a chunk that says otherwise is refused. */
  readonly size?: number;
}

function corrupt(problem: string): H5zError {
  return new H5zError('H5Z_E_CORRUPT', `the blocks of the chunk cannot be found: ${problem}`);
}

function refuse(problem: string, remedy: string): H5zError {
  return new H5zError('H5Z_PARAMETER', problem, { remedy });
}

const automatic = (elem: number): number => Math.max(128, Math.floor(8192 / elem / 8) * 8);

interface Bitshuffle {
  readonly elem: number;
  /** Elements. */
  readonly block: number;
  readonly codec: number;
}

/** What a filter's blocks are, as {@link BlockIndex.codec}; undefined for filters and *stored* cd_values without such blocks. */
export function blockCodec(id: number, cdValues: CdValues): number | undefined {
  if (id === LZ4) return LZ4;
  return id === BITSHUFFLE ? CODECS[cdValues[4] ?? 0] : undefined;
}

/** Bytes of the blocks that bitshuffle's cd_values ask for. */
export function blockBytes(cdValues: CdValues): number {
  const { elem, block } = bitshuffle(cdValues);
  return elem * block;
}

function bitshuffle(cdValues: CdValues): Bitshuffle {
  const [, , elem = 0, block = 0, codec = 0] = cdValues;
  if (elem === 0 || block % 8 !== 0)
    throw refuse(
      `the cd_values of bitshuffle are [${[...cdValues].join(', ')}]`,
      'pass the stored ones, which have the size of an element third and a multiple of 8 fourth',
    );
  return { elem, block: block > 0 ? block : automatic(elem), codec };
}

/**
 * Where the blocks of a chunk are. Reads nothing of the blocks but their lengths, which all lie inside of the chunk or this
 * throws: H5Z_E_CORRUPT for a chunk whose header or lengths cannot be, H5Z_E_OUTPUT for one that is not of `size`, H5Z_PARAMETER
 * for a filter or cd_values without such blocks. A block's own content is not looked at.
 */
export function blockIndex(chunk: Uint8Array, options: BlockIndexOptions): BlockIndex {
  const { id, cdValues, size: expected } = options;
  if (id !== LZ4 && id !== BITSHUFFLE)
    throw refuse(`filter ${id} has no index of blocks`, `use it for filters ${LZ4} and ${BITSHUFFLE}`);
  const shuffled = id === BITSHUFFLE ? bitshuffle(cdValues) : undefined;
  const codec = blockCodec(id, cdValues);
  if (codec === undefined)
    throw refuse(`bitshuffle with codec ${shuffled?.codec} has no such blocks`, 'use it where cd_values[4] is 2 or 3');
  const elem = shuffled?.elem ?? 1;

  if (chunk.length < HEADER) throw corrupt(`${chunk.length} bytes are no header`);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const claimed = view.getBigUint64(0);
  // A claim beyond that is a lie, and nobody makes room for it.
  if (claimed / mostOfOne(codec) > BigInt(chunk.length)) throw corrupt(`${chunk.length} bytes claim to be ${claimed}`);
  const size = Number(claimed);
  if (expected !== undefined && size !== expected)
    throw new H5zError('H5Z_E_OUTPUT', `the chunk says that it has ${size} bytes, and its dataset ${expected}`);
  if (size % elem !== 0) throw corrupt(`${size} bytes are no multiple of elements of ${elem}`);

  const said = view.getUint32(8);
  const elements = Math.floor(said / elem) || (shuffled === undefined ? 0 : automatic(elem));
  if (shuffled !== undefined && elements % 8 !== 0) throw corrupt(`a block of ${elements} elements`);
  const blockSize = elements * elem;
  if (size > 0 && blockSize === 0) throw corrupt('blocks of 0 bytes');
  const tail = shuffled === undefined ? 0 : ((size / elem) % 8) * elem;

  const blocks: Block[] = [];
  let srcOffset = HEADER;
  for (let dstOffset = 0; dstOffset < size - tail; ) {
    const dstSize = Math.min(blockSize, size - tail - dstOffset);
    const left = chunk.length - srcOffset;
    if (left < LENGTH) throw corrupt(`block ${blocks.length} has no length`);
    const srcSize = view.getUint32(srcOffset);
    if (srcSize > left - LENGTH)
      throw corrupt(`block ${blocks.length} has ${srcSize} bytes, and ${left - LENGTH} are left`);
    const raw = shuffled === undefined && srcSize === dstSize;
    if (!raw && codec === LZ4 && dstSize > MOST) throw corrupt(`block ${blocks.length} would have ${dstSize} bytes`);
    blocks.push({
      srcOffset: srcOffset + LENGTH,
      srcSize,
      dstOffset,
      dstSize,
      raw,
      transposed: shuffled !== undefined,
    });
    srcOffset += LENGTH + srcSize;
    dstOffset += dstSize;
  }
  if (chunk.length - srcOffset !== tail)
    throw corrupt(`${chunk.length - srcOffset} bytes lie behind the blocks, and ${tail} should`);
  if (tail > 0)
    blocks.push({
      srcOffset,
      srcSize: tail,
      dstOffset: size - tail,
      dstSize: tail,
      raw: true,
      transposed: false,
    });
  return { size, blockSize, codec, elementSize: elem, blocks };
}
