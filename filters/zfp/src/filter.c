/* HDF5 filter 32013: zfp, for arrays of numbers of 1 to 4 dimensions.
 *
 * A chunk is a bare zfp stream: one string of bits, lowest bit of the first byte first, block after block, the fastest
 * dimension first, zeros up to the next byte at the end. Shape, type and limits lie in the cd_values (header.c).
 *
 *     +---------------+---------------+--   --+---------------+-----+    a block is 4, 4x4, 4x4x4 or 4x4x4x4 values;
 *     | block 0       | block 1       |       | last block    | pad |    where the chunk ends inside of it, the writer
 *     +---------------+---------------+--   --+---------------+-----+    made up the rest and the reader drops it
 *
 * A block's decoder checks no bounds. The loop over blocks does: it gives the decoder more bytes than one block can read, at
 * the chunk's end those of a copy with zeros behind it, and looks after each block whether it still lay within the chunk.
 */
#include "decode.h"

#include <stdlib.h>

/* Room for any block, as the decoders and encoders want it. */
typedef union room {
  uint8_t bytes[256 * 8];
  uint32_t words[256];
  uint64_t longs[256];
  float floats[256];
  double doubles[256];
} room;

/* Where a block lies in the chunk and how much of it is there; everything fastest first. */
typedef struct span {
  size_t at;       /* bytes from the chunk's start */
  size_t count[4]; /* values of each dimension, 1 to 4; 1 beyond the rank */
} span;

typedef struct cursor {
  size_t from[4];
  size_t dims[4], stride[4]; /* in elements, in bytes */
} cursor;

static void cursor_start(cursor *c, const header *h) {
  size_t stride = header_element_size(h);
  for (unsigned i = 0; i < 4; i++) {
    c->from[i] = 0, c->dims[i] = (size_t)h->dims[i], c->stride[i] = stride;
    stride *= c->dims[i];
  }
}

/* The block at the cursor, which then goes on; 0 when that was the last one. */
static inline int cursor_next(cursor *c, span *s) {
  s->at = 0;
  for (unsigned i = 0; i < 4; i++) {
    const size_t left = c->dims[i] - c->from[i];
    s->at += c->from[i] * c->stride[i];
    s->count[i] = left < 4 ? left : 4;
  }
  for (unsigned i = 0; i < 4; i++) {
    if (c->dims[i] - c->from[i] > 4) {
      c->from[i] += 4;
      return 1;
    }
    c->from[i] = 0;
  }
  return 0;
}

/* Rows of a block into the chunk. */
static inline void scatter(const uint8_t *block, uint8_t *out, const span *s, const size_t *stride, size_t elem) {
  for (size_t w = 0; w < s->count[3]; w++) {
    for (size_t z = 0; z < s->count[2]; z++) {
      for (size_t y = 0; y < s->count[1]; y++) {
        uint8_t *row = out + s->at + w * stride[3] + z * stride[2] + y * stride[1];
        const uint8_t *from = block + ((w * 4 + z) * 4 + y) * 4 * elem;
        if (s->count[0] == 4) memcpy(row, from, 4 * elem);
        else memcpy(row, from, s->count[0] * elem);
      }
    }
  }
}

static inline void swap_bytes(uint8_t *p, size_t n, size_t elem) {
  for (; n > 0; n -= elem, p += elem)
    for (size_t i = 0; i < elem / 2; i++) {
      const uint8_t byte = p[i];
      p[i] = p[elem - 1 - i], p[elem - 1 - i] = byte;
    }
}

static int64_t zfp_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  header h;
  const int64_t error = header_read(cd, ncd, &h);
  if (error < 0) return error;
  /* The smallest block is one bit: a chunk of fewer bits is a lie that would cost the caller memory. */
  return header_blocks(&h) / 8 > nin ? H5Z_E_CORRUPT : (int64_t)header_bytes(&h);
}

static inline int64_t decode_blocks(const header *h, const uint8_t *in, size_t nin, uint8_t *out, size_t elem) {
  const block_decoder decode = decoder_of(h);
  uint8_t tail[2 * MOST_BLOCK_BYTES];
  _Alignas(64) room block;
  const uint64_t end = (uint64_t)nin * 8;
  int in_tail = 0;
  cursor c;
  span s;
  reader r = {.next = in, .start = in};
  cursor_start(&c, h);
  for (int more = 1; more;) {
    more = cursor_next(&c, &s);
    if (!in_tail && nin - (size_t)(r.next - in) < MOST_BLOCK_BYTES) {
      const uint64_t bit = reader_tell(&r);
      const size_t from = (size_t)(bit / 8), n = nin - from;
      memcpy(tail, in + from, n); /* at most MOST_BLOCK_BYTES + 7 */
      memset(tail + n, 0, sizeof tail - n);
      reader_seek(&r, tail, from, bit % 8);
      in_tail = 1;
    }
    decode(&r, &h->limits, &block);
    if (reader_tell(&r) > end) return H5Z_E_CORRUPT;
    scatter(block.bytes, out, &s, c.stride, elem);
  }
  return 0;
}

static int64_t zfp_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  header h;
  int64_t error = header_read(cd, ncd, &h);
  if (error < 0) return error;
  const uint64_t size = header_bytes(&h);
  if (header_blocks(&h) / 8 > nin) return H5Z_E_CORRUPT;
  if (size > cap) return H5Z_E_OUTPUT;
  error = header_element_size(&h) == 4 ? decode_blocks(&h, in, nin, out, 4) : decode_blocks(&h, in, nin, out, 8);
  if (error < 0) return error;
  if (h.swapped) swap_bytes(out, (size_t)size, header_element_size(&h));
  return (int64_t)size;
}

