/* Fletcher-32 for every instruction set, by the compiler's vectors: 8 words at a time, or 16 with AVX2 (chosen at run time).
 *
 * libhdf5 adds 16-bit words w, high byte first, in one's complement:   sum1 += w, sum2 += sum1
 *
 * Three things make that fast. (1) Modulo 65535 a rotation of a word's bits is a multiplication, so the words can be read as
 * they lie in a little-endian machine and the two results turned by 8 bits at the end. (2) In a step of N words each
 * vector's lane l keeps its own s1 += w and s2 += s1; of `rows` vectors of `L` lanes, word l of row r counts N - rL - l
 * times in sum2, so
 *
 *     sum2 += N * sum1 + L * (all s2 together) - (the sum of l * s1 of lane l),      sum1 += all s1 together
 *
 * (3) 360 rows are the most for which no lane of s2 overflows 32 bits: 65535 * 360 * 361 / 2 < 2^32. */
#include "checksum.h"

#include <cpu/cpu.h>
#include <string.h>

enum { ROWS = 360 };

/* One step: `rows` vectors of L words at p, added to sums[0] and sums[1]. */
#define DEFINE_STEP(name, attributes, L)                                                         \
  attributes static void name(const uint8_t *p, size_t rows, uint64_t sums[2]) {                 \
    typedef uint16_t words __attribute__((vector_size(2 * (L))));                                \
    typedef uint32_t lanes __attribute__((vector_size(4 * (L))));                                \
    lanes s1 = {0}, s2 = {0};                                                                    \
    for (size_t r = 0; r < rows; r++) {                                                          \
      words w;                                                                                   \
      memcpy(&w, p + r * sizeof w, sizeof w);                                                    \
      s1 += __builtin_convertvector(w, lanes);                                                   \
      s2 += s1;                                                                                  \
    }                                                                                            \
    uint64_t all1 = 0, all2 = 0, less = 0;                                                       \
    for (unsigned l = 0; l < (L); l++) all1 += s1[l], all2 += s2[l], less += (uint64_t)l * s1[l]; \
    sums[1] = (sums[1] + rows * (L) * sums[0] + (L) * all2 - less) % 65535;                      \
    sums[0] = (sums[0] + all1) % 65535;                                                          \
  }

DEFINE_STEP(step_8, , 8)
enum { LANES = 8 };

#if defined(__x86_64__)
DEFINE_STEP(step_16, __attribute__((target("avx2"))), 16)
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#  error "the words are read as they lie in a little-endian machine"
#endif

static int any(const uint8_t *p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t x;
    memcpy(&x, p, 8);
    if (x != 0) return 1;
  }
  for (; n > 0; p++, n--) {
    if (*p != 0) return 1;
  }
  return 0;
}

uint32_t fletcher32(const void *data, size_t size, void *copy) {
  const uint8_t *p = data;
  uint8_t *to = copy;
  uint64_t sums[2] = {0, 0};
  size_t left = size;
  while (left >= 2 * LANES) {
    size_t step;
#if defined(__x86_64__)
    if (left >= 32 && h5z_cpu() >= H5Z_CPU_AVX2) {
      const size_t rows = left / 32 < ROWS ? left / 32 : ROWS;
      step = 32 * rows;
      if (to) memcpy(to, p, step);
      step_16(p, rows, sums);
    } else
#endif
    {
      const size_t rows = left / 16 < ROWS ? left / 16 : ROWS;
      step = 16 * rows;
      if (to) memcpy(to, p, step);
      step_8(p, rows, sums);
    }
    p += step, left -= step;
    if (to) to += step;
  }
  if (to && left > 0) memcpy(to, p, left);
  for (; left > 0; p += 2, left -= left > 1 ? 2 : 1) {
    sums[0] = (sums[0] + (left > 1 ? p[0] | (uint64_t)p[1] << 8 : p[0])) % 65535;
    sums[1] = (sums[1] + sums[0]) % 65535;
  }
  /* One's complement has two zeros: libhdf5's sums are 0 for zeros alone, and else 65535 stands for it. */
  if (sums[0] == 0 || sums[1] == 0) {
    const uint64_t zero = any(data, size) ? 65535 : 0;
    for (int i = 0; i < 2; i++) sums[i] = sums[i] == 0 ? zero : sums[i];
  }
  const uint32_t sum1 = (uint32_t)sums[0], sum2 = (uint32_t)sums[1];
  const uint32_t turned = sum2 << 16 | sum1; /* both halves by 8 bits, as (1) says */
  return (turned & 0x00ff00ff) << 8 | (turned >> 8 & 0x00ff00ff);
}
