/* Encoder of SZ 2.1 streams, the simplest of those that keep the bound; decode.c draws them. Floats: one block predicted by
 * neighbours for two dimensions and more, else and for bounds relative to each value a sequence; integers: a sequence;
 * one value where the bound allows it; the elements themselves where nothing else is smaller or can be. Every decoded
 * element is compared with its original, also what is not finite, so that a bound holds always.
 *
 * SZ's own reader shapes some choices: see `finish`.
 */
#include "sz.h"

#include <float.h>
#include <stdlib.h>
#include <zstd.h>

#if !defined(H5Z_DECODE_ONLY)

enum { MOST_RADIUS = 32768, LEAST_RADIUS = 16, FACTOR_PLUS = 3, ZSTD_LEVEL = 3 };
/* A relative bound b makes steps of (1 + b) to this power. */
#define FACTOR_WIDTH (2 - 1.0 / (1 << FACTOR_PLUS))

/* ---- bytes -------------------------------------------------------------------------------------------------------- */

typedef struct sz_bytes {
  uint8_t *p;
  size_t size, room;
  int failed;
} sz_bytes;

/* Room for `more` bytes behind the last; NULL, and failed, if there is none. */
static uint8_t *grow(sz_bytes *b, size_t more) {
  if (!b->failed && more > b->room - b->size) {
    size_t room = b->room + b->room / 2;
    if (room < b->size + more) room = b->size + more + 64;
    uint8_t *p = room > b->size ? realloc(b->p, room) : NULL;
    if (p) b->p = p, b->room = room;
    else b->failed = 1;
  }
  return b->failed ? NULL : b->p + b->size;
}
static void put(sz_bytes *b, const void *p, size_t size) {
  uint8_t *to = size > 0 ? grow(b, size) : NULL;
  if (to) memcpy(to, p, size), b->size += size;
}
static void put_u8(sz_bytes *b, uint8_t x) {
  if (b->size == b->room && !grow(b, 1)) return;
  b->p[b->size++] = x;
}
static void put_zeros(sz_bytes *b, size_t size) {
  for (size_t i = 0; i < size; i++) put_u8(b, 0);
}
static void put_u32(sz_bytes *b, uint32_t x) {
  uint8_t bytes[4];
  h5z_put_u32be(bytes, x);
  put(b, bytes, sizeof bytes);
}
static void put_u64(sz_bytes *b, uint64_t x) {
  uint8_t bytes[8];
  h5z_put_u64be(bytes, x);
  put(b, bytes, sizeof bytes);
}
static void put_f32(sz_bytes *b, float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  put_u32(b, bits);
}
static void put_f64(sz_bytes *b, double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  put_u64(b, bits);
}
static void put_little(sz_bytes *b, uint64_t x, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) put_u8(b, (uint8_t)(x >> 8 * i));
}

/* ---- Huffman codes ------------------------------------------------------------------------------------------------- */

typedef struct sz_coder {
  uint32_t nodes;
  sz_bytes tree;
  uint64_t *code, bits; /* of all symbols */
  uint8_t *length;
  unsigned longest;
} sz_coder;

typedef struct sz_node { uint64_t weight; uint32_t left, right; } sz_node; /* leaf: left is itself, right its symbol */

static int by_weight(const void *a, const void *b) {
  const sz_node *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? -1 : 1;
  return x->right < y->right ? -1 : x->right > y->right;
}

static void free_coder(sz_coder *c) {
  free(c->tree.p), free(c->code), free(c->length);
  memset(c, 0, sizeof *c);
}

