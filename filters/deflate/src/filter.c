/* HDF5 filter 1: deflate, which h5py calls gzip. libdeflate decodes and encodes; it needs the output whole, and so do we.
 *
 * A chunk is one zlib stream, RFC 1950, and whatever lies behind it:
 *
 *     0     1     2                                n     n + 4
 *     +-----+-----+---------------------------------+-----+-----------
 *     | CMF | FLG | DEFLATE blocks, RFC 1951        | u32 | ignored
 *     +-----+-----+---------------------------------+-----+-----------
 *       78 01..da                                    Adler-32 of the data, big-endian
 *
 * The stream does not say how long its data are: decoded_size is unknown, decode says H5Z_E_OUTPUT when the room is short.
 *
 * cd_values: [0] level 0 to 9, client and stored alike; exactly one value. Only the encoder looks at it.
 */
#include <h5z/filter.h>

#include <libdeflate.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { HEADER = 2, CHECKSUM = 4, SECOND_LOOK = 1 << 24 };

static int64_t deflate_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return nin == 0 ? H5Z_E_CORRUPT : H5Z_SIZE_UNKNOWN;
}

/* A decoder is 12 KB, an encoder up to 350 KB, which malloc would fetch from the system page by page for every chunk. So
 * one idle decoder is kept, and of the encoders one for each level; threads that find it taken make their own. Neither
 * carries anything from chunk to chunk. (Not in WebAssembly, whose allocator forgets everything after a call.) */
#if !defined(__wasm__)
static _Atomic(struct libdeflate_decompressor *) idle_decoder;

static struct libdeflate_decompressor *take_decoder(void) {
  struct libdeflate_decompressor *kept = atomic_exchange(&idle_decoder, NULL);
  return kept ? kept : libdeflate_alloc_decompressor();
}

static void give_back_decoder(struct libdeflate_decompressor *decoder) {
  libdeflate_free_decompressor(atomic_exchange(&idle_decoder, decoder));
}
#else
#  define take_decoder libdeflate_alloc_decompressor
#  define give_back_decoder libdeflate_free_decompressor
#endif

/* The two bytes of header: 0, or why the stream cannot be decoded. */
static int64_t check_header(const uint8_t *p, size_t n) {
  if (n < HEADER || (p[0] << 8 | p[1]) % 31 != 0 || (p[0] & 15) != 8 || p[0] >> 4 > 7) return H5Z_E_CORRUPT;
  return p[1] & 0x20 ? H5Z_E_UNSUPPORTED : 0; /* made with a dictionary, which an HDF5 file has no place for */
}

static int64_t decode_stream(struct libdeflate_decompressor *decoder, const uint8_t *in, size_t nin, uint8_t *out, size_t cap) {
  size_t consumed, written;
  switch (libdeflate_deflate_decompress_ex(decoder, in + HEADER, nin - HEADER, out, cap, &consumed, &written)) {
    case LIBDEFLATE_SUCCESS: break;
    case LIBDEFLATE_INSUFFICIENT_SPACE: return H5Z_E_OUTPUT;
    default: return H5Z_E_CORRUPT;
  }
  if (nin - HEADER - consumed < CHECKSUM) return H5Z_E_CORRUPT;
  return libdeflate_adler32(1, out, written) == h5z_get_u32be(in + HEADER + consumed) ? (int64_t)written : H5Z_E_CORRUPT;
}

/* libdeflate reads zeros behind the end of the input, at most a word of them, and so takes the end of a cut stream for up to
 * 64 more matches. Whether the room was short or the stream, decoding once more with room for these tells. */
static int64_t second_look(struct libdeflate_decompressor *decoder, const uint8_t *in, size_t nin, size_t cap) {
  uint8_t *room = cap <= SECOND_LOOK ? malloc(cap + 64 * 258) : NULL;
  if (!room) return H5Z_E_OUTPUT;
  const int64_t n = decode_stream(decoder, in, nin, room, cap + 64 * 258);
  free(room);
  return n == H5Z_E_CORRUPT ? H5Z_E_CORRUPT : H5Z_E_OUTPUT;
}

static int64_t deflate_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  uint8_t nowhere;
  int64_t n = check_header(in, nin);
  if (n < 0) return n;
  struct libdeflate_decompressor *decoder = take_decoder();
  if (!decoder) return H5Z_E_MEMORY;
  n = decode_stream(decoder, in, nin, cap > 0 ? out : &nowhere, cap);
  if (n == H5Z_E_OUTPUT) n = second_look(decoder, in, nin, cap);
  give_back_decoder(decoder);
  return n;
}

/* Every block is stored where that is smaller: 5 bytes for each 5000, and 6 around the stream. */
static int64_t deflate_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)(nin + 5 * (nin / 5000 + 1) + 6);
}

#if !defined(H5Z_DECODE_ONLY)
enum { MOST_LEVEL = 9 };

/* As in libhdf5: one value, and one of zlib's levels. */
static int64_t check_level(const uint32_t *cd, size_t ncd) {
  return ncd == 1 && cd[0] <= MOST_LEVEL ? (int64_t)cd[0] : H5Z_E_PARAM;
}

static int64_t deflate_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  (void)ds;
  const int64_t level = check_level(client, nclient);
  if (level < 0) return level;
  if (cap < 1) return H5Z_E_OUTPUT;
  stored[0] = (uint32_t)level;
  return 1;
}

#  if !defined(__wasm__)
static _Atomic(struct libdeflate_compressor *) idle_encoder[MOST_LEVEL + 1];

static struct libdeflate_compressor *take_encoder(int level) {
  struct libdeflate_compressor *kept = atomic_exchange(&idle_encoder[level], NULL);
  return kept ? kept : libdeflate_alloc_compressor(level);
}

static void give_back_encoder(int level, struct libdeflate_compressor *encoder) {
  libdeflate_free_compressor(atomic_exchange(&idle_encoder[level], encoder));
}
#  else
#    define take_encoder libdeflate_alloc_compressor
#    define give_back_encoder(level, encoder) libdeflate_free_compressor(encoder)
#  endif

static int64_t deflate_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t level = check_level(cd, ncd);
  if (level < 0) return level;
  struct libdeflate_compressor *encoder = take_encoder((int)level);
  if (!encoder) return H5Z_E_MEMORY;
  const size_t n = libdeflate_zlib_compress(encoder, nin > 0 ? in : "", nin, out, cap);
  give_back_encoder((int)level, encoder);
  return n > 0 ? (int64_t)n : H5Z_E_OUTPUT;
}
#endif

H5Z_FILTER(.decoded_size = deflate_decoded_size, .decode = deflate_decode, .encode_bound = deflate_encode_bound,
           H5Z_ENCODER(.derive = deflate_derive, .encode = deflate_encode))
