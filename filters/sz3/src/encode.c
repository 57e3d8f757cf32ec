/* encode.c: from elements to a chunk. Which prediction an array is coded by is decided on a few boxes cut out of it, by
 * the entropy of the codes that each would leave. A chunk that does not shrink so is zstd's alone, without loss. */
#if !defined(H5Z_DECODE_ONLY)
#include "huffman.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <zstd.h>

enum { RADIUS = 32768, SYMBOLS = 2 * RADIUS, LEVEL = 3 /* zstd's, as upstream's */, SETTINGS = 256 };

/* One way to predict. */
typedef struct {
  int lorenzo;  /* 1 or 2: its order; 0: interpolation */
  int cubic, last_first; /* interpolation: along the last dimension first */
  double alpha, beta;
} way;

/* Edges of blocks for Lorenzo, which needs no small ones: nothing is kept per block. */
static const int block_of[] = {0, 4096, 128, 64, 32};

static void interpolation_of(const sz3_config *c, const way *w, const uint64_t *dims, sz3_interpolation *p) {
  static const uint64_t anchors[] = {0, 4096, 128, 32, 16};
  static const int32_t last[] = {0, 0, 1, 5, 23};
  memset(p, 0, sizeof *p);
  p->rank = c->rank;
  memcpy(p->dims, dims, sizeof p->dims);
  p->block = 32;
  p->cubic = w->cubic;
  p->direction = w->last_first ? last[c->rank] : 0;
  p->alpha = w->alpha, p->beta = w->beta;
  p->later = c->version != SZ3_V31;
  p->anchor = p->later ? anchors[c->rank] : 0;
  (void)sz3_interpolation_valid(p); /* which drops needless anchors */
}

static void blocks_of(const sz3_config *c, const way *w, const uint64_t *dims, const sz3_quantizer *q, sz3_blocks *b) {
  memset(b, 0, sizeof *b);
  b->rank = c->rank;
  memcpy(b->dims, dims, sizeof b->dims);
  b->block = (uint64_t)block_of[c->rank];
  b->flavour = c->version != SZ3_V31 ? SZ3_LATER : c->rank == 3 ? SZ3_FAST3D : SZ3_GENERAL;
  b->padding = 2;
  b->npredictors = 1;
  b->predictors[0] = w->lorenzo == 2 ? SZ3_BY_LORENZO2 : SZ3_BY_LORENZO;
  b->prediction_dims = 3;
  b->quantizer = *q;
}

/* Codes of an array; `data` is changed. */
static int quantize(const sz3_config *c, const way *w, const uint64_t *dims, void *data, int32_t *codes, sz3_quantizer *q) {
  const sz3_type *type = sz3_types + c->type;
  q->used = 0;
  q->inverse = 1 / q->eb;
  if (w->lorenzo == 0) {
    sz3_interpolation p;
    interpolation_of(c, w, dims, &p);
    return sz3_interpolation_quantize(&p, type, data, codes, q);
  }
  sz3_blocks b;
  blocks_of(c, w, dims, q, &b);
  const int result = type->quantize_blocks(&b, data, codes);
  q->used = b.quantizer.used;
  return result;
}

/* log2(x) for x >= 1, to three digits. */
static double log2_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  const double exponent = (double)((int)(bits >> 52) - 1023);
  bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
  memcpy(&x, &bits, 8);
  return exponent + (x - 1) * (1.4264 - (x - 1) * (0.5912 - (x - 1) * 0.1648));
}

/* Bits for these codes. Clears `counts` again. */
static double entropy(const int32_t *codes, uint64_t n, uint32_t *counts) {
  double bits = 0;
  for (uint64_t i = 0; i < n; i++) counts[codes[i]]++;
  for (uint64_t i = 0; i < n; i++) {
    const uint32_t count = counts[codes[i]];
    if (count == 0) continue;
    bits += count * log2_of((double)n / count) + 8;
    counts[codes[i]] = 0;
  }
  return bits;
}

typedef struct {
  int32_t *codes;
  uint32_t *counts;
  uint8_t *work, *unpred;
} buffers;

