/* The bitshuffle filter on a GPU, without compression and with LZ4. Layout and rules are filter.c's; the dialect is h5z/gpu.h's.
 *
 * Without compression the blocks are known, and every lane takes eight elements' byte k at a time. With LZ4 a group decodes a
 * block into its shared memory and transposes the bits from there. Blocks of more than 8 KiB, which only files of
 * an explicit block size or of large elements have, go through scratch beyond H5Z_GPU_SCRATCH's, laid out as dst is: where
 * the caller gave none, they are H5Z_E_MEMORY. Encoding with LZ4 wants such scratch always, and room for the worst case. Zstandard
 * is H5Z_E_UNSUPPORTED: its entropy coding is the CPU's.
 */
#include <h5z/gpu/blocks.h>
#include <h5z/gpu/transpose.h>

#define H5Z_LZ4_DECODE lz4_in_shared
#define H5Z_LZ4_MEMORY H5Z_LOCAL
#include <h5z/gpu/lz4.h>
#define H5Z_LZ4_DECODE lz4_in_scratch
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4.h>
#define H5Z_LZ4_ENCODE lz4_of_shared
#define H5Z_LZ4_MEMORY H5Z_LOCAL
#include <h5z/gpu/lz4_encode.h>
#define H5Z_LZ4_ENCODE lz4_of_room
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4_encode.h>

enum { CODEC_NONE = 0, CODEC_LZ4 = 2, CODEC_ZSTD = 3, SHARED_BLOCK = 8192 };

H5Z_DEVICE uint64_t automatic_block(uint64_t elem) {
  const uint64_t block = 8192 / elem / 8 * 8;
  return block < 128 ? 128 : block;
}

/* How a chunk is cut; by value, so that it is never in memory. */
typedef struct shape {
  uint64_t elem, block; /* bytes; elements                                         */
  h5z_gpu_blocks blocks; /* with LZ4                                               */
  uint64_t each;        /* encoding: the worst case of all blocks but the last one */
  uint32_t codec;
  int32_t status; /* 0 or an error                                                 */
} shape;

/* What the cd_values say. */
H5Z_DEVICE shape settings(H5Z_GLOBAL const uint32_t *cd, uint32_t ncd) {
  shape s = {.status = H5Z_E_PARAM};
  if (ncd < 3 || cd[2] == 0) return s;
  s.elem = cd[2];
  s.block = ncd > 3 && cd[3] > 0 ? cd[3] : automatic_block(s.elem);
  s.codec = ncd > 4 ? cd[4] : CODEC_NONE;
  if (s.block % 8 != 0) return s;
  if (s.codec == CODEC_ZSTD) s.status = H5Z_E_UNSUPPORTED;
  if (s.codec == CODEC_NONE || s.codec == CODEC_LZ4) s.status = 0;
  return s;
}

/* Chunks without compression, of less than 4 GiB, both directions. An item is a byte of eight neighbouring elements, across all blocks. */
H5Z_DEVICE void transpose(const h5z_gpu_part *p, const shape *s, int to_rows) {
  const uint32_t elem = (uint32_t)s->elem, n = (uint32_t)p->size / elem, items = n / 8 * elem;
  const uint32_t block = s->block < n ? (uint32_t)s->block : n / 8 * 8, block_items = block / 8 * elem;
  const uint32_t whole = block > 0 ? n / block * block : 0, last = (n - whole) / 8 * 8;
  for (uint64_t i = p->lane; i < items; i += p->lanes) {
    const uint32_t before = (uint32_t)i / block_items, first = before * block, item = (uint32_t)i - before * block_items;
    const uint32_t at = first * elem, elements = first < whole ? block : last;
    if (to_rows) H5Z_GPU_BITS_TO_ROWS(p->in + at, p->out + at, elements, elem, item);
    else H5Z_GPU_ROWS_TO_BITS(p->in + at, p->out + at, elements, elem, item);
  }
  for (uint64_t i = (uint64_t)items * 8 + p->lane; i < p->size; i += p->lanes) p->out[i] = p->in[i];
}

/* Cuts `size` bytes into blocks for `groups` parts. Bytes of the largest one. */
H5Z_DEVICE uint64_t cut(shape *s, uint64_t size, uint32_t groups) {
  h5z_gpu_blocks *const blocks = &s->blocks;
  const uint64_t n = size / s->elem, last = n % s->block / 8 * 8;
  blocks->size = size;
  blocks->block = s->block * s->elem;
  blocks->count = n / s->block + (last > 0);
  blocks->last = last > 0 ? last * s->elem : blocks->block;
  blocks->tail = n % 8 * s->elem;
  blocks->run = blocks->count > 0 ? (blocks->count - 1) / groups + 1 : 1;
  return blocks->count == 1 ? blocks->last : blocks->count > 0 ? blocks->block : 0;
}

