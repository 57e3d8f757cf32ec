/* HDF5 filter 32020: VBZ, Oxford Nanopore's compression of raw signal.
 *
 *     +----------+----------------------------------------------------------------------------------+
 *     | u32 le   | zstd frame, unless the level is 0, of                                            |
 *     | bytes of | +------------------------------------------------------------------------------+ |
 *     | content  | | the content, or its integers by StreamVByte (streamvbyte.h)                   | |
 *     |          | +------------------------------------------------------------------------------+ |
 *     +----------+----------------------------------------------------------------------------------+
 *
 * cd_values: [0] version, 0 or 1; [1] bytes of an integer: 1, 2, 4, or 0 for no StreamVByte; [2] not 0: differences;
 * [3] zstd's level, int32, optional: default 1, 0 for no zstd. The decoder needs them all: the chunk does not say.
 */
#include "streamvbyte.h"

#include <h5z/filter.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { HEADER = 4 };

typedef struct {
  svb_layout layout; /* width 0: none */
  int level;         /* 0: none */
} options;

/* 0, or the error. */
static int64_t read_options(const uint32_t *cd, size_t ncd, options *to) {
  if (ncd < 3) return H5Z_E_PARAM;
  if (cd[0] > 1) return H5Z_E_VERSION;
  if (cd[1] > 4 || cd[1] == 3) return H5Z_E_PARAM;
  to->layout = (svb_layout){.width = cd[1], .delta = cd[2] != 0, .halves = cd[0] == 1 && cd[1] == 1};
  to->level = ncd > 3 ? (int32_t)cd[3] : 1;
  return 0;
}

static int64_t error_of(size_t result) {
  switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_dstSize_tooSmall:
    case ZSTD_error_dstBuffer_null: return H5Z_E_OUTPUT;
    case ZSTD_error_memory_allocation: return H5Z_E_MEMORY;
    case ZSTD_error_version_unsupported: return H5Z_E_VERSION;
    case ZSTD_error_dictionary_wrong:
    case ZSTD_error_frameParameter_unsupported:
    case ZSTD_error_frameParameter_windowTooLarge: return H5Z_E_UNSUPPORTED;
    default: return H5Z_E_CORRUPT;
  }
}

static uint32_t size_in(const uint8_t *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int64_t vbz_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  options o;
  const int64_t error = read_options(cd, ncd, &o);
  if (error < 0) return error;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const uint32_t size = size_in(in);
  /* A lie would cost the caller memory. The densest block of zstd: 3 bytes of header for 128 KiB; the densest key byte:
   * 4 integers (and no data, of halves). */
  uint64_t most = nin - HEADER;
  if (o.level != 0) most = most / 3 * ZSTD_BLOCKSIZE_MAX;
  if (o.layout.width > 0) {
    if (size % o.layout.width != 0) return H5Z_E_CORRUPT;
    most = most * 4 * o.layout.width;
  }
  return size > most ? H5Z_E_CORRUPT : (int64_t)size;
}

/* One idle zstd decoder is kept: making one costs more than decoding a chunk of raw signal. It carries nothing over. */
#if !defined(__wasm__)
static _Atomic(ZSTD_DCtx *) idle;

static ZSTD_DCtx *take_decoder(void) {
  ZSTD_DCtx *kept = atomic_exchange(&idle, NULL);
  return kept ? kept : ZSTD_createDCtx();
}

static void give_back_decoder(ZSTD_DCtx *decoder) { ZSTD_freeDCtx(atomic_exchange(&idle, decoder)); }
#else
#  define take_decoder ZSTD_createDCtx
#  define give_back_decoder ZSTD_freeDCtx
#endif

/* More than `cap` bytes is damage: the chunk's header said what is in it. */
static int64_t unpack(const uint8_t *in, size_t nin, uint8_t *out, size_t cap) {
  if (nin == 0) return H5Z_E_CORRUPT; /* zstd takes no frames for an empty chunk */
  ZSTD_DCtx *decoder = take_decoder();
  if (!decoder) return H5Z_E_MEMORY;
  const size_t n = ZSTD_decompressDCtx(decoder, out, cap, in, nin);
  give_back_decoder(decoder);
  if (!ZSTD_isError(n)) return (int64_t)n;
  const int64_t error = error_of(n);
  return error == H5Z_E_OUTPUT ? H5Z_E_CORRUPT : error;
}

