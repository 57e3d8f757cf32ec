/* What the parts of the SZ filter share: the shape that the cd_values give, reading of bytes within bounds, Huffman
 * codes, and the few functions of libm that must give the same bits everywhere.
 *
 * Words are SZ's: a "type" is the quantisation code of one element. 0: the element is stored by itself ("exact" in the
 * sequential streams, "unpredictable" in the blocked ones); else prediction + 2 (type - radius) precision.
 */
#ifndef H5Z_SZ_H
#define H5Z_SZ_H

#include <h5z/filter.h>

/* SZ's numbers for element types, as the cd_values keep them. */
enum { SZ_FLOAT, SZ_DOUBLE, SZ_UINT8, SZ_INT8, SZ_UINT16, SZ_INT16, SZ_UINT32, SZ_INT32, SZ_UINT64, SZ_INT64, SZ_TYPES };
/* SZ's numbers for the kinds of error bound. */
enum { SZ_ABS, SZ_REL, SZ_ABS_AND_REL, SZ_ABS_OR_REL, SZ_PSNR, SZ_NORM, SZ_PW_REL = 10 };
/* Bits of the fourth byte of a stream. */
enum {
  SZ_FLAG_SAME = 0x01,    /* one value for all elements                                                        */
  SZ_FLAG_PROTECT = 0x04, /* floats: clamp to the range of the original                                         */
  SZ_FLAG_FAST_PW = 0x08, /* floats: point-wise relative bound by products of neighbours, without logarithms    */
  SZ_FLAG_LOSSLESS = 0x10,
  SZ_FLAG_PW_REL = 0x20,  /* floats */
  SZ_FLAG_SIZE_8 = 0x40,  /* sizes take 8 bytes, else 4                                                         */
  SZ_FLAG_BLOCKS = 0x80   /* floats: blocks, by regression or by neighbours                                     */
};
enum { SZ_ALGORITHM = 101, SZ_TRANSPOSE = 104 };
enum { SZ_LEAST = 20 }; /* elements: fewer are stored as they are */
/* More quantisation codes than this no writer makes; so types fit into 26 bits and twice their difference into int32. */
#define SZ_MOST_TYPES (1u << 26)

static inline size_t sz_size_of(unsigned type) { return type == SZ_FLOAT ? 4 : type == SZ_DOUBLE ? 8 : (size_t)1 << (type - 2) / 2; }
/* Bytes of parameters in a stream's header. */
static inline size_t sz_meta_of(unsigned type) { return type == SZ_DOUBLE ? 36 : 28; }

/* What the stored cd_values say of a chunk. */
typedef struct sz_shape {
  unsigned type;
  unsigned rank;   /* without dimensions of 1 */
  uint64_t dim[5]; /* slowest first           */
  uint64_t count;  /* elements; < SZ_LEAST: the chunk is stored as it is */
  uint64_t size;   /* bytes                                              */
  const uint32_t *bounds; /* the nine words of the error bound, NULL where the file has none */
} sz_shape;

int64_t sz_decompress(const sz_shape *shape, const uint8_t *in, size_t nin, uint8_t *out);
/* Before 2.1.8 the parameters took less room, differently from version to version. */
static inline int sz_reads(const uint8_t version[3]) { return version[0] == 2 && version[1] == 1 && version[2] >= 8 && version[2] <= 12; }
/* The version that a chunk's stream names; 0 if it has none. */
int sz_version_of(const sz_shape *shape, const uint8_t *in, size_t nin, uint8_t version[3]);
int64_t sz_compress(const sz_shape *shape, const uint8_t *in, uint8_t *out, size_t cap);
int64_t sz_compress_bound(const sz_shape *shape);

/* Floating-point results to integers. C leaves what is out of range open; SZ's readers do there what x86-64 does, except
 * that the small types are held to their limits. Each element waits for the one before: what is nearly always so is told
 * the compiler, which then makes a branch of it and nothing to wait for. */
#define SZ_LIKELY(condition) __builtin_expect_with_probability(!!(condition), 1, 0.9999)
static inline int64_t sz_to_i64(double x) { return SZ_LIKELY(x >= -0x1p63 && x < 0x1p63) ? (int64_t)x : INT64_MIN; }
static inline uint64_t sz_to_u64(double x) {
  return x >= 0x1p63 ? (uint64_t)sz_to_i64(x - 0x1p63) ^ (uint64_t)1 << 63 : (uint64_t)sz_to_i64(x);
}
static inline int32_t sz_to_i32(double x) {
  return SZ_LIKELY(x > -2147483649.0 && x < 2147483648.0) ? (int32_t)x : INT32_MIN;
}
static inline uint32_t sz_to_u32(double x) { return (uint32_t)sz_to_i64(x); }
static inline int32_t sz_clamp(double x, int32_t least, int32_t most) {
  if (SZ_LIKELY(x > least - 1.0 && x < most + 1.0)) return (int32_t)x;
  const int64_t n = sz_to_i64(x);
  return n < least ? least : n < most ? (int32_t)n : most;
}
static inline int32_t sz_to_u8(double x) { return sz_clamp(x, 0, UINT8_MAX); }
static inline int32_t sz_to_i8(double x) { return sz_clamp(x, INT8_MIN, INT8_MAX); }
static inline int32_t sz_to_u16(double x) { return sz_clamp(x, 0, UINT16_MAX); }
static inline int32_t sz_to_i16(double x) { return sz_clamp(x, INT16_MIN, INT16_MAX); }

/* Huffman codes: huffman.c */
typedef struct sz_tree {
  uint32_t count;       /* nodes                                                                       */
  uint32_t (*node)[2];  /* children; leaf: 0 and its symbol. A child comes behind its parent.          */
  uint32_t *table;      /* by the next `bits` bits: node << 6 | length of the code, length 0: go on from node */
  unsigned bits;
} sz_tree;
int64_t sz_tree_read(sz_tree *tree, const uint8_t *p, size_t size, uint32_t count, uint64_t symbols);
void sz_tree_free(sz_tree *tree);

enum { SZ_AHEAD = 512 };
/* Symbols of a bit stream, decoded some ahead. Past the end, or past `left` symbols, they are 0 and `bad` is set. */
typedef struct sz_source {
  const sz_tree *tree;
  const uint8_t *p, *end;
  uint64_t bits;   /* next bit on top */
  unsigned have;   /* valid bits      */
  int bad;
  uint64_t left;   /* symbols not yet decoded */
  unsigned next, filled;
  uint32_t symbol[SZ_AHEAD];
} sz_source;
void sz_source_start(sz_source *source, const sz_tree *tree, const uint8_t *p, const uint8_t *end, uint64_t symbols);
void sz_source_fill(sz_source *source);
static inline uint32_t sz_next(sz_source *source) {
  if (source->next == source->filled) sz_source_fill(source);
  return source->symbol[source->next++];
}

/* Elementary functions: math.c */
typedef struct sz_dd { double high, low; } sz_dd;
sz_dd sz_log2_dd(double x);                   /* x > 0, finite; to about 100 bits */
double sz_exp2_dd(double high, double low);   /* 2^(high + low), |low| tiny       */
static inline double sz_exp2(double x) { return sz_exp2_dd(x, 0); }
double sz_power(sz_dd log2_base, double exponent, int *sure); /* sure: libm's pow gives the same */
double sz_log2_rough(double x);               /* x > 0, finite; to about 1e-12    */

#endif