/* What the cd_values say, and the chunk of itself where it has LZ4: its blocks are the header's. `space`: h5z_gpu_space. */
H5Z_OUTLINE shape stored(H5Z_GLOBAL const uint32_t *cd, uint32_t ncd, H5Z_GLOBAL const uint8_t *in, uint64_t bytes,
                         uint64_t room, uint32_t groups, int space) {
  shape s = settings(cd, ncd);
  if (s.status != 0) return s;
  if (s.codec == CODEC_NONE) {
    s.status = bytes % s.elem != 0 ? H5Z_E_CORRUPT : bytes > room ? H5Z_E_OUTPUT : bytes > UINT32_MAX ? H5Z_E_UNSUPPORTED : 0;
    return s;
  }
  const uint64_t size = bytes < H5Z_GPU_HEADER ? 0 : h5z_gpu_u64be(in);
  s.status = bytes < H5Z_GPU_HEADER || size / 255 > bytes || size % s.elem != 0 ? H5Z_E_CORRUPT : size > room ? H5Z_E_OUTPUT : 0;
  if (s.status != 0) return s;
  s.block = h5z_gpu_u32be(in + 8) / s.elem;
  if (s.block == 0) s.block = automatic_block(s.elem);
  const uint64_t largest = s.block % 8 != 0 ? UINT64_MAX : cut(&s, size, groups);
  s.status = largest > H5Z_GPU_LZ4_MOST ? H5Z_E_CORRUPT : largest > SHARED_BLOCK && !space ? H5Z_E_MEMORY : 0;
  return s;
}

H5Z_DEVICE shape stored_of(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  return stored(b->cd, b->ncd, p->in, p->size, p->room, b->groups, h5z_gpu_space(b));
}

H5Z_KERNEL void h5z_bitshuffle_decode_0(h5z_gpu_batch b) {
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const shape s = stored_of(&b, &p);
  if (s.status == 0 && s.codec == CODEC_LZ4) {
    h5z_gpu_index(&b, &p, &s.blocks);
    return;
  }
  h5z_gpu_no_blocks(&b, &p);
  h5z_gpu_answer(&b, &p, p.size, s.status);
  if (s.status == 0) transpose(&p, &s, 0);
}

H5Z_KERNEL void h5z_bitshuffle_decode_1(h5z_gpu_batch b) {
  H5Z_SHARED(uint8_t, rows, SHARED_BLOCK);
  h5z_gpu_part p;
  if (!h5z_gpu_next(&b, &p)) return;
  const shape s = stored_of(&b, &p);
  if (s.status != 0 || s.codec == CODEC_NONE) return;
  const h5z_gpu_blocks blocks = s.blocks;
  H5Z_GLOBAL const uint64_t *index = h5z_gpu_scratch(&b, &p);
  const uint64_t end = index[b.groups];
  if (end == H5Z_GPU_NO_BLOCKS) return;
  for (uint64_t i = p.lane; i < blocks.tail; i += p.lanes) p.out[blocks.size - blocks.tail + i] = p.in[end + i];
  uint64_t offset = index[p.part];
  if (offset == H5Z_GPU_NO_BLOCKS) return;

  H5Z_GLOBAL uint8_t *large = h5z_gpu_aside(&b, &p);
  const uint64_t first = p.part * blocks.run;
  for (uint64_t i = first; i < first + blocks.run && i < blocks.count; i++) {
    const uint32_t want = (uint32_t)(i + 1 == blocks.count ? blocks.last : blocks.block);
    const uint64_t at = i * blocks.block, n = want / s.elem, items = n / 8 * s.elem;
    uint32_t length = 0;
    H5Z_GLOBAL const uint8_t *block = h5z_gpu_block(&p, &offset, &length);
    int good = block != NULL && length <= INT32_MAX;
    if (want <= SHARED_BLOCK) {
      good = good && lz4_in_shared(block, length, rows, want);
      for (uint64_t k = h5z_lane(); good && k < items; k += h5z_lanes()) H5Z_GPU_ROWS_TO_BITS(rows, p.out + at, n, s.elem, k);
    } else {
      good = good && lz4_in_scratch(block, length, large + at, want);
      for (uint64_t k = h5z_lane(); good && k < items; k += h5z_lanes()) H5Z_GPU_ROWS_TO_BITS(large + at, p.out + at, n, s.elem, k);
    }
    if (!good) {
      h5z_gpu_fail(&b, &p, H5Z_E_CORRUPT);
      return;
    }
  }
}

