/* decode.c: from a chunk to its elements. Every length in it is held against what is there before it is used, and memory is
 * bounded by the number of elements, which the caller has held against the room for them. */
#include "huffman.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

typedef struct {
  const sz3_config *config;
  const sz3_type *type;
  uint8_t *out;     /* config->num elements */
  uint8_t *aligned; /* the same, or scratch where `out` is not aligned for the type */
  sz3_reader r;     /* of what the zstd frame held */
  int32_t *codes[3]; /* of the elements, a selection, coefficients: freed at the end */
} decoder;

/* More than any writer needs: unpredictable elements twice (coefficients of blocks of two elements are as many), a tree of
 * 13 bytes per node and two nodes per symbol, as often, and the codes. */
static uint64_t most_raw(uint64_t num) { return num > UINT64_MAX / 128 ? 0 : 96 * num + 65536; }

/* | length u64 | zstd frame | into `out`, or into new memory when out is NULL. */
static int unzstd(const uint8_t *in, size_t nin, uint64_t most, void *out, uint8_t **made, size_t *length) {
  sz3_reader r = {in, nin, 0};
  const uint64_t size = sz3_get_u64(&r);
  if (r.failed || size > most || size > SIZE_MAX) return H5Z_E_CORRUPT;
  /* So that a claim alone gets no memory: a frame says how large its content is, or upstream has not written it. */
  if (ZSTD_getFrameContentSize(r.at, r.left) != size) return H5Z_E_CORRUPT;
  uint8_t *to = out ? out : (*made = malloc(size > 0 ? (size_t)size : 1));
  if (!to) return H5Z_E_MEMORY;
  const size_t got = ZSTD_decompress(to, (size_t)size, r.at, r.left);
  if (ZSTD_isError(got) || got != size) return H5Z_E_CORRUPT;
  *length = (size_t)size;
  return 0;
}

static int load_quantizer(sz3_reader *r, size_t size, sz3_quantizer *q) {
  const uint8_t id = sz3_get_u8(r);
  q->eb = sz3_get_f64(r);
  q->radius = sz3_get_i32(r);
  q->count = sz3_get_u64(r);
  q->used = 0;
  if (r->failed || id != 2 || q->count > r->left / size) return H5Z_E_CORRUPT;
  q->unpred = (uint8_t *)sz3_take(r, q->count * size); /* only read */
  return 0;
}

/* A tree and `n` codes in new memory. */
static int load_codes(sz3_reader *r, uint64_t n, int32_t **codes) {
  sz3_tree tree;
  int result = sz3_tree_load(r, &tree);
  if (result < 0) return result;
  *codes = malloc((size_t)n * sizeof **codes + 1);
  result = *codes ? sz3_tree_decode(&tree, r, *codes, n) : H5Z_E_MEMORY;
  sz3_tree_free(&tree);
  return result;
}

/* The elements' codes, of which zeros stand for kept elements: are there enough? `exact` of them are kept in any case. */
static int load_element_codes(decoder *d, const sz3_quantizer *q, uint64_t exact) {
  const uint64_t n = d->config->num;
  sz3_tree tree;
  int result = sz3_tree_load(&d->r, &tree);
  if (result < 0) return result;
  if (d->config->version != SZ3_V31 && sz3_get_u64(&d->r) != n) {
    result = H5Z_E_CORRUPT;
  } else if (!(d->codes[0] = malloc((size_t)n * sizeof(int32_t)))) {
    result = H5Z_E_MEMORY;
  } else {
    result = sz3_tree_decode(&tree, &d->r, d->codes[0], n);
  }
  sz3_tree_free(&tree);
  if (result < 0) return result;
  uint64_t kept = exact;
  for (uint64_t i = exact; i < n; i++) kept += d->codes[0][i] == 0;
  return kept > q->count ? H5Z_E_CORRUPT : 0;
}

/* All elements one behind the other, from no prediction. */
static int recover_in_order(decoder *d, sz3_quantizer *q) {
  const sz3_row all = {SZ3_ZERO, 0, (size_t)d->config->num, 1, 0};
  d->type->recover(d->aligned, &all, d->codes[0], q);
  return 0;
}

