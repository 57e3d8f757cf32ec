/* The two codecs of Blosc that have no library of their own here: BloscLZ, and Snappy's raw format. */
#ifndef H5Z_BLOSC_CODECS_H
#define H5Z_BLOSC_CODECS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Both decoders return 0 when `nin` bytes are exactly `nout` bytes encoded, else -1. */
int blosclz_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t nout);
int snappy_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t nout);

/* Both encoders return the length, or 0 when it would be more than `cap`. `table` is scratch of BLOSC_TABLE words.
 * second, split: which c-blosc to be like, and whether blocks are split, on which BloscLZ's choice of matches depends. */
enum { BLOSC_TABLE = 1 << 14 };
size_t blosclz_encode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, unsigned level, int second, int split,
                      uint32_t *table);
size_t snappy_encode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, uint32_t *table);

static inline uint32_t load32(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}
static inline uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}
static inline void copy16(uint8_t *to, const uint8_t *from) {
  uint8_t v[16];
  memcpy(v, from, 16);
  memcpy(to, v, 16);
}

/* How many bytes at a and b are equal, at most `most`; a lies before b. */
static inline size_t equal_bytes(const uint8_t *a, const uint8_t *b, size_t most) {
  size_t n = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; n + 8 <= most; n += 8) {
    const uint64_t difference = load64(a + n) ^ load64(b + n);
    if (difference) return n + ((size_t)__builtin_ctzll(difference) >> 3);
  }
#endif
  while (n < most && a[n] == b[n]) n++;
  return n;
}

static inline void copy8(uint8_t *to, const uint8_t *from) {
  uint64_t v;
  memcpy(&v, from, 8);
  memcpy(to, &v, 8);
}

/* Copies `length` bytes to `to` from `distance` before it; the two may overlap, which repeats a pattern. `room` is what may be
 * written at `to`, and at least `length`. */
static inline void copy_match(uint8_t *to, size_t distance, size_t length, size_t room) {
  const uint8_t *from = to - distance;
  uint8_t *const end = to + length;
  if (distance >= 8 && length <= 16 && room >= 16) { /* 8 bytes as written, since loads of 16 wait for smaller stores */
    copy8(to, from);
    copy8(to + 8, from + 8);
  } else if (distance == 1) {
    memset(to, *from, length);
  } else if (length > 128 || room < length + 16) { /* long, or near the end: the pattern doubles */
    for (; length > distance; length -= distance, to += distance, distance *= 2) {
      if (distance < 8) { /* too short for memcpy to pay */
        for (size_t i = 0; i < distance; i++) to[i] = from[i];
      } else {
        memcpy(to, from, distance);
      }
    }
    memcpy(to, from, length);
  } else if (distance >= 16) {
    do copy16(to, from), to += 16, from += 16;
    while (to < end);
  } else {
    if (distance < 8) { /* the first 8 bytes from a pattern of 2 to 7, then from a multiple of it that is farther away */
      static const uint8_t more[8] = {0, 1, 2, 1, 0, 4, 4, 4};
      static const int8_t less[8] = {0, 0, 0, -1, -4, 1, 2, 3};
      to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = from[3];
      from += more[distance];
      memcpy(to + 4, from, 4);
      from -= less[distance];
    } else {
      copy8(to, from), from += 8;
    }
    for (to += 8; to < end; to += 8, from += 8) copy8(to, from);
  }
}

#endif
