/* Decoder of SZ 2.1 streams (2.1.8 to 2.1.12), written from the format. A chunk is one stream, in a zstd frame, in zlib's
 * format, or bare; bare streams of one value are not compressed. A stream, numbers big-endian unless said otherwise:
 *
 *     0        3       4              4 + M      [floats: 4 + M]
 *     +--------+-------+--------------+----------+--------------+-------
 *     | 2 1 12 | flags | M bytes of   | integers | size: number | what flags say:
 *     | version|       | parameters   | only, not| of elements  |   SAME      one value
 *     |        |       | (28; float64 | SAME nor | (4 or 8      |   LOSSLESS  the elements, big-endian
 *     |        |       | 36)          | LOSSLESS:| bytes)       |   BLOCKS    blocks.h
 *     +--------+-------+--------------+ u8 bytes +--------------+   else      a sequence
 *                                     | of an    |
 *                                     | exact one|
 *
 * A sequence of floats (R: 4 or 8 bytes) and of integers:
 *
 *     u32 limit | [PW_REL: u8, size, u32 n] | u32 radius x 2 | R median | u8 bits | [fast PW_REL: u8 plus, u8] |
 *     f64 precision | size of types | size: exact elements | size of middles | [PW_REL: R threshold] |
 *     types: u32 nodes, u32, tree, bits | n bytes, zstd: signs | 2 bits an exact element | middles | remaining bits
 *
 *     u32 limit | u32 radius x 2 | i64 least | f64 precision | size of types | size: exact elements | size of exact |
 *     types | exact elements - least, their top bytes
 *
 * An exact float has `bits` bits, its first 0 to 3 bytes as those of the exact one before (the 2 bits), whole bytes in
 * the middles, the rest in the remaining bits; the median is added to it.
 */
#include "sz.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* Bytes yet to read. Reading past the end gives zeros and sets `bad`. */
typedef struct sz_cursor {
  const uint8_t *p, *end;
  int bad;
} sz_cursor;

