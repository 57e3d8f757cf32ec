/* HDF5 filter 32024: SZ3, lossy compression of numbers within a bound. The stream is sz3.h's; here are the cd_values.
 *
 * Client, 3.1's: [0] mode: 0 absolute, 1 relative to the range, 2 PSNR, 3 L2 norm, 4 both 0 and 1, 5 either;
 *                    ours: + 256 asks for a stream of 3.3 instead of 3.1, which hdf5plugin reads
 *                [1] [2] absolute   [3] [4] relative   [5] [6] norm   [7] [8] PSNR: doubles, high word first
 *   none at all: without loss. Values left out at the end are 0.
 * Stored, 3.1:   [0] dimensions, those of one element left out   [1] element type, sz3.h
 *                one dimension: [2] [3] its length, high word first; else [2].. the lengths, the fastest dimension first
 *                then the client's nine, or nothing
 * Stored, 3.2 and later: the bytes of a Config (config.c), filled up to whole words. It may be given as client values too.
 *
 * A chunk of fewer than 20 elements is stored as it is. SZ3 takes numbers for little-endian; big-endian numbers and halves
 * are coded without loss here, because its bound means nothing for them. */
#include "sz3.h"

#include <float.h>
#if !defined(H5Z_DECODE_ONLY)
#include <zstd.h>
#endif

enum { ERROR_WORDS = 9, CONFIG_MOST = 255, LATER = 256 /* in client word 0 */ };

static double double_at(const uint32_t *cd) {
  const uint64_t bits = (uint64_t)cd[0] << 32 | cd[1];
  double v;
  memcpy(&v, &bits, 8);
  return v;
}

static void double_to(uint32_t *cd, double v) {
  uint64_t bits;
  memcpy(&bits, &v, 8);
  cd[0] = (uint32_t)(bits >> 32), cd[1] = (uint32_t)bits;
}

/* A bound is finite and not negative. */
static int is_bound(double v) { return v >= 0 && v <= DBL_MAX; }

/* Mode and bounds of `n` client words; those left out are 0. */
static int parse_bounds(const uint32_t *cd, size_t n, sz3_config *c) {
  uint32_t words[ERROR_WORDS] = {0};
  for (size_t i = 0; i < n && i < ERROR_WORDS; i++) words[i] = cd[i];
  if (words[0] >= SZ3_MODES) return H5Z_E_PARAM;
  c->mode = (uint8_t)words[0];
  c->abs = double_at(words + 1), c->rel = double_at(words + 3), c->norm = double_at(words + 5), c->psnr = double_at(words + 7);
  return is_bound(c->abs) && is_bound(c->rel) && is_bound(c->norm) && is_bound(c->psnr) ? 0 : H5Z_E_PARAM;
}

/* 3.1's first word is the number of dimensions, 3.2's begins with the length and the rank of a Config. */
static int is_config(const uint32_t *cd, size_t ncd) { return ncd > 0 && cd[0] > LATER + SZ3_MODES; }

static int parse_config(const uint32_t *cd, size_t ncd, sz3_config *c) {
  uint8_t bytes[CONFIG_MOST + 3];
  size_t n = 0;
  for (size_t i = 0; i < ncd && n < CONFIG_MOST; i++) {
    for (int k = 0; k < 4; k++) bytes[n++] = (uint8_t)(cd[i] >> 8 * k);
  }
  uint32_t version = sz3_chunk_version(bytes, n);
  if (version == SZ3_V31) version = SZ3_V332; /* whose Config does not repeat it */
  else if (version != SZ3_V330 && version != SZ3_V331) return H5Z_E_VERSION;
  sz3_reader r = {bytes, n, 0};
  if (sz3_config_load(&r, version, c) < 0 || !is_bound(c->abs) || !is_bound(c->rel)) return H5Z_E_PARAM;
  return is_bound(c->psnr) && is_bound(c->norm) ? 0 : H5Z_E_PARAM;
}

/* Stored values. c->num 0: none, so chunks are what they are. */
static int parse(const uint32_t *cd, size_t ncd, sz3_config *c) {
  memset(c, 0, sizeof *c);
  if (ncd == 0) return 0;
  if (is_config(cd, ncd)) return parse_config(cd, ncd, c);
  const uint32_t n = cd[0];
  if (n > SZ3_MAX_RANK || n == 0) return n == 5 ? H5Z_E_UNSUPPORTED : H5Z_E_PARAM; /* upstream refuses five too */
  const size_t lengths = n == 1 ? 2 : n;
  if (ncd < 2 + lengths || cd[1] >= SZ3_TYPES) return H5Z_E_PARAM;
  c->version = SZ3_V31;
  c->rank = n;
  c->type = (uint8_t)cd[1];
  c->num = 1;
  for (unsigned d = 0; d < n; d++) {
    c->dims[d] = n == 1 ? (uint64_t)cd[2] << 32 | cd[3] : cd[2 + (n - 1 - d)];
    /* Arithmetic on as many elements must not overflow, and no chunk has more. */
    if (c->dims[d] > 0 && c->num > ((uint64_t)1 << 32) / c->dims[d]) return H5Z_E_PARAM;
    c->num *= c->dims[d];
  }
  c->algorithm = SZ3_INTERP_LORENZO;
  return ncd > 2 + lengths ? parse_bounds(cd + 2 + lengths, ncd - 2 - lengths, c) : 0;
}