/* Boxes of the array, and the best way to code them. */
static int choose(const sz3_config *c, const uint8_t *in, double eb, const buffers *to, way *best) {
  static const uint64_t longest[] = {0, 4096, 96, 32, 14}; /* edge of a box */
  const sz3_type *type = sz3_types + c->type;
  uint64_t box[SZ3_MAX_RANK], n = 1, stride[SZ3_MAX_RANK];
  for (unsigned d = 0; d < c->rank; d++) {
    box[d] = c->dims[d] < longest[c->rank] ? c->dims[d] : longest[c->rank];
    n *= box[d];
  }
  for (unsigned d = c->rank; d-- > 0;) stride[d] = d + 1 < c->rank ? stride[d + 1] * c->dims[d + 1] : 1;
  unsigned boxes = 3; /* at the beginning, the middle and the end of every dimension at once */
  if (c->num < 8 * n) boxes = 1;

  way ways[16];
  unsigned nways = 0;
  const int later = c->version != SZ3_V31;
  const double alpha = later ? 1.25 : -1, beta = later ? 2 : -1;
  for (int last = 0; last < (c->rank > 1 ? 2 : 1); last++) {
    for (int cubic = 1; cubic >= 0; cubic--) ways[nways++] = (way){0, cubic, last, alpha, beta};
  }
  if (later) { /* finer bounds for coarser levels; none */
    ways[nways++] = (way){0, 1, 0, 1.5, 2.5};
    ways[nways++] = (way){0, 1, 0, 2, 3};
    ways[nways++] = (way){0, 1, 0, 1, 1};
  }
  ways[nways++] = (way){1, 0, 0, alpha, beta};
  if (c->rank < 4) ways[nways++] = (way){2, 0, 0, alpha, beta};

  double least = DBL_MAX;
  for (unsigned k = 0; k < nways; k++) {
    double bits = 0;
    for (unsigned i = 0; i < boxes; i++) {
      const uint8_t *corner = in;
      for (unsigned d = 0; d < c->rank; d++) {
        const uint64_t free_length = c->dims[d] - box[d];
        const uint64_t at = boxes == 1 ? free_length / 2 : free_length * i / (boxes - 1);
        corner += at * stride[d] * type->size;
      }
      /* Copy the box, row by row. */
      uint8_t *target = to->work;
      uint64_t at[SZ3_MAX_RANK] = {0};
      const size_t row = (size_t)(box[c->rank - 1] * type->size);
      for (int more = 1; more;) {
        uint64_t offset = 0;
        for (unsigned d = 0; d + 1 < c->rank; d++) offset += at[d] * stride[d];
        memcpy(target, corner + offset * type->size, row);
        target += row;
        more = 0;
        for (unsigned d = c->rank - 1; d-- > 0 && !more;) {
          more = ++at[d] < box[d];
          if (!more) at[d] = 0;
        }
      }
      sz3_quantizer q = {.eb = eb, .radius = RADIUS, .unpred = to->unpred};
      const int result = quantize(c, ways + k, box, to->work, to->codes, &q);
      if (result < 0) return result;
      bits += entropy(to->codes, n, to->counts) + (double)q.used * (double)(8 * type->size);
    }
    if (bits < least) least = bits, *best = ways[k];
  }
  return 0;
}

static void save_quantizer(sz3_writer *w, const sz3_quantizer *q, size_t size) {
  sz3_put(w, 2, 1);
  sz3_put_f64(w, q->eb);
  sz3_put(w, (uint32_t)q->radius, 4);
  sz3_put(w, q->used, 8);
  uint8_t *kept = sz3_give(w, q->used * size);
  if (kept && q->used > 0) memcpy(kept, q->unpred, (size_t)(q->used * size));
}

/* Settings of the blocks, all of which are predicted alike: see fast_blocks and general_blocks in decode.c. */
static int save_blocks(sz3_writer *w, const sz3_config *c, const way *how, double eb) {
  const uint32_t block = (uint32_t)block_of[c->rank];
  if (c->version != SZ3_V31) return 0; /* in the config */
  if (c->rank != 3) {
    for (unsigned d = 0; d < c->rank; d++) sz3_put(w, c->dims[d], 8);
    sz3_put(w, block, 4);
    sz3_put(w, 1, 1);
    return 0;
  }
  sz3_put(w, block, 4);
  sz3_put(w, 3, 4);
  sz3_put(w, how->lorenzo == 1, 1), sz3_put(w, how->lorenzo == 2, 1), sz3_put(w, 0, 2);
  sz3_put(w, 2, 4);
  sz3_put(w, 0, 4);
  for (int i = 0; i < 5; i++) sz3_put(w, 0, 4);
  sz3_put(w, 1, 4);
  sz3_put_f64(w, eb);
  sz3_put(w, 0, 1);
  sz3_put(w, 0, (unsigned)sz3_types[c->type].size);
  sz3_put(w, 0, 8);
  /* One symbol for all blocks: a tree of one node, codes of no bits. */
  uint32_t counts[3] = {0, 0, 0};
  counts[how->lorenzo == 2 ? 2 : 0] = 1;
  sz3_coder coder;
  const int result = sz3_coder_build(counts, 3, &coder);
  if (result == 0) {
    sz3_coder_save(&coder, w);
    sz3_put(w, 0, 8);
  }
  sz3_coder_free(&coder);
  return result;
}

