/* interp.c: in which order an interpolation visits the elements. Level by level, the distance between known elements is
 * halved: along one dimension after the other, each element midway between two known ones is predicted from up to four on
 * that line. The order of visits is the order of the codes, so it is upstream's to the letter, including which elements lie
 * on the border of a block and are predicted from fewer. Prediction itself is kernel.h's: this file hands it rows.
 *
 *   level 2:  A . . . B . . . C      A..E known, o predicted from A B C D (cubic) or B C (linear)
 *   level 1:  A . x . B . x . C      then x between A o B ...
 */
#include "sz3.h"

typedef struct {
  const sz3_interpolation *p;
  const sz3_type *type;
  uint8_t *data;
  int32_t *codes;
  uint64_t left; /* codes */
  int quantizing, failed;
  sz3_quantizer *q;
  unsigned order[SZ3_MAX_RANK];         /* dimension that is interpolated along first, second ... */
  uint64_t stride_of[SZ3_MAX_RANK];     /* elements between neighbours along a dimension */
} walker;

static void emit(walker *w, int kind, uint64_t offset, uint64_t count, uint64_t step, uint64_t s) {
  if (count > w->left) {
    w->failed = 1;
    return;
  }
  const sz3_row row = {kind, (size_t)offset, (size_t)count, (size_t)step, (size_t)s};
  if (w->quantizing) {
    w->type->quantize(w->data, &row, w->codes, w->q);
  } else {
    w->type->recover(w->data, &row, w->codes, w->q);
  }
  w->codes += count, w->left -= count;
}

/* One line of n elements of this level, `s` apart: every second one. */
static void line(walker *w, uint64_t begin, uint64_t n, uint64_t s) {
  if (n <= 1) return;
  if (!w->p->cubic || n < 5) {
    emit(w, SZ3_LINEAR, begin + s, (n - 1) / 2, 2 * s, s);
    if (n % 2 == 0) emit(w, n < 4 ? SZ3_COPY : SZ3_EXTRA3, begin + (n - 1) * s, 1, 0, s);
    return;
  }
  const uint64_t whole = n >= 7 ? (n - 5) / 2 : 0;
  emit(w, SZ3_CUBIC, begin + 3 * s, whole, 2 * s, s);
  emit(w, SZ3_QUAD1, begin + s, 1, 0, s);
  emit(w, SZ3_QUAD2, begin + (3 + 2 * whole) * s, 1, 0, s);
  if (n % 2 == 0) emit(w, SZ3_QUAD3, begin + (n - 1) * s, 1, 0, s);
}

/* 3.1, and later for one and two dimensions: block [begin, end], line by line. */
static void block_by_lines(walker *w, const uint64_t *begin, const uint64_t *end, uint64_t stride) {
  const unsigned n = w->p->rank;
  for (unsigned along = 0; along < n; along++) {
    /* Dimensions done already are known at every stride, the others at every second. */
    uint64_t at[SZ3_MAX_RANK], first[SZ3_MAX_RANK], step[SZ3_MAX_RANK];
    int nothing = 0;
    for (unsigned i = 0; i < n; i++) {
      const unsigned d = w->order[i];
      step[d] = i < along ? stride : 2 * stride;
      first[d] = i == along ? begin[d] : begin[d] > 0 ? begin[d] + step[d] : 0;
      at[d] = first[d];
      if (at[d] > end[d]) nothing = 1;
    }
    if (nothing) continue;
    const unsigned a = w->order[along];
    const uint64_t elements = (end[a] - begin[a]) / stride + 1;
    for (int more = 1; more && !w->failed;) {
      uint64_t offset = 0;
      for (unsigned d = 0; d < n; d++) offset += at[d] * w->stride_of[d];
      line(w, offset, elements, stride * w->stride_of[a]);
      /* The next line: the last dimension in order moves fastest. */
      more = 0;
      for (unsigned i = n; i-- > 0 && !more;) {
        const unsigned d = w->order[i];
        if (i == along) continue;
        at[d] += step[d];
        more = at[d] <= end[d];
        if (!more) at[d] = first[d];
      }
    }
  }
}

/* `kind` for all elements of the grid, rows along the fastest dimension. */
static void grid(walker *w, int kind, uint64_t offset, const uint64_t *begins, const uint64_t *ends, const uint64_t *strides,
                 const uint64_t *offsets, uint64_t s) {
  const unsigned last = w->p->rank - 1;
  uint64_t at[SZ3_MAX_RANK];
  for (unsigned d = 0; d <= last; d++) {
    if (begins[d] >= ends[d]) return;
    at[d] = begins[d];
  }
  const uint64_t count = (ends[last] - begins[last] - 1) / strides[last] + 1;
  for (int more = 1; more && !w->failed;) {
    uint64_t from = offset;
    for (unsigned d = 0; d <= last; d++) from += at[d] * offsets[d];
    emit(w, kind, from, count, strides[last] * offsets[last], s);
    more = 0;
    for (unsigned d = last; d-- > 0 && !more;) {
      at[d] += strides[d];
      more = at[d] < ends[d];
      if (!more) at[d] = begins[d];
    }
  }
}

