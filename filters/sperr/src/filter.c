/* HDF5 filter 32028: SPERR, wavelets for slices and volumes of floats.
 *
 * cd_values   client  [q] or [q, missing]            stored  [info, q, dimensions > 1 of the chunk: 2 or 3 words]
 *
 *     q      31     30  29  28 27                   0        info   15    10 9     6  5  4 3      0
 *            +------+--+------+----------------------+              +-------+-------+---+-+--------+
 *            | swap |  | mode | quality              |              |format |missing|   |f| 2 or 3 |
 *            +------+--+------+----------------------+              +-------+-------+---+-+--------+
 *     mode 1 rate, bits a value      quality in 1/65536             f: 32-bit floats, else 64
 *          2 PSNR, decibel           quality in 1/65536             format: 0 H5Z-SPERR 0.1, 1 0.2
 *          3 tolerance               its binary logarithm in 1/65536: sign in bit 27, magnitude below
 *     swap: the dimensions are told to SPERR in the opposite order, which it calls x, y, z
 *     missing: 0 none, 1 NaN, 2 magnitudes of 1e35 and more
 *
 * A chunk of format 1 (one of format 0 is the stream alone):
 *
 *     +--------------+--------------------+------------------+--------------
 *     | u8: what is  | missing 2: the     | missing 1, 2:    | SPERR stream
 *     | missing: 0-2 | value, f32 or f64  | mask (mask.c)    | (codec.cpp)
 *     +--------------+--------------------+------------------+--------------
 */
#include "codec.h"
#include "mask.h"

#include <math.h>
#include <stdlib.h>

enum { MISSING_NONE, MISSING_NAN, MISSING_LARGE };
enum { FORMAT_BARE, FORMAT };

typedef struct settings {
  sperr_shape shape;
  unsigned missing, format;
  size_t elem; /* bytes of a value */
} settings;

static int64_t read_quality(uint32_t q, sperr_shape *shape) {
  shape->mode = q >> 28 & 3;
  if (shape->mode == 0) return H5Z_E_PARAM;
  const double magnitude = (double)(q & 0x7ffffff) / 65536, value = q >> 27 & 1 ? -magnitude : magnitude;
  shape->quality = shape->mode == SPERR_TOLERANCE ? exp2(value) : value;
  return shape->quality > 0 ? 0 : H5Z_E_PARAM;
}

static int64_t read_settings(const uint32_t *cd, size_t ncd, settings *s) {
  if (ncd < 4) return H5Z_E_PARAM;
  const uint32_t info = cd[0];
  s->shape.rank = info & 15;
  s->shape.is_float = info >> 4 & 1;
  s->missing = info >> 6 & 15;
  s->format = info >> 10 & 63;
  s->elem = s->shape.is_float ? 4 : 8;
  if (s->shape.rank != 2 && s->shape.rank != 3) return H5Z_E_PARAM;
  if (s->format > FORMAT) return H5Z_E_VERSION;
  if (s->missing > MISSING_LARGE || ncd < 2 + s->shape.rank) return H5Z_E_PARAM;
  const int64_t error = read_quality(cd[1], &s->shape);
  if (error < 0) return error;
  uint64_t elements = 1;
  for (unsigned i = 0; i < 3; i++) {
    const unsigned from = cd[1] >> 31 ? s->shape.rank - 1 - i : i;
    const uint32_t dim = i < s->shape.rank ? cd[2 + from] : 1;
    if (i < s->shape.rank && dim < 2) return H5Z_E_PARAM;
    if (s->shape.rank == 3 && dim > 65535) return H5Z_E_UNSUPPORTED; /* SPERR counts in 16 bits */
    s->shape.dims[i] = dim;
    if (elements > (UINT64_C(1) << 48) / dim) return H5Z_E_PARAM;
    elements *= dim;
  }
  if (elements > SIZE_MAX / 64) return H5Z_E_MEMORY; /* no room to work in */
  s->shape.elements = (size_t)elements;
  return 0;
}

static int64_t sperr_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in, (void)nin;
  settings s;
  const int64_t error = read_settings(cd, ncd, &s);
  return error < 0 ? error : (int64_t)(s.shape.elements * s.elem);
}

