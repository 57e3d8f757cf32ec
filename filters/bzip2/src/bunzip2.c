/* Decodes one bzip2 stream, whole in memory. All numbers are big-endian bits, without alignment:
 *
 *     'B' 'Z' 'h' level    level '1'..'9': blocks hold up to level * 100000 bytes (after step 1 below)
 *     block ...            0x314159265359, CRC u32, randomised u1, origin u24, then
 *                            bytes in use: u16 for 16 ranges of 16 bytes, u16 for each range that has any
 *                            tables u3 (2..6), selectors u15 (one for 50 codes), each unary in a move-to-front list
 *                            per table: code lengths, u5 and then 0 | 10 (+1) | 11 (-1) steps for each symbol
 *                            codes up to the end-of-block symbol
 *     end                  0x177245385090, CRC u32 of the blocks' CRCs, then to the next byte
 *
 * An encoder does: 1. four equal bytes are followed by a count of more of them; 2. Burrows-Wheeler transform; 3. move to
 * front, zeros as binary run lengths (symbols 0 and 1); 4. Huffman codes of 1 to 20 bits. Old ones exchanged some bytes
 * between 1 and 2 ("randomised"). The decoder goes backwards.
 */
#include "bunzip2.h"

#include <h5z/filter.h>

#include <bzlib_private.h> /* BZ2_rNums: the distances of randomised blocks */
#include <stdlib.h>

enum { MOST_TABLES = 6, MOST_SYMBOLS = 258, MOST_SELECTORS = 18002, GROUP = 50, LONGEST = 20, FAST = 10 };

/* ---- bits -------------------------------------------------------------------------------------------------------- */

/* `bits` holds the next `count` bits at its top. Behind the input come zeros, whose number is `beyond`. */
typedef struct {
  const uint8_t *at, *end;
  uint64_t bits;
  unsigned count;
  unsigned beyond;
} reader;

/* At least 56 bits. */
static inline void refill(reader *r) {
  if (r->end - r->at >= 8) {
    r->bits |= h5z_get_u64be(r->at) >> r->count;
    r->at += (63 - r->count) >> 3;
    r->count |= 56;
  } else {
    while (r->count <= 56) {
      if (r->at < r->end) r->bits |= (uint64_t)*r->at++ << (56 - r->count);
      else r->beyond += 8;
      r->count += 8;
    }
  }
}

static inline void drop(reader *r, unsigned n) { r->bits <<= n, r->count -= n; }

/* Up to 32 bits. */
static inline uint32_t take(reader *r, unsigned n) {
  refill(r);
  const uint32_t v = (uint32_t)(r->bits >> 1 >> (63 - n));
  drop(r, n);
  return v;
}

/* Were zeros taken that are not there? */
static inline int is_past(const reader *r) { return r->beyond > r->count; }

/* ---- Huffman codes ----------------------------------------------------------------------------------------------- */

typedef struct {
  uint16_t fast[1 << FAST];       /* by the next FAST bits: symbol << 5 | length, or 0 */
  uint32_t limit[LONGEST + 2];    /* codes of a length or shorter are below, at LONGEST bits; the last is above all */
  uint32_t first[LONGEST + 1];    /* the first code of a length, at that length */
  uint16_t offset[LONGEST + 1];   /* where the symbols of a length begin */
  uint16_t symbols[MOST_SYMBOLS]; /* by length, then by number */
} codes;

/* 0 when there are more codes than bits allow. */
static int make_codes(codes *c, const uint8_t *lengths, unsigned n) {
  unsigned count[LONGEST + 1] = {0};
  for (unsigned i = 0; i < n; i++) count[lengths[i]]++;
  uint32_t code = 0;
  unsigned sum = 0;
  for (unsigned length = 1; length <= LONGEST; length++) {
    c->first[length] = code, c->offset[length] = (uint16_t)sum;
    sum += count[length], code += count[length];
    if (code > 1u << length) return 0;
    c->limit[length] = code << (LONGEST - length);
    code <<= 1;
  }
  c->limit[LONGEST + 1] = UINT32_MAX;
  unsigned next[LONGEST + 1];
  for (unsigned length = 1; length <= LONGEST; length++) next[length] = c->offset[length];
  memset(c->fast, 0, sizeof c->fast);
  for (unsigned i = 0; i < n; i++) {
    const unsigned length = lengths[i], place = next[length]++;
    c->symbols[place] = (uint16_t)i;
    if (length > FAST) continue;
    const unsigned spare = FAST - length, from = (c->first[length] + place - c->offset[length]) << spare;
    for (unsigned k = 0; k < 1u << spare; k++) c->fast[from + k] = (uint16_t)(i << 5 | length);
  }
  return 1;
}

/* ---- checksums --------------------------------------------------------------------------------------------------- */

