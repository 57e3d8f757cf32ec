/* kernel.h: predictions and quantization for one element type, included by kernels.c once per type. It expects
 *
 *   T         the element                       NAME(x)   x with the type's suffix
 *   REAL      1 for float and double            FROM(x)   a double as T, see kernels.c
 *   U, S      for integers: the unsigned type in which sums wrap as upstream's do, and the one in which it then divides
 *
 * Predictions are evaluated as upstream's C++ evaluates them, term by term in its order, because floating point sums
 * depend on it. Integer sums wrap, which upstream leaves to chance. */

static inline T NAME(next)(sz3_quantizer *q) {
  T v;
  memcpy(&v, q->unpred + q->used++ * sizeof(T), sizeof(T));
  return v;
}

/* The element whose code is `code`, from its prediction. */
static inline T NAME(element)(T prediction, int32_t code, double eb, int32_t radius, sz3_quantizer *q) {
  if (code == 0) return NAME(next)(q);
#if !REAL
  /* As predicted: the processor goes on while the neighbours are yet to come. Doubles hold fewer than 64 bits. */
  if (sizeof(T) < 8 && code == radius) return prediction;
#endif
  const int32_t steps = (int32_t)(2u * ((uint32_t)code - (uint32_t)radius));
  return FROM((double)prediction + steps * eb);
}

#if REAL
#define V(k) (d[k])
#define OVER(sum, by) ((sum) / (by))
#else
/* Sign or zero extended, then modulo 2^32 or 2^64. */
#define V(k) ((U)d[k])
#define OVER(sum, by) (T)((S)(sum) / (by))
#endif

/* Runs BODY, in which `prediction` is the element's at d, for a row of any kind. */
#define ROW(BODY)                                                                              \
  const ptrdiff_t s = (ptrdiff_t)row->s;                                                       \
  T *d = (T *)data + row->offset;                                                              \
  size_t n = row->count;                                                                       \
  switch (row->kind) {                                                                         \
    case SZ3_LINEAR: ROW_OF(OVER(V(-s) + V(s), 2), BODY)                                       \
    case SZ3_COPY: ROW_OF(d[-s], BODY)                                                         \
    case SZ3_EXTRA2: ROW_OF(FROM(-0.5 * (double)d[-2 * s] + 1.5 * (double)d[-s]), BODY)        \
    case SZ3_EXTRA3: ROW_OF(FROM(-0.5 * (double)d[-3 * s] + 1.5 * (double)d[-s]), BODY)        \
    case SZ3_CUBIC: ROW_OF(OVER(-V(-3 * s) + 9 * V(-s) + 9 * V(s) - V(3 * s), 16), BODY)       \
    case SZ3_QUAD1: ROW_OF(OVER(3 * V(-s) + 6 * V(s) - V(3 * s), 8), BODY)                     \
    case SZ3_QUAD2: ROW_OF(OVER(-V(-3 * s) + 6 * V(-s) + 3 * V(s), 8), BODY)                   \
    case SZ3_QUAD3: ROW_OF(OVER(3 * V(-5 * s) - 10 * V(-3 * s) + 15 * V(-s), 8), BODY)         \
    default: ROW_OF((T)0, BODY)                                                                \
  }
#define ROW_OF(expression, BODY)         \
  for (; n > 0; n--, d += row->step) {   \
    const T prediction = (expression);   \
    BODY                                 \
  }                                      \
  break;

static void NAME(recover)(void *data, const sz3_row *row, const int32_t *codes, sz3_quantizer *q) {
  const double eb = q->eb;
  const int32_t radius = q->radius;
  ROW({ *d = NAME(element)(prediction, *codes++, eb, radius, q); })
}

#if !defined(H5Z_DECODE_ONLY)
/* How far two elements are apart. */
static inline double NAME(distance)(T a, T b) {
#if REAL
  return fabs((double)a - (double)b);
#else
  return a > b ? (double)((uint64_t)a - (uint64_t)b) : (double)((uint64_t)b - (uint64_t)a);
#endif
}

