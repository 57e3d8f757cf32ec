/* The bit transpose of bitshuffle and the byte transpose of shuffle for every instruction set: plain C, SSE2, AVX2 and
 * AVX-512 (chosen at run time), NEON, WebAssembly SIMD. All give the same bytes. The vector kernels are in transpose_kernel.h; here are the
 * operations they are made of, the plain C they fall back to, and the choice. */
#include "transpose.h"

#include <cpu/cpu.h>
#include <stdint.h>
#include <string.h>

/* Groups [first, groups): 8 x 8 bits at a time. Byte i of x is byte j of element i; afterwards byte k holds bit k of all. */
static uint64_t transpose_8x8(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaULL;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000ccccULL;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0ULL;
  return x ^ t ^ (t << 28);
}

static void plain_to_rows(const uint8_t *in, uint8_t *rows, size_t groups, size_t elem) {
  for (size_t g = 0; g < groups; g++) {
    for (size_t j = 0; j < elem; j++) {
      const uint8_t *p = in + g * 8 * elem + j;
      uint8_t *q = rows + 8 * j * groups + g;
      uint64_t x = 0;
      for (size_t i = 0; i < 8; i++) x |= (uint64_t)p[i * elem] << 8 * i;
      x = transpose_8x8(x);
      for (size_t k = 0; k < 8; k++) q[k * groups] = (uint8_t)(x >> 8 * k);
    }
  }
}

static void plain_to_bits(const uint8_t *rows, uint8_t *out, size_t groups, size_t elem) {
  for (size_t g = 0; g < groups; g++) {
    for (size_t j = 0; j < elem; j++) {
      const uint8_t *p = rows + 8 * j * groups + g;
      uint8_t *q = out + g * 8 * elem + j;
      uint64_t x = 0;
      for (size_t k = 0; k < 8; k++) x |= (uint64_t)p[k * groups] << 8 * k;
      x = transpose_8x8(x);
      for (size_t i = 0; i < 8; i++) q[i * elem] = (uint8_t)(x >> 8 * i);
    }
  }
}

/* Elements [first, n). */
static void plain_split(const uint8_t *in, uint8_t *rows, size_t first, size_t n, size_t elem) {
  for (size_t j = 0; j < elem; j++) {
    for (size_t i = first; i < n; i++) rows[j * n + i] = in[i * elem + j];
  }
}

static void plain_join(const uint8_t *rows, uint8_t *out, size_t first, size_t n, size_t elem) {
  for (size_t i = first; i < n; i++) {
    for (size_t j = 0; j < elem; j++) out[i * elem + j] = rows[j * n + i];
  }
}

#define ALWAYS_INLINE __attribute__((always_inline)) static inline

#if defined(__SSE2__)
#  define HAVE_16
#  include <immintrin.h>
#  define NAME(x) sse2_##x
#  define TARGET
#  define W 16
#  define vec __m128i
#  define LOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#  define STORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#  define LOAD16(p, step) LOAD(p)
#  define STORE16(p, step, v) STORE(p, v)
#  define LOAD8(p, step) _mm_loadl_epi64((const __m128i *)(const void *)(p))
#  define STORE8(p, step, v) _mm_storel_epi64((__m128i *)(void *)(p), v)
#  define ZIPLO(a, b) _mm_unpacklo_epi8(a, b)
#  define ZIPHI(a, b) _mm_unpackhi_epi8(a, b)
#  define AND(a, b) _mm_and_si128(a, b)
#  define XOR(a, b) _mm_xor_si128(a, b)
#  define SHL(v, n) _mm_slli_epi64(v, n)
#  define SHR(v, n) _mm_srli_epi64(v, n)
#  define SPLAT(byte) _mm_set1_epi8(byte)
#  include "transpose_kernel.h"
#elif defined(__wasm_simd128__)
#  define HAVE_16
#  include <wasm_simd128.h>
#  define NAME(x) simd128_##x
#  define TARGET
#  define W 16
#  define vec v128_t
#  define LOAD(p) wasm_v128_load(p)
#  define STORE(p, v) wasm_v128_store(p, v)
#  define LOAD16(p, step) LOAD(p)
#  define STORE16(p, step, v) STORE(p, v)
#  define LOAD8(p, step) wasm_v128_load64_zero(p)
#  define STORE8(p, step, v) wasm_v128_store64_lane(p, v, 0)
#  define ZIPLO(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#  define ZIPHI(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#  define AND(a, b) wasm_v128_and(a, b)
#  define XOR(a, b) wasm_v128_xor(a, b)
#  define SHL(v, n) wasm_i64x2_shl(v, n)
#  define SHR(v, n) wasm_u64x2_shr(v, n)
#  define SPLAT(byte) wasm_i8x16_splat(byte)
#  include "transpose_kernel.h"
#elif defined(__aarch64__) && defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#  define HAVE_16
#  include <arm_neon.h>
#  define NAME(x) neon_##x
#  define TARGET
#  define W 16
#  define vec uint8x16_t
#  define LOAD(p) vld1q_u8(p)
#  define STORE(p, v) vst1q_u8(p, v)
#  define LOAD16(p, step) LOAD(p)
#  define STORE16(p, step, v) STORE(p, v)
#  define LOAD8(p, step) vcombine_u8(vld1_u8(p), vdup_n_u8(0))
#  define STORE8(p, step, v) vst1_u8(p, vget_low_u8(v))
#  define ZIPLO(a, b) vzip1q_u8(a, b)
#  define ZIPHI(a, b) vzip2q_u8(a, b)
#  define AND(a, b) vandq_u8(a, b)
#  define XOR(a, b) veorq_u8(a, b)
#  define SHL(v, n) vshlq_n_u8(v, n)
#  define SHR(v, n) vshrq_n_u8(v, n)
#  define SPLAT(byte) vdupq_n_u8(byte)
#  include "transpose_kernel.h"
#endif