/* CRC-32, high bit first, 8 bytes a step. The tables are made for each stream: less work than 1 kB of it. */
typedef uint32_t crc_tables[8][256];

static void make_crc(crc_tables t) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i << 24;
    for (int k = 0; k < 8; k++) c = c << 1 ^ (c & 0x80000000u ? 0x04c11db7u : 0);
    t[0][i] = c;
  }
  for (int k = 1; k < 8; k++)
    for (uint32_t i = 0; i < 256; i++) t[k][i] = t[k - 1][i] << 8 ^ t[0][t[k - 1][i] >> 24];
}

static uint32_t crc_of(crc_tables t, const uint8_t *p, size_t n) {
  uint32_t c = 0xffffffffu;
  for (; n >= 8; p += 8, n -= 8) {
    const uint32_t a = h5z_get_u32be(p) ^ c, b = h5z_get_u32be(p + 4);
    c = t[7][a >> 24] ^ t[6][a >> 16 & 255] ^ t[5][a >> 8 & 255] ^ t[4][a & 255] ^ t[3][b >> 24] ^ t[2][b >> 16 & 255] ^
        t[1][b >> 8 & 255] ^ t[0][b & 255];
  }
  while (n-- > 0) c = c << 8 ^ t[0][c >> 24 ^ *p++];
  return ~c;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

typedef struct {
  crc_tables crc;
  codes tables[MOST_TABLES];
  uint8_t selectors[MOST_SELECTORS];
  uint32_t capacity; /* of `block`: level * 100000 */
  uint32_t *block;
} decoder;

/* The block's tables and codes to its bytes in `block` (step 4 and 3), counted. Their number, or an error. */
static int64_t read_block(decoder *d, reader *r, uint32_t counts[256]) {
  uint8_t list[256]; /* move to front */
  unsigned used = 0;
  const uint32_t ranges = take(r, 16);
  for (unsigned i = 0; i < 16; i++) {
    if (!(ranges >> (15 - i) & 1)) continue;
    const uint32_t bytes = take(r, 16);
    for (unsigned k = 0; k < 16; k++)
      if (bytes >> (15 - k) & 1) list[used++] = (uint8_t)(16 * i + k);
  }
  if (used == 0) return H5Z_E_CORRUPT;

  const unsigned tables = take(r, 3), selectors = take(r, 15);
  if (tables < 2 || tables > MOST_TABLES || selectors == 0) return H5Z_E_CORRUPT;
  uint8_t order[MOST_TABLES] = {0, 1, 2, 3, 4, 5};
  for (unsigned i = 0; i < selectors; i++) {
    unsigned j = 0;
    while (take(r, 1))
      if (++j >= tables) return H5Z_E_CORRUPT;
    const uint8_t front = order[j];
    for (; j > 0; j--) order[j] = order[j - 1];
    order[0] = front;
    if (i < MOST_SELECTORS) d->selectors[i] = front; /* more are never needed, but were written */
  }
  if (is_past(r)) return H5Z_E_CORRUPT;
  const unsigned symbols = used + 2;
  for (unsigned t = 0; t < tables; t++) {
    uint8_t lengths[MOST_SYMBOLS];
    unsigned length = take(r, 5);
    for (unsigned i = 0; i < symbols; i++) {
      for (;;) {
        if (length < 1 || length > LONGEST) return H5Z_E_CORRUPT;
        if (!take(r, 1)) break;
        length = take(r, 1) ? length - 1 : length + 1;
      }
      lengths[i] = (uint8_t)length;
    }
    if (is_past(r) || !make_codes(&d->tables[t], lengths, symbols)) return H5Z_E_CORRUPT;
  }

  const unsigned end = used + 1, groups = selectors < MOST_SELECTORS ? selectors : MOST_SELECTORS;
  uint32_t n = 0, run = 0, weight = 1;
  reader local = *r; /* in registers */
  for (unsigned group = 0; group < groups; group++) {
    const codes *c = &d->tables[d->selectors[group]];
    for (unsigned i = 0; i < GROUP; i++) {
      refill(&local);
      const unsigned entry = c->fast[local.bits >> (64 - FAST)];
      unsigned symbol = entry >> 5, length = entry & 31;
      if (entry == 0) {
        const uint32_t next = (uint32_t)(local.bits >> (64 - LONGEST));
        length = FAST + 1;
        while (next >= c->limit[length]) length++;
        if (length > LONGEST) return H5Z_E_CORRUPT; /* no code */
        symbol = c->symbols[c->offset[length] + (next >> (LONGEST - length)) - c->first[length]];
      }
      drop(&local, length);
      if (symbol <= 1) { /* a digit of a run's length, 1 or 2 */
        if (weight > 1u << 21) return H5Z_E_CORRUPT;
        run += weight << symbol, weight <<= 1;
        continue;
      }
      if (run > 0) {
        const uint32_t byte = list[0];
        if (run > d->capacity - n) return H5Z_E_CORRUPT;
        counts[byte] += run;
        for (; run > 0; run--) d->block[n++] = byte;
        weight = 1;
      }
      if (symbol == end) {
        *r = local;
        return is_past(r) ? H5Z_E_CORRUPT : (int64_t)n;
      }
      unsigned at = symbol - 1;
      const uint8_t byte = list[at];
      if (n == d->capacity) return H5Z_E_CORRUPT;
      if (at < 16) {
        for (; at > 0; at--) list[at] = list[at - 1];
      } else {
        memmove(list + 1, list, at);
      }
      list[0] = byte;
      counts[byte]++;
      d->block[n++] = byte;
    }
    if (is_past(&local)) return H5Z_E_CORRUPT;
  }
  return H5Z_E_CORRUPT; /* no end-of-block symbol */
}

/* Steps 2 and 1 backwards: the n bytes of the block, from `origin` on, into `out`. Bytes written, or H5Z_E_OUTPUT. */
static inline int64_t write_block(const uint32_t *block, uint32_t n, uint32_t origin, int randomised, uint8_t *out, size_t cap) {
  uint8_t *to = out, *const end = out + cap;
  uint32_t next = block[origin] >> 8;
  unsigned last = 256, equal = 0;
  unsigned distance = 0, place = 0; /* of exchanged bytes */
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t entry = block[next];
    unsigned byte = entry & 255;
    next = entry >> 8;
    if (randomised) {
      if (distance == 0) {
        distance = (unsigned)BZ2_rNums[place];
        place = (place + 1) % 512;
      }
      if (--distance == 1) byte ^= 1;
    }
    if (equal == 4) { /* a count */
      if ((size_t)(end - to) < byte) return H5Z_E_OUTPUT;
      memset(to, (int)last, byte);
      to += byte, equal = 0, last = 256;
    } else {
      if (to == end) return H5Z_E_OUTPUT;
      *to++ = (uint8_t)byte;
      equal = byte == last ? equal + 1 : 1;
      last = byte;
    }
  }
  return to - out;
}

