/* exp2, log2 and powers for the point-wise relative bounds. Not libm's: every variant of the filter must decode to the
 * same bits. The results are within 0.51 units in the last place, as glibc's are, so that they agree with what SZ
 * itself decodes but for a rare last bit.
 */
#include "sz.h"

static double from_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static uint64_t to_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* a + b and a b with what rounding loses (Dekker, Knuth). */
static sz_dd two_sum(double a, double b) {
  const double s = a + b, t = s - a;
  return (sz_dd){s, (a - (s - t)) + (b - t)};
}
static sz_dd two_product(double a, double b) {
  const double p = a * b;
  const double a1 = 134217729.0 * a, b1 = 134217729.0 * b; /* 2^27 + 1 */
  const double ah = a1 - (a1 - a), al = a - ah, bh = b1 - (b1 - b), bl = b - bh;
  return (sz_dd){p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
}
static sz_dd add(sz_dd a, sz_dd b) {
  sz_dd s = two_sum(a.high, b.high);
  const sz_dd t = two_sum(a.low, b.low);
  s = two_sum(s.high, s.low + t.high);
  return two_sum(s.high, s.low + t.low);
}
static sz_dd multiply(sz_dd a, sz_dd b) {
  const sz_dd p = two_product(a.high, b.high);
  return two_sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}
static sz_dd divide(sz_dd a, sz_dd b) {
  const double q1 = a.high / b.high;
  const sz_dd r = add(a, multiply((sz_dd){-q1, 0}, b));
  const double q2 = r.high / b.high;
  const sz_dd r2 = add(r, multiply((sz_dd){-q2, 0}, b));
  return add(two_sum(q1, q2), (sz_dd){r2.high / b.high, 0});
}

/* x = m 2^e, sqrt(1/2) <= m < sqrt(2) */
static double split(double x, int *e) {
  *e = 0;
  if (x < 0x1p-1000) x *= 0x1p60, *e = -60;
  const uint64_t bits = to_bits(x);
  *e += (int)(bits >> 52) - 1023;
  double m = from_bits((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) m *= 0.5, ++*e;
  return m;
}

/* log m = 2 atanh s, s = (m - 1) / (m + 1) = 2 (s + s^3 / 3 + s^5 / 5 ...), |s| < 0.172 */
sz_dd sz_log2_dd(double x) {
  static const sz_dd per_ln2 = {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56}; /* 1 / ln 2 */
  int e;
  const double m = split(x, &e);
  const sz_dd s = divide((sz_dd){m - 1, 0}, two_sum(m, 1)), square = multiply(s, s);
  sz_dd sum = {0, 0};
  for (int i = 41; i > 0; i -= 2) sum = add(multiply(sum, square), divide((sz_dd){1, 0}, (sz_dd){i, 0}));
  const sz_dd log = multiply(multiply(s, sum), per_ln2);
  return add((sz_dd){e, 0}, (sz_dd){2 * log.high, 2 * log.low});
}

double sz_log2_rough(double x) {
  int e;
  const double m = split(x, &e), s = (m - 1) / (m + 1), q = s * s;
  const double sum = 1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q / 15))))));
  return e + 2.8853900817779268 * (s * sum);
}

/* 2^(i / 128), high and low parts */
static const double EXP2[128][2] = {
#include "exp2_table.h"
};

/* `*sure`: any result within 0.52 units in the last place, such as libm's, is this one. */
static double exp2_of(double high, double low, int *sure) {
  *sure = 1;
  if (!(high > -1080)) return high <= -1080 ? 0 : high; /* NaN stays */
  if (high >= 1024) return from_bits(0x7ff0000000000000);
  const double shifted = high * 128 + 0x1.8p52; /* to the nearest integer */
  const double nearest = shifted - 0x1.8p52;
  const int k = (int)nearest, j = k & 127, e = (k - j) / 128;
  const double t = high - nearest / 128; /* exact, |t| <= 1 / 256 */
  const double p = t * (0x1.62e42fefa39efp-1 +
                        t * (0x1.ebfbdff82c58fp-3 +
                             t * (0x1.c6b08d704a0c0p-5 +
                                  t * (0x1.3b2ab6fba4e77p-7 + t * (0x1.5d87fe78a6731p-10 + t * 0x1.430912f86c787p-13)))));
  const double low_part = low * 0x1.62e42fefa39efp-1;
  const double added = EXP2[j][1] + EXP2[j][0] * (p + low_part), y = EXP2[j][0] + added;
  *sure = __builtin_fabs(added - (y - EXP2[j][0])) < 0.48 * (y < 1 ? 0x1p-53 : 0x1p-52);
  if (e >= -1021 && e <= 1023) return y * from_bits((uint64_t)(e + 1023) << 52);
  if (e > 1023) return y * from_bits((uint64_t)(e - 1 + 1023) << 52) * 2;
  return y * from_bits((uint64_t)(e + 200 + 1023) << 52) * 0x1p-200;
}

double sz_exp2_dd(double high, double low) {
  int sure;
  return exp2_of(high, low, &sure);
}

double sz_power(sz_dd log2_base, double exponent, int *sure) {
  const double rough = exponent * log2_base.high;
  *sure = 1;
  if (!(rough < 2000)) return rough >= 2000 ? from_bits(0x7ff0000000000000) : rough; /* NaN stays */
  if (rough < -2000) return 0;
  const sz_dd p = two_product(exponent, log2_base.high);
  const sz_dd s = two_sum(p.high, p.low + exponent * log2_base.low);
  return exp2_of(s.high, s.low, sure);
}