static const uint8_t *take(sz_cursor *c, uint64_t size) {
  static const uint8_t zeros[16];
  if (size > (uint64_t)(c->end - c->p)) {
    c->bad = 1;
    c->p = c->end;
    return size <= sizeof zeros ? zeros : c->p;
  }
  const uint8_t *p = c->p;
  c->p += size;
  return p;
}
static uint64_t take_u8(sz_cursor *c) { return *take(c, 1); }
static uint64_t take_u32(sz_cursor *c) { return h5z_get_u32be(take(c, 4)); }
static uint64_t take_u64(sz_cursor *c) { return h5z_get_u64be(take(c, 8)); }
static uint64_t take_size(sz_cursor *c, unsigned bytes) { return bytes == 8 ? take_u64(c) : take_u32(c); }
static double take_f64(sz_cursor *c) {
  const uint64_t bits = take_u64(c);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static float take_f32(sz_cursor *c) {
  const uint32_t bits = (uint32_t)take_u32(c);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static sz_cursor take_cursor(sz_cursor *c, uint64_t size) {
  const uint8_t *p = take(c, size);
  return (sz_cursor){p, c->bad ? p : p + size, c->bad};
}
static uint64_t native_size(const uint8_t *p, unsigned bytes, int big) {
  uint64_t size = 0;
  for (unsigned i = 0; i < bytes; i++) size |= (uint64_t)p[i] << 8 * (big ? bytes - 1 - i : i);
  return size;
}

/* `dim` elements in blocks of about `side`: the first dim % blocks of them are one element longer. */
static uint64_t blocks_along(uint64_t dim, uint64_t side) { return dim <= side ? 1 : dim / side; }
static void block_of(uint64_t dim, uint64_t blocks, uint64_t i, uint64_t *at, uint64_t *size) {
  const uint64_t longer = dim % blocks, least = dim / blocks;
  *size = least + (i < longer), *at = i * least + (i < longer ? i : longer);
}

/* ---- floats -------------------------------------------------------------------------------------------------- */

/* Exact elements of a sequence, as bits at the top of 64. */
typedef struct sz_exact {
  const uint8_t *lead, *middle, *middle_end, *rest;
  uint64_t next, count, bit, rest_bits; /* elements; bits of `rest` */
  unsigned bytes, bits;                 /* whole bytes, bits behind them */
  uint64_t last;
  int bad;
} sz_exact;

static uint64_t next_exact(sz_exact *e) {
  if (e->next == e->count) {
    e->bad = 1;
    return 0;
  }
  const unsigned same = e->lead[e->next >> 2] >> (6 - 2 * (e->next & 3)) & 3;
  e->next++;
  uint64_t x = e->last & ~(UINT64_MAX >> 8 * same);
  if (same < e->bytes) {
    const unsigned n = e->bytes - same;
    if (n > (size_t)(e->middle_end - e->middle)) {
      e->bad = 1;
      return 0;
    }
    for (unsigned i = 0; i < n; i++) x |= (uint64_t)e->middle[i] << (56 - 8 * (same + i));
    e->middle += n;
  }
  if (e->bits != 0) {
    if (e->bits > e->rest_bits - e->bit) {
      e->bad = 1;
      return 0;
    }
    const uint8_t *p = e->rest + (e->bit >> 3);
    const unsigned shift = (unsigned)(e->bit & 7);
    unsigned two = (unsigned)p[0] << 8;
    if (shift + e->bits > 8) two |= p[1];
    const uint64_t byte = two >> (8 - shift) & 0xff & (0xff00u >> e->bits);
    const unsigned place = 56 - 8 * e->bytes;
    x = (x & ~((uint64_t)0xff << place)) | byte << place;
    e->bit += e->bits;
  }
  e->last = x;
  return x;
}

/* What the walks over sequences of floats need. */
typedef struct sz_floats {
  sz_source types;
  sz_exact exact;
  double precision, median;
  int32_t radius;
  const double *factors; /* PW_REL, fast: by the number that stands for a type, from 1 */
} sz_floats;

static inline float exact_float(sz_floats *s) {
  const uint32_t bits = (uint32_t)(next_exact(&s->exact) >> 32);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x + (float)s->median;
}
static inline double exact_double(sz_floats *s) {
  const uint64_t bits = next_exact(&s->exact);
  double x;
  memcpy(&x, &bits, sizeof x);
  return x + s->median;
}
static inline int32_t step_of(const sz_floats *s, uint32_t t) { return 2 * ((int32_t)t - s->radius); }

/* The next element, from its prediction by sums of neighbours... */
static inline float next_float(sz_floats *s, float prediction) {
  const uint32_t t = sz_next(&s->types);
  return t != 0 ? prediction + (float)step_of(s, t) * (float)s->precision : exact_float(s);
}
static inline float next_float_4(sz_floats *s, float prediction) { /* in four dimensions the precision is a double */
  const uint32_t t = sz_next(&s->types);
  return t != 0 ? (float)((double)prediction + step_of(s, t) * s->precision) : exact_float(s);
}
static inline double next_double(sz_floats *s, double prediction) {
  const uint32_t t = sz_next(&s->types);
  return t != 0 ? prediction + step_of(s, t) * s->precision : exact_double(s);
}
/* ... and by products. */
static inline float next_float_factor(sz_floats *s, float prediction) {
  const uint32_t t = sz_next(&s->types);
  return t != 0 ? (float)(__builtin_fabs(prediction) * s->factors[t]) : exact_float(s);
}
static inline double next_double_factor(sz_floats *s, double prediction) {
  const uint32_t t = sz_next(&s->types);
  return t != 0 ? __builtin_fabs(prediction) * s->factors[t] : exact_double(s);
}

typedef float sz_f32 __attribute__((aligned(1)));
typedef double sz_f64 __attribute__((aligned(1)));

#define STATE sz_floats
#define STOP() (state->types.bad)
#define STORED sz_f32
#define VALUE float
#define FIRST() ((void)sz_next(&state->types), exact_float(state))

#define WALK walk_float
#define NEXT(prediction) next_float(state, prediction)
#include "sums.h"
#include "sequence.h"
#define WALK walk_float_4
#define NEXT(prediction) next_float_4(state, prediction)
#include "sums.h"
#include "sequence.h"
#define WALK walk_float_factors_2
#define NEXT(prediction) next_float_factor(state, prediction)
#include "products.h"
#include "sequence.h"
#define WALK walk_float_factors
#define NEXT(prediction) next_float_factor(state, prediction)
#define IN_DOUBLE
#include "products.h"
#include "sequence.h"

#undef STORED
#undef VALUE
#undef FIRST
#define STORED sz_f64
#define VALUE double
#define FIRST() ((void)sz_next(&state->types), exact_double(state))

#define WALK walk_double
#define NEXT(prediction) next_double(state, prediction)
#include "sums.h"
#include "sequence.h"
#define WALK walk_double_factors
#define NEXT(prediction) next_double_factor(state, prediction)
#include "products.h"
#include "sequence.h"
#undef STATE
#undef STORED
#undef VALUE
#undef FIRST

#define STORED sz_f32
#define REAL float
#define BITS uint32_t
#define SWAP __builtin_bswap32
#define NAME(x) x##_float
#include "blocks.h"
#undef STORED
#undef REAL
#undef BITS
#undef SWAP
#undef NAME
#define STORED sz_f64
#define REAL double
#define BITS uint64_t
#define SWAP __builtin_bswap64
#define NAME(x) x##_double
#include "blocks.h"
#undef STORED
#undef REAL
#undef BITS
#undef SWAP
#undef NAME

/* In one dimension every element is predicted by the one before. */
static void line_of_floats(sz_floats *s, int fast, sz_f32 *out, uint64_t count) {
  const float interval = (float)(s->precision * 2);
  float a = 0;
  for (uint64_t i = 0; i < count && !s->types.bad; i++) {
    const uint32_t t = sz_next(&s->types);
    if (t == 0) a = exact_float(s);
    else if (fast) a = (float)(__builtin_fabs(a) * s->factors[t]);
    else a = a + (float)((int32_t)t - s->radius) * interval;
    out[i] = a;
  }
}
static void line_of_doubles(sz_floats *s, int fast, sz_f64 *out, uint64_t count) {
  const double interval = s->precision * 2;
  double a = 0;
  for (uint64_t i = 0; i < count && !s->types.bad; i++) {
    const uint32_t t = sz_next(&s->types);
    if (t == 0) a = exact_double(s);
    else if (fast) a = __builtin_fabs(a) * s->factors[t];
    else a = a + ((int32_t)t - s->radius) * interval;
    out[i] = a;
  }
}

/* The factor of each type that the tree knows; the tree's symbols become their numbers, from 1. NULL: out of memory. */
static double *factors_of(sz_tree *tree, uint64_t intervals, double precision, unsigned plus, int64_t *status) {
  double *factors = malloc(((size_t)tree->count + 1) * sizeof *factors);
  *status = H5Z_E_MEMORY;
  if (!factors) return NULL;
  *status = H5Z_E_CORRUPT;
  const double base = 1 + precision;
  double width = 2;
  if (plus < 64) width -= 1.0 / (double)((uint64_t)1 << plus);
  uint32_t known = 0;
  if (base > 0 && base <= 0x1p1000) {
    const sz_dd log = sz_log2_dd(base);
    int sure;
    *status = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
      uint32_t *node = tree->node[i];
      if (node[0] != 0 || node[1] == 0) continue;
      if (node[1] >= intervals) *status = H5Z_E_CORRUPT;
      factors[++known] = sz_power(log, width * ((int32_t)node[1] - (int32_t)(intervals / 2)), &sure);
      node[1] = known;
    }
  }
  return factors;
}

static int64_t decode_floats(sz_cursor in, const sz_shape *shape, unsigned flags, unsigned size_bytes, int transposed, uint8_t *out) {
  const int wide = shape->type == SZ_DOUBLE, relative = (flags & SZ_FLAG_PW_REL) != 0, fast = relative && flags & SZ_FLAG_FAST_PW;
  sz_floats s;
  memset(&s, 0, sizeof s);
  uint64_t sign_bytes = 0;
  (void)take_u32(&in);
  if (relative) {
    (void)take_u8(&in), (void)take_size(&in, size_bytes);
    sign_bytes = take_u32(&in);
  }
  const uint64_t intervals = take_u32(&in);
  s.median = wide ? take_f64(&in) : take_f32(&in);
  if (fast) s.median = -0.0; /* it is not added */
  const uint64_t bits = take_u8(&in);
  const unsigned plus = fast ? (unsigned)take_u8(&in) : 0;
  if (fast) (void)take_u8(&in);
  s.precision = take_f64(&in);
  const uint64_t type_bytes = take_size(&in, size_bytes), exact = take_size(&in, size_bytes), middles = take_size(&in, size_bytes);
  const double threshold = !relative ? 0 : wide ? take_f64(&in) : take_f32(&in);
  sz_cursor types_in = take_cursor(&in, type_bytes);
  const sz_cursor signs_in = take_cursor(&in, sign_bytes);
  s.exact.count = exact;
  s.exact.lead = take(&in, exact / 4 + (exact % 4 != 0));
  s.exact.middle = take(&in, middles), s.exact.middle_end = in.p;
  s.exact.rest = in.p, s.exact.rest_bits = (uint64_t)(in.end - in.p) * 8;
  s.exact.bytes = (unsigned)bits / 8, s.exact.bits = bits % 8;
  const uint64_t nodes = take_u32(&types_in);
  (void)take_u32(&types_in);
  if (in.bad || types_in.bad || intervals >= SZ_MOST_TYPES || bits > 8 * (wide ? 8 : 4)) return H5Z_E_CORRUPT;
  s.radius = (int32_t)(intervals / 2);

  sz_tree tree;
  double *factors = NULL;
  uint8_t *signs = NULL;
  int64_t status = sz_tree_read(&tree, types_in.p, (size_t)(types_in.end - types_in.p), (uint32_t)nodes, shape->count);
  if (status < 0) goto done;
  sz_source_start(&s.types, &tree, types_in.p + status, types_in.end, shape->count);
  if (fast) {
    s.factors = factors = factors_of(&tree, intervals, s.precision, plus, &status);
    if (status < 0) goto done;
  }

  /* Relative bounds and blocks know no fourth dimension. */
  uint64_t cubes = 1, d1 = 1, d2 = 1, d3 = shape->dim[shape->rank - 1];
  const unsigned rank = transposed ? 1 : shape->rank;
  if (rank >= 2) d2 = shape->dim[shape->rank - 2];
  if (rank >= 3) d1 = shape->dim[shape->rank - 3];
  if (rank == 4) {
    if (relative) d1 *= shape->dim[0];
    else cubes = shape->dim[0];
  }
  sz_f32 *f32 = (sz_f32 *)(void *)out;
  sz_f64 *f64 = (sz_f64 *)(void *)out;
  if (rank == 1 && wide) line_of_doubles(&s, fast, f64, shape->count);
  else if (rank == 1) line_of_floats(&s, fast, f32, shape->count);
  else if (wide && fast) walk_double_factors(&s, f64, cubes, d1, d2, d3);
  else if (wide) walk_double(&s, f64, cubes, d1, d2, d3);
  else if (fast && rank == 2) walk_float_factors_2(&s, f32, cubes, d1, d2, d3);
  else if (fast) walk_float_factors(&s, f32, cubes, d1, d2, d3);
  else if (cubes > 1) walk_float_4(&s, f32, cubes, d1, d2, d3);
  else walk_float(&s, f32, cubes, d1, d2, d3);
  status = s.types.bad || s.exact.bad ? H5Z_E_CORRUPT : 0;
  if (!relative || status < 0) goto done;

  /* Bounds relative to each element: signs are kept apart, and what is below the threshold was 0. */
  if (sign_bytes > 0) {
    signs = malloc((size_t)shape->count);
    status = signs ? 0 : H5Z_E_MEMORY;
    if (status < 0) goto done;
    const size_t n = ZSTD_decompress(signs, (size_t)shape->count, signs_in.p, (size_t)sign_bytes);
    if (n != shape->count) status = H5Z_E_CORRUPT; /* an error is larger than any count */
    if (status < 0) goto done;
  }
  for (uint64_t i = 0; i < shape->count; i++) {
    double x = wide ? f64[i] : f32[i];
    const int negative = signs && signs[i] != 0;
    if (fast) {
      if (x < threshold && (x >= 0 || !signs)) x = 0;
      else if (negative) x = __builtin_copysign(x, -1);
    } else {
      x = x < threshold ? 0 : sz_exp2(x);
      if (negative) x = -x;
    }
    if (wide) f64[i] = x;
    else f32[i] = (float)x;
  }

done:
  free(signs);
  free(factors);
  sz_tree_free(&tree);
  return status;
}

/* ---- integers ------------------------------------------------------------------------------------------------ */

typedef struct sz_integers {
  sz_source types;
  const uint8_t *exact, *exact_end;
  unsigned bytes, shift; /* of an exact element; how far it stands above its place */
  uint64_t least;
  double precision;
  int32_t radius;
  int bad;
} sz_integers;

static inline uint64_t exact_integer(sz_integers *s, unsigned size) {
  if ((size_t)(s->exact_end - s->exact) < s->bytes) {
    s->bad = 1;
    return 0;
  }
  uint64_t x = 0;
  for (unsigned i = 0; i < s->bytes; i++) x |= (uint64_t)s->exact[i] << 8 * (size - 1 - i);
  s->exact += s->bytes;
  return (x >> s->shift) + s->least;
}

/* Predictions of small integers are exact, those of large ones wrap around. */
#define STATE sz_integers
#define STOP() (state->types.bad)
#define FIRST() ((void)sz_next(&state->types), (VALUE)(TYPE)exact_integer(state, sizeof(TYPE)))
#define ELEMENT u8
#define TYPE uint8_t
#define VALUE int32_t
#define WRAPPED int32_t
#include "integers.h"
#define ELEMENT i8
#define TYPE int8_t
#define VALUE int32_t
#define WRAPPED int32_t
#include "integers.h"
#define ELEMENT u16
#define TYPE uint16_t
#define VALUE int32_t
#define WRAPPED int32_t
#include "integers.h"
#define ELEMENT i16
#define TYPE int16_t
#define VALUE int32_t
#define WRAPPED int32_t
#include "integers.h"
#define ELEMENT u32
#define TYPE uint32_t
#define VALUE uint32_t
#define WRAPPED uint32_t
#include "integers.h"
#define ELEMENT i32
#define TYPE int32_t
#define VALUE int32_t
#define WRAPPED uint32_t
#include "integers.h"
#define ELEMENT u64
#define TYPE uint64_t
#define VALUE uint64_t
#define WRAPPED uint64_t
#include "integers.h"
#define ELEMENT i64
#define TYPE int64_t
#define VALUE int64_t
#define WRAPPED uint64_t
#include "integers.h"
#undef STATE
#undef STOP
#undef FIRST

static int64_t decode_integers(sz_cursor in, const sz_shape *shape, unsigned bytes, unsigned size_bytes, int transposed, uint8_t *out) {
  const unsigned size = (unsigned)sz_size_of(shape->type);
  sz_integers s;
  memset(&s, 0, sizeof s);
  s.bytes = bytes, s.shift = 8 * (size - bytes);
  (void)take_u32(&in);
  const uint64_t intervals = take_u32(&in);
  s.least = take_u64(&in), s.precision = take_f64(&in);
  const uint64_t type_bytes = take_size(&in, size_bytes);
  (void)take_size(&in, size_bytes);
  const uint64_t exact_bytes = take_size(&in, size_bytes);
  sz_cursor types_in = take_cursor(&in, type_bytes);
  s.exact = take(&in, exact_bytes), s.exact_end = in.p;
  const uint64_t nodes = take_u32(&types_in);
  (void)take_u32(&types_in);
  if (in.bad || types_in.bad || intervals >= SZ_MOST_TYPES || bytes == 0 || bytes > size) return H5Z_E_CORRUPT;
  s.radius = (int32_t)(intervals / 2);

  sz_tree tree;
  int64_t status = sz_tree_read(&tree, types_in.p, (size_t)(types_in.end - types_in.p), (uint32_t)nodes, shape->count);
  if (status < 0) goto done;
  sz_source_start(&s.types, &tree, types_in.p + status, types_in.end, shape->count);
  uint64_t cubes = 1, d1 = 1, d2 = 1, d3 = shape->dim[shape->rank - 1];
  const unsigned rank = transposed && size == 2 ? 1 : shape->rank;
  if (rank >= 2) d2 = shape->dim[shape->rank - 2];
  if (rank >= 3) d1 = shape->dim[shape->rank - 3];
  if (rank == 4) cubes = shape->dim[0];
#define DECODE(name)                                                                           \
  do {                                                                                         \
    if (rank == 1) line_of_##name(&s, (sz_##name *)(void *)out, shape->count);         \
    else walk_##name(&s, (sz_##name *)(void *)out, cubes, d1, d2, d3);                 \
  } while (0)
  switch (shape->type) {
    case SZ_UINT8: DECODE(u8); break;
    case SZ_INT8: DECODE(i8); break;
    case SZ_UINT16: DECODE(u16); break;
    case SZ_INT16: DECODE(i16); break;
    case SZ_UINT32: DECODE(u32); break;
    case SZ_INT32: DECODE(i32); break;
    case SZ_UINT64: DECODE(u64); break;
    default: DECODE(i64); break;
  }
  status = s.types.bad || s.bad ? H5Z_E_CORRUPT : 0;
done:
  sz_tree_free(&tree);
  return status;
}

/* ---- streams -------------------------------------------------------------------------------------------------- */

/* `count` big-endian elements to this machine's; all the same if `step` is 0. */
static inline void copy_sized(const uint8_t *in, size_t step, uint8_t *out, uint64_t count, size_t size) {
  uint8_t one[8];
  for (uint64_t i = 0; i < count; i++) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    memcpy(one, in + i * step, size);
#else
    for (size_t j = 0; j < size; j++) one[j] = in[i * step + size - 1 - j];
#endif
    memcpy(out + i * size, one, size);
  }
}

