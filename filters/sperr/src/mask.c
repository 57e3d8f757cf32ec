/* The packed mask of missing values, H5Z-SPERR's "compactor": a string of bits, lowest bit of the first byte first,
 *
 *     32 bits  how many bits there are in all, these included
 *      1 bit   the frequent word: 0 = all zeros, 1 = all ones
 *     then for each 32 values:  0 = the frequent word,  1 0 = its complement,  1 1 and 32 bits = the word itself
 *
 * of as many words as the chunk has values, rounded up to 64. */
#include "mask.h"

typedef struct bits {
  const uint8_t *p;
  uint64_t at, end;
} bits;

static uint32_t get(bits *b, unsigned n) { /* the caller has looked that they are there */
  uint32_t value = 0;
  for (unsigned i = 0; i < n; i++, b->at++) value |= (uint32_t)(b->p[b->at / 8] >> b->at % 8 & 1) << i;
  return value;
}

int64_t mask_unpack(const uint8_t *in, size_t nin, uint32_t *mask, size_t words) {
  if (nin < 5) return H5Z_E_CORRUPT;
  bits b = {.p = in, .at = 0, .end = 32};
  b.end = get(&b, 32);
  const size_t bytes = (size_t)((b.end + 7) / 8);
  if (b.end < 33 || bytes > nin) return H5Z_E_CORRUPT;
  const uint32_t frequent = get(&b, 1) ? UINT32_MAX : 0;
  for (size_t i = 0; i < words; i++) {
    if (b.at >= b.end) return H5Z_E_CORRUPT;
    mask[i] = frequent;
    if (!get(&b, 1)) continue;
    if (b.at >= b.end) return H5Z_E_CORRUPT;
    mask[i] = ~frequent;
    if (!get(&b, 1)) continue;
    if (b.end - b.at < 32) return H5Z_E_CORRUPT;
    mask[i] = get(&b, 32);
  }
  return b.at == b.end ? (int64_t)bytes : H5Z_E_CORRUPT;
}

#if !defined(H5Z_DECODE_ONLY)
static void put(uint8_t *p, uint64_t *at, uint32_t value, unsigned n) {
  for (unsigned i = 0; i < n; i++, ++*at) p[*at / 8] |= (uint8_t)((value >> i & 1) << *at % 8);
}

int64_t mask_pack(const uint32_t *mask, size_t words, uint8_t *out, size_t cap) {
  size_t zeros = 0, ones = 0;
  for (size_t i = 0; i < words; i++) zeros += mask[i] == 0, ones += mask[i] == UINT32_MAX;
  const int strategy = ones > zeros;
  const uint32_t frequent = strategy ? UINT32_MAX : 0;
  const uint64_t total = 33 + (uint64_t)(strategy ? ones + 2 * (uint64_t)zeros : zeros + 2 * (uint64_t)ones) +
                         34 * (uint64_t)(words - zeros - ones);
  if (total > UINT32_MAX) return H5Z_E_NOT_APPLICABLE; /* more bits than the format counts */
  if ((total + 7) / 8 > cap) return H5Z_E_OUTPUT;
  memset(out, 0, (size_t)((total + 7) / 8));
  uint64_t at = 0;
  put(out, &at, (uint32_t)total, 32);
  put(out, &at, (uint32_t)strategy, 1);
  for (size_t i = 0; i < words; i++) {
    if (mask[i] == frequent) {
      put(out, &at, 0, 1);
    } else if (mask[i] == ~frequent) {
      put(out, &at, 1, 2);
    } else {
      put(out, &at, 3, 2);
      put(out, &at, mask[i], 32);
    }
  }
  return (int64_t)((total + 7) / 8);
}
#endif
