/* HDF5 filter 3: fletcher32. The chunk and four bytes of checksum, so that damage does not go unnoticed.
 *
 *     0                       n       n + 4
 *     +-----------------------+--------+
 *     | data                  | u32 le | Fletcher-32 of the data, see checksum.h: sum2 << 16 | sum1
 *     +-----------------------+--------+
 *
 * HDF5 1.6.2 and older, on little-endian machines, wrote sums with the bytes of both halves exchanged: read as well.
 *
 * cd_values: none; nobody looks at any. H5Z_FLAG_SKIP_EDC (do not check when reading) never reaches a filter of this ABI.
 */
#include <h5z/filter.h>

#include "checksum.h"

enum { CHECKSUM = 4 };

static int64_t fletcher32_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return nin < CHECKSUM ? H5Z_E_CORRUPT : (int64_t)(nin - CHECKSUM);
}

static int64_t fletcher32_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (nin < CHECKSUM) return H5Z_E_CORRUPT;
  const size_t size = nin - CHECKSUM;
  if (size > cap) return H5Z_E_OUTPUT;
  const uint8_t *p = (const uint8_t *)in + size;
  const uint32_t stored = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  const uint32_t sum = fletcher32(in, size, out);
  const uint32_t old = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff);
  return stored == sum || stored == old ? (int64_t)size : H5Z_E_CORRUPT;
}

static int64_t fletcher32_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin + CHECKSUM;
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t fletcher32_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (cap < CHECKSUM || nin > cap - CHECKSUM) return H5Z_E_OUTPUT;
  const uint32_t sum = fletcher32(in, nin, out);
  uint8_t *p = (uint8_t *)out + nin;
  p[0] = (uint8_t)sum, p[1] = (uint8_t)(sum >> 8), p[2] = (uint8_t)(sum >> 16), p[3] = (uint8_t)(sum >> 24);
  return (int64_t)nin + CHECKSUM;
}
#endif

H5Z_FILTER(.decoded_size = fletcher32_decoded_size, .decode = fletcher32_decode, .encode_bound = fletcher32_encode_bound,
           H5Z_ENCODER(.encode = fletcher32_encode))
