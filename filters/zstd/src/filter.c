/* HDF5 filter 32015: Zstandard.
 *
 * A chunk is one or more zstd frames, RFC 8878, and nothing around them:
 *
 *     +-----------------+-----------------+--   - a frame may or may not state its content size; writers with a
 *     | frame           | frame           |       streaming API leave it out
 *     +-----------------+-----------------+--   - a skippable frame carries no data of the chunk
 *
 * cd_values: [0] level, int32, optional: default 3, negative levels are faster. Only the encoder looks at it.
 */
#include <h5z/filter.h>

#include <stdatomic.h>
#include <zstd.h>
#include <zstd_errors.h>

/* What went wrong, in our words. Everything that zstd says of the bytes themselves is damage. */
static int64_t error_of(size_t result) {
  switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_dstSize_tooSmall:
    case ZSTD_error_dstBuffer_null: return H5Z_E_OUTPUT;
    case ZSTD_error_memory_allocation: return H5Z_E_MEMORY;
    case ZSTD_error_version_unsupported: return H5Z_E_VERSION;
    case ZSTD_error_dictionary_wrong: /* a frame made with a dictionary, which an HDF5 file has no place for */
    case ZSTD_error_frameParameter_unsupported:
    case ZSTD_error_frameParameter_windowTooLarge: return H5Z_E_UNSUPPORTED;
    default: return H5Z_E_CORRUPT;
  }
}

/* Sum of what the frames say they hold. Walks the block headers, 3 bytes in every 128 KiB, and decodes nothing. */
static int64_t zstd_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  const uint8_t *p = in;
  const uint64_t most = nin / 3 * ZSTD_BLOCKSIZE_MAX; /* the densest block: 3 bytes of header for 128 KiB */
  uint64_t sum = 0;
  int known = 1;
  if (nin == 0) return H5Z_E_CORRUPT;
  while (nin > 0) {
    const size_t length = ZSTD_findFrameCompressedSize(p, nin);
    if (ZSTD_isError(length)) return error_of(length);
    const unsigned long long content = ZSTD_getFrameContentSize(p, nin);
    if (content == ZSTD_CONTENTSIZE_ERROR) return H5Z_E_CORRUPT;
    if (content == ZSTD_CONTENTSIZE_UNKNOWN) {
      known = 0;
    } else {
      if (content > most - sum) return H5Z_E_CORRUPT; /* a lie that would cost the caller memory */
      sum += content;
    }
    p += length, nin -= length;
  }
  return known ? (int64_t)sum : H5Z_SIZE_UNKNOWN;
}

/* A decoder is 160 KB that malloc would fetch from the system, page by page, for every chunk: a tenth and more of the
 * time of a 64 KB chunk. So one idle decoder is kept; threads that find it taken make their own. It carries nothing from
 * chunk to chunk. (Not so the encoder: its match finder's salt would make a chunk's bytes depend on the chunks before it.
 * And not in WebAssembly, whose allocator forgets everything after a call.) */
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

/* zstd decodes straight into the output, so the output is the window: the frame's own window size costs no memory,
 * and frames without content size need no special case. */
static int64_t zstd_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (nin == 0) return H5Z_E_CORRUPT; /* zstd takes no frames for an empty chunk */
  ZSTD_DCtx *decoder = take_decoder();
  if (!decoder) return H5Z_E_MEMORY;
  const size_t n = ZSTD_decompressDCtx(decoder, out, cap, in, nin);
  give_back_decoder(decoder);
  if (!ZSTD_isError(n)) return (int64_t)n;
  const int64_t error = error_of(n);
  if (error == H5Z_E_OUTPUT) { /* more than the frames said they hold is damage, not want of room */
    const int64_t claim = zstd_decoded_size(cd, ncd, in, nin);
    if (claim >= 0 && claim != H5Z_SIZE_UNKNOWN && (uint64_t)claim <= cap) return H5Z_E_CORRUPT;
  }
  return error;
}

static int64_t zstd_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  const size_t bound = ZSTD_compressBound(nin);
  return ZSTD_isError(bound) ? H5Z_E_NOT_APPLICABLE : (int64_t)bound;
}

#if !defined(H5Z_DECODE_ONLY)
/* Out-of-range levels are clamped, as HDFGroup's filter does: they lie in files and in other people's scripts. */
static int level_of(const uint32_t *cd, size_t ncd) {
  const int32_t level = ncd > 0 ? (int32_t)cd[0] : ZSTD_CLEVEL_DEFAULT;
  if (level < ZSTD_minCLevel()) return ZSTD_minCLevel();
  if (level > ZSTD_maxCLevel()) return ZSTD_maxCLevel();
  return level;
}

static int64_t zstd_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  ZSTD_CCtx *context = ZSTD_createCCtx();
  if (!context) return H5Z_E_MEMORY;
  const size_t n = ZSTD_compressCCtx(context, out, cap, in, nin, level_of(cd, ncd));
  ZSTD_freeCCtx(context);
  if (!ZSTD_isError(n)) return (int64_t)n;
  const int64_t error = error_of(n);
  return error == H5Z_E_CORRUPT ? H5Z_E_INTERNAL : error; /* the encoder's input cannot be corrupt */
}
#endif

H5Z_FILTER(.decoded_size = zstd_decoded_size, .decode = zstd_decode, .encode_bound = zstd_encode_bound,
           H5Z_ENCODER(.encode = zstd_encode))