/* 3.3, along one dimension of the block: everything that is predicted by the same formula, then the next formula. */
static void along_dimension(walker *w, const uint64_t *begin, const uint64_t *end, unsigned a, uint64_t *strides, uint64_t stride) {
  const unsigned rank = w->p->rank;
  for (unsigned d = 0; d < rank; d++) {
    if (end[d] < begin[d]) return;
  }
  const uint64_t n = (end[a] - begin[a]) / stride + 1;
  if (n <= 1) return;
  uint64_t begins[SZ3_MAX_RANK], ends[SZ3_MAX_RANK], offsets[SZ3_MAX_RANK], offset = 0;
  for (unsigned d = 0; d < rank; d++) {
    begins[d] = 0, ends[d] = end[d] - begin[d] + 1, offsets[d] = w->stride_of[d];
    offset += w->stride_of[d] * begin[d];
  }
  const uint64_t s = offsets[a] = stride * w->stride_of[a];
  strides[a] = 2;
#define GRID(kind, from, to) (begins[a] = (from), ends[a] = (to), grid(w, kind, offset, begins, ends, strides, offsets, s))
  if (!w->p->cubic) {
    GRID(SZ3_LINEAR, 1, n - 1);
    if (n % 2 == 0) GRID(n < 3 ? SZ3_COPY : SZ3_EXTRA2, n - 1, n);
  } else {
    GRID(SZ3_CUBIC, 3, n >= 3 ? n - 3 : 0);
    uint64_t borders[3], nborders = 0;
    borders[nborders++] = 1;
    if (n % 2 == 1 && n > 3) borders[nborders++] = n - 2;
    if (n % 2 == 0 && n > 4) borders[nborders++] = n - 3;
    if (n % 2 == 0 && n > 2) borders[nborders++] = n - 1;
    for (uint64_t i = 0; i < nborders; i++) {
      const uint64_t b = borders[i];
      const int two = b + 3 < n, one = b + 1 < n; /* known elements behind it */
      GRID(b >= 3 ? two ? SZ3_CUBIC : one ? SZ3_QUAD2 : SZ3_EXTRA3 : two ? SZ3_QUAD1 : one ? SZ3_LINEAR : SZ3_COPY, b, b + 1);
    }
  }
#undef GRID
}

static void block_by_dimensions(walker *w, const uint64_t *begin, const uint64_t *end, uint64_t stride) {
  const unsigned n = w->p->rank;
  uint64_t from[SZ3_MAX_RANK], strides[SZ3_MAX_RANK];
  for (unsigned i = 0; i < n; i++) {
    const unsigned d = w->order[i];
    from[d] = i == 0 ? begin[d] : begin[d] > 0 ? begin[d] + 2 * stride : 0;
    strides[d] = 2 * stride;
  }
  along_dimension(w, from, end, w->order[0], strides, stride);
  for (unsigned i = 1; i < n; i++) {
    const unsigned d = w->order[i], before = w->order[i - 1];
    from[d] = begin[d];
    from[before] = begin[before] > 0 ? begin[before] + stride : 0;
    strides[before] = stride;
    along_dimension(w, from, end, d, strides, stride);
  }
}

static void level(walker *w, uint64_t stride) {
  const sz3_interpolation *p = w->p;
  const uint64_t most = (uint64_t)1 << 41; /* longer than any dimension */
  const uint64_t edge = p->block < most / stride ? p->block * stride : most;
  uint64_t begin[SZ3_MAX_RANK] = {0}, end[SZ3_MAX_RANK];
  for (int more = 1; more && !w->failed;) {
    for (unsigned d = 0; d < p->rank; d++) {
      end[d] = p->dims[d] - 1 - begin[d] > edge ? begin[d] + edge : p->dims[d] - 1;
    }
    if (p->later && p->rank >= 3) {
      block_by_dimensions(w, begin, end, stride);
    } else {
      block_by_lines(w, begin, end, stride);
    }
    more = 0;
    for (unsigned d = p->rank; d-- > 0 && !more;) {
      more = p->dims[d] - begin[d] > edge;
      begin[d] = more ? begin[d] + edge : 0;
    }
  }
}

static unsigned log2_up(uint64_t n) {
  unsigned levels = 0;
  while (n > (uint64_t)1 << levels) levels++;
  return levels;
}

static unsigned levels_of(const sz3_interpolation *p) {
  unsigned levels = 0;
  for (unsigned d = 0; d < p->rank; d++) levels = log2_up(p->dims[d]) > levels ? log2_up(p->dims[d]) : levels;
  if (p->anchor > 0 && log2_up(p->anchor) < levels) levels = log2_up(p->anchor);
  return levels;
}

