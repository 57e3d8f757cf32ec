/* filter.c: the table of the test filter whose codec is codec.cpp. A chunk's first byte is cd_values[0]: what its decoding
 * shall throw. 100: setjmp and longjmp, as C codecs do. */
#include <h5z/filter.h>

#include <setjmp.h>
#include <stdlib.h>

#include "codec.h"

struct place {
  jmp_buf back;
  volatile int seen;
};

static void jump(struct place *p, int depth) {
  volatile char frame[64];
  frame[depth % 64] = 1;
  if (depth == 0) longjmp(p->back, 7);
  jump(p, depth - 1);
  p->seen = frame[0];
}

static int64_t throws_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in, (void)nin;
  return H5Z_SIZE_UNKNOWN;
}

static int64_t throws_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (nin > 0 && *(const uint8_t *)in == 100) {
    struct place *p = calloc(1, sizeof *p);
    if (!p) return H5Z_E_MEMORY;
    const int came = setjmp(p->back);
    if (came == 0) jump(p, 30);
    free(p);
    return came == 7 ? H5Z_E_VERSION : H5Z_E_INTERNAL;
  }
  return codec_decode(in, nin, out, cap);
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t throws_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin + 1;
}

static int64_t throws_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (nin + 1 > cap) return H5Z_E_OUTPUT;
  *(uint8_t *)out = ncd > 0 ? (uint8_t)cd[0] : 0;
  memcpy((uint8_t *)out + 1, in, nin);
  return (int64_t)nin + 1;
}
#endif

H5Z_FILTER(.decoded_size = throws_size, .decode = throws_decode,
           H5Z_ENCODER(.encode_bound = throws_bound, .encode = throws_encode))
