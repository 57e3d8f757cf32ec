/* The walks over integers of one type: ELEMENT is its short name, TYPE lies in the output, VALUE is computed with,
 * WRAPPED predicts. Included with STATE, STOP, FIRST as for sequence.h. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define STORED JOIN(sz_, ELEMENT)
typedef TYPE STORED __attribute__((aligned(1)));

static inline VALUE JOIN(next_, ELEMENT)(STATE *s, VALUE prediction) {
  const uint32_t t = sz_next(&s->types);
  if (t == 0) return (VALUE)(TYPE)exact_integer(s, sizeof(TYPE));
  /* As predicted: the processor goes on while the neighbours are yet to come. Doubles hold fewer than 64 bits. */
  if (sizeof(TYPE) == 4 && (int32_t)t == s->radius) return prediction;
  return (VALUE)JOIN(sz_to_, ELEMENT)((double)prediction + 2 * ((int32_t)t - s->radius) * s->precision);
}

static void JOIN(line_of_, ELEMENT)(STATE *s, STORED *out, uint64_t count) {
  VALUE a = 0;
  for (uint64_t i = 0; i < count && !s->types.bad; i++) out[i] = (TYPE)(a = JOIN(next_, ELEMENT)(s, a));
}

#define WALK JOIN(walk_, ELEMENT)
#define NEXT(prediction) JOIN(next_, ELEMENT)(state, (VALUE)(prediction))
#define LINE(a, b) (2 * (WRAPPED)(a) - (WRAPPED)(b))
#define PLANE(a, b, c) ((WRAPPED)(a) + (WRAPPED)(b) - (WRAPPED)(c))
#define SPACE(a, b, c, ab, ac, bc, abc) \
  ((WRAPPED)(a) + (WRAPPED)(b) + (WRAPPED)(c) - (WRAPPED)(ab) - (WRAPPED)(bc) - (WRAPPED)(ac) + (WRAPPED)(abc))
#include "sequence.h"
#undef JOIN
#undef JOIN_
#undef ELEMENT
#undef TYPE
#undef STORED
#undef VALUE
#undef WRAPPED
