/* HDF5 filter 32008: bitshuffle. Format: kiyo-masui/bitshuffle, src/bshuf_h5filter.c and bitshuffle.c; numbers big-endian.
 *
 * The chunk's elements are cut into blocks and each block's bits transposed (see packages/abi/lib/transpose). All blocks hold `block`
 * elements, a multiple of 8; the last one holds what is left, rounded down to 8; the remaining 0 to 7 elements are kept raw.
 *
 * codec 0, none: as long as the chunk
 *     +---------+---------+--   --+--------------+-----------+
 *     | block 0 | block 1 |  ...  | last block   | n % 8 raw |
 *     +---------+---------+--   --+--------------+-----------+
 *
 * codec 2, LZ4, and 3, Zstandard: every block is compressed, also when that makes it longer
 *     0          8           12
 *     +----------+-----------+--------+-----------------+--   --+--------+-----------------+-----------+
 *     | u64      | u32       | u32 n  | n bytes of LZ4  |  ...  | u32 n  | last block      | n % 8 raw |
 *     | decoded  | block     |        | or a zstd frame |       |        |                 | elements  |
 *     | bytes    | bytes     |        | of block 0      |       |        |                 |           |
 *     +----------+-----------+--------+-----------------+--   --+--------+-----------------+-----------+
 *
 * cd_values   client: [block, codec, level]      stored: [0, 4, element bytes, block, codec, level]
 *   block   elements; 0 = automatic, see automatic_block(). The header's block bytes override it when decoding.
 *   codec   0, 2 or 3; absent = 0
 *   level   int32, of Zstandard; absent = 0 = its default. (Old plugins read past the end where it is missing.)
 *   0, 4    version of the format
 */
#include <h5z/filter.h>

#include <lz4.h>
#include <stdlib.h>
#include <transpose/transpose.h>
#include <zstd.h>

enum { CODEC_NONE = 0, CODEC_LZ4 = 2, CODEC_ZSTD = 3 };
enum { VERSION_MAJOR = 0, VERSION_MINOR = 4 };
enum { HEADER = 12, BLOCK_HEADER = 4, STORED_WORDS = 6 };

typedef struct settings {
  uint64_t elem;  /* bytes of an element, 1 .. UINT32_MAX */
  uint64_t block; /* elements of a block, a multiple of 8, not 0 */
  uint32_t codec;
  int level;
} settings;

/* Files depend on this rule for ever: chunks of codec 0 do not say their block size. */
static uint64_t automatic_block(uint64_t elem) {
  const uint64_t block = 8192 / elem / 8 * 8;
  return block < 128 ? 128 : block;
}

/* Stored cd_values to settings. */
static int64_t parse(const uint32_t *cd, size_t ncd, settings *s) {
  if (ncd < 3 || cd[2] == 0) return H5Z_E_PARAM;
  s->elem = cd[2];
  s->block = ncd > 3 && cd[3] > 0 ? cd[3] : automatic_block(s->elem);
  s->codec = ncd > 4 ? cd[4] : CODEC_NONE;
  s->level = ncd > 5 ? (int32_t)cd[5] : 0;
  if (s->block % 8 != 0) return H5Z_E_PARAM;
  return s->codec == CODEC_NONE || s->codec == CODEC_LZ4 || s->codec == CODEC_ZSTD ? 0 : H5Z_E_PARAM;
}

static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Elements of the block that begins when `left` elements are left; 0 when only the raw tail is. */
static size_t block_elements(const settings *s, uint64_t left) { return (size_t)(min_u64(s->block, left) / 8 * 8); }

/* Bytes of the largest block of a chunk: the scratch memory both directions need. Never more than the chunk. */
static size_t block_bytes(const settings *s, uint64_t chunk) { return (size_t)min_u64(s->block * s->elem, chunk); }

static int64_t bitshuffle_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  uint64_t size = nin;
  if (s.codec != CODEC_NONE) {
    if (nin < HEADER) return H5Z_E_CORRUPT;
    size = h5z_get_u64be(in);
    /* More than any LZ4 stream or zstd block of that length can hold: a lie that would cost the caller memory. */
    if (size / (s.codec == CODEC_LZ4 ? 255 : ZSTD_BLOCKSIZE_MAX) > nin) return H5Z_E_CORRUPT;
  }
  return size % s.elem == 0 ? (int64_t)size : H5Z_E_CORRUPT;
}