static int64_t vbz_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  options o;
  const int64_t size = vbz_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  read_options(cd, ncd, &o);
  const uint8_t *from = (const uint8_t *)in + HEADER;
  size_t length = nin - HEADER;
  if (o.layout.width == 0) {
    if (o.level != 0) {
      const int64_t n = unpack(from, length, out, (size_t)size);
      return n < 0 || n == size ? n : H5Z_E_CORRUPT;
    }
    if (length != (size_t)size) return H5Z_E_CORRUPT;
    if (size > 0) memcpy(out, from, length);
    return size;
  }

  const size_t n = (size_t)size / o.layout.width;
  uint8_t *between = NULL;
  if (o.level != 0) {
    size_t room = svb_most(n);
    const unsigned long long content = ZSTD_getFrameContentSize(from, length);
    if (content < room) room = (size_t)content; /* the two codes for unknown and error are large */
    between = malloc(room > 0 ? room : 1);
    if (!between) return H5Z_E_MEMORY;
    int64_t got = unpack(from, length, between, room);
    if (got == H5Z_E_CORRUPT && room < svb_most(n)) { /* several frames, of which the first gave its size */
      free(between);
      room = svb_most(n);
      between = malloc(room);
      if (!between) return H5Z_E_MEMORY;
      got = unpack(from, length, between, room);
    }
    if (got < 0) {
      free(between);
      return got;
    }
    from = between, length = (size_t)got;
  }
  const int whole = svb_decode(o.layout, from, length, out, n);
  free(between);
  return whole ? size : H5Z_E_CORRUPT;
}

static int64_t vbz_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  options o;
  const int64_t error = read_options(cd, ncd, &o);
  if (error < 0) return error;
  if (nin > INT32_MAX / 2) return H5Z_E_NOT_APPLICABLE;
  const size_t between = o.layout.width > 0 ? svb_bound(o.layout, nin / o.layout.width + 1) : nin;
  return HEADER + (int64_t)(o.level != 0 ? ZSTD_COMPRESSBOUND(between) : between);
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t vbz_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  options o;
  (void)ds;
  const int64_t error = read_options(client, nclient, &o);
  if (error < 0) return error == H5Z_E_VERSION ? H5Z_E_PARAM : error;
  if (nclient > cap) return H5Z_E_OUTPUT;
  memcpy(stored, client, 4 * nclient);
  return (int64_t)nclient;
}

static int64_t vbz_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  options o;
  const int64_t bound = vbz_encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  read_options(cd, ncd, &o);
  if (o.layout.width > 0 && nin % o.layout.width != 0) return H5Z_E_NOT_APPLICABLE; /* no whole integers */
  if (cap < HEADER) return H5Z_E_OUTPUT;
  uint8_t *const to = (uint8_t *)out + HEADER;
  const void *from = in;
  size_t length = nin;
  uint8_t *between = NULL;
  if (o.layout.width > 0) {
    const size_t n = nin / o.layout.width;
    between = malloc(svb_bound(o.layout, n) + SVB_SLACK);
    if (!between) return H5Z_E_MEMORY;
    length = svb_encode(o.layout, in, n, between);
    from = between;
  }
  int64_t result = (int64_t)length;
  if (o.level != 0) {
    const size_t packed = ZSTD_compress(to, cap - HEADER, from, length, o.level);
    result = ZSTD_isError(packed) ? error_of(packed) : (int64_t)packed;
    if (result == H5Z_E_CORRUPT) result = H5Z_E_INTERNAL; /* the encoder's input cannot be corrupt */
  } else if (length > cap - HEADER) {
    result = H5Z_E_OUTPUT;
  } else if (length > 0) {
    memcpy(to, from, length);
  }
  free(between);
  if (result < 0) return result;
  for (int i = 0; i < HEADER; i++) ((uint8_t *)out)[i] = (uint8_t)(nin >> 8 * i);
  return HEADER + result;
}
#endif

H5Z_FILTER(.decoded_size = vbz_decoded_size, .decode = vbz_decode, .encode_bound = vbz_encode_bound,
           H5Z_ENCODER(.derive = vbz_derive, .encode = vbz_encode))