/* The payload before zstd in new memory. */
static int lossy(const sz3_config *c, const uint8_t *in, double eb, uint8_t **raw, size_t *length, way *how) {
  const size_t size = sz3_types[c->type].size;
  const size_t n = (size_t)c->num;
  buffers to = {malloc(n * sizeof(int32_t)), calloc(SYMBOLS, sizeof(uint32_t)), malloc(n * size), malloc(n * size)};
  sz3_coder coder;
  memset(&coder, 0, sizeof coder);
  int result = H5Z_E_MEMORY;
  if (!to.codes || !to.counts || !to.work || !to.unpred) goto done;
  result = choose(c, in, eb, &to, how);
  if (result < 0) goto done;
  sz3_quantizer q = {.eb = eb, .radius = RADIUS, .unpred = to.unpred};
  memcpy(to.work, in, n * size);
  result = quantize(c, how, c->dims, to.work, to.codes, &q);
  if (result < 0) goto done;
  for (size_t i = 0; i < n; i++) to.counts[to.codes[i]]++;
  result = sz3_coder_build(to.counts, SYMBOLS, &coder);
  if (result < 0) goto done;

  const uint64_t room = SETTINGS + 21 + q.used * size + sz3_coder_size(&coder) + 8;
  if (room > SIZE_MAX / 2) result = H5Z_E_MEMORY;
  if (result == 0 && !(*raw = malloc((size_t)room))) result = H5Z_E_MEMORY;
  if (result < 0) goto done;
  sz3_writer w = {*raw, (size_t)room, 0};
  if (how->lorenzo > 0) {
    result = save_blocks(&w, c, how, eb);
    if (result < 0) goto done;
  } else {
    sz3_interpolation p;
    interpolation_of(c, how, c->dims, &p);
    for (unsigned d = 0; d < p.rank; d++) sz3_put(&w, p.dims[d], 8);
    sz3_put(&w, p.block, 4);
    sz3_put(&w, (uint64_t)p.cubic, 4);
    sz3_put(&w, (uint64_t)p.direction, 4);
    if (p.later) {
      sz3_put(&w, p.anchor, 8);
      sz3_put_f64(&w, p.alpha);
      sz3_put_f64(&w, p.beta);
    }
  }
  save_quantizer(&w, &q, size);
  sz3_coder_save(&coder, &w);
  if (c->version != SZ3_V31) sz3_put(&w, c->num, 8);
  sz3_coder_encode(&coder, to.codes, c->num, &w);
  *length = (size_t)(w.at - *raw);
  if (w.failed) result = H5Z_E_INTERNAL;
done:
  sz3_coder_free(&coder);
  free(to.unpred);
  free(to.work);
  free(to.counts);
  free(to.codes);
  return result;
}

/* 10^x, for bounds: no more exact than they need, and the same on every platform. */
static double power_of_ten(double x) {
  double whole = 1;
  const int negative = x < 0;
  if (negative) x = -x;
  if (!(x < 308)) return negative ? 0 : DBL_MAX;
  int n = (int)x;
  x -= n;
  for (double base = 10; n > 0; n /= 2, base *= base) {
    if (n & 1) whole *= base;
  }
  double term = 1, sum = 1;
  for (int i = 1; i < 24; i++) sum += term *= x * 2.302585092994045684 / i;
  return negative ? 1 / (whole * sum) : whole * sum;
}

/* Modes that bound the sum of squared errors: how large it may be. Else 0. */
static double squares_allowed(const sz3_config *c, double range) {
  if (c->mode == SZ3_NORM) return c->norm * c->norm;
  if (c->mode != SZ3_PSNR) return 0;
  const double rms = range * power_of_ten(c->psnr / -20);
  return rms * rms * (double)c->num;
}

/* The absolute bound, as upstream takes it. Zero: without loss. */
static double bound_of(const sz3_config *c, double range) {
  switch (c->mode) {
    case SZ3_ABS: return c->abs;
    case SZ3_REL: return c->rel * range;
    case SZ3_ABS_AND_REL: return c->abs < c->rel * range ? c->abs : c->rel * range;
    case SZ3_ABS_OR_REL: return c->abs > c->rel * range ? c->abs : c->rel * range;
    case SZ3_NORM: return sqrt(3.0 / (double)c->num) * c->norm;
    /* Errors are expected to be spread evenly; 4.6852108 = -10 log10(1 - 2 / 3 * 0.99) */
    default: return range * power_of_ten((c->psnr - 4.68521082957745) / -20);
  }
}