/* The code of `value`; `*seen` becomes what a reader will have in its place. */
static inline int32_t NAME(code)(T value, T prediction, double eb, double inverse, int32_t radius, T *seen, sz3_quantizer *q) {
  const double far = NAME(distance)(value, prediction) * inverse;
  if (far < 2.0 * radius - 2) { /* not so for NaN */
    const int32_t half = ((int32_t)far + 1) >> 1, steps = value < prediction ? -half : half;
    const T dec = FROM((double)prediction + 2 * steps * eb);
    if (NAME(distance)(dec, value) <= eb) {
      *seen = dec;
      return radius + steps;
    }
  }
  memcpy(q->unpred + q->used++ * sizeof(T), &value, sizeof(T));
  *seen = value;
  return 0;
}

static void NAME(quantize)(void *data, const sz3_row *row, int32_t *codes, sz3_quantizer *q) {
  const double eb = q->eb, inverse = q->inverse;
  const int32_t radius = q->radius;
  ROW({ *codes++ = NAME(code)(*d, prediction, eb, inverse, radius, d, q); })
}

/* Of what is a number. */
static double NAME(range)(const void *data, uint64_t n) {
  const uint8_t *p = data; /* at no particular alignment */
  T most = 0, least = 0;
  int any = 0;
  for (uint64_t i = 0; i < n; i++, p += sizeof(T)) {
    T v;
    memcpy(&v, p, sizeof v);
#if REAL
    if (!(fabs((double)v) <= DBL_MAX)) continue;
#endif
    if (!any || v > most) most = v;
    if (!any || v < least) least = v;
    any = 1;
  }
#if REAL
  return (double)most - (double)least;
#else
  return (double)((uint64_t)most - (uint64_t)least);
#endif
}

static double NAME(squares)(const void *a, const void *b, uint64_t n) {
  const uint8_t *p = a; /* at no particular alignment */
  double sum = 0;
  for (uint64_t i = 0; i < n; i++) {
    T x, y;
    memcpy(&x, p + i * sizeof x, sizeof x);
    memcpy(&y, (const uint8_t *)b + i * sizeof y, sizeof y);
    const double d = NAME(distance)(x, y);
    if (d <= DBL_MAX) sum += d * d;
  }
  return sum;
}
#endif

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Steps between neighbours as Lorenzo prediction takes them: see lorenzo_steps. */
typedef struct {
  ptrdiff_t a, b, c;
} NAME(steps);

/* The prediction from the 2^n - 1 elements before d; with order 2, the 3^n - 1. */
static inline T NAME(lorenzo)(const T *d, unsigned rank, const NAME(steps) * to, int flavour) {
  const ptrdiff_t a = to->a, b = to->b, c = to->c;
  if (flavour == SZ3_REORDERED && rank == 3) {
    return (T)(((V(-b) + V(-1)) + (V(-a) + V(-a - b - 1))) - ((V(-b - 1) + V(-a - 1)) + V(-a - b)));
  }
  switch (rank) {
    case 1: return d[-1];
    case 2: return (T)(V(-1) + V(-a) - V(-a - 1));
    case 3: return (T)(V(-1) + V(-b) + V(-a) - V(-b - 1) - V(-a - 1) - V(-a - b) + V(-a - b - 1));
    default:
      return (T)(V(-1) + V(-c) - V(-c - 1) + V(-b) - V(-b - 1) - V(-b - c) + V(-b - c - 1) + V(-a) - V(-a - 1) - V(-a - c) +
                 V(-a - c - 1) - V(-a - b) + V(-a - b - 1) + V(-a - b - c) - V(-a - b - c - 1));
  }
}

