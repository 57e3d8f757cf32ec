/* Encoding of floats for REAL = float or double; NAME(x) makes names, BITS holds a REAL's bits. Each of the first three
 * fills `types` and `decoded` with what a decoder will make of them, in the same order of operations. */

/* ---- blocks: one block, predicted by neighbours; `exact` gets what is unpredictable ---- */

typedef struct NAME(block) {
  const STORED *in;
  REAL *decoded, *exact;
  uint32_t *types;
  uint64_t unpredictable;
  double limit, per_step;
  REAL precision;
  int32_t radius;
} NAME(block);

static inline REAL NAME(put_element)(NAME(block) * b, uint64_t i, REAL prediction) {
  const REAL x = b->in[i];
  const double steps = ((double)x - (double)prediction) * b->per_step;
  if (steps > -b->radius + 1 && steps < b->radius - 1) { /* not NaN either */
    const int32_t n = (int32_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
    const REAL y = prediction + (REAL)(2 * n) * b->precision;
    if (within(x, y, b->limit)) {
      b->types[i] = (uint32_t)(n + b->radius);
      return y;
    }
  }
  b->types[i] = 0;
  return b->exact[b->unpredictable++] = x;
}

static void NAME(encode_block)(NAME(block) * b, uint64_t d1, uint64_t d2, uint64_t d3) {
  b->unpredictable = 0;
  uint64_t at = 0;
  for (uint64_t i = 0; i < d1; i++) {
    for (uint64_t j = 0; j < d2; j++, at += d3) {
      REAL *out = b->decoded + at, a = 0, ab = 0, ac = 0, abc = 0;
      const REAL *across = out - d3, *behind = out - d2 * d3, *both = behind - d3;
      if (i == 0 && j == 0) {
        for (uint64_t k = 0; k < d3; k++) out[k] = a = NAME(put_element)(b, at + k, a);
      } else if (i == 0 || j == 0) {
        const REAL *other = i == 0 ? across : behind;
        for (uint64_t k = 0; k < d3; k++) {
          const REAL o = other[k];
          out[k] = a = NAME(put_element)(b, at + k, a + o - ab);
          ab = o;
        }
      } else {
        for (uint64_t k = 0; k < d3; k++) {
          const REAL o = across[k], c = behind[k], bc = both[k];
          out[k] = a = NAME(put_element)(b, at + k, a + o + c - ab - ac - bc + abc);
          ab = o, ac = c, abc = bc;
        }
      }
    }
  }
}

/* ---- sequences ---- */

typedef struct NAME(sequence) {
  const STORED *in;
  REAL *decoded;
  uint32_t *types;
  uint64_t at;
  double limit, per_step, precision, threshold, zero; /* relative: what stands for 0, and what it is below */
  sz_dd log2_base;
  double *factors; /* 0: not yet known */
  int32_t radius;
  unsigned bits; /* of an exact element */
  sz_exacts exact;
  int inexact; /* an element that so few bits cannot hold */
} NAME(sequence);

/* An element by itself, cut to `bits`, as it decodes. */
static REAL NAME(put_exact)(NAME(sequence) * s, REAL x) {
  BITS bits;
  memcpy(&bits, &x, sizeof bits);
  const uint64_t kept = put_exact(&s->exact, (uint64_t)bits << (64 - 8 * sizeof bits), s->bits);
  bits = (BITS)(kept >> (64 - 8 * sizeof bits));
  memcpy(&x, &bits, sizeof x);
  return x;
}

static void NAME(encode_line)(NAME(sequence) * s, uint64_t count) {
  const REAL interval = (REAL)(s->precision * 2);
  REAL a = 0;
  for (uint64_t i = 0; i < count; i++) {
    const REAL x = s->in[i];
    const double steps = ((double)x - (double)a) * s->per_step;
    uint32_t t = 0;
    if (i > 0 && steps > -s->radius + 1 && steps < s->radius - 1) {
      const int32_t n = (int32_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
      const REAL y = a + (REAL)n * interval;
      if (within(x, y, s->limit)) t = (uint32_t)(n + s->radius), a = y;
    }
    if (t == 0) {
      a = NAME(put_exact)(s, x);
      if (!within(x, a, s->limit) && s->bits < 8 * sizeof(REAL)) s->inexact = 1;
    }
    s->types[i] = t, s->decoded[i] = a;
  }
}

/* Bound relative to each element: factors for steps. */
static inline int NAME(is_close)(const NAME(sequence) * s, double x, double y) {
  if (x == 0) return y >= 0 && y < s->threshold;
  return y >= s->threshold && __builtin_fabs(x - y) <= s->limit * x;
}

static REAL NAME(put_relative)(NAME(sequence) * s, REAL prediction, int first) {
  const uint64_t i = s->at++;
  const double x = __builtin_fabs((double)s->in[i]), p = __builtin_fabs((double)prediction), target = x == 0 ? s->zero : x;
  const double ratio = target / p;
  if (!first && ratio > 0 && ratio <= 0x1.fffffffffffffp1023) {
    const double steps = sz_log2_rough(ratio) * s->per_step;
    if (steps > -s->radius + 1 && steps < s->radius - 1) {
      const int32_t n = (int32_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
      double *factor = &s->factors[n + s->radius];
      if (*factor == 0) {
        int sure;
        *factor = sz_power(s->log2_base, FACTOR_WIDTH * n, &sure);
        if (!sure && sizeof(REAL) == 8) *factor = -1; /* for each reader its own: not used, so that all decode the same */
      }
      const REAL y = (REAL)(p * *factor);
      if (*factor > 0 && NAME(is_close)(s, x, y)) {
        s->types[i] = (uint32_t)(n + s->radius);
        return y;
      }
    }
  }
  s->types[i] = 0;
  const REAL y = NAME(put_exact)(s, (REAL)target);
  if (!NAME(is_close)(s, x, y) && s->bits < 8 * sizeof(REAL)) s->inexact = 1;
  return y;
}

#define STATE NAME(sequence)
#define STOP() 0
#define VALUE REAL
#define FIRST() NAME(put_relative)(state, 0, 1)
#define NEXT(prediction) NAME(put_relative)(state, prediction, 0)
#define WALK NAME(encode_factors_2)
#include "products.h"
#include "sequence.h"
#define WALK NAME(encode_factors)
#define NEXT(prediction) NAME(put_relative)(state, prediction, 0)
#if defined(REAL_IS_FLOAT)
#  define IN_DOUBLE
#endif
#include "products.h"
#include "sequence.h"
#undef STATE
#undef STOP
#undef VALUE
#undef FIRST

static void NAME(encode_factor_line)(NAME(sequence) * s, uint64_t count) {
  REAL a = 0;
  for (uint64_t i = 0; i < count; i++) s->decoded[i] = a = NAME(put_relative)(s, a, i == 0);
}

/* ---- streams ---- */

/* The range of what is finite; 0 if something is not. */
static int NAME(range_of)(const STORED *in, uint64_t count, sz_range *range) {
  int finite = 1;
  range->least = 0, range->most = 0, range->smallest = 0, range->known = range->zeros = range->negative = 0;
  for (uint64_t i = 0; i < count; i++) {
    const double x = in[i], m = __builtin_fabs(x);
    BITS bits;
    memcpy(&bits, &in[i], sizeof bits);
    range->negative |= bits >> (8 * sizeof bits - 1) != 0;
    if (!(m <= (double)REAL_MOST)) {
      finite = 0;
      continue;
    }
    if (!range->known) range->least = range->most = x, range->known = 1;
    if (x < range->least) range->least = x;
    if (x > range->most) range->most = x;
    if (m == 0) range->zeros = 1;
    else if (range->smallest == 0 || m < range->smallest) range->smallest = m;
  }
  return finite;
}

static int64_t NAME(encode_sequence)(sz_bytes *out, const sz_shape *shape, const STORED *in, const sz_range *range, int finite,
                                     double limit, int relative, uint32_t *types, REAL *decoded) {
  const uint64_t n = shape->count;
  NAME(sequence) s = {.in = in, .decoded = decoded, .types = types, .limit = limit, .precision = limit};
  /* Whole numbers of bits that keep the bound; REAL's own where that is not enough, and for what is not finite. */
  const double largest = __builtin_fabs(range->least) > __builtin_fabs(range->most) ? __builtin_fabs(range->least) : __builtin_fabs(range->most);
  const double kept = relative ? 2 - sz_log2_rough(limit) : largest > 0 ? sz_log2_rough(largest / limit) + 2 : 0;
  s.bits = 8 * sizeof(REAL);
  if (finite && kept + REAL_HEAD < s.bits) s.bits = REAL_HEAD + (kept > 0 ? (unsigned)kept : 0);
  if (relative) {
    if (range->zeros) {
      s.threshold = (double)(REAL)(range->smallest / 2), s.zero = (double)(REAL)(range->smallest / 4);
      if (!(s.zero >= (double)REAL_LEAST)) return H5Z_E_NOT_APPLICABLE;
    }
    s.precision = limit < 0.9 ? limit : 0.9;
    /* Other readers' pow differs in a last bit here and there, and chains of products carry that on. */
    s.limit = limit - (limit < 2.4e-4 ? limit * 1e-3 : 2.4e-7);
    s.log2_base = sz_log2_dd(1 + s.precision);
    s.per_step = 1 / (FACTOR_WIDTH * s.log2_base.high);
  } else {
    s.per_step = 0.5 / limit;
  }
  if (!(s.per_step > 0 && s.per_step < 1e300)) return H5Z_E_NOT_APPLICABLE;

  int64_t status = H5Z_E_MEMORY;
  sz_coder coder = {0};
  sz_bytes signs = {0};
  uint64_t d[3] = {1, 1, 1};
  for (unsigned r = 0; r < shape->rank; r++) {
    if (r + 3 >= shape->rank) d[r + 3 - shape->rank] = shape->dim[r];
    else d[0] = shape->dim[r];
  }
  if (shape->rank == 4) d[0] = shape->dim[0] * shape->dim[1];
  s.radius = MOST_RADIUS;
  if (relative) {
    s.factors = malloc(2 * MOST_RADIUS * sizeof *s.factors);
    if (!s.factors) goto done;
  }
  for (int round = 0; round < 3; round++) {
    if (relative) memset(s.factors, 0, 2 * MOST_RADIUS * sizeof *s.factors);
    clear_exacts(&s.exact);
    s.inexact = 0, s.at = 0;
    if (!relative) NAME(encode_line)(&s, n);
    else if (shape->rank == 1) NAME(encode_factor_line)(&s, n);
    else if (shape->rank == 2) NAME(encode_factors_2)(&s, decoded, 1, 1, d[1], d[2]);
    else NAME(encode_factors)(&s, decoded, 1, d[0], d[1], d[2]);
    if (s.exact.failed) goto done;
    if (s.inexact) {
      s.bits = 8 * sizeof(REAL);
      continue;
    }
    const int32_t radius = best_radius(types, n, s.radius, s.bits);
    if (radius < 0) goto done;
    if (radius == s.radius) break;
    s.radius = radius;
  }
  if (s.inexact) {
    status = H5Z_E_NOT_APPLICABLE;
    goto done;
  }
  if (!make_coder(&coder, types, n, 2 * (uint32_t)s.radius)) goto done;
  if (relative && range->negative) {
    uint8_t *sign = malloc((size_t)n);
    uint8_t *room = sign ? grow(&signs, ZSTD_compressBound((size_t)n)) : NULL;
    if (room) {
      for (uint64_t i = 0; i < n; i++) {
        BITS bits;
        memcpy(&bits, &in[i], sizeof bits);
        sign[i] = bits >> (8 * sizeof bits - 1) != 0;
      }
      const size_t size = ZSTD_compress(room, ZSTD_compressBound((size_t)n), sign, (size_t)n, ZSTD_LEVEL);
      signs.size = size;
      if (ZSTD_isError(size)) signs.failed = 1;
    }
    free(sign);
    if (!room || signs.failed) goto done;
  }

  put_u32(out, 2 * MOST_RADIUS);
  if (relative) put_u8(out, 0), put_u64(out, 36), put_u32(out, (uint32_t)signs.size);
  put_u32(out, 2 * (uint32_t)s.radius);
  put_zeros(out, sizeof(REAL)); /* median */
  put_u8(out, (uint8_t)s.bits);
  if (relative) put_u8(out, FACTOR_PLUS), put_u8(out, (uint8_t)coder.longest);
  put_f64(out, s.precision);
  put_u64(out, 8 + coder.tree.size + (coder.bits + 7) / 8);
  put_u64(out, s.exact.count), put_u64(out, s.exact.middle.size);
  if (relative) {
    const REAL threshold = (REAL)s.threshold;
    BITS bits;
    memcpy(&bits, &threshold, sizeof bits);
    for (unsigned i = sizeof bits; i-- > 0;) put_u8(out, (uint8_t)(bits >> 8 * i));
  }
  put_u32(out, coder.nodes), put_u32(out, 2 * (uint32_t)s.radius);
  put(out, coder.tree.p, coder.tree.size);
  put_types(out, &coder, types, n);
  put(out, signs.p, signs.size);
  put_exacts(out, &s.exact);
  status = out->failed ? H5Z_E_MEMORY : 0;
done:
  free(s.factors);
  free(signs.p);
  free_exacts(&s.exact);
  free_coder(&coder);
  return status;
}

static int64_t NAME(encode_blocks)(sz_bytes *out, const sz_shape *shape, const STORED *in, double limit, uint32_t *types, REAL *decoded) {
  const uint64_t n = shape->count, d3 = shape->dim[shape->rank - 1], d2 = shape->dim[shape->rank - 2], d1 = n / d2 / d3;
  NAME(block) b = {.in = in, .decoded = decoded, .types = types, .limit = limit, .precision = (REAL)limit, .per_step = 0.5 / limit};
  if (!(b.precision >= REAL_LEAST && b.precision <= REAL_MOST && b.per_step < 1e300)) return H5Z_E_NOT_APPLICABLE;
  uint64_t side = d1 > d2 ? d1 : d2;
  if (d3 > side) side = d3;
  if (side > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
  int64_t status = H5Z_E_MEMORY;
  sz_coder coder = {0};
  b.exact = malloc((size_t)n * sizeof *b.exact);
  if (!b.exact) goto done;
  b.radius = MOST_RADIUS;
  for (int round = 0; round < 2; round++) {
    NAME(encode_block)(&b, d1, d2, d3);
    const int32_t radius = best_radius(types, n, b.radius, 8 * sizeof(REAL));
    if (radius < 0) goto done;
    if (radius == b.radius) break;
    b.radius = radius;
  }
  if (!make_coder(&coder, types, n, 2 * (uint32_t)b.radius)) goto done;

  BITS bits;
  memcpy(&bits, &b.precision, sizeof bits);
  put_u32(out, (uint32_t)side);
  for (unsigned i = sizeof bits; i-- > 0;) put_u8(out, (uint8_t)(bits >> 8 * i));
  put_u32(out, 2 * (uint32_t)b.radius);
  put_u32(out, (uint32_t)coder.tree.size), put_u32(out, coder.nodes);
  put(out, coder.tree.p, coder.tree.size);
  put_u8(out, 0), put_zeros(out, sizeof(REAL)); /* no mean */
  put_u8(out, 0x80);                            /* one block, by neighbours */
  put_little(out, b.unpredictable, 8);
  for (uint64_t i = 0; i < b.unpredictable; i++) {
    memcpy(&bits, &b.exact[i], sizeof bits);
    put_little(out, bits, sizeof bits);
  }
  put_types(out, &coder, types, n);
  status = out->failed ? H5Z_E_MEMORY : 0;
done:
  free(b.exact);
  free_coder(&coder);
  return status;
}

/* How far the decoded elements are from the original's, root mean square. */
static double NAME(root_mean_square)(const STORED *in, const REAL *decoded, uint64_t count) {
  double sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    const double e = (double)in[i] - (double)decoded[i];
    if (e == e) sum += e * e;
  }
  return __builtin_sqrt(sum / (double)count);
}

/* The body of a stream behind the count of elements. Its flags, or a negative code; H5Z_E_NOT_APPLICABLE: store losslessly. */
static int64_t NAME(encode)(sz_bytes *out, const sz_shape *shape, const STORED *in, sz_range *range) {
  const uint64_t n = shape->count;
  const int finite = NAME(range_of)(in, n, range);
  if (!range->known || !(range->most - range->least <= DBL_MAX)) return H5Z_E_NOT_APPLICABLE;
  uint32_t *types = malloc((size_t)n * sizeof *types);
  REAL *decoded = malloc((size_t)n * sizeof *decoded);
  int64_t status = types && decoded ? 0 : H5Z_E_MEMORY;
  for (int attempt = 0; status == 0; attempt++) {
    const double limit = limit_of(shape->bounds, range->most - range->least, attempt);
    const int relative = shape->bounds[0] == SZ_PW_REL;
    const size_t start = out->size;
    if (!(limit >= 0)) {
      status = H5Z_E_PARAM;
    } else if (finite && range->most - range->least <= (relative ? 0 : limit)) {
      const REAL value = in[0];
      BITS bits;
      memcpy(&bits, &value, sizeof bits);
      for (unsigned i = sizeof bits; i-- > 0;) put_u8(out, (uint8_t)(bits >> 8 * i));
      for (uint64_t i = 0; i < n; i++) decoded[i] = value;
      status = SZ_FLAG_SAME;
    } else if (limit == 0 || !(limit <= 0x1p1000)) {
      status = H5Z_E_NOT_APPLICABLE;
    } else if (relative || shape->rank == 1) {
      status = NAME(encode_sequence)(out, shape, in, range, finite, limit, relative, types, decoded);
      if (status == 0) status = relative ? SZ_FLAG_PW_REL | SZ_FLAG_FAST_PW : 0;
    } else {
      status = NAME(encode_blocks)(out, shape, in, limit, types, decoded);
      if (status == 0) status = SZ_FLAG_BLOCKS;
    }
    if (status < 0 || shape->bounds[0] != SZ_PSNR || attempt > 0) break;
    if (NAME(root_mean_square)(in, decoded, n) <= limit_of(shape->bounds, range->most - range->least, 1)) break;
    out->size = start, status = 0;
  }
  free(types);
  free(decoded);
  return status;
}
