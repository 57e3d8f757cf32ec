/* decimal.h: powers of ten, rounded right on every system. pow() is not the same everywhere, and bytes that filters write
 * must be: scale-offset and Granular BitRound reckon with these.
 */
#ifndef DECIMAL_H
#define DECIMAL_H

enum { DECIMAL_MOST = 308 };

/* T(1e, 12) gives 1e120, ..., 1e129. */
#define DECIMAL_TENS(e, n) e##n##0, e##n##1, e##n##2, e##n##3, e##n##4, e##n##5, e##n##6, e##n##7, e##n##8, e##n##9
#define DECIMAL_HUNDREDS(e, n)                                                                                        \
  DECIMAL_TENS(e, n##0), DECIMAL_TENS(e, n##1), DECIMAL_TENS(e, n##2), DECIMAL_TENS(e, n##3), DECIMAL_TENS(e, n##4),  \
      DECIMAL_TENS(e, n##5), DECIMAL_TENS(e, n##6), DECIMAL_TENS(e, n##7), DECIMAL_TENS(e, n##8), DECIMAL_TENS(e, n##9)

/* 10^n for n from -DECIMAL_MOST to DECIMAL_MOST. */
static inline double decimal_power(int n) {
  static const double up[] = {DECIMAL_HUNDREDS(1e, 0), DECIMAL_HUNDREDS(1e, 1), DECIMAL_HUNDREDS(1e, 2),
                              1e300, 1e301, 1e302, 1e303, 1e304, 1e305, 1e306, 1e307, 1e308};
  static const double down[] = {DECIMAL_HUNDREDS(1e-, 0), DECIMAL_HUNDREDS(1e-, 1), DECIMAL_HUNDREDS(1e-, 2),
                                1e-300, 1e-301, 1e-302, 1e-303, 1e-304, 1e-305, 1e-306, 1e-307, 1e-308};
  _Static_assert(sizeof up == (DECIMAL_MOST + 1) * sizeof *up && sizeof down == sizeof up, "one of each");
  return n >= 0 ? up[n] : down[-n];
}

#endif