/* Codes for `count` symbols, all less than `limit`; 0: out of memory. */
static int make_coder(sz_coder *c, const uint32_t *symbols, uint64_t count, uint32_t limit) {
  typedef struct place { uint32_t node, parent; uint8_t right, depth; uint64_t code; } place;
  memset(c, 0, sizeof *c);
  uint64_t *weights = calloc(limit, sizeof *weights);
  c->code = calloc(limit, sizeof *c->code), c->length = calloc(limit, 1);
  sz_node *nodes = NULL;
  place *stack = NULL;
  uint32_t leaves = 0;
  if (!weights || !c->code || !c->length) goto failed;
  for (uint64_t i = 0; i < count; i++) leaves += weights[symbols[i]]++ == 0;
  const uint32_t n = c->nodes = 2 * leaves - 1;
  nodes = malloc((size_t)n * sizeof *nodes);
  const unsigned width = n <= 256 ? 1 : n <= 65536 ? 2 : 4;
  const size_t size = 1 + (size_t)n * (2 * width + 5);
  stack = malloc(((size_t)leaves + 2) * sizeof *stack);
  if (!nodes || !stack || !grow(&c->tree, size)) goto failed;

  /* Two queues, leaves and inner nodes, both in order of weight. */
  for (uint32_t symbol = 0, i = 0; symbol < limit; symbol++) {
    if (weights[symbol] > 0) nodes[i++] = (sz_node){weights[symbol], 0, symbol};
  }
  qsort(nodes, leaves, sizeof *nodes, by_weight);
  for (uint32_t i = 0; i < leaves; i++) nodes[i].left = i;
  uint32_t leaf = 0, inner = leaves;
  for (uint32_t made = leaves; made < n; made++) {
    uint32_t pair[2];
    for (int i = 0; i < 2; i++) {
      const int take_leaf = leaf < leaves && (inner == made || nodes[leaf].weight <= nodes[inner].weight);
      pair[i] = take_leaf ? leaf++ : inner++;
    }
    nodes[made] = (sz_node){nodes[pair[0]].weight + nodes[pair[1]].weight, pair[0], pair[1]};
  }

  /* Depth first, from the root, which was made last. */
  uint8_t *left = c->tree.p + 1, *right = left + (size_t)n * width, *symbol = right + (size_t)n * width;
  memset(c->tree.p, 0, size);
  c->tree.size = size;
  uint32_t next = 0;
  size_t top = 0;
  stack[top++] = (place){n - 1, 0, 0, 0, 0};
  while (top > 0) {
    const place at = stack[--top];
    const uint32_t i = next++;
    if (i > 0) {
      uint8_t *child = (at.right ? right : left) + (size_t)at.parent * width;
      for (unsigned j = 0; j < width; j++) child[j] = (uint8_t)(i >> 8 * j);
    }
    const sz_node *node = &nodes[at.node];
    if (node->left == at.node) {
      for (unsigned j = 0; j < 4; j++) symbol[4 * (size_t)i + j] = (uint8_t)(node->right >> 8 * j);
      symbol[4 * (size_t)n + i] = 1;
      c->code[node->right] = at.code, c->length[node->right] = at.depth;
      c->bits += node->weight * at.depth;
      if (at.depth > c->longest) c->longest = at.depth;
    } else {
      if (at.depth == 56) goto failed; /* needs more elements than there are */
      stack[top++] = (place){node->right, i, 1, (uint8_t)(at.depth + 1), at.code << 1 | 1};
      stack[top++] = (place){node->left, i, 0, (uint8_t)(at.depth + 1), at.code << 1};
    }
  }
  free(weights), free(nodes), free(stack);
  return 1;
failed:
  free(weights), free(nodes), free(stack);
  free_coder(c);
  return 0;
}

static void put_types(sz_bytes *b, const sz_coder *c, const uint32_t *types, uint64_t count) {
  uint8_t *p = grow(b, (size_t)((c->bits + 7) / 8));
  if (!p) return;
  uint64_t pending = 0;
  unsigned have = 0;
  for (uint64_t i = 0; i < count; i++) {
    const unsigned length = c->length[types[i]];
    pending = pending << length | c->code[types[i]], have += length;
    while (have >= 8) have -= 8, *p++ = (uint8_t)(pending >> have);
  }
  if (have > 0) *p = (uint8_t)(pending << (8 - have));
  b->size += (size_t)((c->bits + 7) / 8);
}

/* The radius that makes the fewest bits of types made with `radius`, whose element by itself takes `exact_bits`. Rare
 * steps cost more in the tree than elements by themselves. -1: out of memory. */
static int32_t best_radius(const uint32_t *types, uint64_t count, int32_t radius, unsigned exact_bits) {
  enum { TREE_BITS = 48 };
  if (radius != MOST_RADIUS) return radius;
  uint64_t *times = calloc(2 * MOST_RADIUS, sizeof *times);
  if (!times) return -1;
  for (uint64_t i = 0; i < count; i++) times[types[i]]++;
  uint64_t exact = count;
  double bits = 0, least = -1;
  int32_t best = radius;
  for (int32_t step = 0, next = LEAST_RADIUS; step < MOST_RADIUS; step++) {
    for (int sign = 0; sign < (step > 0 ? 2 : 1); sign++) {
      const uint64_t n = times[MOST_RADIUS + (sign ? -step : step)];
      if (n > 0) bits += (double)n * sz_log2_rough((double)count / (double)n) + TREE_BITS, exact -= n;
    }
    if (step + 1 == next) {
      const double all = bits + (exact > 0 ? (double)exact * (exact_bits + sz_log2_rough((double)count / (double)exact)) + TREE_BITS : 0);
      if (least < 0 || all < least) least = all, best = next;
      next *= 2;
    }
  }
  free(times);
  return best;
}

