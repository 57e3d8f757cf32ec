/* codec.h: SPERR's streams for C. No exception comes out of these functions. */
#ifndef H5Z_SPERR_CODEC_H
#define H5Z_SPERR_CODEC_H

#include <h5z/filter.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SPERR_RATE = 1, SPERR_PSNR = 2, SPERR_TOLERANCE = 3 };

typedef struct sperr_shape {
  unsigned rank;   /* 2 or 3 */
  size_t dims[3];  /* as SPERR counts them; 1 beyond the rank */
  size_t elements;
  int is_float;    /* 32-bit numbers, else 64 */
  int mode;        /* SPERR_RATE ... */
  double quality;  /* bits a value, decibel, or largest error */
} sperr_shape;

/* Decodes a stream into `values`, in C's double or float as the shape says; of any alignment. 0, or a negative code. */
int64_t sperr_decode(const sperr_shape *shape, const uint8_t *in, size_t nin, void *values);

/* Encodes `values`, aligned for their type. Bytes written, H5Z_E_OUTPUT when `cap` is too small. */
int64_t sperr_encode(const sperr_shape *shape, const void *values, uint8_t *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
