/* The LZ4 filter on a GPU: decoding, a group for a run of blocks. Layout and rules are filter.c's; the dialect is h5z/gpu.h's.
 * A chunk that is one block (block bytes of the chunk or more) is decoded by one group: what follows in a block needs all
 * that came before. Files that are to be read by GPUs have blocks of 64 KiB or so. */
#include <h5z/gpu/blocks.h>

#define H5Z_LZ4_DECODE lz4_block
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4.h>

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
  if (!h5z_gpu_begin(&b, &p) || blocks_of(&b, &p, &s) != 0) return;
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