/* What the cd_values say, and the blocks that a chunk of `bytes` will have with LZ4. */
H5Z_OUTLINE shape wanted(H5Z_GLOBAL const uint32_t *cd, uint32_t ncd, uint64_t bytes, uint64_t room, uint32_t groups, int space) {
  shape s = settings(cd, ncd);
  if (s.status != 0) return s;
  if (s.codec == CODEC_NONE) {
    s.status = bytes % s.elem != 0 ? H5Z_E_NOT_APPLICABLE : bytes > room ? H5Z_E_OUTPUT : bytes > UINT32_MAX ? H5Z_E_UNSUPPORTED : 0;
    return s;
  }
  s.status = H5Z_E_NOT_APPLICABLE;
  if (bytes % s.elem != 0 || bytes > INT32_MAX || s.block * s.elem > UINT32_MAX) return s;
  const uint64_t largest = cut(&s, bytes, groups);
  s.each = h5z_lz4_bound(s.blocks.block);
  if (largest <= H5Z_GPU_LZ4_MOST) s.status = h5z_gpu_encodes(&s.blocks, s.each, h5z_lz4_bound(s.blocks.last), room, space);
  return s;
}

H5Z_DEVICE shape wanted_of(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  return wanted(b->cd, b->ncd, p->size, p->room, b->groups, h5z_gpu_space(b));
}

H5Z_KERNEL void h5z_bitshuffle_encode_0(h5z_gpu_batch b) {
  H5Z_SHARED(uint8_t, rows, SHARED_BLOCK);
  H5Z_SHARED(h5z_lz4_search, search, 1);
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const shape s = wanted_of(&b, &p);
  const h5z_gpu_blocks blocks = s.blocks;
  if (s.status != 0 || s.codec == CODEC_NONE) {
    h5z_gpu_answer(&b, &p, p.size, s.status);
    if (s.status == 0) transpose(&p, &s, 1);
    return;
  }
  H5Z_GLOBAL uint8_t *const run = h5z_gpu_run(&b, &p, &blocks, s.each);
  uint64_t bytes = 0;
  const uint64_t first = p.part * blocks.run;
  for (uint64_t i = first; i < first + blocks.run && i < blocks.count; i++) {
    const uint32_t want = (uint32_t)(i + 1 == blocks.count ? blocks.last : blocks.block);
    const uint64_t at = i * blocks.block, n = want / s.elem, items = n / 8 * s.elem;
    const uint32_t most = (uint32_t)h5z_lz4_bound(want);
    H5Z_GLOBAL uint8_t *out = run + bytes + H5Z_GPU_LENGTH;
    uint32_t length;
    if (want <= SHARED_BLOCK) {
      for (uint64_t k = h5z_lane(); k < items; k += h5z_lanes()) H5Z_GPU_BITS_TO_ROWS(p.in + at, rows, n, s.elem, k);
      h5z_sync();
      length = lz4_of_shared(rows, want, out, most, search);
    } else {
      /* The rows wait where the chunk will be, in the block's own place there. */
      for (uint64_t k = h5z_lane(); k < items; k += h5z_lanes()) H5Z_GPU_BITS_TO_ROWS(p.in + at, p.out + at, n, s.elem, k);
      h5z_sync();
      length = lz4_of_room(p.out + at, want, out, most, search);
    }
    h5z_gpu_put_length(run + bytes, length);
    bytes += H5Z_GPU_LENGTH + length;
  }
  if (h5z_lane() == 0) h5z_gpu_scratch(&b, &p)[p.part] = bytes;
}

H5Z_KERNEL void h5z_bitshuffle_encode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  if (!h5z_gpu_next(&b, &p)) return;
  const shape s = wanted_of(&b, &p);
  if (s.status == 0 && s.codec == CODEC_LZ4) h5z_gpu_place(&b, &p, &s.blocks);
}

H5Z_KERNEL void h5z_bitshuffle_encode_2(h5z_gpu_batch b) {
  h5z_gpu_part p;
  if (!h5z_gpu_next(&b, &p)) return;
  const shape s = wanted_of(&b, &p);
  if (s.status == 0 && s.codec == CODEC_LZ4) h5z_gpu_gather(&b, &p, &s.blocks, s.each);
}
