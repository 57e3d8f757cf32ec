/* htj2k.h: what the parts of the filter tell each other. header.c reads a codestream's headers and holds them to what can be
 * decoded; codec.cpp codes samples by OpenJPH; filter.c is the filter. */
#ifndef HTJ2K_H
#define HTJ2K_H

#include <h5z/filter.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An image of interleaved samples: lines, columns, components; each sample `bytes` wide (1 or 2), of `depth` bits. */
typedef struct {
  uint32_t width, height, components;
  uint32_t bytes, depth;
  bool is_signed, big_endian;
} htj2k_image;

/* Reads the headers of the codestream of `nin` bytes at `in`. Leaves `bytes` and `big_endian` alone. 0 or an error code. */
int64_t htj2k_read_header(const uint8_t *in, size_t nin, htj2k_image *image);

/* Holds a codestream whose headers are good to what decoding it may cost, for an output of `size` bytes, and to being all
 * there: every tile, down to the EOC marker. 0 or an error code. */
int64_t htj2k_check(const uint8_t *in, size_t nin, uint64_t size);

/* Both throw nothing. Bytes written or an error code. The output of decode has room for the whole image. */
int64_t htj2k_codec_encode(const htj2k_image *image, const uint8_t *in, uint8_t *out, size_t cap);
int64_t htj2k_codec_decode(const htj2k_image *image, const uint8_t *in, size_t nin, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