/* ---- elements by themselves --------------------------------------------------------------------------------------- */

typedef struct sz_exacts {
  sz_bytes lead, middle, rest;
  uint64_t count, rest_bits, last;
  int failed;
} sz_exacts;

static void clear_exacts(sz_exacts *e) {
  e->lead.size = e->middle.size = e->rest.size = 0;
  e->count = e->rest_bits = e->last = 0;
}
static void free_exacts(sz_exacts *e) { free(e->lead.p), free(e->middle.p), free(e->rest.p); }

/* The first `bits` of an element's, which stand on top of x; what is kept of them. */
static uint64_t put_exact(sz_exacts *e, uint64_t x, unsigned bits) {
  x &= bits < 64 ? ~(UINT64_MAX >> bits) : UINT64_MAX;
  unsigned same = 0;
  while (same < 3 && (x ^ e->last) >> (56 - 8 * same) == 0) same++;
  if (e->count % 4 == 0) put_u8(&e->lead, 0);
  if (e->lead.size > 0) e->lead.p[e->lead.size - 1] |= (uint8_t)(same << (6 - 2 * (e->count % 4)));
  for (unsigned i = same; i < bits / 8; i++) put_u8(&e->middle, (uint8_t)(x >> (56 - 8 * i)));
  for (unsigned i = bits / 8 * 8; i < bits; i++, e->rest_bits++) {
    if (e->rest_bits % 8 == 0) put_u8(&e->rest, 0);
    if (e->rest.size > 0) e->rest.p[e->rest.size - 1] |= (uint8_t)((x >> (63 - i) & 1) << (7 - e->rest_bits % 8));
  }
  e->count++, e->last = x;
  e->failed |= e->lead.failed | e->middle.failed | e->rest.failed;
  return x;
}
static void put_exacts(sz_bytes *b, const sz_exacts *e) {
  put(b, e->lead.p, e->lead.size), put(b, e->middle.p, e->middle.size), put(b, e->rest.p, e->rest.size);
}

/* ---- bounds -------------------------------------------------------------------------------------------------------- */

static int within(double x, double y, double limit) { return __builtin_fabs(x - y) <= limit; }

