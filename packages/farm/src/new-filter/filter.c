/* filter.c: a working codec to start from; put your own in its place. Differences, then runs: good on slowly varying
 * integers, and small enough to read at a glance. What every function must keep is in h5z/filter.h.
 *
 *   chunk:   | size of the decoded chunk, u32 big-endian | tokens ... |
 *   token:   | c = 0..127   | c + 1 bytes as they are |
 *            | c = 128..255 | one byte, to be repeated c - 125 times (3..130) |
 *
 * The tokens give d[i] = x[i] - x[i - stride] (mod 256), with x = 0 before the chunk.
 *
 *   client cd_values: [0] stride in bytes, 0 or missing = size of an element
 *   stored cd_values: [0] the same, [1] size of an element
 */
#include <h5z/filter.h>

enum { HEADER = 4, RUN_MIN = 3, RUN_MAX = 130, LITERAL_MAX = 128, STRIDE_MAX = 65535 };

/* The stride that stored cd_values mean; 0 when they mean none. */
static size_t stride_of(const uint32_t *cd, size_t ncd) {
  if (ncd >= 1 && cd[0] != 0) return cd[0] <= STRIDE_MAX ? cd[0] : 0;
  return ncd >= 2 ? cd[1] : 0;
}

static int64_t decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  return nin < HEADER ? (int64_t)H5Z_E_CORRUPT : (int64_t)h5z_get_u32be(in);
}

static int64_t decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  uint8_t *dst = out;
  const size_t stride = stride_of(cd, ncd);
  if (stride == 0) return H5Z_E_PARAM;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const size_t size = h5z_get_u32be(src);
  if (size > cap) return H5Z_E_OUTPUT;
  size_t i = HEADER, o = 0;
  while (i < nin) {
    const uint8_t c = src[i++];
    const int run = c >= LITERAL_MAX;
    const size_t n = run ? (size_t)c - 125 : (size_t)c + 1;
    if (n > size - o || (run ? 1 : n) > nin - i) return H5Z_E_CORRUPT;
    for (size_t k = 0; k < n; k++, o++) {
      const uint8_t d = src[run ? i : i + k];
      dst[o] = (uint8_t)(d + (o >= stride ? dst[o - stride] : 0));
    }
    i += run ? 1 : n;
  }
  return o == size ? (int64_t)size : (int64_t)H5Z_E_CORRUPT;
}

/* Only bytes that stand alone cost more than themselves: one control byte for each 128, and one at the end. */
static int64_t encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin + (int64_t)(nin / LITERAL_MAX) + 1 + HEADER;
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const uint32_t stride = nclient >= 1 ? client[0] : 0;
  if (stride > STRIDE_MAX || ds->type_size == 0) return H5Z_E_PARAM;
  if (cap < 2) return H5Z_E_OUTPUT;
  stored[0] = stride;
  stored[1] = ds->type_size;
  return 2;
}

static uint8_t difference(const uint8_t *src, size_t i, size_t stride) {
  return (uint8_t)(src[i] - (i >= stride ? src[i - stride] : 0));
}

/* How often the difference at i repeats itself from there on, at most `most` times. */
static size_t run_at(const uint8_t *src, size_t nin, size_t i, size_t stride, size_t most) {
  const uint8_t d = difference(src, i, stride);
  size_t n = 1;
  while (n < most && i + n < nin && difference(src, i + n, stride) == d) n++;
  return n;
}

static int64_t encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  uint8_t *dst = out;
  const size_t stride = stride_of(cd, ncd);
  if (stride == 0) return H5Z_E_PARAM;
  if ((uint64_t)nin > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  if (cap < HEADER) return H5Z_E_OUTPUT;
  h5z_put_u32be(dst, (uint32_t)nin);
  size_t i = 0, o = HEADER;
  while (i < nin) {
    const size_t run = run_at(src, nin, i, stride, RUN_MAX);
    if (run >= RUN_MIN) {
      if (cap - o < 2) return H5Z_E_OUTPUT;
      dst[o++] = (uint8_t)(run + 125);
      dst[o++] = difference(src, i, stride);
      i += run;
      continue;
    }
    const size_t first = i;
    while (i < nin && i - first < LITERAL_MAX && run_at(src, nin, i, stride, RUN_MIN) < RUN_MIN) i++;
    if (cap - o < i - first + 1) return H5Z_E_OUTPUT;
    dst[o++] = (uint8_t)(i - first - 1);
    for (size_t k = first; k < i; k++) dst[o++] = difference(src, k, stride);
  }
  return (int64_t)o;
}
#endif

H5Z_FILTER(H5Z_ENCODER(.derive = derive, .encode = encode, ).encode_bound = encode_bound,
           .decoded_size = decoded_size, .decode = decode)
