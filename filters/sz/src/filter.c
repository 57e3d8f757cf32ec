/* HDF5 filter 32017: SZ 2, the error-bounded compressor of floating-point and integer data. Both ways of it are our own:
 * decode.c draws the format, encode.c writes its simplest forms.
 *
 * cd_values. client: none (SZ then reads a file sz.config; we have no bound then and refuse), or nine words:
 *   [0] kind of bound: 0 absolute, 1 relative to the range, 2 both, 3 either, 4 PSNR, 5 norm, 10 relative to each element
 *   [1..8] four doubles, high word first: absolute, range-relative, element-relative, PSNR
 * stored: [rank without dimensions of 1, element type, dimensions, the nine words]; one dimension takes two words, high
 * first, more take one each, the fastest first. Five dimensions have room, but no SZ compresses them.
 */
#include "sz.h"

#include <stdlib.h>

enum { BOUND_WORDS = 9 };

/* The words behind the dimensions are SZ's bound or are missing. */
static int64_t shape_of(const uint32_t *cd, size_t ncd, sz_shape *shape) {
  memset(shape, 0, sizeof *shape);
  if (ncd < 4) return H5Z_E_PARAM;
  /* SZ takes every other rank for five. */
  const unsigned rank = cd[0] >= 1 && cd[0] <= 4 ? cd[0] : 5;
  const size_t words = rank == 1 ? 4 : 2 + rank;
  if (ncd < words || cd[1] >= SZ_TYPES) return H5Z_E_PARAM;
  shape->type = cd[1];
  if (ncd >= words + BOUND_WORDS) shape->bounds = cd + words;
  uint64_t fastest_first[5] = {0};
  if (rank == 1) fastest_first[0] = (uint64_t)cd[2] << 32 | cd[3];
  else for (unsigned i = 0; i < rank; i++) fastest_first[i] = cd[2 + i];

  /* A dimension of 0 ends the list; those of 1 do not count. */
  uint64_t count = fastest_first[0] != 0;
  unsigned given = 0;
  for (; given < rank && fastest_first[given] != 0; given++) {
    if (fastest_first[given] > INT64_MAX / 8 / count) return H5Z_E_PARAM;
    count *= fastest_first[given];
  }
  for (unsigned i = given; i-- > 0;) {
    if (fastest_first[i] != 1) shape->dim[shape->rank++] = fastest_first[i];
  }
  shape->count = count, shape->size = count * sz_size_of(cd[1]);
  return 0;
}

static int64_t copy(const void *in, size_t nin, void *out, size_t cap) {
  if (nin > cap) return H5Z_E_OUTPUT;
  if (nin > 0) memcpy(out, in, nin);
  return (int64_t)nin;
}

/* Without cd_values, and for fewer than 20 elements, SZ passes a chunk on as it is, and does not set the mask bit. */
static int64_t sz_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  if (ncd == 0) return H5Z_SIZE_UNKNOWN;
  sz_shape shape;
  const int64_t status = shape_of(cd, ncd, &shape);
  if (status < 0) return status;
  return shape.count < SZ_LEAST ? (int64_t)nin : (int64_t)shape.size;
}

static int64_t sz_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (ncd == 0) return nin > cap ? H5Z_E_PARAM : copy(in, nin, out, cap); /* more than the chunk: they were lost */
  sz_shape shape;
  int64_t status = shape_of(cd, ncd, &shape);
  if (status < 0) return status;
  if (shape.count < SZ_LEAST) return copy(in, nin, out, cap);
  if (shape.rank > 4) return H5Z_E_UNSUPPORTED;
  if (shape.size > cap) return H5Z_E_OUTPUT;
  /* SZ writes 20 elements as they are, too, and then cannot read them. */
  if (shape.count == SZ_LEAST && nin == shape.size) return copy(in, nin, out, cap);
  status = sz_decompress(&shape, in, nin, out);
  return status < 0 ? status : (int64_t)shape.size;
}

/* "SZ 2.1.5 found, 2.1.8 to 2.1.12 are read" */
static int64_t sz_explain(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap) {
  sz_shape shape;
  uint8_t version[3];
  if (shape_of(cd, ncd, &shape) < 0 || shape.count < SZ_LEAST || shape.rank > 4) return 0;
  if (!sz_version_of(&shape, in, nin, version) || sz_reads(version)) return 0;
  size_t n = 0;
#define SAY(byte) (n < cap ? (void)(text[n++] = (byte)) : (void)0)
  for (const char *p = "SZ "; *p; p++) SAY(*p);
  for (unsigned i = 0; i < 3; i++) {
    if (i > 0) SAY('.');
    if (version[i] >= 100) SAY((char)('0' + version[i] / 100));
    if (version[i] >= 10) SAY((char)('0' + version[i] / 10 % 10));
    SAY((char)('0' + version[i] % 10));
  }
  for (const char *p = " found, 2.1.8 to 2.1.12 are read"; *p; p++) SAY(*p);
#undef SAY
  return (int64_t)n;
}