/* Checks what was read, and forgets anchors that are further apart than the array is long. */
int sz3_interpolation_valid(sz3_interpolation *p) {
  static const int permutations[] = {1, 1, 2, 6, 24};
  uint64_t longest = 0;
  if (p->block < 2 || p->block % 2 != 0 || p->block > UINT32_MAX) return 0;
  if (p->direction < 0 || p->direction >= permutations[p->rank]) return 0;
  if (p->anchor & (p->anchor - 1)) return 0;
  for (unsigned d = 0; d < p->rank; d++) longest = p->dims[d] > longest ? p->dims[d] : longest;
  if (longest <= p->anchor) p->anchor = 0;
  return longest <= (uint64_t)1 << 40; /* so that no product of a stride and a block overflows */
}

uint64_t sz3_anchors(const sz3_interpolation *p) {
  uint64_t n = 1;
  for (unsigned d = 0; p->anchor > 0 && d < p->rank; d++) n *= (p->dims[d] - 1) / p->anchor + 1;
  return p->anchor > 0 ? n : 0;
}

/* x^n as the nearest double, or next to it when two are equally near: what libm's pow gives for the few small powers of
 * short numbers that occur, on every platform. `low` is what the product lost so far. */
static double power(double x, unsigned n) {
  double high = 1, low = 0;
  while (n-- > 0 && high < 1e30) {
    /* Veltkamp and Dekker: high * x exactly, as product + error. */
    const double c = 134217729.0;
    const double t = c * high, h1 = t - (t - high), h2 = high - h1;
    const double u = c * x, x1 = u - (u - x), x2 = x - x1;
    const double product = high * x, error = ((h1 * x1 - product) + h1 * x2 + h2 * x1) + h2 * x2;
    low = low * x + error;
    high = product + low;
    low = low - (high - product);
  }
  return high;
}

static double bound_at(const sz3_interpolation *p, double eb, double before, unsigned level) {
  if (p->alpha < 0) return level >= 3 ? eb * 0.5 : eb;
  if (p->alpha < 1) return before;
  const double ratio = power(p->alpha, level - 1);
  return eb / (ratio > p->beta ? p->beta : ratio);
}

static int run(const sz3_interpolation *p, const sz3_type *type, void *data, int32_t *codes, sz3_quantizer *q, int quantizing) {
  walker w = {.p = p, .type = type, .data = data, .codes = codes, .left = 1, .quantizing = quantizing, .q = q};
  const double eb = q->eb;
  for (unsigned d = p->rank; d-- > 0;) w.stride_of[d] = d + 1 < p->rank ? w.stride_of[d + 1] * p->dims[d + 1] : 1;
  for (unsigned d = 0; d < p->rank; d++) w.left *= p->dims[d];
  /* The direction-th permutation of 0 .. rank - 1. */
  unsigned rest[SZ3_MAX_RANK] = {0, 1, 2, 3}, of = 1;
  for (unsigned i = 2; i < p->rank; i++) of *= i;
  for (unsigned i = 0, number = (unsigned)p->direction; i < p->rank; i++) {
    const unsigned k = number / of;
    number %= of;
    w.order[i] = rest[k];
    for (unsigned j = k; j + 1 < SZ3_MAX_RANK; j++) rest[j] = rest[j + 1];
    if (p->rank - 1 - i > 0) of /= p->rank - 1 - i;
  }

  if (p->anchor == 0) {
    emit(&w, SZ3_ZERO, 0, 1, 0, 0);
  } else {
    uint64_t at[SZ3_MAX_RANK] = {0};
    for (int more = 1; more;) {
      uint64_t offset = 0;
      for (unsigned d = 0; d < p->rank; d++) offset += at[d] * w.stride_of[d];
      uint8_t *const element = (uint8_t *)data + offset * type->size, *const kept = q->unpred + q->used++ * type->size;
      if (quantizing) {
        memcpy(kept, element, type->size);
        *w.codes = 0;
      } else {
        memcpy(element, kept, type->size);
      }
      w.codes++, w.left--;
      more = 0;
      for (unsigned d = p->rank; d-- > 0 && !more;) {
        more = p->dims[d] - at[d] > p->anchor;
        at[d] = more ? at[d] + p->anchor : 0;
      }
    }
  }
  for (unsigned l = levels_of(p); l > 0 && !w.failed; l--) {
    q->eb = bound_at(p, eb, q->eb, l);
    if (quantizing) q->inverse = 1 / q->eb;
    level(&w, (uint64_t)1 << (l - 1));
  }
  q->eb = eb;
  return w.failed || w.left > 0 ? H5Z_E_CORRUPT : 0;
}

int sz3_interpolation_recover(const sz3_interpolation *p, const sz3_type *type, void *data, const int32_t *codes,
                              sz3_quantizer *q) {
  return run(p, type, data, (int32_t *)codes, q, 0); /* which then are only read */
}

int sz3_interpolation_quantize(const sz3_interpolation *p, const sz3_type *type, void *data, int32_t *codes, sz3_quantizer *q) {
  return run(p, type, data, codes, q, 1);
}
