/* HDF5 filter 32032: BitRound (Kloewer et al., 2021). Every number is rounded to a number of mantissa bits, halves to even.
 * quantize.h has the rest.
 */
#define QUANTIZE_MOST 52
#define QUANTIZE_DEFAULT 0
#include <quantize/quantize.h>

/* A carry out of the mantissa raises the exponent, which is right. But nothing finite becomes infinite: what would is cut. */
static inline uint64_t quantize_number(uint64_t x, unsigned keep, unsigned mantissa, uint64_t index) {
  (void)index;
  if (keep >= mantissa) return x;
  const unsigned drop = mantissa - keep;
  const uint64_t rest = ((uint64_t)1 << drop) - 1, exponent = mantissa == 23 ? 0xff : 0x7ff;
  const uint64_t rounded = (x + (rest >> 1) + (x >> drop & 1)) & ~rest;
  return (rounded >> mantissa & exponent) == exponent ? x & ~rest : rounded;
}

QUANTIZE_FILTER
