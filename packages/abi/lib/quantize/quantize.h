/* quantize.h: what BitGroom (32022), Granular BitRound (32023) and BitRound (32032) have in common. They change the last
 * bits of floating-point numbers so that other filters compress them better; a chunk stays a row of such numbers, so
 * decoding is the identity, whatever the cd_values are.
 *
 * cd_values: [0] digits (decimal) or bits to keep                                   client and stored
 *            [1] 4 or 8, the size of a number  [2] 1 when there is a fill value     added by HDF5's set_local
 *            [3], [4] the fill value, low word first
 *
 * Zero, infinities, NaN and the fill value are left as they are. Numbers are little-endian: the original filters take the
 * numbers of a big-endian dataset for native ones and spoil them, so here such a dataset is refused.
 *
 * Include after defining how one filter differs:
 *   QUANTIZE_MOST      most digits or bits that [0] may be
 *   QUANTIZE_DEFAULT   what [0] is when it is missing; 0 = it must be given
 * and then write quantize_number (below).
 */
#ifndef QUANTIZE_H
#define QUANTIZE_H

#include <h5z/filter.h>

enum { QUANTIZE_WORDS = 5 };

/* A number's bits, and what is made of them. `keep` is [0], `mantissa` 23 or 52, `index` the number's place in the chunk. */
static inline uint64_t quantize_number(uint64_t x, unsigned keep, unsigned mantissa, uint64_t index);

static int64_t quantize_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return (int64_t)nin;
}

static int64_t quantize_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (nin > cap) return H5Z_E_OUTPUT;
  if (nin > 0) memcpy(out, in, nin);
  return (int64_t)nin;
}

static int64_t quantize_passes(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in, (void)nin;
  return 1;
}

static int64_t quantize_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  if (ncd < 2 || ncd > QUANTIZE_WORDS || cd[0] < 1 || cd[0] > QUANTIZE_MOST) return H5Z_E_PARAM;
  if (cd[1] != 4 && cd[1] != 8) return H5Z_E_PARAM;
  return nin % cd[1] == 0 ? (int64_t)nin : (int64_t)H5Z_E_NOT_APPLICABLE;
}

#if !defined(H5Z_DECODE_ONLY)
static inline uint64_t quantize_load(const uint8_t *p, unsigned size) {
  uint64_t x = 0;
  for (unsigned i = size; i-- > 0;) x = x << 8 | p[i];
  return x;
}

static inline void quantize_store(uint8_t *p, unsigned size, uint64_t x) {
  for (unsigned i = 0; i < size; i++, x >>= 8) p[i] = (uint8_t)x;
}

/* `size` is a constant where this is called. */
static inline void quantize_all(unsigned keep, uint64_t fill, const uint8_t *in, size_t n, uint8_t *out, unsigned size) {
  const unsigned mantissa = size == 4 ? 23 : 52;
  const uint64_t sign = (uint64_t)1 << (8 * size - 1), infinity = (sign - 1) >> mantissa << mantissa;
  for (size_t i = 0; i < n; i++) {
    const uint64_t x = quantize_load(in + i * size, size), size_of = x & ~sign;
    const int leave = size_of == 0 || size_of >= infinity || x == fill; /* zero, infinities and NaN, the fill value */
    quantize_store(out + i * size, size, leave ? x : quantize_number(x, keep, mantissa, i));
  }
}

static int64_t quantize_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t bound = quantize_encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  if (nin > cap) return H5Z_E_OUTPUT;
  uint64_t fill = 0; /* zeros are left anyway */
  if (ncd > 3 && cd[2] != 0) fill = cd[3] | (cd[1] == 8 && ncd > 4 ? (uint64_t)cd[4] << 32 : 0);
  if (cd[1] == 4) quantize_all(cd[0], fill, in, nin / 4, out, 4);
  else quantize_all(cd[0], fill, in, nin / 8, out, 8);
  return (int64_t)nin;
}

/* Stored values that are passed again differ in nothing that is looked at here. A fill value of zero is what HDF5 calls the
 * default one and the original filters leave out. */
static int64_t quantize_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const uint32_t keep = nclient > 0 ? client[0] : QUANTIZE_DEFAULT;
  if (nclient > QUANTIZE_WORDS || keep < 1 || keep > QUANTIZE_MOST) return H5Z_E_PARAM;
  if (ds->type_class != H5Z_CLASS_FLOAT || (ds->type_size != 4 && ds->type_size != 8)) return H5Z_E_NOT_APPLICABLE;
  if (ds->big_endian) return H5Z_E_NOT_APPLICABLE;
  if (cap < QUANTIZE_WORDS) return H5Z_E_OUTPUT;
  uint64_t fill = 0;
  if (ds->fill_defined && ds->fill_size == ds->type_size) fill = quantize_load(ds->fill, ds->type_size);
  stored[0] = keep, stored[1] = ds->type_size, stored[2] = fill != 0;
  stored[3] = (uint32_t)fill, stored[4] = (uint32_t)(fill >> 32);
  return QUANTIZE_WORDS;
}
#endif

/* The whole table of such a filter. */
#define QUANTIZE_FILTER                                                                 \
  H5Z_FILTER(.decoded_size = quantize_decoded_size, .decode = quantize_decode, .passes = quantize_passes, \
             H5Z_ENCODER(.derive = quantize_derive, .encode_bound = quantize_encode_bound, .encode = quantize_encode))

#endif
