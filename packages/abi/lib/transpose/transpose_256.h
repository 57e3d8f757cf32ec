/* The operations of 256-bit vectors for transpose_kernel.h, and the kernel made of them. Included once for each instruction
 * set that has them; the includer defines NAME(x) and TARGET. */
#define W 32
#define vec __m256i
#define LOW(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define LOW8(p) _mm_loadl_epi64((const __m128i *)(const void *)(p))
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define LOAD16(p, step) _mm256_inserti128_si256(_mm256_castsi128_si256(LOW(p)), LOW((p) + (step)), 1)
#define STORE16(p, step, v)                                                          \
    (_mm_storeu_si128((__m128i *)(void *)(p), _mm256_castsi256_si128(v)),              \
     _mm_storeu_si128((__m128i *)(void *)((p) + (step)), _mm256_extracti128_si256(v, 1)))
#define LOAD8(p, step) _mm256_inserti128_si256(_mm256_castsi128_si256(LOW8(p)), LOW8((p) + (step)), 1)
#define STORE8(p, step, v)                                                           \
    (_mm_storel_epi64((__m128i *)(void *)(p), _mm256_castsi256_si128(v)),              \
     _mm_storel_epi64((__m128i *)(void *)((p) + (step)), _mm256_extracti128_si256(v, 1)))
#define ZIPLO(a, b) _mm256_unpacklo_epi8(a, b)
#define ZIPHI(a, b) _mm256_unpackhi_epi8(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define SHL(v, n) _mm256_slli_epi64(v, n)
#define SHR(v, n) _mm256_srli_epi64(v, n)
#define SPLAT(byte) _mm256_set1_epi8(byte)
#include "transpose_kernel.h"
#undef LOW
#undef LOW8
