/* HDF5 filter 32022: BitGroom (Zender, 2016). The trailing bits that `digits` decimal digits do not need are cleared in the
 * numbers of even index and set in those of odd index, so that their mean stays. quantize.h has the rest.
 */
#define QUANTIZE_MOST 16
#define QUANTIZE_DEFAULT 3
#include <quantize/quantize.h>

/* Bits for so many decimal digits, rounded up, and one more, which is the original's: digits * log2(10) + 1. */
static inline uint64_t quantize_number(uint64_t x, unsigned keep, unsigned mantissa, uint64_t index) {
  static const uint8_t bits[QUANTIZE_MOST + 1] = {0, 5, 8, 11, 15, 18, 21, 25, 28, 31, 35, 38, 41, 45, 48, 51, 55};
  if (bits[keep] >= mantissa) return x;
  const uint64_t rest = ((uint64_t)1 << (mantissa - bits[keep])) - 1;
  return index % 2 == 0 ? x & ~rest : x | rest;
}

QUANTIZE_FILTER