static int64_t decode_filter(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  int64_t error = read_settings(cd, ncd, &s);
  if (error < 0) return error;
  const size_t elements = s.shape.elements, size = elements * s.elem;
  if (size > cap) return H5Z_E_OUTPUT;
  const uint8_t *p = in;
  unsigned missing = MISSING_NONE;
  uint8_t value[8];
  uint32_t *mask = NULL;
  if (s.format == FORMAT) {
    if (nin < 1) return H5Z_E_CORRUPT;
    missing = *p++, nin--;
    if (missing > MISSING_LARGE) return H5Z_E_CORRUPT;
    if (missing == MISSING_NAN) { /* nan("1") of libc */
      const uint64_t nan64 = UINT64_C(0x7ff8000000000001);
      const uint32_t nan32 = UINT32_C(0x7fc00001);
      if (s.shape.is_float) memcpy(value, &nan32, 4);
      else memcpy(value, &nan64, 8);
    } else if (missing == MISSING_LARGE) {
      if (nin < s.elem) return H5Z_E_CORRUPT;
      memcpy(value, p, s.elem);
      p += s.elem, nin -= s.elem;
    }
    if (missing != MISSING_NONE) {
      mask = malloc(mask_words(elements) * sizeof *mask);
      if (!mask) return H5Z_E_MEMORY;
      error = mask_unpack(p, nin, mask, mask_words(elements));
      if (error >= 0) p += error, nin -= (size_t)error;
    }
  }
  if (error >= 0) error = sperr_decode(&s.shape, p, nin, out);
  if (error >= 0 && mask)
    for (size_t i = 0; i < elements; i++)
      if (mask[i / 32] >> i % 32 & 1) memcpy((uint8_t *)out + i * s.elem, value, s.elem);
  free(mask);
  return error < 0 ? error : (int64_t)size;
}

#if !defined(H5Z_DECODE_ONLY)
/* As H5Z-SPERR's can_apply and set_local; stored values come back as they are, for this dataset. */
static int64_t sperr_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (ds->type_class != H5Z_CLASS_FLOAT || (ds->type_size != 4 && ds->type_size != 8)) return H5Z_E_NOT_APPLICABLE;
  if (ds->big_endian || ds->rank < 2 || ds->rank > 4) return H5Z_E_NOT_APPLICABLE;
  if (nclient == 0) return H5Z_E_PARAM; /* there is no quality to take for granted */
  uint32_t q = client[0], missing = nclient > 1 ? client[1] : MISSING_NONE;
  if (nclient >= 4) {
    settings known;
    const int64_t error = read_settings(client, nclient, &known);
    if (error < 0) return error;
    q = client[1], missing = known.missing;
  } else if (nclient > 2) {
    return H5Z_E_PARAM;
  }
  sperr_shape shape;
  if (missing > MISSING_LARGE || read_quality(q, &shape) < 0) return H5Z_E_PARAM;

  uint32_t rank = 0, dims[4];
  for (uint32_t i = 0; i < ds->rank; i++) {
    const uint64_t dim = ds->chunk_dims[i];
    if (dim > 0 && ds->dims[i] % dim != 0) return H5Z_E_NOT_APPLICABLE; /* edge chunks */
    if (dim <= 1) continue;
    if (dim < 9 || dim > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    dims[rank++] = (uint32_t)dim;
  }
  if (rank != 2 && rank != 3) return H5Z_E_NOT_APPLICABLE;
  for (uint32_t i = 0; i < rank; i++)
    if (rank == 3 && dims[i] > 65535) return H5Z_E_NOT_APPLICABLE;
  if (cap < 2 + (size_t)rank) return H5Z_E_OUTPUT;
  stored[0] = rank | (ds->type_size == 4 ? 16u : 0) | missing << 6 | FORMAT << 10;
  stored[1] = q;
  memcpy(stored + 2, dims, rank * sizeof *dims);
  return 2 + rank;
}

