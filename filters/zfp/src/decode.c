/* The decoders of one block, of all types and ranks: decode_block.h sixteen times. */
#include "decode.h"

#include <zfp.h>

/* zfp's order of coefficients, by rank: perm_1 to perm_4. */
#include <template/codec1.c>
#undef index
#include <template/codec2.c>
#undef index
#include <template/codec3.c>
#undef index
#include <template/codec4.c>
#undef index

#define PASTE_(x, type, rank) x##_##type##_##rank
#define PASTE(x, type, rank) PASTE_(x, type, rank)
#define NAME(x) PASTE(x, TYPE, RANK)
#define PERM_(rank) perm_##rank
#define PERM__(rank) PERM_(rank)
#define PERM PERM__(RANK)

/* 2^e as ldexp gives it: 0 below the smallest subnormal number. e is at most 127 - 30 and 1023 - 62. */
static inline float float_power_of_2(int e) {
  const uint32_t bits = e >= -126 ? (uint32_t)(e + 127) << 23 : e >= -149 ? UINT32_C(1) << (e + 149) : 0;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

static inline double double_power_of_2(int e) {
  const uint64_t bits = e >= -1022 ? (uint64_t)(e + 1023) << 52 : e >= -1074 ? UINT64_C(1) << (e + 1074) : 0;
  double y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

#define EACH_RANK "each_rank.h"

#define TYPE int32
#define SCALAR int32_t
#define INT int32_t
#define UINT uint32_t
#define WIDTH 32
#define FLOATS 0
#define PBITS 5
#define NEGABINARY UINT32_C(0xaaaaaaaa)
#include EACH_RANK
#undef TYPE
#undef SCALAR
#undef FLOATS

#define TYPE float
#define SCALAR float
#define FLOATS 1
#define EBITS 8
#define POWER_OF_2 float_power_of_2
#include EACH_RANK
#undef TYPE
#undef SCALAR
#undef FLOATS
#undef EBITS
#undef POWER_OF_2
#undef INT
#undef UINT
#undef WIDTH
#undef PBITS
#undef NEGABINARY

#define TYPE int64
#define SCALAR int64_t
#define INT int64_t
#define UINT uint64_t
#define WIDTH 64
#define FLOATS 0
#define PBITS 6
#define NEGABINARY UINT64_C(0xaaaaaaaaaaaaaaaa)
#include EACH_RANK
#undef TYPE
#undef SCALAR
#undef FLOATS

#define TYPE double
#define SCALAR double
#define FLOATS 1
#define EBITS 11
#define POWER_OF_2 double_power_of_2
#include EACH_RANK

block_decoder decoder_of(const header *h) {
#define FOUR(type) {decode_##type##_1, decode_##type##_2, decode_##type##_3, decode_##type##_4}
  static const block_decoder decoders[4][4] = {FOUR(int32), FOUR(int64), FOUR(float), FOUR(double)};
  return decoders[h->type][h->rank - 1];
}