static double bound_of(const uint32_t *bounds, unsigned index) {
  const uint64_t bits = (uint64_t)bounds[1 + 2 * index] << 32 | bounds[2 + 2 * index];
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* Largest error for a chunk whose values span `span`. For PSNR, SZ supposes errors to be spread evenly; where they turn
 * out not to be, a second attempt takes the bound that is sure. Negative or NaN: no bound. */
static double limit_of(const uint32_t *bounds, double span, int attempt) {
  const double absolute = bound_of(bounds, 0), range = bound_of(bounds, 1) * span;
  switch (bounds[0]) {
    case SZ_ABS: return absolute;
    case SZ_REL: return range;
    case SZ_ABS_AND_REL: return absolute < range ? absolute : range;
    case SZ_ABS_OR_REL: return absolute > range ? absolute : range;
    case SZ_PSNR: {
      const double psnr = bound_of(bounds, 3);
      if (!(psnr >= 0)) return -1;
      return span * sz_exp2(psnr / -20 * 3.3219280948873623) * (attempt == 0 ? 1.7149858514250884 : 0.999999999);
    }
    case SZ_NORM: return 0; /* the cd_values have no place for it; SZ then takes 0, too */
    case SZ_PW_REL: return bound_of(bounds, 2);
    default: return -1;
  }
}

typedef struct sz_range {
  double least, most, smallest; /* smallest: of the magnitudes but 0; 0 if there is none */
  int known, zeros, negative;
} sz_range;

typedef float sz_f32 __attribute__((aligned(1)));
typedef double sz_f64 __attribute__((aligned(1)));

#define REAL float
#define REAL_IS_FLOAT
#define STORED sz_f32
#define BITS uint32_t
#define REAL_MOST FLT_MAX
#define REAL_LEAST FLT_MIN
#define REAL_HEAD 9 /* sign and exponent */
#define NAME(x) x##_float
#include "encode.h"
#undef REAL
#undef REAL_IS_FLOAT
#undef STORED
#undef BITS
#undef REAL_MOST
#undef REAL_LEAST
#undef REAL_HEAD
#undef NAME
#define REAL double
#define STORED sz_f64
#define BITS uint64_t
#define REAL_MOST DBL_MAX
#define REAL_LEAST DBL_MIN
#define REAL_HEAD 12
#define NAME(x) x##_double
#include "encode.h"
#undef STORED

#define ELEMENT u8
#define TYPE uint8_t
#define VALUE int32_t
#define WRAPPED int32_t
#define UNSIGNED uint8_t
#define TYPE_LEAST 0
#define TYPE_MOST UINT8_MAX
#include "encode_integers.h"
#define ELEMENT i8
#define TYPE int8_t
#define VALUE int32_t
#define WRAPPED int32_t
#define UNSIGNED uint8_t
#define TYPE_LEAST INT8_MIN
#define TYPE_MOST INT8_MAX
#include "encode_integers.h"
#define ELEMENT u16
#define TYPE uint16_t
#define VALUE int32_t
#define WRAPPED int32_t
#define UNSIGNED uint16_t
#define TYPE_LEAST 0
#define TYPE_MOST UINT16_MAX
#include "encode_integers.h"
#define ELEMENT i16
#define TYPE int16_t
#define VALUE int32_t
#define WRAPPED int32_t
#define UNSIGNED uint16_t
#define TYPE_LEAST INT16_MIN
#define TYPE_MOST INT16_MAX
#include "encode_integers.h"
#define ELEMENT u32
#define TYPE uint32_t
#define VALUE uint32_t
#define WRAPPED uint32_t
#define UNSIGNED uint32_t
#define TYPE_LEAST 0
#define TYPE_MOST UINT32_MAX
#include "encode_integers.h"
#define ELEMENT i32
#define TYPE int32_t
#define VALUE int32_t
#define WRAPPED uint32_t
#define UNSIGNED uint32_t
#define TYPE_LEAST INT32_MIN
#define TYPE_MOST INT32_MAX
#include "encode_integers.h"
#define ELEMENT u64
#define TYPE uint64_t
#define VALUE uint64_t
#define WRAPPED uint64_t
#define UNSIGNED uint64_t
#define TYPE_LEAST 0
#define TYPE_MOST 0x1p64
#include "encode_integers.h"
#define ELEMENT i64
#define TYPE int64_t
#define VALUE int64_t
#define WRAPPED uint64_t
#define UNSIGNED uint64_t
#define TYPE_LEAST (-0x1p63)
#define TYPE_MOST 0x1p63
#include "encode_integers.h"

/* ---- streams -------------------------------------------------------------------------------------------------------- */

static void put_parameters(sz_bytes *b, const sz_shape *shape, const sz_range *range, int compressed) {
  const uint32_t mode = shape->bounds[0] == SZ_PSNR || shape->bounds[0] == SZ_NORM ? SZ_ABS : shape->bounds[0];
  put_u8(b, 0x40 | (compressed ? 0x04 : 0)); /* intervals were optimised; szMode */
  put_u8(b, 0), put_u8(b, 100);              /* samples, and the share that should be predictable: SZ's defaults */
  put_u8(b, 9900 >> 8), put_u8(b, 9900 & 255);
  put_u8(b, (uint8_t)(mode << 4 | (shape->type & 0x17)));
  const int has_absolute = mode == SZ_ABS || mode == SZ_ABS_AND_REL || mode == SZ_ABS_OR_REL;
  put_f32(b, has_absolute ? (float)bound_of(shape->bounds, 0) : 0);
  put_f32(b, mode == SZ_PW_REL ? (float)bound_of(shape->bounds, 2) : mode != SZ_ABS ? (float)bound_of(shape->bounds, 1) : 0);
  put_u8(b, SZ_ALGORITHM), put_u8(b, 0);
  put_u32(b, 2 * MOST_RADIUS);
  if (shape->type == SZ_DOUBLE) put_f64(b, range->least), put_f64(b, range->most);
  else if (shape->type == SZ_FLOAT) put_f32(b, (float)range->least), put_f32(b, (float)range->most);
  else put_zeros(b, 8);
}

/* flags, and with LOSSLESS the elements for a body. */
static void put_stream(sz_bytes *b, const sz_shape *shape, const sz_range *range, int compressed, unsigned flags,
                       unsigned exact_bytes, const uint8_t *body, size_t size) {
  const size_t element = sz_size_of(shape->type);
  b->size = 0;
  put_u8(b, 2), put_u8(b, 1), put_u8(b, 12), put_u8(b, (uint8_t)(flags | SZ_FLAG_SIZE_8));
  put_parameters(b, shape, range, compressed);
  if (shape->type > SZ_DOUBLE && !(flags & (SZ_FLAG_SAME | SZ_FLAG_LOSSLESS))) put_u8(b, (uint8_t)exact_bytes);
  put_u64(b, shape->count);
  if (!(flags & SZ_FLAG_LOSSLESS)) {
    put(b, body, size);
    return;
  }
  uint8_t *p = grow(b, size);
  if (!p) return;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  memcpy(p, body, size);
#else
  for (size_t i = 0; i < size; i++) p[i] = body[i - i % element + (element - 1 - i % element)];
#endif
  b->size += size;
}

/* Compresses the stream where that helps and SZ's reader copes. It
 *   - takes whatever is as long as a stream of one value for one,
 *   - gives zstd no more room than 4 bytes an element, or a million (float64: 8 bytes),
 *   - frees a bare stream that says it was compressed, and 20 elements nobody can read but bare (see sz_decode). */
static int64_t finish(sz_bytes *stream, const sz_shape *shape, const sz_range *range, unsigned flags, unsigned exact_bytes,
                      const uint8_t *body, size_t size, uint8_t *out, size_t cap) {
  static const uint8_t skippable[8] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}; /* an empty frame */
  const size_t element = sz_size_of(shape->type), meta = sz_meta_of(shape->type);
  const uint64_t per_element = shape->type == SZ_DOUBLE ? 8 : 4;
  const uint64_t readable = (shape->count * per_element > 1000000 ? shape->count * per_element : 1000000) + 4 + meta + 8;
  put_stream(stream, shape, range, 1, flags, exact_bytes, body, size);
  if (stream->failed) return H5Z_E_MEMORY;
  if (!(flags & SZ_FLAG_SAME) && shape->count > SZ_LEAST && stream->size <= readable) {
    const size_t room = ZSTD_compressBound(stream->size);
    uint8_t *packed = malloc(room + sizeof skippable);
    if (!packed) return H5Z_E_MEMORY;
    size_t n = ZSTD_compress(packed, room, stream->p, stream->size, ZSTD_LEVEL);
    if (!ZSTD_isError(n) && (n == 4 + element + 4 + meta || n == 4 + element + 8 + meta)) {
      memcpy(packed + n, skippable, sizeof skippable);
      n += sizeof skippable;
    }
    if (!ZSTD_isError(n) && n < stream->size) {
      if (n <= cap) memcpy(out, packed, n);
      free(packed);
      return n <= cap ? (int64_t)n : H5Z_E_OUTPUT;
    }
    free(packed);
  }
  put_stream(stream, shape, range, 0, flags, exact_bytes, body, size);
  if (stream->size > cap) return H5Z_E_OUTPUT;
  memcpy(out, stream->p, stream->size);
  return (int64_t)stream->size;
}