static int64_t decode_compressed(settings *s, const uint8_t *in, size_t nin, uint8_t *out, size_t size) {
  const uint8_t *src = in + HEADER, *const end = in + nin;
  int64_t result = H5Z_E_CORRUPT;
  s->block = h5z_get_u32be(in + 8) / s->elem;
  if (s->block == 0) s->block = automatic_block(s->elem);
  if (s->block % 8 != 0) return H5Z_E_CORRUPT;

  const size_t room = block_bytes(s, size);
  uint8_t *rows = malloc(room > 0 ? room : 1);
  ZSTD_DCtx *zstd = s->codec == CODEC_ZSTD ? ZSTD_createDCtx() : NULL;
  if (!rows || (s->codec == CODEC_ZSTD && !zstd)) {
    result = H5Z_E_MEMORY;
    goto done;
  }
  uint64_t left = size / s->elem;
  for (size_t n; (n = block_elements(s, left)) > 0; left -= n) {
    const size_t want = n * (size_t)s->elem;
    if ((size_t)(end - src) < BLOCK_HEADER) goto done;
    const size_t stored = h5z_get_u32be(src);
    src += BLOCK_HEADER;
    if (stored > (size_t)(end - src)) goto done;
    if (zstd) {
      if (ZSTD_decompressDCtx(zstd, rows, want, src, stored) != want) goto done;
    } else {
      if (stored > INT32_MAX || want > LZ4_MAX_INPUT_SIZE) goto done;
      if (LZ4_decompress_safe((const char *)src, (char *)rows, (int)stored, (int)want) != (int)want) goto done;
    }
    rows_to_bits(rows, out, n, (size_t)s->elem);
    src += stored, out += want;
  }
  const size_t tail = (size_t)(left * s->elem);
  if ((size_t)(end - src) != tail) goto done;
  memcpy(out, src, tail);
  result = (int64_t)size;
done:
  ZSTD_freeDCtx(zstd);
  free(rows);
  return result;
}

static int64_t bitshuffle_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  const int64_t size = bitshuffle_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  if (s.codec != CODEC_NONE) return decode_compressed(&s, in, nin, out, (size_t)size);

  const uint8_t *src = in;
  uint8_t *dst = out;
  uint64_t left = (uint64_t)size / s.elem;
  for (size_t n; (n = block_elements(&s, left)) > 0; left -= n) {
    rows_to_bits(src, dst, n, (size_t)s.elem);
    src += n * (size_t)s.elem, dst += n * (size_t)s.elem;
  }
  if (left > 0) memcpy(dst, src, (size_t)(left * s.elem));
  return size;
}

/* Worst case of one compressed block of n bytes with its length, or -1. */
static int64_t block_bound(const settings *s, uint64_t n) {
  if (s->codec == CODEC_LZ4) return n > LZ4_MAX_INPUT_SIZE ? -1 : BLOCK_HEADER + (int64_t)LZ4_COMPRESSBOUND(n);
  const size_t bound = ZSTD_compressBound((size_t)n);
  return ZSTD_isError(bound) ? -1 : BLOCK_HEADER + (int64_t)bound;
}

static int64_t bitshuffle_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (nin % s.elem != 0) return H5Z_E_NOT_APPLICABLE;
  if (s.codec == CODEC_NONE) return (int64_t)nin;
  /* Other readers hold sizes in an int, and the header the block's bytes in a u32. */
  if (nin > INT32_MAX || s.block * s.elem > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  const uint64_t n = nin / s.elem, whole = n / s.block, last = n % s.block / 8 * 8;
  const int64_t each = whole > 0 ? block_bound(&s, s.block * s.elem) : 0;
  const int64_t rest = last > 0 ? block_bound(&s, last * s.elem) : 0;
  if (each < 0 || rest < 0) return H5Z_E_NOT_APPLICABLE;
  return HEADER + (int64_t)whole * each + rest + (int64_t)(n % 8 * s.elem);
}

#if !defined(H5Z_DECODE_ONLY)
/* HDF5 may hand stored values to `derive` again, for instance when a dataset is created with another one's property list.
 * They are recognised by what client values cannot be: a version word where the codec stands (client codec 4 does not
 * exist), or, for the older versions whose number is a codec too, more words than a client can give. */