/* | length u64 | zstd frame |; bytes written, 0: no room. */
static size_t put_zstd(const uint8_t *raw, size_t length, uint8_t *out, size_t cap) {
  if (cap < 8) return 0;
  sz3_writer w = {out, 8, 0};
  sz3_put(&w, length, 8);
  const size_t n = ZSTD_compress(out + 8, cap - 8, raw, length, LEVEL);
  return ZSTD_isError(n) ? 0 : n + 8;
}

/* A chunk with an absolute bound, 0: without loss. */
static int64_t encode_within(const sz3_config *settings, double eb, const uint8_t *in, uint8_t *out, size_t cap) {
  sz3_config c = *settings;
  const size_t bytes = (size_t)c.num * sz3_types[c.type].size, header = c.version == SZ3_V31 ? 0 : 16;
  if (cap < header) return H5Z_E_OUTPUT;
  uint8_t *const payload = out + header;
  const size_t room = cap - header;
  size_t written = 0;
  int exact = 1;
  if (eb > 0 && eb <= DBL_MAX && c.algorithm != SZ3_LOSSLESS) {
    uint8_t *raw = NULL;
    size_t length = 0;
    way how = {0, 0, 0, 0, 0};
    const int result = lossy(&c, in, eb, &raw, &length, &how);
    if (result == 0) written = put_zstd(raw, length, payload, room);
    free(raw);
    if (result < 0 && result != H5Z_E_UNSUPPORTED) return result;
    if (written > 0) {
      exact = 0;
      c.algorithm = how.lorenzo ? SZ3_LORENZO_REG : SZ3_INTERP;
      c.lorenzo = how.lorenzo == 1, c.lorenzo2 = how.lorenzo == 2, c.regression = c.regression2 = 0;
    }
  }
  /* Without loss where that is asked for, or where it is smaller, which it may be where little is saved. */
  if (exact) {
    written = put_zstd(in, bytes, payload, room);
    if (written == 0) return H5Z_E_OUTPUT;
  } else if (written > bytes / 3) {
    uint8_t *other = malloc(written);
    const size_t n = other ? put_zstd(in, bytes, other, written - 1) : 0;
    if (n > 0) memcpy(payload, other, n), written = n, exact = 1;
    free(other);
  }
  if (exact) {
    c.algorithm = c.version == SZ3_V31 ? SZ3_INTERP_LORENZO : SZ3_LOSSLESS; /* 3.1 looks at the bound alone */
    c.lorenzo = c.regression = 1, c.lorenzo2 = c.regression2 = 0;
  }
  c.mode = SZ3_ABS;
  c.abs = exact ? 0 : eb;
  c.quantbins = SYMBOLS;
  c.block = block_of[c.rank];
  c.openmp = 0;

  sz3_writer w = {payload + written, room - written, 0};
  sz3_config_save(&w, &c);
  if (c.version == SZ3_V31) {
    const size_t length = (size_t)(w.at - payload) - written;
    sz3_put(&w, length, 4);
  } else {
    sz3_writer h = {out, 16, 0};
    sz3_put(&h, SZ3_MAGIC, 4);
    sz3_put(&h, (uint64_t)c.version << 8, 4);
    sz3_put(&h, written, 8);
  }
  return w.failed ? H5Z_E_OUTPUT : w.at - out;
}

int64_t sz3_encode(const sz3_config *cd, const uint8_t *in, uint8_t *out, size_t cap) {
  sz3_config c = *cd;
  const sz3_type *type = sz3_types + c.type;
  /* hdf5plugin numbers these two the other way round; the bound that is not given shows which one is meant. */
  if (c.mode == SZ3_PSNR && c.psnr == 0 && c.norm > 0) c.mode = SZ3_NORM;
  else if (c.mode == SZ3_NORM && c.norm == 0 && c.psnr > 0) c.mode = SZ3_PSNR;
  const double range = c.mode == SZ3_ABS || c.mode == SZ3_NORM ? 0 : type->range(in, c.num);
  double eb = bound_of(&c, range);
  const double allowed = squares_allowed(&c, range);
  if (!(allowed > 0)) return encode_within(&c, eb, in, out, cap);

  /* Errors may be larger on the average than evenly spread ones: look, and tighten the bound until they are not. */
  const size_t bytes = (size_t)c.num * type->size;
  uint8_t *back = malloc(bytes);
  int64_t n = back ? H5Z_E_INTERNAL : H5Z_E_MEMORY;
  for (int i = 0; back && i < 5; i++) {
    n = encode_within(&c, i < 4 ? eb : 0, in, out, cap);
    if (n < 0 || sz3_decode(&c, out, (size_t)n, back) < 0) break;
    const double squares = type->squares(in, back, c.num);
    if (squares <= allowed) break;
    eb *= 0.98 * sqrt(allowed / squares);
  }
  free(back);
  return n;
}
#endif
