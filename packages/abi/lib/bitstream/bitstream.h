/* bitstream.h: bits one after the other, from the highest of a number down, bytes filled from their highest bit down: what
 * HDF5's n-bit and scale-offset filters pack numbers into. Nothing here checks that there is room: the callers know from
 * the cd_values how many bits a chunk has, and check once.
 */
#ifndef BITSTREAM_H
#define BITSTREAM_H

#include <stddef.h>
#include <stdint.h>

/* n bits, 1 to 64, from bit position `at` of `nin` bytes. */
static inline uint64_t bits_get(const uint8_t *in, size_t nin, uint64_t at, unsigned n) {
  const uint8_t *p = in + (size_t)(at >> 3);
  const size_t left = nin - (size_t)(at >> 3);
  const unsigned skip = at & 7;
  uint64_t word = 0;
  if (left >= 8) {
    word = (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
           (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
  } else {
    for (size_t i = 0; i < left; i++) word |= (uint64_t)p[i] << (56 - 8 * i);
  }
  word <<= skip;
  if (n + skip > 64) word |= p[8] >> (8 - skip);
  return word >> (64 - n);
}

typedef struct {
  uint8_t *next;
  uint64_t acc;   /* the last `count` bits; above them, bits that are written already */
  unsigned count; /* fewer than 32 between calls */
} bits_writer;

/* The low n bits, at most 32, of a value that has no others. */
static inline void bits_put_few(bits_writer *w, uint64_t value, unsigned n) {
  w->acc = w->acc << n | value;
  w->count += n;
  if (w->count >= 32) {
    const uint32_t word = (uint32_t)(w->acc >> (w->count -= 32));
    w->next[0] = (uint8_t)(word >> 24), w->next[1] = (uint8_t)(word >> 16);
    w->next[2] = (uint8_t)(word >> 8), w->next[3] = (uint8_t)word;
    w->next += 4;
  }
}

/* The same for up to 64 bits. */
static inline void bits_put(bits_writer *w, uint64_t value, unsigned n) {
  if (n > 32) bits_put_few(w, value >> 32, n - 32), value &= UINT32_MAX, n = 32;
  bits_put_few(w, value, n);
}

/* Writes the bits that are left, filled up to a byte with zeros, and returns the end. */
static inline uint8_t *bits_finish(bits_writer *w) {
  if (w->count % 8 != 0) w->acc <<= 8 - w->count % 8, w->count += 8 - w->count % 8;
  while (w->count > 0) *w->next++ = (uint8_t)(w->acc >> (w->count -= 8));
  return w->next;
}

#endif
