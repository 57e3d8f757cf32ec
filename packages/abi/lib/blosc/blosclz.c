/* BloscLZ, Blosc's own codec: FastLZ's format with a farther reach. The encoder finds the matches that c-blosc and c-blosc2
 * find (blosc/blosclz.c, by Francesc Alted and the Blosc developers, BSD-3-Clause, after Ariya Hidayat's FastLZ, MIT), so that
 * its bytes are theirs; the two differ in how they probe whether a block is worth it.
 *
 * A sequence of instructions; the first one is a literal, whatever the bits above its lowest five:
 *
 *     000nnnnn  n + 1 bytes                                         n + 1 literal bytes
 *     lllddddd  [+l 255 .. when lll = 7]  dddddddd                  a match of l + 2 bytes, d + 1 back
 *     lll11111  [+l 255 .. when lll = 7]  255  dddddddd dddddddd    a match of l + 2 bytes, d + 8192 back
 */
#include "codecs.h"

enum { MOST_LITERALS = 32, ROOMY = 40, NEAR = 8191, FAR = 65535 + NEAR - 1 };

int blosclz_decode(const uint8_t *in, size_t nin, uint8_t *out, size_t nout) {
  const uint8_t *const end = in + nin;
  uint8_t *to = out, *const stop = out + nout;
  if (nin == 0) return -1;
  unsigned control = *in++ & 31;
  for (;;) {
    /* Far from both ends, literals and matches that are not long need no other check than the distance. */
    while (end - in >= ROOMY && stop - to >= ROOMY) {
      if (control < 32) {
        copy16(to, in);
        copy16(to + 16, in + 16);
        in += control + 1, to += control + 1;
      } else {
        const uint8_t *next = in;
        size_t length = (control >> 5) + 2, distance = (size_t)(control & 31) << 8;
        if (length == 9) {
          length += *next;
          if (*next++ == 255 || (size_t)(stop - to) < length + ROOMY) break;
        }
        distance += (size_t)*next++ + 1;
        if (distance == NEAR + 1) distance += (size_t)next[0] << 8 | next[1], next += 2;
        if (distance > (size_t)(to - out)) return -1;
        in = next;
        copy_match(to, distance, length, ROOMY + length);
        to += length;
      }
      control = *in++;
    }
    if (control < 32) {
      const size_t n = control + 1;
      if (n > (size_t)(end - in) || n > (size_t)(stop - to)) return -1;
      memcpy(to, in, n);
      in += n, to += n;
    } else {
      size_t length = (control >> 5) + 2, distance = (size_t)(control & 31) << 8;
      if (in >= end) return -1;
      unsigned code = *in++;
      if (control >> 5 == 7) {
        for (;;) {
          length += code;
          if (in >= end) return -1;
          if (code != 255) break;
          code = *in++;
        }
        code = *in++;
      }
      if (code == 255 && distance == 31u << 8) {
        if (end - in < 2) return -1;
        distance = ((size_t)in[0] << 8 | in[1]) + NEAR + 1;
        in += 2;
      } else {
        distance += code + 1;
      }
      if (distance > (size_t)(to - out) || length > (size_t)(stop - to)) return -1;
      copy_match(to, distance, length, (size_t)(stop - to));
      to += length;
    }
    if (in >= end) break;
    control = *in++;
  }
  return to == stop ? 0 : -1;
}

#if !defined(H5Z_DECODE_ONLY)
static inline uint32_t hash(uint32_t v, unsigned bits) { return v * 2654435761u >> (32 - bits); }

/* Where a comparison that began 4 bytes behind `at` and its earlier copy ends: one behind the first difference. */
static inline size_t match_end(const uint8_t *in, size_t at, size_t earlier, size_t last) {
  const size_t ip = at + 4;
  const size_t equal = equal_bytes(in + earlier + 4, in + ip, last - ip);
  return ip + equal < last ? ip + equal + 1 : last;
}

