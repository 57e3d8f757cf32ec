/* HDF5 filter 32026: Blosc2. Filter: Blosc/HDF5-Blosc2, src/blosc2_filter.c. A chunk is one contiguous frame of Blosc2 with
 * one Blosc2 chunk inside: frame.h draws the one, packages/abi/lib/blosc/blosc.h the other.
 *
 * cd_values   client: [0, block, 0, 0, level, shuffle, codec]
 *             stored: [1, block, element bytes, chunk bytes, level, shuffle, codec, rank, dimensions of the chunk...]
 *   1         revision of the filter
 *   block     bytes of a block; 0 = automatic
 *   element   bytes of the base type where elements are arrays
 *   level     0 .. 9; absent = 5
 *   shuffle   0 none, 1 bytes, 2 bits, 3 delta; absent = 1
 *   codec     0 blosclz, 1 lz4, 2 lz4hc, 4 zlib, 5 zstd; absent = 0
 *   rank ...  only where it is 2 to 16 (in revision 2, 1 as well): the frame then holds an array of blocks that have a shape.
 *             Filters of c-blosc2 before 3.0 stop at 8, and those before 2023 (revision 0) know no rank at all.
 */
#include <h5z/filter.h>

#include "frame.h"

enum { FIXED_WORDS = 4, CLIENT_WORDS = 7, NEWEST_REVISION = 2 };

/* The rank that stored cd_values tell, 0 if none. */
static int64_t stored_rank(const uint32_t *cd, size_t ncd) {
  if (ncd <= CLIENT_WORDS) return 0;
  if (cd[7] > MOST_DIMENSIONS || ncd < CLIENT_WORDS + 1 + (size_t)cd[7]) return H5Z_E_PARAM;
  return cd[7];
}

static int64_t open(const uint32_t *cd, size_t ncd, const void *in, size_t nin, frame *f) {
  if (ncd > 0 && cd[0] > NEWEST_REVISION) return H5Z_E_VERSION;
  const int64_t error = frame_open(in, nin, f);
  if (error < 0) return error;
  const int64_t rank = stored_rank(cd, ncd);
  if (rank < 0) return rank;
  if (rank > 0 && f->array.rank > 0) {
    int same = rank == f->array.rank;
    for (int i = 0; same && i < rank; i++) same = f->array.shape[i] == cd[CLIENT_WORDS + 1 + i];
    if (!same) return H5Z_E_CORRUPT;
  }
  return 0;
}

static int64_t decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  frame f;
  const int64_t error = open(cd, ncd, in, nin, &f);
  return error < 0 ? error : (int64_t)f.size;
}

static int64_t decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  frame f;
  const int64_t error = open(cd, ncd, in, nin, &f);
  if (error < 0) return error;
  if (f.size > cap) return H5Z_E_OUTPUT;
  return frame_decode(&f, (uint8_t *)out);
}

#if !defined(H5Z_DECODE_ONLY)
enum { FILTER_REVISION = 1 };

/* Stored cd_values to settings. */
static int64_t parse(const uint32_t *cd, size_t ncd, blosc_settings *s) {
  if (ncd < FIXED_WORDS || cd[2] == 0 || cd[2] > INT32_MAX || cd[1] > INT32_MAX) return H5Z_E_PARAM;
  *s = (blosc_settings){.second = 1, .codec = BLOSC_BLOSCLZ, .level = 5, .shuffle = BLOSC_SHUFFLE};
  s->typesize = cd[2], s->block = cd[1];
  if (ncd > 4) s->level = cd[4];
  if (ncd > 5) s->shuffle = cd[5];
  if (ncd > 6) s->codec = cd[6];
  if (s->codec == BLOSC_SNAPPY || s->codec >= BLOSC_CODECS) return H5Z_E_PARAM;
  return s->level <= 9 && s->shuffle <= BLOSC_DELTA ? 0 : H5Z_E_PARAM;
}