static inline T NAME(lorenzo2)(const T *d, unsigned rank, const NAME(steps) * to, int flavour) {
  const ptrdiff_t a = to->a, b = to->b;
  if (flavour == SZ3_REORDERED && rank == 2) {
    return (T)((2 * (V(-a) + V(-2 * a - 1)) + (2 * V(-a - 2) - V(-2 * a))) +
               (((2 * V(-1) - V(-2)) - 4 * V(-a - 1)) - V(-2 * a - 2)));
  }
  if (flavour == SZ3_REORDERED && rank == 3) {
    const ptrdiff_t aa = 2 * a, bb = 2 * b, ab = a + b, aab = aa + b, abb = a + bb, aabb = aa + bb;
    return (T)((((((2 * (V(-b) + V(-b - 2)) + (2 * V(-bb - 1) - V(-bb))) +
                   ((2 * V(-a) - V(-bb - 2)) + (2 * V(-a - 2) + 8 * V(-ab - 1)))) +
                  (2 * (V(-abb) + V(-abb - 2)) + (2 * V(-aa - 1) - V(-aa)))) +
                 ((2 * V(-aab) - V(-aa - 2)) + (2 * V(-aab - 2) - V(-aabb)))) +
                ((2 * V(-aabb - 1) - V(-aabb - 2)) + ((2 * V(-1) - V(-2)) - 4 * V(-b - 1)))) -
               4 * ((V(-a - 1) + V(-ab)) + (V(-ab - 2) + V(-abb - 1))) - 4 * V(-aab - 1));
  }
  switch (rank) {
    case 1: return (T)(2 * V(-1) - V(-2));
    case 2:
      if (flavour == SZ3_FAST3D) {
        return (T)(2 * V(-a) - V(-2 * a) + 2 * V(-1) - 4 * V(-a - 1) + 2 * V(-2 * a - 1) - V(-2) + 2 * V(-a - 2) -
                   V(-2 * a - 2));
      }
      return (T)(2 * V(-1) - V(-2) + 2 * V(-a) - 4 * V(-a - 1) + 2 * V(-a - 2) - V(-2 * a) + 2 * V(-2 * a - 1) -
                 V(-2 * a - 2));
    case 3:
      return (T)(2 * V(-1) - V(-2) + 2 * V(-b) - 4 * V(-b - 1) + 2 * V(-b - 2) - V(-2 * b) + 2 * V(-2 * b - 1) -
                 V(-2 * b - 2) + 2 * V(-a) - 4 * V(-a - 1) + 2 * V(-a - 2) - 4 * V(-a - b) + 8 * V(-a - b - 1) -
                 4 * V(-a - b - 2) + 2 * V(-a - 2 * b) - 4 * V(-a - 2 * b - 1) + 2 * V(-a - 2 * b - 2) - V(-2 * a) +
                 2 * V(-2 * a - 1) - V(-2 * a - 2) + 2 * V(-2 * a - b) - 4 * V(-2 * a - b - 1) + 2 * V(-2 * a - b - 2) -
                 V(-2 * a - 2 * b) + 2 * V(-2 * a - 2 * b - 1) - V(-2 * a - 2 * b - 2));
    default: return flavour == SZ3_LATER ? (T)0 : NAME(lorenzo)(d, rank, to, flavour); /* upstream has none */
  }
}

/* One code of a block's coefficients. */
static int NAME(coefficient)(T *c, const int32_t *codes, uint64_t *used, sz3_quantizer *q) {
  const int32_t code = codes[(*used)++];
  if (code == 0 && q->used >= q->count) return 0;
  *c = NAME(element)(*c, code, q->eb, q->radius, q);
  return 1;
}

enum { NAME(MOST_TERMS) = 15 }; /* of a polynomial of degree 2 in four variables */

typedef struct {
  T plane[SZ3_MAX_RANK + 1];  /* one slope per dimension, and the value at the block's corner */
  T curve[NAME(MOST_TERMS)];
} NAME(coefficients);

/* Reads what the block's predictor keeps for each block. 1: it predicts this block; 0: the block is too thin for it, which
 * Lorenzo then predicts; or an error. */
