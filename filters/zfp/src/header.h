/* header.h: what a dataset's cd_values say of its chunks: shape, type and zfp's four limits of a block. */
#ifndef H5Z_ZFP_HEADER_H
#define H5Z_ZFP_HEADER_H

#include <h5z/filter.h>

/* Scalar types, numbered as in the header. */
enum { ZFP_INT32, ZFP_INT64, ZFP_FLOAT, ZFP_DOUBLE };

/* zfp's limits: at least min_bits and at most max_bits a block, at most max_prec bit planes, and none below 2^min_exp.
 * A min_exp below LOWEST_EXP means reversible. */
enum { MOST_BITS = 16658, MOST_PREC = 64, LOWEST_EXP = -1074 };
typedef struct limits {
  uint32_t min_bits, max_bits, max_prec;
  int32_t min_exp;
} limits;

typedef struct header {
  unsigned type;    /* ZFP_INT32 ... */
  unsigned rank;    /* 1 to 4 */
  uint64_t dims[4]; /* fastest first; 1 beyond the rank */
  limits limits;
  uint64_t mode;    /* the limits as the header says them: 12 or 64 bits */
  int swapped;      /* written on a machine of the other byte order */
} header;

/* Reads stored cd_values. 0, or a negative code. */
int64_t header_read(const uint32_t *cd, size_t ncd, header *h);

static inline unsigned header_element_size(const header *h) { return h->type == ZFP_INT32 || h->type == ZFP_FLOAT ? 4 : 8; }
static inline int header_reversible(const header *h) { return h->limits.min_exp < LOWEST_EXP; }

/* Bytes of the chunk: at most 2^48 elements. */
static inline uint64_t header_bytes(const header *h) {
  return h->dims[0] * h->dims[1] * h->dims[2] * h->dims[3] * header_element_size(h);
}

/* Blocks of the chunk. */
static inline uint64_t header_blocks(const header *h) {
  uint64_t blocks = 1;
  for (unsigned i = 0; i < 4; i++) blocks *= (h->dims[i] + 3) / 4;
  return blocks;
}

/* Bits that every block starts with, before its coefficients: flags, exponent, precision. */
unsigned header_block_head(const header *h);

/* The members of the filter's table. */
int64_t zfp_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap);
int64_t zfp_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap);

#endif