static int64_t sz3_filter_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  sz3_config c;
  const int error = parse(cd, ncd, &c);
  if (error < 0) return error;
  return c.num < SZ3_RAW_BELOW ? (int64_t)nin : (int64_t)(c.num * sz3_types[c.type].size);
}

static int64_t sz3_filter_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  sz3_config c;
  const int error = parse(cd, ncd, &c);
  if (error < 0) return error;
  if (c.num < SZ3_RAW_BELOW) {
    if (nin > cap) return H5Z_E_OUTPUT;
    if (nin > 0) memcpy(out, in, nin);
    return (int64_t)nin;
  }
  const uint64_t bytes = c.num * sz3_types[c.type].size;
  if (bytes > cap) return H5Z_E_OUTPUT;
  const int result = sz3_decode(&c, in, nin, out);
  return result < 0 ? result : (int64_t)bytes;
}

/* Which version a chunk is of, where that is why it was refused. */
static int64_t sz3_filter_explain(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap) {
  (void)cd, (void)ncd;
  const uint32_t version = sz3_chunk_version(in, nin);
  if (version == SZ3_V31 || version == SZ3_V330 || version == SZ3_V331 || version == SZ3_V332) return 0;
  /* 3.2.1 as 30201: the helper writes whole numbers. */
  const uint64_t shown = (version >> 16 & 255) * 10000u + (version >> 8 & 255) * 100u + (version & 255);
  return h5z_explain_version(text, cap, "data version (10000 major + 100 minor + patch)", shown, "3.1, 30300 and 30302");
}

static size_t bound_words(const sz3_config *c, uint32_t *words) {
  words[0] = c->mode;
  double_to(words + 1, c->abs), double_to(words + 3, c->rel), double_to(words + 5, c->norm), double_to(words + 7, c->psnr);
  return ERROR_WORDS;
}

static int64_t sz3_filter_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  sz3_config c;
  const int error = parse(stored, nstored, &c);
  if (error < 0) return error;
  if (cap < ERROR_WORDS) return H5Z_E_OUTPUT;
  if (nstored == 0) return 0;
  bound_words(&c, client);
  if (c.version != SZ3_V31) client[0] += LATER;
  return ERROR_WORDS;
}

#if !defined(H5Z_DECODE_ONLY)
/* A Config as words. 0 if it does not fit. */
static size_t config_words(const sz3_config *c, uint32_t *words, size_t cap) {
  uint8_t bytes[CONFIG_MOST + 3] = {0};
  sz3_writer w = {bytes, CONFIG_MOST, 0};
  sz3_config_save(&w, c);
  const size_t n = ((size_t)(w.at - bytes) + 3) / 4;
  if (w.failed || n > cap) return 0;
  for (size_t i = 0; i < n; i++) {
    words[i] = bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
  }
  return n;
}

/* The type's number, or -1. `*exact`: it stands for other numbers, which only lossless coding leaves intact. */
static int type_of(const h5z_dataset *ds, int *exact) {
  *exact = 0;
  if (ds->type_class != H5Z_CLASS_INTEGER && ds->type_class != H5Z_CLASS_FLOAT) return -1;
  *exact = ds->big_endian && ds->type_size > 1;
  if (ds->type_class == H5Z_CLASS_FLOAT) {
    if (ds->type_size == 4) return SZ3_F32;
    if (ds->type_size == 8) return SZ3_F64;
    *exact = 1;
    return ds->type_size == 2 ? SZ3_U16 : -1;
  }
  switch (ds->type_size) {
    case 1: return ds->is_signed ? SZ3_I8 : SZ3_U8;
    case 2: return ds->is_signed ? SZ3_I16 : SZ3_U16;
    case 4: return ds->is_signed ? SZ3_I32 : SZ3_U32;
    case 8: return ds->is_signed ? SZ3_I64 : SZ3_U64;
    default: return -1;
  }
}