static int interpolation(decoder *d) {
  const sz3_config *c = d->config;
  sz3_interpolation p = {.rank = c->rank, .alpha = -1};
  sz3_quantizer q;
  uint64_t num = 1;
  for (unsigned i = 0; i < c->rank; i++) {
    p.dims[i] = sz3_get_u64(&d->r);
    if (p.dims[i] == 0 || p.dims[i] > c->num / num) return H5Z_E_CORRUPT;
    num *= p.dims[i];
  }
  p.block = sz3_get_u32(&d->r);
  const int32_t interpolator = sz3_get_i32(&d->r);
  p.direction = sz3_get_i32(&d->r);
  p.cubic = interpolator == 1;
  if (num != c->num || interpolator < 0 || interpolator > 1) return H5Z_E_CORRUPT;
  if (c->version >= SZ3_V330) {
    /* SZ3 3.3.0 kept the distance of anchors in 4 bytes, 3.3.1 in 8, and both call their stream 3.3.0. What tells them apart
     * is where the quantizer begins, with a 2: behind two doubles that are no such numbers in the other reading. */
    const int narrow = c->version < SZ3_V332 && d->r.left > 24 && d->r.at[20] == 2 && d->r.at[24] != 2;
    p.anchor = sz3_get(&d->r, narrow ? 4 : 8);
    p.alpha = sz3_get_f64(&d->r);
    p.beta = sz3_get_f64(&d->r);
    p.later = 1;
  }
  if (!sz3_interpolation_valid(&p)) return H5Z_E_CORRUPT;
  int result = load_quantizer(&d->r, d->type->size, &q);
  if (result == 0) result = load_element_codes(d, &q, sz3_anchors(&p));
  if (result < 0) return result;
  /* A bound that is a share of a range with NaN in it is NaN, and so is every element then, whatever it is predicted from. */
  if (isnan(q.eb) && q.count == 0 && c->type <= SZ3_F64) return recover_in_order(d, &q);
  return sz3_interpolation_recover(&p, d->type, d->aligned, d->codes[0], &q);
}

/* | count u64 | constant | linear | [square] | tree and codes |, nothing behind a count of 0. */
static int load_coefficients(decoder *d, int32_t **codes, uint64_t *count, sz3_quantizer *constant, sz3_quantizer *linear,
                             sz3_quantizer *square) {
  *count = sz3_get_u64(&d->r);
  if (d->r.failed) return H5Z_E_CORRUPT;
  if (*count == 0) return 0;
  if (*count > 16 * (d->config->num + 1)) return H5Z_E_CORRUPT; /* 15 per block at the most */
  int result = load_quantizer(&d->r, d->type->size, constant);
  if (result == 0) result = load_quantizer(&d->r, d->type->size, linear);
  if (result == 0 && square) result = load_quantizer(&d->r, d->type->size, square);
  return result == 0 ? load_codes(&d->r, *count, codes) : result;
}

/* 3.1's blocks of three-dimensional arrays:
 *
 *   | edge i32 | dims i32 | 3 flags, 1 free | border i32 = 2 | capacity i32 | 5 f32: bound of constants, of slopes, 3 others |
 *   | flag, 3 junk | bound f64 | has mean u8 | mean T | blocks of regression u64 | tree, codes: what predicts each block |
 *   where there is regression: | n u64 | n f32 | tree, codes: four per block |
 *   | quantizer |
 */
