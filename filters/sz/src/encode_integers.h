/* Encoding of integers of one type: ELEMENT is its short name; TYPE, VALUE, WRAPPED as in integers.h, UNSIGNED as wide as
 * TYPE. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STORED JOIN(sz_, ELEMENT)
typedef TYPE STORED __attribute__((aligned(1)));
typedef struct JOIN(run_, ELEMENT) {
  const STORED *in;
  uint32_t *types;
  uint64_t at;
  double limit, precision, per_step;
  TYPE least;
  unsigned bytes; /* of an exact element */
  int32_t radius;
  sz_bytes exact;
} JOIN(run_, ELEMENT);

static VALUE JOIN(element_, ELEMENT)(JOIN(run_, ELEMENT) * s, VALUE prediction, int first) {
  const uint64_t i = s->at++;
  const TYPE x = s->in[i];
  const double steps = ((double)x - (double)prediction) * s->per_step;
  if (!first && steps > -s->radius + 1 && steps < s->radius - 1) {
    const int32_t n = (int32_t)(steps < 0 ? steps - 0.5 : steps + 0.5);
    const double value = (double)prediction + 2 * n * s->precision;
    if (value > (double)TYPE_LEAST - (sizeof(TYPE) < 8) && value < (double)TYPE_MOST + (sizeof(TYPE) < 8)) {
      const TYPE y = (TYPE)JOIN(sz_to_, ELEMENT)(value);
      const UNSIGNED error = x > y ? (UNSIGNED)((UNSIGNED)x - (UNSIGNED)y) : (UNSIGNED)((UNSIGNED)y - (UNSIGNED)x);
      if ((double)error <= s->limit && within((double)x, (double)y, s->limit)) {
        s->types[i] = (uint32_t)(n + s->radius);
        return y;
      }
    }
  }
  s->types[i] = 0;
  const UNSIGNED above = (UNSIGNED)((UNSIGNED)x - (UNSIGNED)s->least);
  for (unsigned j = s->bytes; j-- > 0;) put_u8(&s->exact, (uint8_t)(above >> 8 * j));
  return x;
}

static void JOIN(encode_line_, ELEMENT)(JOIN(run_, ELEMENT) * s, STORED *decoded, uint64_t count) {
  VALUE a = 0;
  for (uint64_t i = 0; i < count; i++) decoded[i] = (TYPE)(a = JOIN(element_, ELEMENT)(s, a, i == 0));
}

#define STATE JOIN(run_, ELEMENT)
#define STOP() 0
#define FIRST() JOIN(element_, ELEMENT)(state, 0, 1)
#define NEXT(prediction) JOIN(element_, ELEMENT)(state, (VALUE)(prediction), 0)
#define WALK JOIN(encode_walk_, ELEMENT)
#define LINE(a, b) (2 * (WRAPPED)(a) - (WRAPPED)(b))
#define PLANE(a, b, c) ((WRAPPED)(a) + (WRAPPED)(b) - (WRAPPED)(c))
#define SPACE(a, b, c, ab, ac, bc, abc) \
  ((WRAPPED)(a) + (WRAPPED)(b) + (WRAPPED)(c) - (WRAPPED)(ab) - (WRAPPED)(bc) - (WRAPPED)(ac) + (WRAPPED)(abc))
#include "sequence.h"
#undef STATE
#undef STOP
#undef FIRST

