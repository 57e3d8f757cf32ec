/* sz3.h: SZ3's stream, read and written in C of our own, because upstream's templates trust every length in a chunk,
 * throw through C, and instantiate to 100 MB. What a stream is made of, outermost first:
 *
 *   chunk      3.1:   | payload | config | config's length i32 |
 *              3.3.0: | config, beginning with magic u32 and version u32 | payload |
 *              3.3.1: | config, beginning with its length, magic, version 3.3.0 | payload |
 *              3.3.2: | magic u32 | version u32 | payload's length u64 | payload | config |
 *   payload    | length u64 | zstd frame |; inside: the decomposition's settings, its quantizer with the values that no
 *              prediction came near, a Huffman tree, and one Huffman code per element: how far it is from its prediction
 *   decomposition   interp.c (interpolation, level by level) or blocks in kernel.h (Lorenzo and regression, block by block)
 *
 * All numbers are little-endian but the Huffman tree's sizes. Reader and writer must compute predictions with the same
 * operations in the same order, since a stream holds differences from what the other side computed: kernel.h. */
#ifndef H5Z_SZ3_H
#define H5Z_SZ3_H

#include <h5z/filter.h>

/* Element types, numbered as in cd_values. */
enum { SZ3_F32, SZ3_F64, SZ3_U8, SZ3_I8, SZ3_U16, SZ3_I16, SZ3_U32, SZ3_I32, SZ3_U64, SZ3_I64, SZ3_TYPES };

enum { SZ3_MAX_RANK = 4, SZ3_RAW_BELOW = 20 /* fewer elements are stored as they are */ };

/* Error bound modes, numbered as in cd_values. */
enum { SZ3_ABS, SZ3_REL, SZ3_PSNR, SZ3_NORM, SZ3_ABS_AND_REL, SZ3_ABS_OR_REL, SZ3_MODES };

/* Algorithms. SZ3_INTERP_LORENZO is a wish ("whichever is better") that no chunk holds. */
enum { SZ3_LORENZO_REG, SZ3_INTERP_LORENZO, SZ3_INTERP, SZ3_NOPRED, SZ3_LOSSLESS, SZ3_BIOMD, SZ3_BIOMDXTC };

/* Versions of the stream. 3.1 has no number of its own. */
#define SZ3_MAGIC 0xF342F310u
enum { SZ3_V31 = 0x030100, SZ3_V330 = 0x030300, SZ3_V331 = 0x030301 /* in files 3.3.0 too */, SZ3_V332 = 0x030302 };

/* SZ3's Config, as far as a stream depends on it. */
typedef struct {
  uint32_t version;
  uint32_t rank;
  uint64_t dims[SZ3_MAX_RANK]; /* slowest first */
  uint64_t num;
  uint8_t algorithm, mode;
  double abs, rel, psnr, norm;
  uint8_t lorenzo, lorenzo2, regression, regression2, openmp;
  uint8_t type; /* only 3.2 and later know it */
  int32_t quantbins, block;
} sz3_config;

/* ---- bytes in, bytes out: every read and write is bounded, a failure sticks ------------------------------------- */

typedef struct {
  const uint8_t *at;
  size_t left;
  int failed;
} sz3_reader;

