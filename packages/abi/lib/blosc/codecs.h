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

/* A pattern of 1 to 7 bytes, made 8 bytes long in a register: loads would wait for the small stores before them. Writes up to
 * 7 bytes more than `length`. */
static inline void repeat_few(uint8_t *to, size_t distance, size_t length) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  static const uint64_t repeat[8] = {0, 0x0101010101010101, 0x0001000100010001, 0x0001000001000001,
                                     0x0000000100000001, 0x0000010000000001, 0x0001000000000001, 0x0100000000000001};
  static const uint8_t whole[8] = {0, 8, 8, 6, 8, 5, 6, 7}; /* patterns in 8 bytes, in bytes */
  uint8_t *const end = to + length;
  const uint64_t pattern = (load64(to - distance) & (((uint64_t)1 << 8 * distance) - 1)) * repeat[distance];
  do memcpy(to, &pattern, 8), to += whole[distance];
  while (to < end);
#else
  const uint8_t *const from = to - distance;
  for (size_t i = 0; i < length; i++) to[i] = from[i];
#endif
}

/* A pattern of 1, 2, 4 or 8 bytes, 32 at a time from registers. Writes up to 31 bytes more than `length` where `room` has them. */
static inline void repeat_whole(uint8_t *to, size_t distance, size_t length, size_t room) {
  const uint8_t *const from = to - distance;
  uint64_t word = 0;
  uint16_t two;
  switch (distance) {
    case 1: word = *from * 0x0101010101010101u; break;
    case 2: memcpy(&two, from, 2), word = two * 0x0001000100010001u; break;
    case 4: word = load32(from) * 0x0000000100000001u; break;
    default: word = load64(from);
  }
  /* A vector, because clang builds an array in memory, where loads of 16 wait for the stores of 8 before them. */
  const uint64_t pattern __attribute__((vector_size(16))) = {word, word};
  uint8_t *const end = to + length;
  if (room >= length + 32) {
    do memcpy(to, &pattern, 16), memcpy(to + 16, &pattern, 16), to += 32;
    while (to < end);
  } else {
    for (; end - to >= 16; to += 16) memcpy(to, &pattern, 16);
    memcpy(to, &pattern, (size_t)(end - to));
  }
}

/* Copies `length` bytes to `to` from `distance` before it; the two may overlap, which repeats a pattern. `room` is what may be
 * written at `to`, and at least `length`. */
static inline void copy_match(uint8_t *to, size_t distance, size_t length, size_t room) {
  const uint8_t *from = to - distance;
  uint8_t *const end = to + length;
  if (distance >= 8 && length <= 16 && room >= 16) { /* 8 bytes as written, since loads of 16 wait for smaller stores */
    copy8(to, from);
    copy8(to + 8, from + 8);
  } else if (length > 128 || room < length + 16) { /* long, or near the end: the pattern doubles */
    if (distance == 1) {
      memset(to, *from, length);
      return;
    }
    if (distance <= 8 && (distance & (distance - 1)) == 0) {
      repeat_whole(to, distance, length, room);
      return;
    }
    if (distance < 8 && length > 256 + 8) {
      const size_t first = 256 - 256 % distance;
      repeat_few(to, distance, first);
      from = to, to += first, length -= first, distance = first;
    }
    for (; length > distance; length -= distance, to += distance, distance *= 2) {
      if (distance < 8) { /* too short for memcpy to pay */
        for (size_t i = 0; i < distance; i++) to[i] = from[i];
      } else {
        memcpy(to, from, distance);
      }
    }
    memcpy(to, from, length);
  } else if (distance < 8) {
    repeat_few(to, distance, length);
  } else if (distance < 16) {
    do copy8(to, from), to += 8, from += 8;
    while (to < end);
  } else {
    do copy16(to, from), to += 16, from += 16;
    while (to < end);
  }
}

#endif