static int NAME(begin_block)(sz3_blocks *b, int predictor, const uint64_t *length, NAME(coefficients) * c) {
  const unsigned n = b->rank;
  const int thinnest = predictor == SZ3_BY_REGRESSION ? 2 : predictor == SZ3_BY_POLYNOMIAL ? 3 : 1;
  if (b->flavour == SZ3_FAST3D || b->flavour == SZ3_REORDERED) {
    if (predictor != SZ3_BY_REGRESSION) return 1;
    if (b->nplanes == 0) return H5Z_E_CORRUPT;
    b->nplanes--, b->planes += 4;
    return 1;
  }
  for (unsigned d = 0; d < n; d++) {
    if (length[d] < (uint64_t)thinnest) return 0;
  }
  if (predictor == SZ3_BY_REGRESSION) {
    if (b->regression.count - b->regression.used < n + 1) return H5Z_E_CORRUPT;
    for (unsigned i = 0; i <= n; i++) {
      sz3_quantizer *q = i < n ? &b->regression.linear : &b->regression.constant;
      if (!NAME(coefficient)(c->plane + i, b->regression.codes, &b->regression.used, q)) return H5Z_E_CORRUPT;
    }
  } else if (predictor == SZ3_BY_POLYNOMIAL) {
    const unsigned terms = (n + 1) * (n + 2) / 2;
    if (b->polynomial.count - b->polynomial.used < terms) return H5Z_E_CORRUPT;
    for (unsigned i = 0; i < terms; i++) {
      sz3_quantizer *q = i == 0 ? &b->polynomial.constant : i <= n ? &b->polynomial.linear : &b->polynomial.square;
      if (!NAME(coefficient)(c->curve + i, b->polynomial.codes, &b->polynomial.used, q)) return H5Z_E_CORRUPT;
    }
  }
  return 1;
}

/* The value of the block's plane at `at`. */
static inline T NAME(plane)(const sz3_blocks *b, const uint64_t *at, const T *c) {
  const unsigned n = b->rank;
  if (b->flavour == SZ3_FAST3D || b->flavour == SZ3_REORDERED) {
    const float *p = b->planes - 4; /* begin_block went past them */
    return FROM((double)(p[0] * (float)at[0] + p[1] * (float)at[1] + p[2] * (float)at[2] + p[3]));
  }
#if REAL
  T sum = b->flavour == SZ3_GENERAL ? 0 + (T)at[0] * c[0] : c[0] * (T)at[0];
  for (unsigned i = 1; i < n; i++) sum += (T)at[i] * c[i];
  return sum + c[n];
#else
  uint64_t sum = (uint64_t)c[n];
  for (unsigned i = 0; i < n; i++) sum += at[i] * (uint64_t)c[i];
  return (T)sum;
#endif
}

static inline T NAME(curve)(unsigned n, const uint64_t *at, const T *c) {
  double terms[NAME(MOST_TERMS)];
  unsigned m = 0;
  terms[m++] = 1;
  for (unsigned i = 0; i < n; i++) terms[m++] = (double)at[i];
  for (unsigned i = 0; i < n; i++) {
    for (unsigned j = i; j < n; j++) terms[m++] = (double)at[i] * (double)at[j];
  }
  T sum = 0;
  for (unsigned i = 0; i < m; i++) sum = FROM((double)sum + terms[i] * (double)c[i]);
  return sum;
}

/* BODY for a row of a block: n elements from d on, `at` their place in the block. */
#define BLOCK_ROW(BODY)                                                                                         \
  switch (predictor) {                                                                                          \
    BLOCK_ROW_BY_LORENZO(BODY)                                                                                  \
    case SZ3_BY_REGRESSION: BLOCK_ROW_OF(NAME(plane)(b, at, c.plane), BODY)                                     \
    default: BLOCK_ROW_OF(NAME(curve)(b->rank, at, c.curve), BODY)                                              \
  }