static int64_t sz3_filter_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  sz3_config c;
  memset(&c, 0, sizeof c);
  size_t given = nclient; /* client words of 3.1 */
  int later = 0;
  if (is_config(client, nclient)) {
    const int error = parse_config(client, nclient, &c);
    if (error < 0) return error;
    later = 1;
  } else {
    /* Stored values may be given again: they are longer than what a client gives, or shorter, with the dimensions first. */
    if (nclient > ERROR_WORDS || (nclient >= 4 && nclient <= 6 && parse(client, nclient, &c) == 0)) {
      const int error = parse(client, nclient, &c);
      if (error < 0) return error;
      const size_t before = c.rank == 1 ? 4 : 2 + c.rank;
      client += before, given = nclient -= before;
      if (given != 0 && given != ERROR_WORDS) return H5Z_E_PARAM;
      memset(&c, 0, sizeof c);
    }
    uint32_t words[ERROR_WORDS] = {0};
    if (nclient > 0) memcpy(words, client, 4 * nclient);
    later = words[0] >= LATER;
    if (later) words[0] -= LATER;
    const int error = parse_bounds(words, ERROR_WORDS, &c);
    if (error < 0) return error;
    c.algorithm = SZ3_INTERP_LORENZO;
    c.lorenzo = c.regression = 1;
    c.quantbins = 65536;
  }
  int exact;
  const int type = type_of(ds, &exact);
  if (type < 0) return H5Z_E_NOT_APPLICABLE;
  if (exact) c.mode = SZ3_ABS, c.abs = c.rel = c.norm = c.psnr = 0;
  c.type = (uint8_t)type;
  c.version = later ? SZ3_V332 : SZ3_V31;
  c.rank = 0;
  c.num = 1;
  memset(c.dims, 0, sizeof c.dims);
  for (uint32_t i = 0; i < ds->rank && i < H5Z_MAX_RANK; i++) {
    const uint64_t length = ds->chunk_dims[i];
    if (length == 0 || length > ((uint64_t)1 << 32) / c.num) return H5Z_E_NOT_APPLICABLE;
    c.num *= length;
    if (length == 1) continue;
    if (c.rank == SZ3_MAX_RANK) return H5Z_E_NOT_APPLICABLE; /* upstream ends the program */
    c.dims[c.rank++] = length;
  }
  if (c.rank == 0) c.rank = 1, c.dims[0] = 1;
  if (later) {
    static const int32_t usual[] = {0, 128, 16, 6, 6};
    c.block = usual[c.rank];
    c.openmp = 0;
    const size_t n = config_words(&c, stored, cap);
    return n > 0 ? (int64_t)n : H5Z_E_OUTPUT;
  }
  const size_t lengths = c.rank == 1 ? 2 : c.rank;
  const size_t words = 2 + lengths + (given > 0 ? ERROR_WORDS : 0);
  if (words > cap) return H5Z_E_OUTPUT;
  uint32_t tail[ERROR_WORDS]; /* `stored` may be `client` */
  bound_words(&c, tail);
  stored[0] = c.rank;
  stored[1] = c.type;
  if (c.rank == 1) {
    stored[2] = (uint32_t)(c.dims[0] >> 32), stored[3] = (uint32_t)c.dims[0];
  } else {
    for (unsigned d = 0; d < c.rank; d++) stored[2 + d] = (uint32_t)c.dims[c.rank - 1 - d];
  }
  if (given > 0) memcpy(stored + 2 + lengths, tail, sizeof tail);
  return (int64_t)words;
}

static int64_t sz3_filter_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  sz3_config c;
  const int error = parse(cd, ncd, &c);
  if (error < 0) return error;
  if (c.num < SZ3_RAW_BELOW) return (int64_t)nin;
  if (c.num * sz3_types[c.type].size != nin) return H5Z_E_NOT_APPLICABLE;
  const size_t bound = ZSTD_compressBound(nin);
  return ZSTD_isError(bound) ? H5Z_E_NOT_APPLICABLE : (int64_t)bound + 16 + 8 + CONFIG_MOST;
}

static int64_t sz3_filter_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  sz3_config c;
  const int error = parse(cd, ncd, &c);
  if (error < 0) return error;
  if (c.num < SZ3_RAW_BELOW) {
    if (nin > cap) return H5Z_E_OUTPUT;
    if (nin > 0) memcpy(out, in, nin);
    return (int64_t)nin;
  }
  if (c.num * sz3_types[c.type].size != nin) return H5Z_E_NOT_APPLICABLE;
  if (c.version != SZ3_V31) c.version = SZ3_V332;
  return sz3_encode(&c, in, out, cap);
}
#endif

H5Z_FILTER(.decoded_size = sz3_filter_decoded_size, .decode = sz3_filter_decode, .restore = sz3_filter_restore,
           .explain = sz3_filter_explain,
           H5Z_ENCODER(.derive = sz3_filter_derive, .encode_bound = sz3_filter_encode_bound, .encode = sz3_filter_encode))