static int fast_blocks(decoder *d, sz3_blocks *b, float **planes) {
  sz3_reader *r = &d->r;
  b->block = sz3_get_u32(r);
  b->prediction_dims = sz3_get_i32(r);
  sz3_take(r, 4);
  const uint32_t border = sz3_get_u32(r);
  sz3_take(r, 4);
  float bounds[2];
  for (int i = 0; i < 2; i++) {
    const uint32_t bits = sz3_get_u32(r);
    memcpy(bounds + i, &bits, 4);
  }
  sz3_take(r, 12 + 1);
  /* What lay in memory. It is all that tells apart who wrote the chunk: hdf5plugin 5's builds leave something there,
   * builds without reordered sums (7.1.0's, and this encoder) zeros. */
  const uint32_t junk = (uint32_t)sz3_get(r, 3);
  sz3_take(r, 8);
  const uint8_t mean = sz3_get_u8(r);
  sz3_take(r, d->type->size);
  const uint64_t count = sz3_get_u64(r);
  if (r->failed || border != 2 || b->block == 0 || b->block > INT32_MAX) return H5Z_E_CORRUPT;
  if (mean != 0) return H5Z_E_UNSUPPORTED; /* planned by upstream, written by no release */
  if (b->prediction_dims != 3 && b->prediction_dims != 2) b->prediction_dims = 1;

  uint64_t blocks = 1;
  for (unsigned i = 0; i < 3; i++) blocks *= (b->dims[i] - 1) / b->block + 1;
  b->nselection = blocks;
  int result = load_codes(r, blocks, &d->codes[1]);
  if (result < 0) return result;
  b->selection = d->codes[1];
  b->flavour = junk != 0 ? SZ3_REORDERED : SZ3_FAST3D;
  b->npredictors = 3;
  b->predictors[0] = SZ3_BY_LORENZO, b->predictors[1] = SZ3_BY_REGRESSION, b->predictors[2] = SZ3_BY_LORENZO2;

  if (count == 0) return 0;
  if (count > blocks) return H5Z_E_CORRUPT;
  const uint64_t kept = sz3_get_u64(r);
  if (r->failed || kept > r->left / 4) return H5Z_E_CORRUPT;
  const uint8_t *next = sz3_take(r, 4 * kept), *const end = next + 4 * kept;
  result = load_codes(r, 4 * count, &d->codes[2]);
  if (result < 0) return result;
  float *c = *planes = malloc((size_t)(4 * count) * sizeof *c);
  if (!c) return H5Z_E_MEMORY;
  /* Each from the same coefficient of the block before. */
  for (uint64_t i = 0; i < 4 * count; i++) {
    const int32_t code = d->codes[2][i];
    const float before = i < 4 ? 0 : c[i - 4];
    if (code != 0) {
      const int32_t steps = (int32_t)(2u * ((uint32_t)code - 32768u));
      c[i] = (float)((double)before + steps * (double)bounds[i % 4 == 3 ? 0 : 1]);
    } else {
      if (next == end) return H5Z_E_CORRUPT;
      memcpy(c + i, next, 4);
      next += 4;
    }
  }
  b->planes = c, b->nplanes = count;
  return 0;
}

/* What predicts each block is chosen among several: | each one's settings | blocks u64 | tree, codes |. `ids`: 3.1 puts a
 * byte before each one's settings. */
static int general_blocks(decoder *d, sz3_blocks *b, int ids) {
  sz3_reader *r = &d->r;
  int result = 0;
  for (unsigned i = 0; i < b->npredictors && result == 0; i++) {
    if (ids) sz3_take(r, 1);
    if (b->predictors[i] == SZ3_BY_REGRESSION) {
      result = load_coefficients(d, &d->codes[2], &b->regression.count, &b->regression.constant, &b->regression.linear, NULL);
      b->regression.codes = d->codes[2];
    } else if (b->predictors[i] == SZ3_BY_POLYNOMIAL) {
      /* With regression there are two lists of codes; the elements' come last, so their place is free until then. */
      result = load_coefficients(d, &d->codes[1], &b->polynomial.count, &b->polynomial.constant, &b->polynomial.linear,
                                 &b->polynomial.square);
      b->polynomial.codes = d->codes[1];
    }
  }
  if (result < 0 || b->npredictors == 1) return result;
  b->nselection = sz3_get_u64(r);
  if (r->failed || b->nselection > d->config->num) return H5Z_E_CORRUPT;
  return result;
}

