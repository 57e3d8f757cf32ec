/* HDF5 filter 32004: LZ4, in blocks. Format: LZ4_HDF5_format.md of HDFGroup/hdf5_plugins. All numbers big-endian.
 *
 *     0          8           12
 *     +----------+-----------+----------+---------------+----------+---------------+--
 *     | u64      | u32       | u32      | n bytes       | u32      | n bytes       | ...
 *     | decoded  | block     | n of     | of block 0    | n of     | of block 1    |
 *     | bytes    | bytes     | block 0  |               | block 1  |               |
 *     +----------+-----------+----------+---------------+----------+---------------+--
 *
 *   - A block holds `block bytes` decoded bytes; the last one holds what is left.
 *   - n equal to the block's decoded bytes: a plain copy, because LZ4 did not make it smaller. Else bare LZ4, not a frame.
 *   - 0 decoded bytes: no blocks.
 *
 * cd_values, both optional, both for the encoder alone:
 *   [0] block bytes; 0 = 1 GiB; never more than the chunk
 *   [1] int32: 0 LZ4's default, > 0 LZ4HC at that level, < 0 acceleration. The bytes stay the same format.
 */
#include <h5z/filter.h>

#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>

enum { HEADER = 12, BLOCK_HEADER = 4 };

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* Also refuses what no LZ4 stream can be: one byte of it decodes to 255 at most. */
static int64_t lz4_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const uint64_t size = h5z_get_u64be(in);
  return size / 255 <= nin ? (int64_t)size : H5Z_E_CORRUPT;
}

static int64_t lz4_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t size = lz4_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  const size_t block = h5z_get_u32be((const uint8_t *)in + 8);
  if (block == 0 && size > 0) return H5Z_E_CORRUPT;

  const uint8_t *src = (const uint8_t *)in + HEADER;
  const uint8_t *const end = (const uint8_t *)in + nin;
  uint8_t *dst = out;
  size_t left = (size_t)size;
  while (left > 0) {
    const size_t want = min_size(block, left);
    if ((size_t)(end - src) < BLOCK_HEADER) return H5Z_E_CORRUPT;
    const size_t stored = h5z_get_u32be(src);
    src += BLOCK_HEADER;
    if (stored > (size_t)(end - src)) return H5Z_E_CORRUPT;
    if (stored == want) {
      memcpy(dst, src, want);
    } else {
      if (stored > INT32_MAX || want > LZ4_MAX_INPUT_SIZE) return H5Z_E_CORRUPT;
      if (LZ4_decompress_safe((const char *)src, (char *)dst, (int)stored, (int)want) != (int)want) return H5Z_E_CORRUPT;
    }
    src += stored, dst += want, left -= want;
  }
  return src == end ? size : H5Z_E_CORRUPT;
}

static const uint32_t DEFAULT_BLOCK = 1u << 30;

static size_t block_of(const uint32_t *cd, size_t ncd, size_t nin) {
  const size_t block = ncd > 0 && cd[0] > 0 ? cd[0] : DEFAULT_BLOCK;
  return min_size(min_size(block, LZ4_MAX_INPUT_SIZE), nin);
}

static int64_t lz4_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  if (nin > INT32_MAX) return H5Z_E_NOT_APPLICABLE; /* other readers hold sizes in an int */
  const size_t block = block_of(cd, ncd, nin);
  if (block == 0) return HEADER;
  /* Room for LZ4's worst case, although a block that grew is then stored as it is. */
  const uint64_t blocks = (nin - 1) / block + 1;
  return (int64_t)(HEADER + blocks * (BLOCK_HEADER + (uint64_t)LZ4_COMPRESSBOUND(block)));
}

#if !defined(H5Z_DECODE_ONLY)
/* One block with the level's encoder. Bytes written, 0 if they would not fit into `cap`. */
static int compress(void *state, int level, const uint8_t *in, size_t nin, uint8_t *out, size_t cap) {
  const int room = (int)min_size(cap, LZ4_COMPRESSBOUND(nin));
  if (level > 0) return LZ4_compress_HC_extStateHC(state, (const char *)in, (char *)out, (int)nin, room, level);
  return LZ4_compress_fast_extState(state, (const char *)in, (char *)out, (int)nin, room, level < 0 ? -level : 1);
}

static int64_t lz4_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (nin > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
  if (cap < HEADER) return H5Z_E_OUTPUT;
  const size_t block = block_of(cd, ncd, nin);
  const int32_t given = ncd > 1 ? (int32_t)cd[1] : 0;
  const int level = given < -INT32_MAX ? -INT32_MAX : given; /* so that it can be negated; LZ4 clamps the rest */
  void *state = malloc((size_t)(level > 0 ? LZ4_sizeofStateHC() : LZ4_sizeofState()));
  if (!state) return H5Z_E_MEMORY;

  const uint8_t *src = in;
  uint8_t *dst = out;
  uint8_t *const end = dst + cap;
  int64_t result = H5Z_E_OUTPUT;
  h5z_put_u64be(dst, nin);
  h5z_put_u32be(dst + 8, (uint32_t)block);
  dst += HEADER;
  for (size_t left = nin; left > 0;) {
    const size_t want = min_size(block, left);
    if ((size_t)(end - dst) < BLOCK_HEADER) goto done;
    uint8_t *const header = dst;
    dst += BLOCK_HEADER;
    size_t stored = (size_t)compress(state, level, src, want, dst, (size_t)(end - dst));
    if (stored == 0 || stored >= want) { /* no gain, or no room to find out: keep the bytes themselves */
      if ((size_t)(end - dst) < want) goto done;
      memcpy(dst, src, want);
      stored = want;
    }
    h5z_put_u32be(header, (uint32_t)stored);
    src += want, dst += stored, left -= want;
  }
  result = dst - (uint8_t *)out;
done:
  free(state);
  return result;
}
#endif

H5Z_FILTER(.decoded_size = lz4_decoded_size, .decode = lz4_decode,
           .encode_bound = lz4_encode_bound, H5Z_ENCODER(.encode = lz4_encode))