#define BLOCK_ROW_BY_LORENZO(BODY)                                                                              \
    case SZ3_BY_LORENZO:                                                                                        \
      if (rank == 1) BLOCK_ROW_OF(NAME(lorenzo)(d, 1, &to, flavour), BODY)                                               \
      if (rank == 2) BLOCK_ROW_OF(NAME(lorenzo)(d, 2, &to, flavour), BODY)                                               \
      if (rank == 3) BLOCK_ROW_OF(NAME(lorenzo)(d, 3, &to, flavour), BODY)                                               \
      BLOCK_ROW_OF(NAME(lorenzo)(d, 4, &to, flavour), BODY)                                                              \
    case SZ3_BY_LORENZO2:                                                                                       \
      if (rank == 1) BLOCK_ROW_OF(NAME(lorenzo2)(d, 1, &to, flavour), BODY)                                     \
      if (rank == 2) BLOCK_ROW_OF(NAME(lorenzo2)(d, 2, &to, flavour), BODY)                                     \
      if (rank == 3) BLOCK_ROW_OF(NAME(lorenzo2)(d, 3, &to, flavour), BODY)                                     \
      BLOCK_ROW_OF(NAME(lorenzo2)(d, 4, &to, flavour), BODY)
#define BLOCK_ROW_OF(expression, BODY)                           \
  {                                                              \
    for (uint64_t k = 0; k < n; k++, d++, at[b->rank - 1]++) {   \
      const T prediction = (expression);                         \
      BODY                                                       \
    }                                                            \
    break;                                                       \
  }

/* All blocks, in rows of blocks along the slowest dimension. What is predicted from is a copy of the array with a border
 * of zeros; of it only this row of blocks and the two planes before it are kept:
 *
 *   slab  | zeros: 2 planes | last 2 planes of the row of blocks before | up to `block` planes |     plane = step[0]
 *
 * `codes` are read (source NULL: `data` is rebuilt) or written (`source` is encoded). */