static void copy_elements(const uint8_t *in, size_t step, uint8_t *out, uint64_t count, size_t size) {
#define SIZED(n) \
  case n: step == 0 ? copy_sized(in, 0, out, count, n) : copy_sized(in, n, out, count, n); return
  switch (size) {
    SIZED(1);
    SIZED(2);
    SIZED(4);
    SIZED(8);
    default: return;
  }
#undef SIZED
}

static int64_t decode_stream(const sz_shape *shape, sz_cursor in, uint8_t *out) {
  const size_t size = sz_size_of(shape->type), meta = sz_meta_of(shape->type);
  const int is_float = shape->type <= SZ_DOUBLE;
  const uint8_t *head = take(&in, 4);
  const uint8_t *parameters = take(&in, meta);
  if (in.bad) return H5Z_E_CORRUPT;
  if (!sz_reads(head)) return head[0] >= 1 && head[0] <= 3 ? H5Z_E_VERSION : H5Z_E_CORRUPT;
  const unsigned flags = head[3], size_bytes = flags & SZ_FLAG_SIZE_8 ? 8 : 4;
  const int transposed = parameters[14] == SZ_TRANSPOSE;

  const int lossless = (flags & SZ_FLAG_LOSSLESS) != 0;
  const unsigned exact_bytes = is_float || lossless || flags & SZ_FLAG_SAME ? 0 : (unsigned)take_u8(&in);
  const uint64_t count = take_size(&in, size_bytes);
  /* Lossless streams of integers in one dimension say two too many, and hold them. */
  if (in.bad || (count != shape->count && !(lossless && count - shape->count == 2))) return H5Z_E_CORRUPT;

  int64_t status = 0;
  if (lossless) {
    const uint8_t *elements = take(&in, shape->size);
    if (in.bad) return H5Z_E_CORRUPT;
    copy_elements(elements, size, out, shape->count, size);
  } else if (flags & SZ_FLAG_SAME) {
    const uint8_t *value = take(&in, size);
    if (in.bad) return H5Z_E_CORRUPT;
    copy_elements(value, 0, out, count, size);
  } else if (!is_float) {
    return decode_integers(in, shape, exact_bytes, size_bytes, transposed, out);
  } else if (flags & SZ_FLAG_BLOCKS && !transposed) {
    status = shape->type == SZ_FLOAT ? decode_blocks_float(in, shape, size_bytes, (sz_f32 *)(void *)out)
                                     : decode_blocks_double(in, shape, size_bytes, (sz_f64 *)(void *)out);
  } else {
    status = decode_floats(in, shape, flags, size_bytes, transposed, out);
  }
  if (status == 0 && is_float && flags & SZ_FLAG_PROTECT) {
    sz_cursor range = {parameters + 20, parameters + meta, 0};
    if (shape->type == SZ_FLOAT) {
      const float least = take_f32(&range), most = take_f32(&range);
      sz_f32 *x = (sz_f32 *)(void *)out;
      for (uint64_t i = 0; i < count; i++) x[i] = x[i] < least ? least : x[i] > most ? most : x[i];
    } else {
      const double least = take_f64(&range), most = take_f64(&range);
      sz_f64 *x = (sz_f64 *)(void *)out;
      for (uint64_t i = 0; i < count; i++) x[i] = x[i] < least ? least : x[i] > most ? most : x[i];
    }
  }
  return status;
}