int64_t sz_compress_bound(const sz_shape *shape) { return (int64_t)shape->size + 64; }

int64_t sz_compress(const sz_shape *shape, const uint8_t *in, uint8_t *out, size_t cap) {
  sz_bytes body = {0}, stream = {0};
  sz_range range = {0};
  int64_t status = H5Z_E_NOT_APPLICABLE;
  if (shape->bounds[0] == SZ_PW_REL && shape->type > SZ_DOUBLE) return H5Z_E_NOT_APPLICABLE;
  if (!(limit_of(shape->bounds, 1, 0) >= 0)) return H5Z_E_PARAM;
  switch (shape->type) {
    case SZ_FLOAT: status = encode_float(&body, shape, (const sz_f32 *)(const void *)in, &range); break;
    case SZ_DOUBLE: status = encode_double(&body, shape, (const sz_f64 *)(const void *)in, &range); break;
    case SZ_UINT8: status = encode_u8(&body, shape, in); break;
    case SZ_INT8: status = encode_i8(&body, shape, in); break;
    case SZ_UINT16: status = encode_u16(&body, shape, in); break;
    case SZ_INT16: status = encode_i16(&body, shape, in); break;
    case SZ_UINT32: status = encode_u32(&body, shape, in); break;
    case SZ_INT32: status = encode_i32(&body, shape, in); break;
    case SZ_UINT64: status = encode_u64(&body, shape, in); break;
    default: status = encode_i64(&body, shape, in); break;
  }
  if (status >= 0 && (body.size >= shape->size || (shape->count == SZ_LEAST && !(status & SZ_FLAG_SAME)))) status = H5Z_E_NOT_APPLICABLE;
  if (status == H5Z_E_NOT_APPLICABLE) {
    status = finish(&stream, shape, &range, SZ_FLAG_LOSSLESS, 0, in, (size_t)shape->size, out, cap);
  } else if (status >= 0) {
    status = finish(&stream, shape, &range, (unsigned)status & 0xff, (unsigned)(status >> 8), body.p, body.size, out, cap);
  }
  free(body.p);
  free(stream.p);
  return status;
}

#endif