static inline const uint8_t *sz3_take(sz3_reader *r, uint64_t n) {
  if (n > r->left) {
    r->failed = 1, r->left = 0;
    return NULL;
  }
  const uint8_t *p = r->at;
  r->at += n, r->left -= (size_t)n;
  return p;
}
static inline uint64_t sz3_get(sz3_reader *r, unsigned bytes) {
  const uint8_t *p = sz3_take(r, bytes);
  uint64_t v = 0;
  for (unsigned i = 0; p && i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}
static inline uint8_t sz3_get_u8(sz3_reader *r) { return (uint8_t)sz3_get(r, 1); }
static inline uint32_t sz3_get_u32(sz3_reader *r) { return (uint32_t)sz3_get(r, 4); }
static inline int32_t sz3_get_i32(sz3_reader *r) { return (int32_t)(uint32_t)sz3_get(r, 4); }
static inline uint64_t sz3_get_u64(sz3_reader *r) { return sz3_get(r, 8); }
static inline double sz3_get_f64(sz3_reader *r) {
  const uint64_t bits = sz3_get(r, 8);
  double v;
  memcpy(&v, &bits, 8);
  return v;
}

typedef struct {
  uint8_t *at;
  size_t left;
  int failed;
} sz3_writer;

static inline uint8_t *sz3_give(sz3_writer *w, uint64_t n) {
  if (n > w->left) {
    w->failed = 1, w->left = 0;
    return NULL;
  }
  uint8_t *p = w->at;
  w->at += n, w->left -= (size_t)n;
  return p;
}
static inline void sz3_put(sz3_writer *w, uint64_t v, unsigned bytes) {
  uint8_t *p = sz3_give(w, bytes);
  for (unsigned i = 0; p && i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
}
static inline void sz3_put_f64(sz3_writer *w, double v) {
  uint64_t bits;
  memcpy(&bits, &v, 8);
  sz3_put(w, bits, 8);
}

/* ---- the parts -------------------------------------------------------------------------------------------------- */

/* A linear quantizer. A code of 0 says that the element lies next in `unpred`, else it is the prediction plus
 * 2 * (code - radius) * eb. Reading, unpred has `count` elements, of which `used` are gone; writing, room for `count`. */
typedef struct {
  double eb;
  double inverse; /* 1 / eb, writing */
  int32_t radius;
  uint8_t *unpred; /* at no particular alignment */
  uint64_t count, used;
} sz3_quantizer;

/* How one element of a row is predicted from those that lie `s` elements before and behind it. */
enum { SZ3_LINEAR, SZ3_COPY, SZ3_EXTRA2, SZ3_EXTRA3, SZ3_CUBIC, SZ3_QUAD1, SZ3_QUAD2, SZ3_QUAD3, SZ3_ZERO };

/* `count` elements beginning at `offset`, `step` apart; none is used in the prediction of another. */
typedef struct {
  int kind;
  size_t offset, count, step, s;
} sz3_row;

/* What predicts a block. */
enum { SZ3_BY_LORENZO, SZ3_BY_LORENZO2, SZ3_BY_REGRESSION, SZ3_BY_POLYNOMIAL };

/* Programs that wrote blocks added up their terms in different orders: 3.1's general one, 3.1's for three dimensions, and
 * that of 3.2 and later. hdf5plugin before 6.0.0 had its compiler reorder sums (-ffast-math); a reader that does not,
 * hdf5plugin 7.1.0 among them, is far off where large and small values meet. SZ3_REORDERED is GCC's order. */
enum { SZ3_GENERAL, SZ3_FAST3D, SZ3_REORDERED, SZ3_LATER };

/* Block by block: what kernel.h needs to rebuild an array, or to encode it. */
typedef struct {
  unsigned rank;
  uint64_t dims[SZ3_MAX_RANK];
  uint64_t block; /* edge of a block */
  int flavour;
  int padding;                  /* 2: an element outside the array counts as 0; 0: as the element before it in memory */
  unsigned npredictors;
  uint8_t predictors[4];        /* SZ3_BY_* */
  const int32_t *selection;     /* one index into predictors per block, NULL: always the first */
  uint64_t nselection;
  int prediction_dims;          /* SZ3_FAST3D and SZ3_REORDERED: 3, or 2 or 1 for Lorenzo along fewer dimensions */
  const float *planes;          /* the same: four coefficients for each block of regression */
  uint64_t nplanes;
  struct {
    const int32_t *codes;
    uint64_t count, used;
    sz3_quantizer constant, linear, square;
  } regression, polynomial;
  sz3_quantizer quantizer;
} sz3_blocks;

typedef struct {
  size_t size;
  /* Rows of an interpolation. `codes` are read, or written. */
  void (*recover)(void *data, const sz3_row *row, const int32_t *codes, sz3_quantizer *q);
  void (*quantize)(void *data, const sz3_row *row, int32_t *codes, sz3_quantizer *q);
  /* All blocks. 0 or an error. */
  int (*recover_blocks)(sz3_blocks *b, void *data, const int32_t *codes);
  int (*quantize_blocks)(sz3_blocks *b, const void *data, int32_t *codes);
  /* The largest minus the smallest element. */
  double (*range)(const void *data, uint64_t n);
  /* The sum of the squares of all differences between numbers. */
  double (*squares)(const void *a, const void *b, uint64_t n);
} sz3_type;

extern const sz3_type sz3_types[SZ3_TYPES];

/* Interpolation over a whole array, level by level. */
typedef struct {
  unsigned rank;
  uint64_t dims[SZ3_MAX_RANK];
  uint64_t block;     /* edge of what is done at a time, in elements of the level */
  int cubic;          /* else linear */
  int32_t direction;  /* number of the permutation of dimensions, in lexical order */
  uint64_t anchor;    /* every so many elements along each dimension one is kept exactly; 0: only the first is coded */
  double alpha, beta; /* tighter bounds for coarser levels: alpha^(level - 1), at most beta; alpha < 0: 3.1's rule */
  int later;          /* 3.3: three and four dimensions go along the fastest dimension first */
} sz3_interpolation;

int sz3_interpolation_valid(sz3_interpolation *p);
/* Elements that are kept exactly at the beginning of the codes. */
uint64_t sz3_anchors(const sz3_interpolation *p);
/* Rebuilds `data` from one code per element. The caller has seen that q->count suffices. 0 or an error. */
int sz3_interpolation_recover(const sz3_interpolation *p, const sz3_type *type, void *data, const int32_t *codes,
                              sz3_quantizer *q);
/* Writes codes and the unpredictable elements; `data` becomes what a reader will see. */
int sz3_interpolation_quantize(const sz3_interpolation *p, const sz3_type *type, void *data, int32_t *codes, sz3_quantizer *q);

/* config.c */
/* Of a chunk, or of the bytes of cd_values but for 3.3.2, whose are without it: SZ3_V31 if none is written there. */
uint32_t sz3_chunk_version(const uint8_t *in, size_t nin);
int sz3_config_load(sz3_reader *r, uint32_t version, sz3_config *c);
void sz3_config_save(sz3_writer *w, const sz3_config *c);

/* decode.c, encode.c: a whole chunk of cd->num elements. */
int sz3_decode(const sz3_config *cd, const uint8_t *in, size_t nin, uint8_t *out);
int64_t sz3_encode(const sz3_config *cd, const uint8_t *in, uint8_t *out, size_t cap);

#endif