static int is_zlib(const uint8_t *in, size_t nin) {
  return nin >= 2 && (in[0] & 0x0f) == 8 && in[0] >> 4 <= 7 && (in[0] * 256u + in[1]) % 31 == 0;
}

/* What SZ gives its lossless stage for: so much a stream may be. */
static uint64_t most_bytes(const sz_shape *shape) {
  const uint64_t least = shape->count > UINT64_MAX / 8 ? UINT64_MAX / 8 : shape->count * 4;
  const uint64_t size = shape->size > least ? shape->size : least;
  return (size < 1000000 ? 1000000 : size) + 64;
}

/* The stream in a chunk, of at most `room` bytes where it is compressed; `*owned` is what to free. */
static int64_t open_chunk(uint64_t room, const uint8_t *in, size_t nin, sz_cursor *stream, uint8_t **owned) {
  const int zstd = nin >= 4 && in[0] == 0x28 && in[1] == 0xb5 && in[2] == 0x2f && in[3] == 0xfd;
  *owned = NULL;
  *stream = (sz_cursor){in, in + nin, 0};
  if (!zstd && !is_zlib(in, nin)) return 0;

  if (zstd) {
    const unsigned long long content = ZSTD_getFrameContentSize(in, nin);
    if (content == ZSTD_CONTENTSIZE_ERROR) return H5Z_E_CORRUPT;
    if (content != ZSTD_CONTENTSIZE_UNKNOWN) {
      if (content > room) return H5Z_E_CORRUPT;
      room = content;
    }
  }
  if (room > SIZE_MAX / 2) return H5Z_E_MEMORY;
  uint8_t *bytes = *owned = malloc((size_t)room + 1);
  if (!bytes) return H5Z_E_MEMORY;
  uint64_t size;
  if (zstd) {
    const size_t n = ZSTD_decompress(bytes, (size_t)room, in, nin);
    if (ZSTD_isError(n)) return H5Z_E_CORRUPT;
    size = n;
  } else {
    uLongf n = (uLongf)room;
    if (uncompress(bytes, &n, in, (uLong)nin) != Z_OK) return H5Z_E_CORRUPT;
    size = n;
  }
  *stream = (sz_cursor){bytes, bytes + size, 0};
  return 0;
}

int64_t sz_decompress(const sz_shape *shape, const uint8_t *in, size_t nin, uint8_t *out) {
  sz_cursor stream;
  uint8_t *owned;
  int64_t status = open_chunk(most_bytes(shape), in, nin, &stream, &owned);
  if (status == 0) status = decode_stream(shape, stream, out);
  free(owned);
  return status;
}

int sz_version_of(const sz_shape *shape, const uint8_t *in, size_t nin, uint8_t version[3]) {
  const uint64_t most = most_bytes(shape), enough = 1 << 24; /* a hint is not worth more memory */
  sz_cursor stream;
  uint8_t *owned;
  const int64_t status = open_chunk(most < enough ? most : enough, in, nin, &stream, &owned);
  const int found = status == 0 && stream.end - stream.p >= 3;
  if (found) memcpy(version, stream.p, 3);
  free(owned);
  return found;
}