/* How well `n` bytes, of which at most 2^bits are looked at, would compress. */
static double probe(const uint8_t *in, size_t n, size_t shortest, size_t shift, uint32_t *table, unsigned bits) {
  if (n > (size_t)1 << bits) n = (size_t)1 << bits;
  if (n <= 12) return 0;
  memset(table, 0, sizeof *table << bits);
  size_t at = 0, cost = 5;
  unsigned copied = 4;
  while (at < n - 12) {
    const uint32_t h = hash(load32(in + at), bits);
    const size_t earlier = table[h], distance = at - earlier;
    table[h] = (uint32_t)at;
    size_t end = at;
    if (distance > 0 && distance < FAR && load32(in + earlier) == load32(in + at))
      end = match_end(in, at, earlier, n - 1) - shift;
    if (end < at + shortest) {
      cost++, at++;
      if (++copied == MOST_LITERALS) copied = 0, cost++;
      continue;
    }
    const size_t length = end - at;
    if (copied == 0) cost--;
    copied = 0;
    if (length >= 7) cost += (length - 7) / 255 + 1;
    cost += distance - 1 < NEAR ? 2 : 4;
    table[hash(load32(in + end), bits)] = (uint32_t)end;
    at = end + 2;
    cost++;
  }
  return (double)at / (double)cost;
}

size_t blosclz_encode(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, unsigned level, int second, int split,
                      uint32_t *table) {
  static const double worth[10] = {0, 2, 1.5, 1.2, 1.2, 1.2, 1.2, 1.15, 1.1, 1.0};
  const unsigned bits = level == 1 ? 12 : level == 2 ? 13 : 14;
  size_t shift = 4, shortest = 4;
  double ratio;
  if (second) {
    const size_t part = level < 2 ? nin / 8 : level < 4 ? nin / 4 : level < 7 ? nin / 2 : nin;
    ratio = probe(in + nin - part, part, shortest, shift, table, bits);
  } else {
    ratio = probe(in + nin - nin / 4, nin / 4, 3, 3, table, 12);
    if (!split || ratio < 4) shift = shortest = 3;
  }
  if (ratio < worth[level] || nin < 16 || cap < 66) return 0;

  const size_t last = nin - 1;
  uint8_t *to = out, *const stop = out + cap;
  size_t at = 4;
  unsigned copied = 4;
  memset(table, 0, sizeof *table << bits);
  *to++ = MOST_LITERALS - 1;
  memcpy(to, in, 4), to += 4;
  while (at < nin - 12) {
    const uint32_t now = load32(in + at), h = hash(now, bits);
    const size_t earlier = table[h];
    size_t distance = at - earlier, end = at;
    table[h] = (uint32_t)at;
    if (distance > 0 && distance < FAR && load32(in + earlier) == now) end = match_end(in, at, earlier, last) - shift;
    size_t length = end - at;
    distance--;
    if (length < shortest || (length <= 5 && distance >= NEAR)) {
      if (stop - to < 2) return 0;
      *to++ = in[at++];
      if (++copied == MOST_LITERALS) copied = 0, *to++ = MOST_LITERALS - 1;
      continue;
    }
    if (copied > 0) *(to - copied - 1) = (uint8_t)(copied - 1);
    else to--;
    copied = 0;

    const int near = distance < NEAR;
    if (!near) distance -= NEAR;
    const uint8_t high = near ? (uint8_t)(distance >> 8) : 31;
    if (length < 7) {
      if (stop - to < (near ? 2 : 4)) return 0;
      *to++ = (uint8_t)((length << 5) + high);
    } else {
      if (stop - to < 1) return 0;
      *to++ = (uint8_t)((7 << 5) + high);
      for (length -= 7; length >= 255; length -= 255) {
        if (stop - to < 1) return 0;
        *to++ = 255;
      }
      if (stop - to < (near ? 2 : 4)) return 0;
      *to++ = (uint8_t)length;
    }
    if (!near) *to++ = 255, *to++ = (uint8_t)(distance >> 8);
    *to++ = (uint8_t)distance;

    uint32_t sequence = load32(in + end);
    table[hash(sequence, bits)] = (uint32_t)end;
    if (level == 9) table[hash(sequence >> 8, bits)] = (uint32_t)(end + 1);
    at = end + 2;
    if (stop - to < 1) return 0;
    *to++ = MOST_LITERALS - 1;
  }
  while (at <= last) {
    if (stop - to < 2) return 0;
    *to++ = in[at++];
    if (++copied == MOST_LITERALS) copied = 0, *to++ = MOST_LITERALS - 1;
  }
  if (copied > 0) *(to - copied - 1) = (uint8_t)(copied - 1);
  else to--;
  *out |= 1 << 5;
  return (size_t)(to - out);
}
#endif
