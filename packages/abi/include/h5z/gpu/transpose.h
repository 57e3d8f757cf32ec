/* h5z/gpu/transpose.h: bits of eight neighbouring elements to rows and back, item by item: what bitshuffle and Blosc do to blocks
 * of n elements of `elem` bytes, n a multiple of 8. Macros, since `in` and `out` may be in any memory. */
#ifndef H5Z_GPU_TRANSPOSE_H
#define H5Z_GPU_TRANSPOSE_H

#include <h5z/gpu.h>

/* The bits of eight bytes, transposed. */
H5Z_DEVICE uint64_t h5z_gpu_transposed(uint64_t x) {
  uint64_t t = (x ^ x >> 7) & 0x00AA00AA00AA00AAu;
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & 0x0000CCCC0000CCCCu;
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & 0x00000000F0F0F0F0u;
  return x ^ t ^ t << 28;
}

/* An item of a block: one byte of eight neighbouring elements, from eight rows of n / 8 bytes; n / 8 * elem of them. The
 * block has less than 4 GiB, since dividing 64 bits takes a GPU four times as long. */
#define H5Z_GPU_ITEM(n, elem, item)                                                                            \
  const uint32_t elem_ = (uint32_t)(elem), at_ = (uint32_t)(item) / elem_, byte_ = (uint32_t)(item) % elem_;   \
  const uint32_t row_ = (uint32_t)(n) / 8, first_ = byte_ * 8 * row_ + at_, element_ = at_ * 8 * elem_ + byte_; \
  uint64_t bits_ = 0

#define H5Z_GPU_ROWS_TO_BITS(in, out, n, elem, item)                                                             \
  do {                                                                                                           \
    H5Z_GPU_ITEM(n, elem, item);                                                                                 \
    H5Z_UNROLL for (uint32_t i_ = 0; i_ < 8; i_++) bits_ |= (uint64_t)(in)[first_ + i_ * row_] << 8 * i_;        \
    bits_ = h5z_gpu_transposed(bits_);                                                                           \
    H5Z_UNROLL for (uint32_t i_ = 0; i_ < 8; i_++) (out)[element_ + i_ * elem_] = (uint8_t)(bits_ >> 8 * i_);    \
  } while (0)

#define H5Z_GPU_BITS_TO_ROWS(in, out, n, elem, item)                                                             \
  do {                                                                                                           \
    H5Z_GPU_ITEM(n, elem, item);                                                                                 \
    H5Z_UNROLL for (uint32_t i_ = 0; i_ < 8; i_++) bits_ |= (uint64_t)(in)[element_ + i_ * elem_] << 8 * i_;     \
    bits_ = h5z_gpu_transposed(bits_);                                                                           \
    H5Z_UNROLL for (uint32_t i_ = 0; i_ < 8; i_++) (out)[first_ + i_ * row_] = (uint8_t)(bits_ >> 8 * i_);       \
  } while (0)

#endif
