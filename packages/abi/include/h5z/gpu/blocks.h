/* h5z/gpu/blocks.h: chunks of blocks, each behind its length (bitshuffle with LZ4, LZ4): where they begin is known only by
 * walking from one to the next. One lane of a chunk does that, h5z_gpu_index, in a kernel of its own; the next kernel's parts
 * then take a run of neighbouring blocks each, so that any number of blocks fits into the scratch that every launch has.
 *
 *     chunk   header | n | block 0 | n | block 1 | n | block 2 | n | block 3 | n | block 4 | tail
 *     scratch        ^ part 0                    ^ part 1                    ^ part 2      ^ [groups]        run = 2
 *
 * Encoding: where a block begins is known when all before it have been encoded. A first kernel's parts encode their runs into
 * scratch of their own, laid out as dst is, where a run has room for the worst case; then one lane of a chunk adds up how
 * long the runs are (h5z_gpu_place), and a third kernel moves them together (h5z_gpu_gather).
 */
#ifndef H5Z_GPU_BLOCKS_H
#define H5Z_GPU_BLOCKS_H

#include <h5z/gpu.h>

enum { H5Z_GPU_HEADER = 12, H5Z_GPU_LENGTH = 4 };
/* In the chunk's scratch, in place of all offsets: nothing to decode. */
#define H5Z_GPU_NO_BLOCKS UINT64_MAX
/* LZ4_MAX_INPUT_SIZE */
#define H5Z_GPU_LZ4_MOST 0x7E000000u

/* What the header and the cd_values say, the same for all lanes. */
typedef struct h5z_gpu_blocks {
  uint64_t size;         /* decoded bytes of the chunk                                      */
  uint64_t block, count; /* decoded bytes of every block but the last, and how many         */
  uint64_t last, tail;   /* decoded bytes of the last block; raw bytes behind it            */
  uint64_t run;          /* blocks of a part                                                */
} h5z_gpu_blocks;

H5Z_DEVICE void h5z_gpu_no_blocks(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  H5Z_GLOBAL uint64_t *at = h5z_gpu_scratch(b, p);
  if (p->lane == 0)
    for (uint32_t i = 0; i <= b->groups; i++) at[i] = H5Z_GPU_NO_BLOCKS;
}

/* Walks the blocks, writes down where each part begins, and answers. */
H5Z_DEVICE void h5z_gpu_index(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blocks *s) {
  if (p->lane != 0) return;
  H5Z_GLOBAL uint64_t *at = h5z_gpu_scratch(b, p);
  uint64_t offset = H5Z_GPU_HEADER, in_run = 0;
  uint32_t part = 0;
  int good = 1;
  for (uint64_t i = 0; i < s->count && good; i++) {
    if (in_run == 0) at[part++] = offset;
    if (++in_run == s->run) in_run = 0;
    good = p->size - offset >= H5Z_GPU_LENGTH;
    if (!good) break;
    const uint32_t length = h5z_gpu_u32be(p->in + offset);
    offset += H5Z_GPU_LENGTH;
    good = length <= p->size - offset;
    offset += length;
  }
  good = good && p->size - offset == s->tail;
  while (part < b->groups) at[part++] = H5Z_GPU_NO_BLOCKS;
  at[b->groups] = offset;
  if (!good) h5z_gpu_no_blocks(b, p);
  h5z_gpu_answer(b, p, s->size, good ? 0 : H5Z_E_CORRUPT);
}

/* The bytes of block `i`, whose length is at *offset, which moves on to the next; NULL if they are not there. */
H5Z_DEVICE H5Z_GLOBAL const uint8_t *h5z_gpu_block(const h5z_gpu_part *p, uint64_t *offset, uint32_t *length) {
  if (*offset > p->size || p->size - *offset < H5Z_GPU_LENGTH) return NULL;
  *length = h5z_gpu_u32be(p->in + *offset);
  H5Z_GLOBAL const uint8_t *block = p->in + *offset + H5Z_GPU_LENGTH;
  *offset += H5Z_GPU_LENGTH;
  if (*length > p->size - *offset) return NULL;
  *offset += *length;
  return block;
}

/* Encoding: whether a chunk fits when every block but the last takes `each` bytes at most, the last one `last`. Where `room` is
 * less the chunk is H5Z_E_OUTPUT, although it may become shorter; without `space` beyond the scratch of all it is H5Z_E_MEMORY. */
H5Z_DEVICE int32_t h5z_gpu_encodes(const h5z_gpu_blocks *s, uint64_t each, uint64_t last, uint64_t room, int space) {
  if (h5z_lanes() > H5Z_GPU_LANES) return H5Z_E_PARAM;
  const uint64_t blocks = s->count > 0 ? (s->count - 1) * (H5Z_GPU_LENGTH + each) + H5Z_GPU_LENGTH + last : 0;
  return H5Z_GPU_HEADER + blocks + s->tail > room ? H5Z_E_OUTPUT : space ? 0 : H5Z_E_MEMORY;
}

/* Where in scratch the run of this part goes. */
H5Z_DEVICE H5Z_GLOBAL uint8_t *h5z_gpu_run(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blocks *s,
                                           uint64_t each) {
  return h5z_gpu_aside(b, p) + H5Z_GPU_HEADER + p->part * s->run * (H5Z_GPU_LENGTH + each);
}

/* What the runs came to, from the bytes that each part wrote to its word of scratch: places in their stead. Writes the header
 * and answers. */
H5Z_DEVICE void h5z_gpu_place(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blocks *s) {
  if (p->lane != 0) return;
  H5Z_GLOBAL uint64_t *at = h5z_gpu_scratch(b, p);
  uint64_t offset = H5Z_GPU_HEADER;
  for (uint32_t i = 0; i < b->groups; i++) {
    const uint64_t bytes = at[i];
    at[i] = offset;
    offset += bytes;
  }
  at[b->groups] = offset;
  for (uint32_t i = 0; i < 8; i++) p->out[i] = (uint8_t)(s->size >> (56 - 8 * i));
  for (uint32_t i = 0; i < 4; i++) p->out[8 + i] = (uint8_t)(s->block >> (24 - 8 * i));
  h5z_gpu_answer(b, p, offset + s->tail, 0);
}

/* Moves the part's run to its place, and the tail behind all. */
H5Z_DEVICE void h5z_gpu_gather(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blocks *s, uint64_t each) {
  H5Z_GLOBAL const uint64_t *at = h5z_gpu_scratch(b, p);
  const uint64_t first = at[p->part], bytes = at[p->part + 1] - first, end = at[b->groups];
  H5Z_GLOBAL const uint8_t *from = h5z_gpu_run(b, p, s, each);
  for (uint64_t i = h5z_lane(); i < bytes; i += h5z_lanes()) p->out[first + i] = from[i];
  for (uint64_t i = p->lane; i < s->tail; i += p->lanes) p->out[end + i] = p->in[s->size - s->tail + i];
}

/* A block's length before it. */
H5Z_DEVICE void h5z_gpu_put_length(H5Z_GLOBAL uint8_t *out, uint32_t length) {
  if (h5z_lane() == 0)
    for (uint32_t i = 0; i < H5Z_GPU_LENGTH; i++) out[i] = (uint8_t)(length >> (24 - 8 * i));
}

#endif
