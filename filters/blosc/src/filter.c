/* HDF5 filter 32001: Blosc. Format: Blosc/c-blosc, README_CHUNK_FORMAT.rst; filter: Blosc/hdf5-blosc, src/blosc_filter.c. The
 * chunk is one Blosc chunk of version 2 (or 1), drawn in packages/abi/lib/blosc/blosc.h, where it is also coded.
 *
 * cd_values   client: [0, 0, 0, 0, level, shuffle, codec]      stored: [2, 2, element bytes, chunk bytes, level, shuffle, codec]
 *   2, 2      revision of the filter, version of the format
 *   element   bytes of the base type where elements are arrays; 1 where more than 255
 *   level     0 .. 9; absent = 5
 *   shuffle   0 none, 1 bytes, 2 bits; absent = 1
 *   codec     0 blosclz, 1 lz4, 2 lz4hc, 3 snappy, 4 zlib, 5 zstd; absent = 0 (HDFGroup's build of the filter takes zstd)
 *
 * The first four words are the filter's own: whatever a caller puts there is replaced. Decoding needs none of them.
 */
#include <blosc/blosc.h>
#include <h5z/filter.h>

enum { FORMAT = 2 };

static int64_t decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  blosc_chunk chunk;
  const int64_t error = blosc_open(in, nin, FORMAT, &chunk);
  return error < 0 ? error : (int64_t)chunk.size;
}

static int64_t decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  blosc_chunk chunk;
  const int64_t error = blosc_open(in, nin, FORMAT, &chunk);
  if (error < 0) return error;
  if (chunk.size > cap) return H5Z_E_OUTPUT;
  return blosc_decode(&chunk, (uint8_t *)out);
}

#if !defined(H5Z_DECODE_ONLY)
enum { FILTER_REVISION = 2, FIXED_WORDS = 4, MOST_WORDS = 7 };

/* Stored cd_values to settings. */
static int64_t parse(const uint32_t *cd, size_t ncd, blosc_settings *s) {
  if (ncd < FIXED_WORDS || cd[2] == 0) return H5Z_E_PARAM;
  *s = (blosc_settings){.codec = BLOSC_BLOSCLZ, .level = 5, .shuffle = BLOSC_SHUFFLE, .typesize = cd[2]};
  if (ncd > 4) s->level = cd[4];
  if (ncd > 5) s->shuffle = cd[5];
  if (ncd > 6) s->codec = cd[6];
  return s->level <= 9 && s->shuffle <= BLOSC_BITSHUFFLE && s->codec < BLOSC_CODECS ? 0 : H5Z_E_PARAM;
}

static int64_t derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const size_t n = nclient < FIXED_WORDS ? FIXED_WORDS : nclient;
  if (n > MOST_WORDS) return H5Z_E_PARAM;
  if (cap < n) return H5Z_E_OUTPUT;
  const uint32_t base = ds->type_class == H5Z_CLASS_ARRAY ? ds->base_size : ds->type_size;
  if (ds->type_size == 0 || base == 0) return H5Z_E_NOT_APPLICABLE;
  uint64_t bytes = ds->type_size;
  for (uint32_t i = 0; i < ds->rank; i++) {
    if (ds->chunk_dims[i] > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
    bytes *= ds->chunk_dims[i];
    if (bytes > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
  }
  stored[0] = FILTER_REVISION, stored[1] = FORMAT;
  stored[2] = base > BLOSC_MAX_TYPESIZE ? 1 : base;
  stored[3] = (uint32_t)bytes;
  for (size_t i = FIXED_WORDS; i < nclient; i++) stored[i] = client[i];
  blosc_settings s;
  const int64_t error = parse(stored, n, &s);
  return error < 0 ? error : (int64_t)n;
}

/* As long as the chunk: what gains nothing is left to HDF5, which stores it as it is. */
static int64_t encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  blosc_settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  return nin == 0 || nin > INT32_MAX - BLOSC_HEADER ? H5Z_E_NOT_APPLICABLE : (int64_t)nin;
}

static int64_t encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  blosc_settings s;
  const int64_t bound = encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  const int64_t length = blosc_encode(&s, in, nin, out, nin < cap ? nin : cap);
  if (length == 0) return cap < nin ? H5Z_E_OUTPUT : H5Z_E_NOT_APPLICABLE;
  return length;
}
#endif

H5Z_FILTER(.decoded_size = decoded_size, .decode = decode,
           H5Z_ENCODER(.derive = derive, .encode_bound = encode_bound, .encode = encode))
