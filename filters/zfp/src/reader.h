/* reader.h: the bits of a chunk, lowest bit of the first byte first.
 *
 * `buffer` holds the next `count` bits; bits above them are either zero or already the stream's own, so that or-ing the
 * stream onto them again does no harm. Nothing here looks at the end: whoever decodes a block first makes sure
 * that readable bytes follow (filter.c). */
#ifndef H5Z_ZFP_READER_H
#define H5Z_ZFP_READER_H

#include <stdint.h>
#include <string.h>

typedef struct reader {
  uint64_t buffer;
  const uint8_t *next, *start;
  uint64_t offset; /* bytes of the chunk before `start` */
  unsigned count;  /* 0 to 63 */
} reader;

/* Position in the chunk, in bits. */
static inline uint64_t reader_tell(const reader *r) { return (r->offset + (uint64_t)(r->next - r->start)) * 8 - r->count; }

/* 56 bits or more. */
static inline void reader_fill(reader *r) {
  uint64_t word;
  memcpy(&word, r->next, sizeof word);
  r->buffer |= word << r->count;
  r->next += (63 - r->count) >> 3;
  r->count |= 56;
}

/* Up to 56 bits, which must be there. */
static inline uint64_t reader_take(reader *r, unsigned n) {
  const uint64_t value = r->buffer & ((UINT64_C(1) << n) - 1);
  r->buffer >>= n, r->count -= n;
  return value;
}

/* Up to 56 bits. */
static inline uint64_t reader_get(reader *r, unsigned n) {
  if (r->count < n) reader_fill(r);
  return reader_take(r, n);
}

/* Goes to `from` + `bit`, where `from` are the bytes of the chunk at `offset`. */
static inline void reader_seek(reader *r, const uint8_t *from, uint64_t offset, uint64_t bit) {
  *r = (reader){.next = from + bit / 8, .start = from, .offset = offset};
  reader_fill(r);
  reader_take(r, (unsigned)(bit % 8));
}

static inline void reader_skip(reader *r, unsigned n) {
  if (n <= r->count) {
    reader_take(r, n);
  } else {
    reader_seek(r, r->start, r->offset, reader_tell(r) - r->offset * 8 + n);
  }
}

#endif
