/* Integers in as few bytes as they need (D. Lemire's StreamVByte, and Oxford Nanopore's half bytes), for filter.c.
 *
 *     keys                               data
 *     +---------------------------+----- +----------------------------------------+
 *     | 2 bits for each integer,  | ...  | the integers' low bytes, little-endian  |
 *     | the first one lowest      |      | (half bytes: low half first)            |
 *     +---------------------------+----- +----------------------------------------+
 *      (n + 3) / 4 bytes
 *
 *     key       0          1          2         3
 *     bytes     1          2          3         4 bytes
 *     halves    nothing    4 bits     1 byte    2 bytes       (version 1, integers of 1 byte)
 *
 * With `delta` the integers are differences to the one before (0 at first), wrapped at their width and then zigzag
 * encoded: 0, -1, 1, -2 ... become 0, 1, 2, 3 ... Some writers do not wrap: the decoder takes such integers too.
 */
#ifndef H5Z_VBZ_STREAMVBYTE_H
#define H5Z_VBZ_STREAMVBYTE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  unsigned width; /* bytes of an integer: 1, 2 or 4 */
  int delta;
  int halves; /* version 1's layout, for width 1 */
} svb_layout;

static inline size_t svb_key_bytes(size_t n) { return n / 4 + (n % 4 != 0); }

/* Most bytes that n integers may take in anybody's encoding, and in ours; what svb_encode may write beyond. */
static inline size_t svb_most(size_t n) { return svb_key_bytes(n) + 4 * n; }
static inline size_t svb_bound(svb_layout layout, size_t n) { return svb_key_bytes(n) + layout.width * n; }
enum { SVB_SLACK = 4 };

/* Decodes n integers into n * width bytes. 1, or 0 when the stream is not exactly as long as its keys say. */
int svb_decode(svb_layout layout, const uint8_t *in, size_t nin, void *out, size_t n);

/* Bytes written, at most svb_bound; `out` has SVB_SLACK bytes more. */
size_t svb_encode(svb_layout layout, const void *in, size_t n, uint8_t *out);

#endif
