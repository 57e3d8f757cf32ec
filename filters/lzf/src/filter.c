/* HDF5 filter 32000: LZF, h5py's own filter. The compressor is liblzf's; the decoder is ours, bounded and without bytewise loops.
 *
 * A chunk is a sequence of tokens without header or end mark:
 *
 *     000nnnnn  n + 1 bytes                           the bytes themselves, 1 to 32
 *     nnnddddd  dddddddd                              n = 1..6: n + 2 bytes, as they were d + 1 bytes before, d = 0..8191
 *     111ddddd  nnnnnnnn dddddddd                     n + 9 bytes, likewise
 *
 * Stored cd_values: [0] revision of the filter (4), [1] version of liblzf's interface (0x0105), [2] bytes of a chunk.
 * Other filters before this one may make the content longer or shorter than [2], so the decoder counts for itself.
 */
#include <h5z/filter.h>

#include <stdlib.h>

/* The length that a chunk's tokens give. A few operations a token, and no byte of the content is touched. */
static int64_t lzf_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  const uint8_t *p = in, *const end = p + nin;
  int64_t sum = 0;
  if (nin == 0) return H5Z_E_CORRUPT;
  while (p < end) {
    const unsigned token = *p++;
    if (token < 32) {
      if ((size_t)(end - p) < token + 1) return H5Z_E_CORRUPT;
      p += token + 1, sum += token + 1;
    } else if (token < 7 << 5) {
      if (p == end) return H5Z_E_CORRUPT;
      p++, sum += (token >> 5) + 2;
    } else {
      if (end - p < 2) return H5Z_E_CORRUPT;
      sum += *p + 9, p += 2;
    }
  }
  return sum;
}

/* What a copy may write or read beyond its length, when so much room is known to be there. */
enum { SPARE = 32 };

static inline void copy16(uint8_t *to, const uint8_t *from) {
  uint8_t block[16]; /* one vector */
  memcpy(block, from, 16);
  memcpy(to, block, 16);
}

static inline uint64_t two(const uint8_t *p) { return p[0] | (uint64_t)p[1] << 8; }

static inline void put_u64le(uint8_t *to, uint64_t v) {
  if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) v = __builtin_bswap64(v);
  memcpy(to, &v, 8);
}

/* 3 to 8 bytes from `distance` before `to`. Byte by byte: what was written just now, in pieces, is read fastest in pieces. */
static inline void repeat_short(uint8_t *to, size_t distance, size_t n) {
  const uint8_t *from = to - distance;
#define ONE(i) to[i] = *(const volatile uint8_t *)(from + (i))
  ONE(0), ONE(1), ONE(2), ONE(3);
  if (n > 4) ONE(4), ONE(5), ONE(6), ONE(7);
#undef ONE
}

/* 9 bytes and more. Elements repeat at distances of their own size: 1, 2, 4 and 8 are made in a register. */
static inline void repeat_long(uint8_t *to, size_t distance, size_t n) {
  const uint8_t *from = to - distance;
  uint8_t *const end = to + n;
  if (distance >= 16) {
    do copy16(to, from), to += 16, from += 16;
    while (to < end);
    return;
  }
  uint64_t pattern;
  switch (distance) {
    case 1: pattern = from[0] * UINT64_C(0x0101010101010101); break;
    case 2: pattern = two(from) * UINT64_C(0x0001000100010001); break;
    case 4: pattern = (two(from) | two(from + 2) << 16) * UINT64_C(0x0000000100000001); break;
    case 8: pattern = two(from) | two(from + 2) << 16 | two(from + 4) << 32 | two(from + 6) << 48; break;
    default:
      for (size_t i = 0; i < n; i++) to[i] = from[i];
      return;
  }
  do put_u64le(to, pattern), put_u64le(to + 8, pattern), to += 16;
  while (to < end);
}

static int64_t lzf_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  const uint8_t *from = in, *const end = from + nin;
  uint8_t *to = out;
  size_t room = cap;
  if (nin == 0) return H5Z_E_CORRUPT;
  while (from < end) {
    const unsigned token = *from++;
    size_t n;
    if (token < 32) {
      n = token + 1;
      if ((size_t)(end - from) >= 32 && room >= 32) {
        copy16(to, from), copy16(to + 16, from + 16);
      } else {
        if ((size_t)(end - from) < n) return H5Z_E_CORRUPT;
        if (room < n) return H5Z_E_OUTPUT;
        memcpy(to, from, n);
      }
      from += n;
    } else {
      n = token >> 5;
      if (n == 7) {
        if (from == end) return H5Z_E_CORRUPT;
        n += *from++;
      }
      if (from == end) return H5Z_E_CORRUPT;
      n += 2;
      const size_t distance = ((token & 31) << 8 | *from++) + 1;
      if (distance > cap - room) return H5Z_E_CORRUPT;
      if (room >= n + SPARE) {
        if (token < 7 << 5) repeat_short(to, distance, n);
        else repeat_long(to, distance, n);
      } else {
        if (room < n) return H5Z_E_OUTPUT;
        for (size_t i = 0; i < n; i++) to[i] = *(to + i - distance);
      }
    }
    to += n, room -= n;
  }
  return (int64_t)(cap - room);
}

/* What is not smaller is not written at all. */
static int64_t lzf_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return nin > UINT32_MAX ? H5Z_E_NOT_APPLICABLE : (int64_t)nin;
}

#if !defined(H5Z_DECODE_ONLY)
#  include <lzfP.h>

/* lzf.h declares it without the table, which lzf_c.c takes with LZF_STATE_ARG. */
unsigned int lzf_compress(const void *in_data, unsigned int in_len, void *out_data, unsigned int out_len, LZF_STATE table);

enum { REVISION = 4, API_VERSION = 0x0105 };
enum { LEAST = 4 }; /* fewer than 4 bytes never become smaller, and liblzf reads 3 of them at once */

/* As h5py's lzf_set_local: values that are there are kept, three at least, and the chunk's size is set. */
static int64_t lzf_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const size_t count = nclient < 3 ? 3 : nclient;
  uint64_t bytes = ds->type_size;
  for (uint32_t i = 0; i < ds->rank && i < H5Z_MAX_RANK; i++)
    if (__builtin_mul_overflow(bytes, ds->chunk_dims[i], &bytes)) return H5Z_E_NOT_APPLICABLE;
  if (bytes > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  if (count > cap) return H5Z_E_OUTPUT;
  for (size_t i = 0; i < count; i++) stored[i] = i < nclient ? client[i] : 0;
  if (stored[0] == 0) stored[0] = REVISION;
  if (stored[1] == 0) stored[1] = API_VERSION;
  stored[2] = (uint32_t)bytes;
  return (int64_t)count;
}

static int64_t lzf_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (nin < LEAST || nin > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  LZF_HSLOT *table = calloc(1, sizeof(LZF_STATE));
  if (!table) return H5Z_E_MEMORY;
  const unsigned n = lzf_compress(in, (unsigned)nin, out, (unsigned)(cap < nin ? cap : nin), table);
  free(table);
  if (n > 0) return n;
  return cap < nin ? H5Z_E_OUTPUT : H5Z_E_NOT_APPLICABLE;
}
#endif

H5Z_FILTER(.decoded_size = lzf_decoded_size, .decode = lzf_decode, .encode_bound = lzf_encode_bound,
           H5Z_ENCODER(.derive = lzf_derive, .encode = lzf_encode))