static int64_t derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  static const uint32_t defaults[CLIENT_WORDS] = {0, 0, 0, 0, 5, BLOSC_SHUFFLE, BLOSC_BLOSCLZ};
  if (nclient > CLIENT_WORDS + 1 + MOST_DIMENSIONS) return H5Z_E_PARAM;
  if (nclient > CLIENT_WORDS) nclient = CLIENT_WORDS; /* stored values passed again: the rest is made anew */
  const int ranked = ds->rank > 1 && ds->rank <= MOST_DIMENSIONS;
  size_t n = ranked ? CLIENT_WORDS + 1 + ds->rank : nclient < FIXED_WORDS ? FIXED_WORDS : nclient;
  if (cap < n) return H5Z_E_OUTPUT;
  for (size_t i = 0; i < CLIENT_WORDS && i < n; i++) stored[i] = i < nclient ? client[i] : defaults[i];
  const uint32_t base = ds->type_class == H5Z_CLASS_ARRAY ? ds->base_size : ds->type_size;
  if (ds->type_size == 0 || base == 0) return H5Z_E_NOT_APPLICABLE;
  uint64_t bytes = ds->type_size;
  for (uint32_t i = 0; i < ds->rank; i++) {
    if (ds->chunk_dims[i] > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
    bytes *= ds->chunk_dims[i];
    if (bytes > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
    if (ranked) stored[CLIENT_WORDS + 1 + i] = (uint32_t)ds->chunk_dims[i];
  }
  if (ranked) stored[CLIENT_WORDS] = ds->rank;
  stored[0] = FILTER_REVISION, stored[2] = base, stored[3] = (uint32_t)bytes;
  blosc_settings s;
  const int64_t error = parse(stored, n, &s);
  return error < 0 ? error : (int64_t)n;
}

/* Blocks start with 2 elements a side and are doubled from the innermost dimension on, as long as they fit into `bytes`. */
static void choose_blocks(array *a, size_t bytes) {
  const uint64_t most = bytes / a->elem;
  uint64_t n = 1;
  for (int i = 0; i < a->rank; i++) n *= a->block[i] = a->chunk[i] == 1 ? 1 : 2;
  for (uint64_t before = 0; n < most && n != before;) {
    before = n;
    for (int i = a->rank - 1; i >= 0; i--) {
      if (a->block[i] * 2 <= a->chunk[i]) {
        if (n * 2 <= most) n *= 2, a->block[i] *= 2;
      } else if (a->block[i] < a->chunk[i] && n / a->block[i] * a->chunk[i] <= most) {
        n = n / a->block[i] * a->chunk[i];
        a->block[i] = a->chunk[i];
      }
    }
  }
}

/* Settings and, where the chunk is an array, its shapes. An earlier filter that changed the length, as fletcher32 does, leaves
 * plain bytes. */
static int64_t plan(const uint32_t *cd, size_t ncd, size_t nin, blosc_settings *s, array *a) {
  const int64_t error = parse(cd, ncd, s);
  if (error < 0) return error;
  const int64_t rank = stored_rank(cd, ncd);
  if (rank < 0) return rank;
  if (nin == 0 || nin > INT32_MAX - BLOSC_EXTENDED) return H5Z_E_NOT_APPLICABLE;
  memset(a, 0, sizeof *a);
  if (rank < 2) return 0;
  uint64_t bytes = a->elem = s->typesize;
  for (int i = 0; i < rank; i++) {
    const uint32_t n = cd[CLIENT_WORDS + 1 + i];
    if (n == 0 || n > INT32_MAX) return H5Z_E_PARAM;
    a->shape[i] = a->chunk[i] = n;
    bytes *= n;
    if (bytes > nin) return 0;
  }
  if (bytes != nin) return 0;
  a->rank = (int)rank;
  if (s->block == 0) {
    const unsigned shuffle = s->shuffle;
    s->shuffle = BLOSC_SHUFFLE; /* the choice does not ask which */
    s->block = blosc_block_size(s, nin);
    s->shuffle = shuffle;
  }
  choose_blocks(a, s->block);
  s->block = a->elem;
  for (int i = 0; i < rank; i++) s->block *= (size_t)a->block[i];
  return 0;
}

static int64_t encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  blosc_settings s;
  array a;
  const int64_t error = plan(cd, ncd, nin, &s, &a);
  if (error < 0) return error;
  const size_t bound = frame_bound(a.rank > 0 ? &a : NULL, nin);
  return bound > 0 ? (int64_t)bound : H5Z_E_NOT_APPLICABLE;
}

static int64_t encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  blosc_settings s;
  array a;
  const int64_t error = plan(cd, ncd, nin, &s, &a);
  if (error < 0) return error;
  if (frame_bound(a.rank > 0 ? &a : NULL, nin) == 0) return H5Z_E_NOT_APPLICABLE;
  return frame_encode(&s, a.rank > 0 ? &a : NULL, in, nin, out, cap);
}
#endif

H5Z_FILTER(.decoded_size = decoded_size, .decode = decode,
           H5Z_ENCODER(.derive = derive, .encode_bound = encode_bound, .encode = encode))