#if defined(__SSE2__) && defined(__x86_64__)
#  define HAVE_32
#  define NAME(x) avx2_##x
#  define TARGET __attribute__((target("avx2")))
#  include "transpose_256.h"

/* The same vectors with AVX-512's instructions: 32 registers instead of 16 hold a tile and what is made of it, and three
 * operands of any logic make one instruction of two or three. (512-bit vectors were tried: they lose to AVX2, because a
 * vector's lanes come from four places and go to four.) */
#  define NAME(x) avx512_##x
#  define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))
#  include "transpose_256.h"
#endif

#if defined(__SSE2__)
#  define VECTOR_16(x) sse2_##x
#elif defined(__wasm_simd128__)
#  define VECTOR_16(x) simd128_##x
#elif defined(HAVE_16)
#  define VECTOR_16(x) neon_##x
#endif

void bits_to_rows(const void *elements, void *rows, size_t size, size_t elem) {
  const size_t groups = size / 8;
#if defined(HAVE_32)
  const int cpu = groups >= 32 ? h5z_cpu() : H5Z_CPU_BASE;
  if (cpu >= H5Z_CPU_AVX2) {
    (cpu >= H5Z_CPU_AVX512 ? avx512_to_rows : avx2_to_rows)(elements, rows, groups, elem);
    return;
  }
#endif
#if defined(HAVE_16)
  if (groups >= 16) {
    VECTOR_16(to_rows)(elements, rows, groups, elem);
    return;
  }
#endif
  plain_to_rows(elements, rows, groups, elem);
}

void rows_to_bits(const void *rows, void *elements, size_t size, size_t elem) {
  const size_t groups = size / 8;
#if defined(HAVE_32)
  const int cpu = groups >= 32 ? h5z_cpu() : H5Z_CPU_BASE;
  if (cpu >= H5Z_CPU_AVX2) {
    (cpu >= H5Z_CPU_AVX512 ? avx512_to_bits : avx2_to_bits)(rows, elements, groups, elem);
    return;
  }
#endif
#if defined(HAVE_16)
  if (groups >= 16) {
    VECTOR_16(to_bits)(rows, elements, groups, elem);
    return;
  }
#endif
  plain_to_bits(rows, elements, groups, elem);
}

void bytes_to_rows(const void *elements, void *rows, size_t size, size_t elem) {
  size_t done = 0;
  if (elem == 1) {
    memcpy(rows, elements, size);
    return;
  }
#if defined(HAVE_16)
  const int whole = elem > 16 || (elem & (elem - 1)) == 0; /* elements that fill vectors */
#  if defined(HAVE_32)
  if (whole && size >= 32 && h5z_cpu() >= H5Z_CPU_AVX2) {
    avx2_split(elements, rows, size, elem);
    return;
  }
#  endif
  if (whole && size >= 16) {
    VECTOR_16(split)(elements, rows, size, elem);
    return;
  }
  if (!whole) done = VECTOR_16(split_short)(elements, rows, size, elem);
#endif
  plain_split(elements, rows, done, size, elem);
}

void rows_apart_to_bytes(const void *const *rows, void *elements, size_t size, size_t elem) {
  const uint8_t *const *const row = (const uint8_t *const *)rows;
  uint8_t *const out = (uint8_t *)elements;
#if defined(HAVE_32)
  if (size >= 32 && h5z_cpu() >= H5Z_CPU_AVX2) {
    avx2_join_apart(row, out, size, elem);
    return;
  }
#endif
#if defined(HAVE_16)
  if (size >= 16) {
    VECTOR_16(join_apart)(row, out, size, elem);
    return;
  }
#endif
  for (size_t i = 0; i < size; i++) {
    for (size_t j = 0; j < elem; j++) out[i * elem + j] = row[j][i];
  }
}

void rows_to_bytes(const void *rows, void *elements, size_t size, size_t elem) {
  size_t done = 0;
  if (elem == 1) {
    memcpy(elements, rows, size);
    return;
  }
  if (elem <= 16 && (elem & (elem - 1)) == 0) {
    const void *row[16];
    for (size_t j = 0; j < elem; j++) row[j] = (const uint8_t *)rows + j * size;
    rows_apart_to_bytes(row, elements, size, elem);
    return;
  }
#if defined(HAVE_16)
#  if defined(HAVE_32)
  if (elem > 16 && size >= 32 && h5z_cpu() >= H5Z_CPU_AVX2) {
    avx2_join_long(rows, elements, size, elem);
    return;
  }
#  endif
  if (elem > 16 && size >= 16) {
    VECTOR_16(join_long)(rows, elements, size, elem);
    return;
  }
  if (elem < 16) done = VECTOR_16(join_short)(rows, elements, size, elem);
#endif
  plain_join(rows, elements, done, size, elem);
}
