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

/* An item of a block: one byte of eight neighbouring elements, from eight rows of n / 8 bytes; n / 8 * elem of them. */
#define H5Z_GPU_ROWS_TO_BITS(in, out, n, elem, item)                                                     \
  do {                                                                                                   \
    const uint64_t at_ = (item) / (elem), byte_ = (item) % (elem), row_ = (n) / 8;                       \
    uint64_t bits_ = 0;                                                                                  \
    for (uint32_t i_ = 0; i_ < 8; i_++) bits_ |= (uint64_t)(in)[(byte_ * 8 + i_) * row_ + at_] << 8 * i_; \
    bits_ = h5z_gpu_transposed(bits_);                                                                   \
    for (uint32_t i_ = 0; i_ < 8; i_++) (out)[(at_ * 8 + i_) * (elem) + byte_] = (uint8_t)(bits_ >> 8 * i_); \
  } while (0)

#define H5Z_GPU_BITS_TO_ROWS(in, out, n, elem, item)                                                     \
  do {                                                                                                   \
    const uint64_t at_ = (item) / (elem), byte_ = (item) % (elem), row_ = (n) / 8;                       \
    uint64_t bits_ = 0;                                                                                  \
    for (uint32_t i_ = 0; i_ < 8; i_++) bits_ |= (uint64_t)(in)[(at_ * 8 + i_) * (elem) + byte_] << 8 * i_; \
    bits_ = h5z_gpu_transposed(bits_);                                                                   \
    for (uint32_t i_ = 0; i_ < 8; i_++) (out)[(byte_ * 8 + i_) * row_ + at_] = (uint8_t)(bits_ >> 8 * i_); \
  } while (0)

#endif