static int64_t JOIN(encode_, ELEMENT)(sz_bytes *out, const sz_shape *shape, const uint8_t *bytes) {
  const STORED *in = (const STORED *)(const void *)bytes;
  const uint64_t n = shape->count;
  TYPE least = in[0], most = in[0];
  for (uint64_t i = 1; i < n; i++) {
    if (in[i] < least) least = in[i];
    if (in[i] > most) most = in[i];
  }
  const uint64_t span = (UNSIGNED)((UNSIGNED)most - (UNSIGNED)least);
  JOIN(run_, ELEMENT) s = {.in = in, .least = least, .bytes = span <= 0xff ? 1 : span <= 0xffff ? 2 : span <= 0xffffffff ? 4 : 8};
  STORED *decoded = malloc((size_t)n * sizeof(TYPE));
  s.types = malloc((size_t)n * sizeof *s.types);
  sz_coder coder = {0};
  int64_t status = decoded && s.types ? 0 : H5Z_E_MEMORY;
  for (int attempt = 0; status == 0; attempt++) {
    s.limit = limit_of(shape->bounds, (double)span, attempt);
    const size_t start = out->size;
    if (!(s.limit >= 0) || shape->bounds[0] == SZ_PW_REL) {
      status = H5Z_E_PARAM;
      break;
    }
    if ((double)span <= s.limit) {
      for (unsigned j = sizeof(TYPE); j-- > 0;) put_u8(out, (uint8_t)((UNSIGNED)in[0] >> 8 * j));
      for (uint64_t i = 0; i < n; i++) decoded[i] = in[0];
      status = SZ_FLAG_SAME;
    } else {
      /* Steps of an odd number of whole ones, so that every integer within the bound can be reached, and no other. */
      s.precision = s.limit < 0x1p50 ? (double)(int64_t)s.limit + 0.5 : s.limit;
      s.per_step = 0.5 / s.precision;
      uint64_t cubes = 1, d1 = 1, d2 = 1;
      const uint64_t d3 = shape->dim[shape->rank - 1];
      if (shape->rank >= 2) d2 = shape->dim[shape->rank - 2];
      if (shape->rank >= 3) d1 = shape->dim[shape->rank - 3];
      if (shape->rank == 4) cubes = shape->dim[0];
      s.radius = MOST_RADIUS;
      for (int round = 0; round < 2; round++) {
        s.at = 0, s.exact.size = 0;
        if (shape->rank == 1) JOIN(encode_line_, ELEMENT)(&s, decoded, n);
        else JOIN(encode_walk_, ELEMENT)(&s, decoded, cubes, d1, d2, d3);
        const int32_t radius = best_radius(s.types, n, s.radius, 8 * s.bytes);
        if (radius < 0 || s.exact.failed) status = H5Z_E_MEMORY;
        if (status < 0 || radius == s.radius) break;
        s.radius = radius;
      }
      free_coder(&coder);
      if (status == 0 && !make_coder(&coder, s.types, n, 2 * (uint32_t)s.radius)) status = H5Z_E_MEMORY;
      if (status < 0) break;
      put_u32(out, 2 * MOST_RADIUS), put_u32(out, 2 * (uint32_t)s.radius);
      put_u64(out, (uint64_t)(int64_t)least), put_f64(out, s.precision);
      put_u64(out, 8 + coder.tree.size + (coder.bits + 7) / 8);
      put_u64(out, s.exact.size / s.bytes), put_u64(out, s.exact.size);
      put_u32(out, coder.nodes), put_u32(out, 2 * (uint32_t)s.radius);
      put(out, coder.tree.p, coder.tree.size);
      put_types(out, &coder, s.types, n);
      put(out, s.exact.p, s.exact.size);
      if (out->failed) status = H5Z_E_MEMORY;
    }
    if (status < 0 || shape->bounds[0] != SZ_PSNR || attempt > 0) break;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
      const double e = (double)in[i] - (double)decoded[i];
      sum += e * e;
    }
    if (__builtin_sqrt(sum / (double)n) <= limit_of(shape->bounds, (double)span, 1)) break;
    out->size = start, status = 0;
  }
  free(decoded);
  free(s.types);
  free(s.exact.p);
  free_coder(&coder);
  return status < 0 ? status : (int64_t)(status | (int64_t)s.bytes << 8);
}
#undef JOIN
#undef JOIN_
#undef ELEMENT
#undef TYPE
#undef STORED
#undef VALUE
#undef WRAPPED
#undef UNSIGNED
#undef TYPE_LEAST
#undef TYPE_MOST