#if !defined(H5Z_DECODE_ONLY)
#define inline_ static inline
#include <zfp.h>
#include <zfp/bitstream.inl>

/* Most bits of a block: zfp_stream_maximum_size's. */
static uint64_t most_bits(const header *h) {
  const uint32_t values = UINT32_C(1) << 2 * h->rank, width = 8 * header_element_size(h);
  const uint32_t planes = h->limits.max_prec < width ? h->limits.max_prec : width;
  uint32_t bits = header_block_head(h) + values - 1 + values * planes;
  if (bits > h->limits.max_bits) bits = h->limits.max_bits;
  return bits < h->limits.min_bits ? h->limits.min_bits : bits;
}

static int64_t zfp_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  header h;
  const int64_t error = header_read(cd, ncd, &h);
  if (error < 0) return error;
  if (header_bytes(&h) != nin) return H5Z_E_PARAM; /* the cd_values are another chunk's */
  if (h.limits.max_bits < header_block_head(&h) || (header_reversible(&h) && h.limits.min_bits > 1)) return H5Z_E_PARAM;
  return (int64_t)((header_blocks(&h) * most_bits(&h) + 7) / 8);
}

/* Values that the chunk has not: as zfp pads, so that the bytes are the same as other software's. */
static inline void pad_row(uint8_t *p, size_t count, size_t stride, size_t elem) {
  static const uint8_t from[4] = {0, 0, 1, 0}; /* value i of a row that ends before it is a copy of value from[i] */
  for (size_t i = count; i < 4; i++) memcpy(p + i * stride, p + from[i] * stride, elem);
}

static inline void gather(uint8_t *block, const uint8_t *in, const span *s, const size_t *stride, unsigned rank, size_t elem) {
  for (size_t w = 0; w < s->count[3]; w++) {
    for (size_t z = 0; z < s->count[2]; z++) {
      for (size_t y = 0; y < s->count[1]; y++) {
        const uint8_t *row = in + s->at + w * stride[3] + z * stride[2] + y * stride[1];
        uint8_t *to = block + ((w * 4 + z) * 4 + y) * 4 * elem;
        if (s->count[0] == 4) memcpy(to, row, 4 * elem);
        else memcpy(to, row, s->count[0] * elem), pad_row(to, s->count[0], elem, elem);
      }
    }
  }
  /* Each further dimension: what is there of it is whole in the dimensions before. */
  for (unsigned d = 1; d < rank; d++) {
    if (s->count[d] == 4) continue;
    size_t lines = 1; /* of values below this dimension */
    for (unsigned i = 0; i < d; i++) lines *= 4;
    size_t groups = 1; /* above it */
    for (unsigned i = d + 1; i < rank; i++) groups *= 4;
    for (size_t g = 0; g < groups; g++)
      for (size_t i = 0; i < lines; i++) pad_row(block + (g * lines * 4 + i) * elem, s->count[d], lines * elem, elem);
  }
}

typedef void (*block_encoder)(zfp_stream *stream, const void *block);
#define ENCODER(type, rank) \
  static void encode_##type##_##rank(zfp_stream *stream, const void *block) { zfp_encode_block_##type##_##rank(stream, block); }
#define ENCODERS(type) ENCODER(type, 1) ENCODER(type, 2) ENCODER(type, 3) ENCODER(type, 4)
ENCODERS(int32) ENCODERS(int64) ENCODERS(float) ENCODERS(double)
#define FOUR(type) {encode_##type##_1, encode_##type##_2, encode_##type##_3, encode_##type##_4}
static const block_encoder encoders[4][4] = {FOUR(int32), FOUR(int64), FOUR(float), FOUR(double)};

static inline void encode_blocks(zfp_stream *stream, const header *h, const uint8_t *in, size_t elem) {
  const block_encoder encode = encoders[h->type][h->rank - 1];
  _Alignas(64) room block = {{0}};
  cursor c;
  span s;
  cursor_start(&c, h);
  for (int more = 1; more;) {
    more = cursor_next(&c, &s);
    gather(block.bytes, in, &s, c.stride, h->rank, elem);
    if (h->swapped) swap_bytes(block.bytes, ((size_t)1 << 2 * h->rank) * elem, elem);
    encode(stream, &block);
  }
}

static int64_t zfp_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t bound = zfp_encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  header h;
  header_read(cd, ncd, &h);
  if ((uint64_t)bound > SIZE_MAX - 64) return H5Z_E_MEMORY;
  uint8_t *words = malloc((size_t)bound + 64); /* zfp writes whole words */
  if (!words) return H5Z_E_MEMORY;
  bitstream bits = {.ptr = (void *)words, .begin = (void *)words, .end = (bitstream_word *)(void *)words + ((size_t)bound + 64) / 8};
  zfp_stream stream = {.minbits = h.limits.min_bits, .maxbits = h.limits.max_bits, .maxprec = h.limits.max_prec,
                       .minexp = h.limits.min_exp, .stream = &bits};
  if (header_element_size(&h) == 4) encode_blocks(&stream, &h, in, 4);
  else encode_blocks(&stream, &h, in, 8);
  const size_t n = (size_t)((stream_wtell(&bits) + 7) / 8);
  stream_flush(&bits);
  if (n <= cap) memcpy(out, words, n);
  free(words);
  return n <= cap ? (int64_t)n : H5Z_E_OUTPUT;
}
#endif

H5Z_FILTER(.decoded_size = zfp_decoded_size, .decode = zfp_decode, .restore = zfp_restore,
           H5Z_ENCODER(.derive = zfp_derive, .encode_bound = zfp_encode_bound, .encode = zfp_encode))
