/* The decoder of bzip2 streams, for filter.c. Ours: libbzip2's takes a code bit by bit, so that it can stop anywhere. */
#ifndef H5Z_BUNZIP2_H
#define H5Z_BUNZIP2_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the stream at in[0..nin) into out[0..cap). Bytes written or an H5Z_E_*; *used is how long the stream is. */
int64_t bunzip2(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, size_t *used);

#endif