static int64_t decode_block(decoder *d, reader *r, uint8_t *out, size_t cap) {
  uint32_t counts[256] = {0}, starts[256];
  const int randomised = (int)take(r, 1);
  const uint32_t origin = take(r, 24);
  const int64_t n = read_block(d, r, counts);
  if (n < 0) return n;
  if (origin >= n) return H5Z_E_CORRUPT;
  uint32_t sum = 0;
  for (unsigned i = 0; i < 256; i++) starts[i] = sum, sum += counts[i];
  for (uint32_t i = 0; i < (uint32_t)n; i++) d->block[starts[d->block[i] & 255]++] |= i << 8;
  return randomised ? write_block(d->block, (uint32_t)n, origin, 1, out, cap)
                    : write_block(d->block, (uint32_t)n, origin, 0, out, cap);
}

/* The blocks and the end. Bytes written, or an error. */
static int64_t decode_stream(decoder *d, reader *r, uint8_t *out, size_t cap) {
  uint32_t all = 0;
  size_t written = 0;
  for (;;) {
    const uint64_t magic = (uint64_t)take(r, 24) << 24 | take(r, 24);
    const uint32_t crc = take(r, 32);
    if (is_past(r)) return H5Z_E_CORRUPT;
    if (magic == UINT64_C(0x177245385090)) return crc == all ? (int64_t)written : H5Z_E_CORRUPT;
    if (magic != UINT64_C(0x314159265359)) return H5Z_E_CORRUPT;
    const int64_t n = decode_block(d, r, out + written, cap - written);
    if (n < 0) return n;
    if (crc_of(d->crc, out + written, (size_t)n) != crc) return H5Z_E_CORRUPT;
    all = (all << 1 | all >> 31) ^ crc;
    written += (size_t)n;
  }
}

int64_t bunzip2(const uint8_t *in, size_t nin, uint8_t *out, size_t cap, size_t *used) {
  if (nin < 4 || memcmp(in, "BZh", 3) != 0 || in[3] < '1' || in[3] > '9') return H5Z_E_CORRUPT;
  decoder *d = malloc(sizeof *d);
  if (!d) return H5Z_E_MEMORY;
  d->capacity = (uint32_t)(in[3] - '0') * 100000;
  d->block = malloc(4 * (size_t)d->capacity);
  int64_t result = H5Z_E_MEMORY;
  if (d->block) {
    make_crc(d->crc);
    reader r = {.at = in + 4, .end = in + nin};
    result = decode_stream(d, &r, out, cap);
    /* What was read and not taken, in whole bytes, is not the stream's. */
    if (result >= 0) *used = (size_t)(r.at - in) - (r.count - r.beyond) / 8;
  }
  free(d->block);
  free(d);
  return result;
}