static int NAME(blocks)(sz3_blocks *b, T *data, const T *source, int32_t *codes) {
  const unsigned n_dims = b->rank;
  const int flavour = b->flavour;
  const uint64_t *dims = b->dims;
  const uint64_t edge = b->block < dims[0] ? b->block : dims[0];
  const uint64_t border = (uint64_t)b->padding;
  uint64_t step[SZ3_MAX_RANK], of_data[SZ3_MAX_RANK], corner = 0;
  for (unsigned d = n_dims; d-- > 0;) {
    step[d] = d + 1 < n_dims ? step[d + 1] * (dims[d + 1] + border) : 1;
    of_data[d] = d + 1 < n_dims ? of_data[d + 1] * dims[d + 1] : 1;
    if (d > 0) corner += border * step[d];
  }
  T *const slab = calloc((size_t)((edge + 4) * step[0] + 8), sizeof(T));
  if (!slab) return H5Z_E_MEMORY;
  T *const first = slab + 8 + 4 * step[0] + corner;

  /* Lorenzo along fewer dimensions than there are exists in 3.1's for three only. LATER takes the dimensions in another order. */
  unsigned rank = n_dims;
  NAME(steps) to = {0, 0, 0};
  if (flavour == SZ3_FAST3D || flavour == SZ3_REORDERED) rank = (unsigned)b->prediction_dims;
  if (n_dims >= 2) to.a = (ptrdiff_t)step[0];
  if (n_dims >= 3) to.b = (ptrdiff_t)step[1];
  if (n_dims == 4) to.c = (ptrdiff_t)step[2];
  if (flavour == SZ3_LATER && n_dims == 3) to.a = (ptrdiff_t)step[1], to.b = (ptrdiff_t)step[0];
  if (flavour == SZ3_LATER && n_dims == 4) to.a = (ptrdiff_t)step[2], to.c = (ptrdiff_t)step[0];

  NAME(coefficients) c;
  memset(&c, 0, sizeof c);
  sz3_quantizer q = b->quantizer;
  const double eb = q.eb;
  const int32_t radius = q.radius;
#if !defined(H5Z_DECODE_ONLY)
  const double inverse = q.inverse;
#endif
  (void)source;
  uint64_t block_number = 0, from[SZ3_MAX_RANK] = {0};
  int result = 0;
  for (;;) {
    /* `from`: the block's first element. */
    uint64_t length[SZ3_MAX_RANK];
    for (unsigned d = 0; d < n_dims; d++) length[d] = dims[d] - from[d] < b->block ? dims[d] - from[d] : b->block;
    int predictor = SZ3_BY_LORENZO;
    if (!b->selection || block_number < b->nselection) {
      const uint32_t which = b->selection ? (uint32_t)b->selection[block_number] : 0;
      if (which >= b->npredictors) goto corrupt;
      predictor = b->predictors[which];
      const int begun = NAME(begin_block)(b, predictor, length, &c);
      if (begun < 0) goto corrupt;
      if (begun == 0) predictor = SZ3_BY_LORENZO;
    } /* else 3.1 wrote no choice for a thin block at the end */
    block_number++;

    uint64_t at[SZ3_MAX_RANK] = {0};
    const uint64_t n = length[n_dims - 1];
    for (int more_rows = 1; more_rows;) {
      T *d = first + (n_dims > 1 ? from[n_dims - 1] : 0);
      for (unsigned i = 0; i + 1 < n_dims; i++) d += (at[i] + (i > 0 ? from[i] : 0)) * step[i];
#if !defined(H5Z_DECODE_ONLY)
      if (source) {
        const T *value = source + from[n_dims - 1];
        for (unsigned i = 0; i + 1 < n_dims; i++) value += (at[i] + from[i]) * of_data[i];
        switch (predictor) {
          BLOCK_ROW_BY_LORENZO({ *codes++ = NAME(code)(*value++, prediction, eb, inverse, radius, d, &q); })
        }
      } else
#endif
        BLOCK_ROW({ *d = NAME(element)(prediction, *codes++, eb, radius, &q); })
      at[n_dims - 1] = 0;
      more_rows = 0;
      for (unsigned i = n_dims - 1; i-- > 0 && !more_rows;) {
        more_rows = ++at[i] < length[i];
        if (!more_rows) at[i] = 0;
      }
    }

    int more_blocks = 0;
    for (unsigned d = n_dims; d-- > 1 && !more_blocks;) {
      from[d] += b->block;
      more_blocks = from[d] < dims[d];
      if (!more_blocks) from[d] = 0;
    }
    if (more_blocks) continue;

    /* The row of blocks is complete: copy it out, keep its last two planes. */
    uint64_t out[SZ3_MAX_RANK] = {0};
    const uint64_t planes = length[0];
    if (source) {
      /* nobody asked for what a reader sees */
    } else if (n_dims == 1) {
      memcpy(data + from[0], first, (size_t)planes * sizeof(T));
    } else {
      for (int more = 1; more;) {
        uint64_t target = from[0] * of_data[0], origin = 0;
        for (unsigned i = 0; i + 1 < n_dims; i++) target += out[i] * of_data[i], origin += out[i] * step[i];
        memcpy(data + target, first + origin, (size_t)dims[n_dims - 1] * sizeof(T));
        more = 0;
        for (unsigned i = n_dims - 1; i-- > 0 && !more;) {
          more = ++out[i] < (i == 0 ? planes : dims[i]);
          if (!more) out[i] = 0;
        }
      }
    }
    from[0] += planes;
    if (from[0] >= dims[0]) break;
    memmove(slab + 8 + 2 * step[0], slab + 8 + (2 + planes) * step[0], (size_t)(2 * step[0]) * sizeof(T));
  }
  goto done;
corrupt:
  result = H5Z_E_CORRUPT;
done:
  b->quantizer.used = q.used;
  free(slab);
  return result;
}

static int NAME(recover_blocks)(sz3_blocks *b, void *data, const int32_t *codes) {
  return NAME(blocks)(b, data, NULL, (int32_t *)codes); /* which are only read */
}

#if !defined(H5Z_DECODE_ONLY)
/* Lorenzo only. */
static int NAME(quantize_blocks)(sz3_blocks *b, const void *data, int32_t *codes) {
  return NAME(blocks)(b, NULL, data, codes);
}
#endif
