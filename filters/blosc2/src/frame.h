/* The contiguous frame of Blosc2, which is what filter 32026 makes of an HDF5 chunk. Format: Blosc/c-blosc2,
 * README_CFRAME_FORMAT.rst and README_B2ND_METALAYER.rst. The parts of it in MessagePack are big-endian and, but for the
 * metalayers, lie at fixed places:
 *
 *     0        2           11        16        26       30         39        48       53         58       70          87
 *     +--------+-----------+---------+---------+--------+----------+---------+--------+----------+--------+-----------+----
 *     | 9e a8  | "b2frame" | i32     | u64     | u8 x 4 | i64      | i64     | i32    | i32      | i32    | filters,  | meta-
 *     |        | 0         | header  | frame   | flags  | data     | chunks' | elem.  | block    | chunk  | codec     | layers
 *     |        |           | length  | length  |        | bytes    | bytes   | bytes  | bytes    | bytes  |           |
 *     +--------+-----------+---------+---------+--------+----------+---------+--------+----------+--------+-----------+----
 *
 *     +---------+----   ----+--------------------------------------------+---------+
 *     | chunk 0 |    ...    | chunk of i64: where each of the others     | trailer |
 *     |         |           | begins, or, when negative, a special value | 35 bytes|
 *     +---------+----   ----+--------------------------------------------+---------+
 *
 * The metalayer "b2nd" (once "caterva") says that the data are an array cut into chunks, and these into blocks, that have
 * shapes; chunks and blocks at the edges are padded. The filter writes one for HDF5 chunks of two and more dimensions.
 */
#ifndef H5Z_BLOSC2_FRAME_H
#define H5Z_BLOSC2_FRAME_H

#include <blosc/blosc.h>

enum { MOST_DIMENSIONS = 16, FRAME_TRAILER = 35 };

typedef struct array {
  int rank; /* 0: no array, plain chunks */
  size_t elem;
  uint64_t shape[MOST_DIMENSIONS], chunk[MOST_DIMENSIONS], block[MOST_DIMENSIONS]; /* in elements */
} array;

typedef struct frame {
  const uint8_t *bytes;
  size_t header;            /* its length: where chunk 0 lies */
  size_t chunks_bytes;      /* of all chunks */
  size_t index_at;          /* of the chunk of offsets */
  size_t length;            /* of the frame */
  size_t size, chunk_bytes; /* of the decoded data, padding of arrays not included; of a decoded chunk, padding included */
  size_t chunks;            /* how many */
  size_t block_bytes;
  array array;
} frame;

/* Reads and checks a frame's header: 0 or an error. */
int64_t frame_open(const void *in, size_t nin, frame *f);

/* Decodes to f->size bytes. */
int64_t frame_decode(const frame *f, uint8_t *out);

/* Bytes of a chunk with its padding, or 0 when they are more than a chunk can hold. */
size_t array_padded_bytes(const array *a);

/* The most bytes of a frame for `nin` bytes, or 0 when it cannot be made. The array may be NULL. */
size_t frame_bound(const array *a, size_t nin);

/* Encodes one chunk; `cap` is at least frame_bound. */
int64_t frame_encode(const blosc_settings *s, const array *a, const void *in, size_t nin, void *out, size_t cap);

#endif
