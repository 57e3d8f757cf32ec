/* The LZ4 filter on a GPU: a group for a run of blocks. Layout and rules are filter.c's; the dialect is h5z/gpu.h's.
 * A chunk that is one block (block bytes of the chunk or more) is the work of one group: what follows in a block needs all
 * that came before. Files that are to be read or written by GPUs have blocks of 64 KiB or so.
 *
 * Encoding is LZ4's fast kind, whatever level the cd_values ask for, and wants room for blocks that do not become shorter (12
 * bytes, the chunk's own, 4 for each block) and as much scratch. */
#include <h5z/gpu/blocks.h>

#define H5Z_LZ4_DECODE lz4_block
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4.h>
#define H5Z_LZ4_TABLE_BITS 12
#define H5Z_LZ4_ENCODE lz4_encode_block
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4_encode.h>

H5Z_DEVICE int32_t blocks_of(const h5z_gpu_batch *b, const h5z_gpu_part *p, h5z_gpu_blocks *s) {
  if (p->size < H5Z_GPU_HEADER) return H5Z_E_CORRUPT;
  s->size = h5z_gpu_u64be(p->in), s->block = h5z_gpu_u32be(p->in + 8), s->tail = 0;
  if (s->size / 255 > p->size) return H5Z_E_CORRUPT;
  if (s->size > p->room) return H5Z_E_OUTPUT;
  if (s->size > 0 && s->block == 0) return H5Z_E_CORRUPT;
  s->count = s->size > 0 ? (s->size - 1) / s->block + 1 : 0;
  s->last = s->count > 0 ? s->size - (s->count - 1) * s->block : 0;
  s->run = s->count > 0 ? (s->count - 1) / b->groups + 1 : 1;
  return 0;
}

H5Z_KERNEL void h5z_lz4_decode_0(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blocks s;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = blocks_of(&b, &p, &s);
  if (status == 0) {
    h5z_gpu_index(&b, &p, &s);
  } else {
    h5z_gpu_no_blocks(&b, &p);
    h5z_gpu_answer(&b, &p, 0, status);
  }
}

H5Z_KERNEL void h5z_lz4_decode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blocks s;
  if (!h5z_gpu_next(&b, &p) || blocks_of(&b, &p, &s) != 0) return;
  uint64_t offset = h5z_gpu_scratch(&b, &p)[p.part];
  if (offset == H5Z_GPU_NO_BLOCKS) return;
  const uint64_t first = p.part * s.run;
  for (uint64_t i = first; i < first + s.run && i < s.count; i++) {
    const uint64_t want = i + 1 == s.count ? s.last : s.block;
    uint32_t length = 0;
    H5Z_GLOBAL const uint8_t *block = h5z_gpu_block(&p, &offset, &length);
    H5Z_GLOBAL uint8_t *out = p.out + i * s.block;
    int good = block != NULL;
    if (good && length == want)
      for (uint64_t k = h5z_lane(); k < want; k += h5z_lanes()) out[k] = block[k];
    else
      good = good && length <= INT32_MAX && want <= H5Z_GPU_LZ4_MOST && lz4_block(block, length, out, (uint32_t)want);
    if (!good) {
      h5z_gpu_fail(&b, &p, H5Z_E_CORRUPT);
      return;
    }
  }
}

/* The blocks that a chunk will have, and whether there is room for their worst case: none becomes longer. */
H5Z_DEVICE int32_t blocks_for(const h5z_gpu_batch *b, const h5z_gpu_part *p, h5z_gpu_blocks *s) {
  enum { DEFAULT_BLOCK = 1 << 30 };
  if (p->size > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
  s->size = p->size, s->tail = 0;
  s->block = b->ncd > 0 && b->cd[0] > 0 ? b->cd[0] : DEFAULT_BLOCK;
  if (s->block > H5Z_GPU_LZ4_MOST) s->block = H5Z_GPU_LZ4_MOST;
  if (s->block > s->size) s->block = s->size;
  s->count = s->size > 0 ? (s->size - 1) / s->block + 1 : 0;
  s->last = s->count > 0 ? s->size - (s->count - 1) * s->block : 0;
  s->run = s->count > 0 ? (s->count - 1) / b->groups + 1 : 1;
  return h5z_gpu_encodes(s, s->block, s->last, p->room, h5z_gpu_space(b));
}

H5Z_KERNEL void h5z_lz4_encode_0(h5z_gpu_batch b) {
  H5Z_SHARED(h5z_lz4_search, search, 1);
  h5z_gpu_part p;
  h5z_gpu_blocks s;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = blocks_for(&b, &p, &s);
  if (status != 0) {
    h5z_gpu_answer(&b, &p, 0, status);
    return;
  }
  H5Z_GLOBAL uint8_t *const run = h5z_gpu_run(&b, &p, &s, s.block);
  uint64_t bytes = 0;
  const uint64_t first = p.part * s.run;
  for (uint64_t i = first; i < first + s.run && i < s.count; i++) {
    const uint32_t want = (uint32_t)(i + 1 == s.count ? s.last : s.block);
    H5Z_GLOBAL const uint8_t *in = p.in + i * s.block;
    H5Z_GLOBAL uint8_t *out = run + bytes + H5Z_GPU_LENGTH;
    uint32_t length = lz4_encode_block(in, want, out, want - 1, search);
    if (length == 0) {
      for (uint32_t k = h5z_lane(); k < want; k += h5z_lanes()) out[k] = in[k];
      length = want;
    }
    h5z_gpu_put_length(run + bytes, length);
    bytes += H5Z_GPU_LENGTH + length;
  }
  if (h5z_lane() == 0) h5z_gpu_scratch(&b, &p)[p.part] = bytes;
}

H5Z_KERNEL void h5z_lz4_encode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blocks s;
  if (h5z_gpu_next(&b, &p) && blocks_for(&b, &p, &s) == 0) h5z_gpu_place(&b, &p, &s);
}

H5Z_KERNEL void h5z_lz4_encode_2(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blocks s;
  if (h5z_gpu_next(&b, &p) && blocks_for(&b, &p, &s) == 0) h5z_gpu_gather(&b, &p, &s, s.block);
}