static int blocks(decoder *d) {
  const sz3_config *c = d->config;
  sz3_blocks b = {.rank = c->rank, .padding = 2};
  float *planes = NULL;
  int32_t *selection = NULL;
  memcpy(b.dims, c->dims, sizeof b.dims);
  if (c->lorenzo) b.predictors[b.npredictors++] = SZ3_BY_LORENZO;
  if (c->lorenzo2) b.predictors[b.npredictors++] = SZ3_BY_LORENZO2;
  if (c->regression) b.predictors[b.npredictors++] = SZ3_BY_REGRESSION;
  if (c->regression2 && c->version == SZ3_V31) b.predictors[b.npredictors++] = SZ3_BY_POLYNOMIAL;
  if (b.npredictors == 0) return H5Z_E_CORRUPT;
  if (c->regression2 && c->version == SZ3_V31 && c->rank > 3) return H5Z_E_UNSUPPORTED; /* as upstream */

  int result;
  if (c->version == SZ3_V31 && c->rank == 3 && !c->regression2) {
    result = fast_blocks(d, &b, &planes);
  } else if (c->version == SZ3_V31) {
    uint64_t num = 1;
    for (unsigned i = 0; i < c->rank; i++) {
      b.dims[i] = sz3_get_u64(&d->r);
      if (b.dims[i] == 0 || b.dims[i] > c->num / num) return H5Z_E_CORRUPT;
      num *= b.dims[i];
    }
    b.block = sz3_get_u32(&d->r);
    if (d->r.failed || num != c->num || b.block == 0) return H5Z_E_CORRUPT;
    /* Upstream then looks for neighbours beyond the end of the line before. */
    if (b.block == 1 && c->lorenzo2) return H5Z_E_UNSUPPORTED;
    b.flavour = SZ3_GENERAL;
    result = general_blocks(d, &b, 1);
  } else {
    b.block = (uint64_t)c->block;
    if (c->block <= 0) return H5Z_E_CORRUPT;
    b.flavour = SZ3_LATER;
    b.padding = c->lorenzo || c->lorenzo2 ? 2 : 0;
    result = general_blocks(d, &b, 0);
  }
  if (result == 0 && b.flavour != SZ3_FAST3D && b.flavour != SZ3_REORDERED && b.npredictors > 1) {
    static const int32_t none = 0;
    if (b.nselection > 0) result = load_codes(&d->r, b.nselection, &selection);
    b.selection = selection ? selection : &none;
  }
  if (result == 0) result = load_quantizer(&d->r, d->type->size, &b.quantizer);
  if (result == 0) result = load_element_codes(d, &b.quantizer, 0);
  if (result == 0) result = d->type->recover_blocks(&b, d->aligned, d->codes[0]);
  free(selection);
  free(planes);
  return result;
}

static int unpredicted(decoder *d) {
  sz3_quantizer q;
  int result = load_quantizer(&d->r, d->type->size, &q);
  if (result == 0) result = load_element_codes(d, &q, 0);
  return result < 0 ? result : recover_in_order(d, &q);
}

/* One payload: the whole chunk's, or of the part that one of several threads wrote. */
static int payload(const sz3_config *c, const uint8_t *in, size_t nin, uint8_t *out) {
  const sz3_type *type = sz3_types + c->type;
  const uint64_t bytes = c->num * type->size;
  size_t length = 0;
  if (c->version == SZ3_V31 ? c->abs == 0 : c->algorithm == SZ3_LOSSLESS) {
    const int result = unzstd(in, nin, bytes, out, NULL, &length);
    return result < 0 ? result : length == bytes ? 0 : H5Z_E_CORRUPT;
  }
  decoder d = {.config = c, .type = type, .out = out};
  uint8_t *raw = NULL;
  int result = unzstd(in, nin, most_raw(c->num), NULL, &raw, &length);
  d.r = (sz3_reader){raw, length, 0};
  d.aligned = (uintptr_t)out % type->size == 0 ? out : malloc((size_t)bytes);
  if (result == 0 && !d.aligned) result = H5Z_E_MEMORY;
  if (result == 0) {
    switch (c->algorithm) {
      case SZ3_LORENZO_REG: result = blocks(&d); break;
      case SZ3_INTERP: result = interpolation(&d); break;
      case SZ3_NOPRED: result = c->version == SZ3_V31 ? H5Z_E_CORRUPT : unpredicted(&d); break;
      case SZ3_BIOMD: /* for trajectories of molecules; HDF5 files with them are not known */
      case SZ3_BIOMDXTC: result = H5Z_E_UNSUPPORTED; break;
      default: result = H5Z_E_CORRUPT;
    }
  }
  for (int i = 3; i-- > 0;) free(d.codes[i]);
  if (d.aligned != out) {
    if (result == 0) memcpy(out, d.aligned, (size_t)bytes);
    free(d.aligned);
  }
  free(raw);
  return result;
}

