/* portable.h: included before every file of zfp, so that the same numbers come out of every processor and libc.
 *
 * zfp asks libm for two things: the exponent of a number (frexp) and a power of two (ldexp of 1). Libraries differ in what
 * frexp says of infinity (glibc: 0, musl: nothing), and calls cost more than the few instructions below. What C leaves
 * undefined, a float that no integer can hold, becomes what x86 makes of it: the smallest integer. That is what the
 * files of other people's filters hold, almost all of them written on x86. */
#ifndef H5Z_ZFP_PORTABLE_H
#define H5Z_ZFP_PORTABLE_H
#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^e, rounded as ldexp does: 0 below the smallest subnormal number, infinity above the largest. `one` is 1. */
static inline float h5z_zfp_ldexpf(float one, int e) {
  uint32_t bits = 0;
  float y;
  (void)one;
  if (e > 127) bits = UINT32_C(0xff) << 23;
  else if (e >= -126) bits = (uint32_t)(e + 127) << 23;
  else if (e >= -149) bits = UINT32_C(1) << (e + 149);
  memcpy(&y, &bits, sizeof y);
  return y;
}

static inline double h5z_zfp_ldexp(double one, int e) {
  uint64_t bits = 0;
  double y;
  (void)one;
  if (e > 1023) bits = UINT64_C(0x7ff) << 52;
  else if (e >= -1022) bits = (uint64_t)(e + 1023) << 52;
  else if (e >= -1074) bits = UINT64_C(1) << (e + 1074);
  memcpy(&y, &bits, sizeof y);
  return y;
}

/* e with 2^(e-1) <= x < 2^e for x > 0. Subnormal numbers may get any e below the smallest normal one's: zfp clamps it.
 * Infinity: 0, as glibc. */
static inline void h5z_zfp_frexpf(float x, int *e) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int biased = (int)(bits >> 23 & 0xff);
  *e = biased == 0xff ? 0 : biased - 126;
}

static inline void h5z_zfp_frexp(double x, int *e) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int biased = (int)(bits >> 52 & 0x7ff);
  *e = biased == 0x7ff ? 0 : biased - 1022;
}

/* The integer part of x; the smallest integer if no integer holds it, or x is no number. */
static inline int32_t h5z_zfp_int32(float x) { return x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : INT32_MIN; }
static inline int64_t h5z_zfp_int64(double x) { return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN; }

#define ldexpf h5z_zfp_ldexpf
#define ldexp h5z_zfp_ldexp
#define frexpf h5z_zfp_frexpf
#define frexp h5z_zfp_frexp
#endif