/* The nine words behind the dimensions. */
static int64_t sz_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  sz_shape shape;
  const int64_t status = shape_of(stored, nstored, &shape);
  if (status < 0) return status;
  if (!shape.bounds) return 0;
  if (cap < BOUND_WORDS) return H5Z_E_OUTPUT;
  memcpy(client, shape.bounds, BOUND_WORDS * sizeof *client);
  return BOUND_WORDS;
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t type_of(const h5z_dataset *ds) {
  if (ds->precision != 0 && (ds->precision != 8 * ds->type_size || ds->bit_offset != 0)) return H5Z_E_NOT_APPLICABLE;
  if (ds->big_endian && ds->type_size > 1) return H5Z_E_NOT_APPLICABLE; /* SZ would take the bytes for other numbers */
  const uint32_t size = ds->type_size;
  if (ds->type_class == H5Z_CLASS_FLOAT) {
    if (size == 4 || size == 8) return size == 4 ? SZ_FLOAT : SZ_DOUBLE;
  } else if (ds->type_class == H5Z_CLASS_INTEGER) {
    if (size == 1 || size == 2 || size == 4 || size == 8) {
      return SZ_UINT8 + 2 * (size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3) + (ds->is_signed ? 1 : 0);
    }
  }
  return H5Z_E_NOT_APPLICABLE;
}

/* SZ's set_local. A chunk whose only long dimension is not the slowest comes out as one of 1 element there, which its
 * filter then passes on as it is; it must stay so, for the stored values say how to read. */
static int64_t sz_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const int64_t type = type_of(ds);
  if (type < 0) return type;
  if (ds->rank == 0 || ds->rank > 5) return H5Z_E_NOT_APPLICABLE;
  uint32_t dims[5];
  unsigned rank = 0;
  for (unsigned i = ds->rank; i-- > 0;) {
    if (ds->chunk_dims[i] == 0 || ds->chunk_dims[i] > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    if (ds->chunk_dims[i] != 1 || ds->rank == 1) dims[rank++] = (uint32_t)ds->chunk_dims[i];
  }
  if (rank > 4) return H5Z_E_NOT_APPLICABLE;

  size_t n = 0;
  uint32_t words[7] = {rank, (uint32_t)type};
  n = 2;
  if (rank == 1) words[n++] = 0, words[n++] = (uint32_t)ds->chunk_dims[0];
  else if (rank == 0) n += 5;
  else for (unsigned i = 0; i < rank; i++) words[n++] = dims[i];
  if (nclient != BOUND_WORDS) {
    /* What was stored of a dataset that h5repack or nccopy writes again, perhaps in other chunks. */
    sz_shape before;
    if (shape_of(client, nclient, &before) < 0 || !before.bounds || before.bounds + BOUND_WORDS != client + nclient)
      return H5Z_E_PARAM;
    client = before.bounds;
  }
  const uint32_t kind = client[0];
  if (kind > SZ_NORM && kind != SZ_PW_REL) return H5Z_E_PARAM;
  if (n + BOUND_WORDS > cap) return H5Z_E_OUTPUT;
  uint32_t bounds[BOUND_WORDS];
  memcpy(bounds, client, sizeof bounds);
  memcpy(stored, words, n * sizeof *words);
  memcpy(stored + n, bounds, sizeof bounds);
  return (int64_t)(n + BOUND_WORDS);
}

static int64_t sz_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  if (ncd == 0) return (int64_t)nin;
  sz_shape shape;
  const int64_t status = shape_of(cd, ncd, &shape);
  if (status < 0) return status;
  return shape.count < SZ_LEAST ? (int64_t)nin : sz_compress_bound(&shape);
}

static int64_t sz_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (ncd == 0) return copy(in, nin, out, cap);
  sz_shape shape;
  const int64_t status = shape_of(cd, ncd, &shape);
  if (status < 0) return status;
  if (shape.count < SZ_LEAST) return copy(in, nin, out, cap);
  if (shape.rank > 4 || shape.size != nin) return H5Z_E_NOT_APPLICABLE;
  if (!shape.bounds) return H5Z_E_PARAM; /* SZ looks for them in a file */
  return sz_compress(&shape, in, out, cap);
}
#endif

H5Z_FILTER(.decoded_size = sz_decoded_size, .decode = sz_decode, .restore = sz_restore, .explain = sz_explain,
           H5Z_ENCODER(.derive = sz_derive, .encode_bound = sz_encode_bound, .encode = sz_encode))