static int is_stored(const uint32_t *cd, size_t ncd) {
  if (ncd < 3 || cd[0] != VERSION_MAJOR) return 0;
  return cd[1] == VERSION_MINOR || (ncd > 3 && cd[1] > 0 && cd[1] < VERSION_MINOR);
}

static int64_t bitshuffle_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored,
                                 size_t cap) {
  if (is_stored(client, nclient)) client += 3, nclient -= 3;
  if (nclient > STORED_WORDS - 3) return H5Z_E_PARAM;
  if (cap < 3 + nclient) return H5Z_E_OUTPUT;
  stored[0] = VERSION_MAJOR, stored[1] = VERSION_MINOR, stored[2] = ds->type_size;
  for (size_t i = 0; i < nclient; i++) stored[3 + i] = client[i];
  settings s;
  if (ds->type_size == 0) return H5Z_E_NOT_APPLICABLE;
  const int64_t error = parse(stored, 3 + nclient, &s);
  return error < 0 ? error : (int64_t)(3 + nclient);
}

static int64_t encode_compressed(const settings *s, const uint8_t *in, size_t nin, uint8_t *out, size_t cap) {
  uint8_t *dst = out, *const end = out + cap;
  int64_t result = H5Z_E_OUTPUT;
  if (cap < HEADER) return H5Z_E_OUTPUT;
  h5z_put_u64be(dst, nin);
  h5z_put_u32be(dst + 8, (uint32_t)(s->block * s->elem));
  dst += HEADER;

  const size_t room = block_bytes(s, nin);
  uint8_t *rows = malloc(room > 0 ? room : 1);
  void *lz4 = s->codec == CODEC_LZ4 ? malloc((size_t)LZ4_sizeofState()) : NULL;
  ZSTD_CCtx *zstd = s->codec == CODEC_ZSTD ? ZSTD_createCCtx() : NULL;
  if (!rows || (!lz4 && !zstd)) {
    result = H5Z_E_MEMORY;
    goto done;
  }
  uint64_t left = nin / s->elem;
  for (size_t n; (n = block_elements(s, left)) > 0; left -= n) {
    const size_t bytes = n * (size_t)s->elem;
    if ((size_t)(end - dst) < BLOCK_HEADER) goto done;
    const size_t free_bytes = (size_t)(end - dst) - BLOCK_HEADER;
    size_t stored;
    bits_to_rows(in, rows, n, (size_t)s->elem);
    if (zstd) {
      stored = ZSTD_compressCCtx(zstd, dst + BLOCK_HEADER, free_bytes, rows, bytes, s->level);
      if (ZSTD_isError(stored)) goto done;
    } else {
      const int most = (int)min_u64(free_bytes, LZ4_COMPRESSBOUND(bytes));
      char *const to = (char *)dst + BLOCK_HEADER;
      stored = (size_t)LZ4_compress_fast_extState(lz4, (const char *)rows, to, (int)bytes, most, 1);
      if (stored == 0) goto done;
    }
    h5z_put_u32be(dst, (uint32_t)stored);
    in += bytes, dst += BLOCK_HEADER + stored;
  }
  const size_t tail = (size_t)(left * s->elem);
  if ((size_t)(end - dst) < tail) goto done;
  memcpy(dst, in, tail);
  result = dst + tail - out;
done:
  ZSTD_freeCCtx(zstd);
  free(lz4);
  free(rows);
  return result;
}

static int64_t bitshuffle_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  const int64_t bound = bitshuffle_encode_bound(cd, ncd, nin); /* knows what cannot be encoded */
  if (bound < 0) return bound;
  if (s.codec != CODEC_NONE) return encode_compressed(&s, in, nin, out, cap);

  if (nin > cap) return H5Z_E_OUTPUT;
  const uint8_t *src = in;
  uint8_t *dst = out;
  uint64_t left = nin / s.elem;
  for (size_t n; (n = block_elements(&s, left)) > 0; left -= n) {
    bits_to_rows(src, dst, n, (size_t)s.elem);
    src += n * (size_t)s.elem, dst += n * (size_t)s.elem;
  }
  if (left > 0) memcpy(dst, src, (size_t)(left * s.elem));
  return (int64_t)nin;
}
#endif

H5Z_FILTER(.decoded_size = bitshuffle_decoded_size, .decode = bitshuffle_decode,
           .encode_bound = bitshuffle_encode_bound, H5Z_ENCODER(.derive = bitshuffle_derive, .encode = bitshuffle_encode))