/* What SZ3 with OpenMP writes: the array cut along its slowest dimension, each part a stream of its own.
 *
 *   | parts i32 | a config per part | length u64 per part | payloads |
 */
static int parts(const sz3_config *c, const uint8_t *in, size_t nin, uint8_t *out) {
  sz3_reader configs = {in, nin, 0}, r;
  const int32_t n = sz3_get_i32(&configs);
  if (configs.failed || n < 1 || (uint64_t)n > c->dims[0]) return H5Z_E_CORRUPT;
  sz3_config part;
  r = configs;
  for (int32_t i = 0; i < n; i++) {
    const int result = sz3_config_load(&r, c->version, &part);
    if (result < 0) return result;
  }
  if ((uint64_t)n > r.left / 8) return H5Z_E_CORRUPT;
  sz3_reader lengths = r;
  sz3_take(&r, 8 * (uint64_t)n);
  const uint64_t plane = c->num / c->dims[0], size = sz3_types[c->type].size;
  for (int32_t i = 0; i < n; i++) {
    const uint64_t from = (uint64_t)i * c->dims[0] / (uint64_t)n, to = ((uint64_t)i + 1) * c->dims[0] / (uint64_t)n;
    int result = sz3_config_load(&configs, c->version, &part);
    const uint64_t length = sz3_get_u64(&lengths);
    const uint8_t *bytes = sz3_take(&r, length);
    if (result < 0 || !bytes || part.num != (to - from) * plane) return H5Z_E_CORRUPT;
    part.type = c->type;
    result = payload(&part, bytes, (size_t)length, out + from * plane * size);
    if (result < 0) return result;
  }
  return 0;
}

int sz3_decode(const sz3_config *cd, const uint8_t *in, size_t nin, uint8_t *out) {
  sz3_config c;
  sz3_reader r = {in, nin, 0}, data;
  int result;
  const uint32_t version = sz3_chunk_version(in, nin);
  if (version == SZ3_V332) {
    r = (sz3_reader){in, nin, 0};
    sz3_take(&r, 8);
    const uint64_t length = sz3_get_u64(&r);
    data = (sz3_reader){sz3_take(&r, length), (size_t)length, 0};
    if (r.failed) return H5Z_E_CORRUPT;
    result = sz3_config_load(&r, version, &c);
  } else if (version == SZ3_V330 || version == SZ3_V331) {
    r = (sz3_reader){in, nin, 0};
    result = sz3_config_load(&r, version, &c);
    data = r;
  } else if (version != SZ3_V31) {
    return H5Z_E_VERSION;
  } else {
    if (nin < 4) return H5Z_E_CORRUPT;
    r = (sz3_reader){in + nin - 4, 4, 0};
    const uint32_t length = sz3_get_u32(&r);
    if (length > nin - 4) return H5Z_E_CORRUPT;
    r = (sz3_reader){in + (nin - 4 - length), length, 0};
    data = (sz3_reader){in, nin - 4 - length, 0};
    result = sz3_config_load(&r, SZ3_V31, &c);
  }
  if (result < 0) return result;
  if (c.num != cd->num) return H5Z_E_CORRUPT;
  c.type = cd->type;
  return c.openmp ? parts(&c, data.at, data.left, out) : payload(&c, data.at, data.left, out);
}
