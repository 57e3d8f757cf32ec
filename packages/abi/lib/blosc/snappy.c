/* Snappy's raw format (google/snappy, format_description.txt): a decoder and an encoder small enough to be our own.
 *
 *     varint size, then elements, told apart by the lowest two bits of their first byte:
 *     00  nnnnnn00  n + 1 literal bytes; n = 60 .. 63: n - 59 bytes of length - 1 first
 *     01  dddlll01  dddddddd                    a match of l + 4 bytes, d back
 *     10  llllll10  u16 d                       a match of l + 1 bytes, d back
 *     11  llllll11  u32 d                       the same
 */
#include "codecs.h"

int snappy_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t nout) {
  const uint8_t *const end = in + nin;
  uint8_t *to = out, *const stop = out + nout;
  uint64_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (in >= end || shift > 28) return -1;
    const uint8_t byte = *in++;
    size |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) break;
  }
  if (size != nout) return -1;

  while (in < end) {
    const unsigned tag = *in++;
    size_t length, distance;
    if ((tag & 3) == 0) {
      length = (tag >> 2) + 1;
      const size_t have = (size_t)(end - in), room = (size_t)(stop - to);
      if (length <= 16 && have >= 16 && room >= 16) {
        copy16(to, in);
        in += length, to += length;
        continue;
      }
      if (length > 60) {
        const size_t bytes = length - 60;
        if (bytes > have) return -1;
        uint32_t value = 0;
        for (size_t i = 0; i < bytes; i++) value |= (uint32_t)in[i] << 8 * i;
        length = (size_t)value + 1;
        in += bytes;
        if (length == 0) return -1; /* 2^32 where size_t has 32 bits */
      }
      if (length > (size_t)(end - in) || length > room) return -1;
      memcpy(to, in, length);
      in += length, to += length;
      continue;
    }
    if ((tag & 3) == 1) {
      if (in >= end) return -1;
      length = (tag >> 2 & 7) + 4;
      distance = (size_t)(tag >> 5) << 8 | *in++;
    } else if ((tag & 3) == 2) {
      if (end - in < 2) return -1;
      length = (tag >> 2) + 1;
      distance = in[0] | (size_t)in[1] << 8;
      in += 2;
    } else {
      if (end - in < 4) return -1;
      length = (tag >> 2) + 1;
      distance = in[0] | (size_t)in[1] << 8 | (size_t)in[2] << 16 | (size_t)in[3] << 24;
      in += 4;
    }
    const size_t room = (size_t)(stop - to);
    if (distance == 0 || distance > (size_t)(to - out) || length > room) return -1;
    if (distance >= 16 && room >= 64) { /* nearly all of them */
      const uint8_t *const from = to - distance;
      copy16(to, from);
      if (length > 16) {
        copy16(to + 16, from + 16);
        if (length > 32) copy16(to + 32, from + 32), copy16(to + 48, from + 48);
      }
    } else {
      copy_match(to, distance, length, room);
    }
    to += length;
  }
  return to == stop ? 0 : -1;
}

#if !defined(H5Z_DECODE_ONLY)
enum { FRAGMENT = 1 << 16 };

static uint8_t *put_literals(uint8_t *to, uint8_t *stop, const uint8_t *from, size_t n) {
  if (n == 0) return to;
  if ((size_t)(stop - to) < n + 5) return NULL;
  size_t rest = n - 1;
  if (rest < 60) {
    *to++ = (uint8_t)(rest << 2);
  } else {
    uint8_t *const tag = to++;
    unsigned bytes = 0;
    for (; rest > 0; rest >>= 8) *to++ = (uint8_t)rest, bytes++;
    *tag = (uint8_t)((59 + bytes) << 2);
  }
  memcpy(to, from, n);
  return to + n;
}

static uint8_t *put_match(uint8_t *to, uint8_t *stop, size_t distance, size_t length) {
  /* Pieces of 64 and, so that none is left with less than 4, of 60. */
  while (length > 0) {
    if (stop - to < 3) return NULL;
    const size_t n = length > 67 ? 64 : length > 64 ? 60 : length;
    if (n >= 4 && n < 12 && distance < 2048) {
      *to++ = (uint8_t)(1 + ((n - 4) << 2) + (distance >> 8 << 5));
      *to++ = (uint8_t)distance;
    } else {
      *to++ = (uint8_t)(2 + ((n - 1) << 2));
      *to++ = (uint8_t)distance;
      *to++ = (uint8_t)(distance >> 8);
    }
    length -= n;
  }
  return to;
}

/* Matches lie within fragments of 64 KiB. Where none is found for long, ever more bytes are stepped over. */
size_t snappy_encode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, uint32_t *table) {
  uint8_t *to = out, *const stop = out + cap;
  if (cap < 5) return 0;
  for (size_t size = nin;; size >>= 7) {
    *to++ = (uint8_t)(size < 128 ? size : (size & 127) | 128);
    if (size < 128) break;
  }
  for (size_t begin = 0; begin < nin; begin += FRAGMENT) {
    const size_t n = nin - begin < FRAGMENT ? nin - begin : FRAGMENT;
    const uint8_t *const base = in + begin;
    size_t at = 0, done = 0;
    if (n >= 16) {
      unsigned bits = 8;
      while (bits < 14 && (size_t)1 << bits < n) bits++;
      memset(table, 0, sizeof *table << bits);
      const size_t limit = n - 15;
      size_t step = 32;
      at = 1;
      while (at < limit) {
        const uint32_t now = load32(base + at), h = now * 0x1e35a7bdu >> (32 - bits);
        const size_t earlier = table[h];
        table[h] = (uint32_t)at;
        if (load32(base + earlier) != now) {
          at += step >> 5;
          step += step >> 5;
          continue;
        }
        size_t start = at, from = earlier;
        while (start > done && from > 0 && base[start - 1] == base[from - 1]) start--, from--;
        to = put_literals(to, stop, base + done, start - done);
        if (!to) return 0;
        const size_t length = equal_bytes(base + from, base + start, n - start);
        to = put_match(to, stop, start - from, length);
        if (!to) return 0;
        at = done = start + length;
        step = 32;
        if (at < limit) table[load32(base + at - 1) * 0x1e35a7bdu >> (32 - bits)] = (uint32_t)(at - 1);
      }
    }
    to = put_literals(to, stop, base + done, n - done);
    if (!to) return 0;
  }
  return (size_t)(to - out);
}
#endif
