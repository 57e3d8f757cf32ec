/* HDF5 filter 32023: Granular BitRound (Delaunay et al., 2019; Zender). Every number is rounded, halves up, to as many bits
 * as `digits` decimal digits need for its own magnitude. quantize.h has the rest.
 *
 * Reckoned as HDFGroup's filter does since 2026, with comparisons instead of logarithms, so that all platforms agree.
 * Files by older ones, by CCR and by netCDF may differ from it in the last kept bit of numbers near powers of ten and two.
 */
#define QUANTIZE_MOST 16
#define QUANTIZE_DEFAULT 3
#include <quantize/quantize.h>

#include <decimal/decimal.h>

/* Digits before the decimal point, floor(log10 |x|) + 1: the largest power of ten that is not above |x| tells. log10(2) times
 * the binary exponent is one too small at most. */
static inline int digits_before_point(double size_of, int exponent) {
  if (size_of < decimal_power(-DECIMAL_MOST)) return -DECIMAL_MOST; /* what the original answers, too */
  int n = (int)(((int64_t)(exponent - 1) * 1292913986) >> 32); /* floor */
  if (n < -DECIMAL_MOST) n = -DECIMAL_MOST;
  while (n < DECIMAL_MOST && decimal_power(n + 1) <= size_of) n++;
  return n + 1;
}

static inline uint64_t quantize_number(uint64_t x, unsigned keep, unsigned mantissa, uint64_t index) {
  (void)index;
  /* As a double, which every single is, with a mantissa in [0.5, 1) and an exponent: what frexp gives. */
  uint64_t bits = x;
  double value;
  if (mantissa == 23) {
    const uint32_t word = (uint32_t)x;
    float single;
    memcpy(&single, &word, sizeof single);
    value = single;
    memcpy(&bits, &value, sizeof bits);
  }
  bits &= INT64_MAX;
  memcpy(&value, &bits, sizeof value);
  uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
  int exponent = (int)(bits >> 52) - 1022;
  if (bits >> 52 == 0) { /* below the normal numbers: the highest bit that is set is the implicit one */
    const int zeros = __builtin_clzll(fraction);
    exponent = 64 - zeros - 1074;
    fraction &= ~((uint64_t)1 << (63 - zeros));
  }

  /* The number is to be a multiple of 2^power; needed: explicit bits for that. */
  const double exact = 2.30258509299404568402 / 0.69314718055994530942 * (digits_before_point(value, exponent) - (int)keep);
  int power = (int)exact;
  if (power > exact) power--;
  int needed = exponent + (fraction == 0) - power;
  needed = (needed < 0 ? -needed : needed) - 1;
  const int drop = (int)mantissa - needed;
  if (needed < 0 || drop <= 0) return x; /* where the original shifts by a negative count, and anything may come out */
  return (x + ((uint64_t)1 << (drop - 1))) & ~(((uint64_t)1 << drop) - 1);
}

QUANTIZE_FILTER