/* SPECK codes at most 64 planes of coefficients and of outliers, some 27 bytes a value. */
static int64_t sperr_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  settings s;
  const int64_t error = read_settings(cd, ncd, &s);
  if (error < 0) return error;
  if (s.shape.elements * s.elem != nin) return H5Z_E_PARAM; /* the cd_values are another chunk's */
  return (int64_t)(s.shape.elements * (uint64_t)32 + 4096);
}

/* Is this value missing? */
static int is_missing(unsigned missing, double value) { return missing == MISSING_NAN ? isnan(value) : fabs(value) >= 1e35; }

static int is_missing_float(unsigned missing, float value) {
  return missing == MISSING_NAN ? isnan(value) : fabsf(value) >= 1e35f;
}

/* Marks the missing values and puts the mean of the others there, in H5Z-SPERR's order of summing. */
#define TREAT(type, test, name)                                                                         \
  static size_t name(unsigned missing, type *values, size_t n, uint32_t *mask, type *first) {           \
    double total = 0, block = 0;                                                                        \
    size_t count = 0, in_block = 0, found = 0;                                                          \
    for (size_t i = 0; i < n; i++) {                                                                    \
      if (test(missing, values[i])) {                                                                   \
        if (found++ == 0) *first = values[i];                                                           \
        mask[i / 32] |= UINT32_C(1) << i % 32;                                                          \
      } else if (missing == MISSING_NAN || !isnan(values[i])) {                                         \
        block += (double)values[i];                                                                     \
        if (++in_block == 2048) total += block, count += in_block, block = 0, in_block = 0;             \
      }                                                                                                 \
    }                                                                                                   \
    if (found == 0) return 0;                                                                           \
    count += in_block;                                                                                  \
    const type mean = count > 0 ? (type)((total + block) / (double)count) : 0;                          \
    for (size_t i = 0; i < n; i++)                                                                      \
      if (mask[i / 32] >> i % 32 & 1) values[i] = mean;                                                 \
    return found;                                                                                       \
  }
TREAT(float, is_missing_float, treat_floats)
TREAT(double, is_missing, treat_doubles)

static int64_t encode_filter(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t error = read_settings(cd, ncd, &s);
  if (error < 0) return error;
  if (s.shape.elements * s.elem != nin) return H5Z_E_PARAM;
  const size_t words = mask_words(s.shape.elements);
  uint8_t *p = out;
  void *values = malloc(nin);
  uint32_t *mask = s.missing == MISSING_NONE ? NULL : calloc(words, sizeof *mask);
  int64_t n = H5Z_E_MEMORY;
  if (!values || (s.missing != MISSING_NONE && !mask)) goto done;
  memcpy(values, in, nin);

  size_t found = 0;
  uint8_t value[8];
  if (mask && s.shape.is_float) {
    float first = 0;
    found = treat_floats(s.missing, values, s.shape.elements, mask, &first);
    memcpy(value, &first, 4);
  } else if (mask) {
    double first = 0;
    found = treat_doubles(s.missing, values, s.shape.elements, mask, &first);
    memcpy(value, &first, 8);
  }
  size_t at = 0;
  n = H5Z_E_OUTPUT;
  if (s.format == FORMAT) {
    if (cap < 1 + s.elem) goto done;
    p[at++] = found > 0 ? (uint8_t)s.missing : MISSING_NONE;
    if (found > 0 && s.missing == MISSING_LARGE) memcpy(p + at, value, s.elem), at += s.elem;
    if (found > 0) {
      n = mask_pack(mask, words, p + at, cap - at);
      if (n < 0) goto done;
      at += (size_t)n;
    }
  } else if (found > 0) { /* the old format has no place for them */
    n = H5Z_E_NOT_APPLICABLE;
    goto done;
  }
  n = sperr_encode(&s.shape, values, p + at, cap - at);
  if (n >= 0) n += (int64_t)at;
done:
  free(mask);
  free(values);
  return n;
}
#endif

H5Z_FILTER(.decoded_size = sperr_decoded_size, .decode = decode_filter,
           H5Z_ENCODER(.derive = sperr_derive, .encode_bound = sperr_encode_bound, .encode = encode_filter))
