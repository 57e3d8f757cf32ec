/* aec.c: the coder that aec.h describes. */
#include "aec.h"

#include <string.h>

/* Bits of a block's id, by the size of a sample. */
static unsigned id_bits(unsigned bits) { return bits > 16 ? 5 : bits > 8 ? 4 : 3; }

static uint32_t largest(const aec_settings *s) { return (1u << s->bits) - 1; }

/* Lengths of runs of zero blocks: 1 to 4 are written less one, this many stands for "the rest of the segment of 64
 * blocks", 5 and more are written as they are. */
enum { REST_OF_SEGMENT = 5, SEGMENT = 64 };

/* ---- decoding -------------------------------------------------------------------------------------------------- */

/* At least 56 bits, or all that are left. */
static inline void refill(aec_reader *r) {
  if ((size_t)(r->end - r->next) >= 8) {
    const uint8_t *p = r->next;
    const uint64_t word = (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
                          (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
    r->acc |= word >> r->count;
    r->next += (63 - r->count) >> 3;
    r->count |= 56;
  } else {
    while (r->count <= 56 && r->next < r->end) {
      r->acc |= (uint64_t)*r->next++ << (56 - r->count);
      r->count += 8;
    }
  }
}

/* n bits, 1 to 32, into *value; 0 when there are not that many. */
static inline int get(aec_reader *r, unsigned n, uint32_t *value) {
  if (r->count < n) {
    refill(r);
    if (r->count < n) return 0;
  }
  *value = (uint32_t)(r->acc >> (64 - n));
  r->acc <<= n, r->count -= n;
  return 1;
}

/* A unary number: how many zeros come before the next one. 0 when the input ends first. */
static inline int get_unary(aec_reader *r, uint32_t *value) {
  uint32_t zeros = 0;
  for (;;) {
    if (r->acc != 0) {
      const unsigned run = (unsigned)__builtin_clzll(r->acc);
      if (run < r->count) {
        r->acc = r->acc << run << 1, r->count -= run + 1;
        *value = zeros + run;
        return 1;
      }
    }
    zeros += r->count; /* bits beyond `count` come again */
    r->acc = 0, r->count = 0;
    refill(r);
    if (r->count == 0) return 0;
  }
}

/* Pairs (a, b) are numbered along the diagonals: number = (a + b) (a + b + 1) / 2 + b. Writers use at most 90. */
enum { MOST_PAIR = 90 };

static inline int get_pair(aec_reader *r, uint32_t *a, uint32_t *b) {
  uint32_t number, sum = 0, first = 0; /* of the diagonal */
  if (!get_unary(r, &number) || number > MOST_PAIR) return 0;
  while (first + sum < number) first += ++sum;
  *b = number - first, *a = sum - *b;
  return 1;
}

/* Differences back to samples; the first one is a sample already. */
static void add_up(const aec_settings *s, uint32_t *samples) {
  const uint32_t most = largest(s), half = most / 2 + 1;
  uint32_t x = samples[0];
  for (unsigned i = 1; i < s->line; i++) {
    /* x can move by `reach` both ways; a larger difference tells how far it lies from the end that x is nearer to. */
    const uint32_t d = samples[i], end = x & half ? most : 0, reach = x ^ end;
    if (__builtin_expect((d >> 1) + (d & 1) <= reach, 1)) x += (d >> 1) ^ (0 - (d & 1));
    else x = d ^ end;
    samples[i] = x;
  }
}

/* A split block: unary numbers, then the low k bits of each. */
static inline int get_split(aec_reader *r, unsigned k, uint32_t *out, uint32_t *end) {
  for (uint32_t *p = out; p < end; p++)
    if (!get_unary(r, p)) return 0;
  if (k == 0) return 1;
  const unsigned fit = 56 / k; /* after a refill */
  while (out < end) {
    refill(r);
    unsigned n = (size_t)(end - out) < fit ? (unsigned)(end - out) : fit;
    if (r->count < n * k) return 0; /* the input ends */
    r->count -= n * k;
    do {
      *out = *out << k | (uint32_t)(r->acc >> (64 - k));
      r->acc <<= k, out++;
    } while (--n > 0);
  }
  return 1;
}

/* One line from *r; -1 as aec_decode_line. */
static inline int decode_line(const aec_settings *s, aec_reader *r, uint32_t *samples) {
  const unsigned id_length = id_bits(s->bits), as_it_is = (1u << id_length) - 1;
  uint32_t *out = samples, *const end = samples + s->line;
  int constant = 1; /* the samples are all like the first */
  while (out < end) {
    const unsigned first = s->neighbour && out == samples; /* of this block, samples that are written as they are */
    uint32_t id, low = 0;
    if (!get(r, id_length, &id) || (id == 0 && !get(r, 1, &low))) return -1;
    constant &= (id | low) == 0;
    if (id == as_it_is) {
      for (unsigned i = 0; i < s->block; i++)
        if (!get(r, s->bits, &out[i])) return -1;
      out += s->block;
      continue;
    }
    if (first && !get(r, s->bits, &out[0])) return -1;
    if (id > 0) {
      if (!get_split(r, id - 1, out + first, out + s->block)) return -1;
      out += s->block;
    } else if (low == 1) {
      for (unsigned i = 0; i < s->block; i += 2) {
        uint32_t a;
        if (!get_pair(r, &a, &out[i + 1])) return -1;
        if (i >= first) out[i] = a;
      }
      out += s->block;
    } else {
      uint32_t blocks;
      if (!get_unary(r, &blocks)) return -1;
      const unsigned done = (unsigned)(out - samples) / s->block, left = s->line / s->block - done;
      if (++blocks == REST_OF_SEGMENT) {
        const unsigned segment = SEGMENT - done % SEGMENT;
        blocks = left < segment ? left : segment;
      } else if (blocks > REST_OF_SEGMENT) {
        blocks--;
      }
      if (blocks > left) return -1;
      memset(out + first, 0, (blocks * s->block - first) * sizeof *out);
      out += blocks * s->block;
    }
  }
  if (s->neighbour && constant) {
    for (unsigned i = 1; i < s->line; i++) samples[i] = samples[0];
  } else if (s->neighbour) {
    add_up(s, samples);
  }
  return 0;
}

int aec_decode_line(const aec_settings *s, aec_reader *r, uint32_t *samples) {
  aec_reader local = *r; /* that stays in registers, which no store to samples can change */
  const int result = decode_line(s, &local, samples);
  *r = local;
  return result;
}

/* ---- encoding -------------------------------------------------------------------------------------------------- */

/* The low n bits of value, at most 32. Whole words of 32 bits are written as long as there is room for them. */
static inline void put(aec_writer *w, uint32_t value, unsigned n) {
  w->acc = w->acc << n | value;
  w->count += n;
  if (w->count < 32) return;
  w->count -= 32;
  const uint32_t word = (uint32_t)(w->acc >> w->count);
  if (w->end - w->next >= 4) {
    w->next[0] = (uint8_t)(word >> 24), w->next[1] = (uint8_t)(word >> 16);
    w->next[2] = (uint8_t)(word >> 8), w->next[3] = (uint8_t)word;
    w->next += 4;
  } else {
    w->full = 1;
  }
}

static inline void put_unary(aec_writer *w, uint32_t value) {
  for (; value > 31; value -= 32) put(w, 0, 32);
  put(w, 1, value + 1);
}

/* Samples to non-negative differences. The first stays in place of its difference, which is 0 for all choices. */
static void subtract(const aec_settings *s, uint32_t *samples) {
  const uint32_t most = largest(s);
  uint32_t before = samples[0];
  for (unsigned i = 1; i < s->line; i++) {
    const uint32_t x = samples[i];
    if (x >= before) samples[i] = x - before <= before ? 2 * (x - before) : x;
    else samples[i] = before - x <= most - before ? 2 * (before - x) - 1 : most - x;
    before = x;
  }
}

/* Bits of a block that is split at the best position, which is left in w->k. The length has one minimum over k, and
 * neighbouring blocks are alike: walk up from where the last one was split, and down if that led nowhere. */
static uint32_t best_split(const aec_settings *s, aec_writer *w, const uint32_t *d, unsigned coded) {
  const unsigned start = w->k, most = (1u << id_bits(s->bits)) - 3;
  uint32_t best = UINT32_MAX;
  unsigned k = start;
  int up = 1, may_turn = start > 0;
  for (;;) {
    uint32_t unary = 0;
    for (unsigned i = 0; i < s->block; i++) unary += d[i] >> k;
    const uint32_t length = unary + coded * (k + 1);
    const int better = length < best;
    if (better) {
      if (best != UINT32_MAX) may_turn = 0;
      best = length, w->k = k;
      /* One more bit below costs `coded` bits and saves at most half of the unary part, one less the other way round. */
      if (up && unary >= coded && k < most) {
        k++;
        continue;
      }
      if (!up && unary < coded && k > 0) {
        k--;
        continue;
      }
    }
    if (!up || !may_turn) return best;
    k = start - 1, up = 0, may_turn = 0;
  }
}

/* Bits of a block in pairs; too many when that is more than `limit`. */
static uint32_t pairs_length(const aec_settings *s, const uint32_t *d, uint32_t limit) {
  uint32_t length = 1;
  for (unsigned i = 0; i < s->block; i += 2) {
    const uint32_t sum = d[i] + d[i + 1];
    if (sum > limit) return UINT32_MAX;
    length += sum * (sum + 1) / 2 + d[i + 1] + 1;
    if (length > limit) return UINT32_MAX;
  }
  return length;
}

/* One block that is not all zero. d[0] is the reference sample when `first` is 1. */
static inline void put_block(const aec_settings *s, aec_writer *w, uint32_t *d, unsigned first) {
  const unsigned id_length = id_bits(s->bits), coded = s->block - first;
  const uint32_t plain = coded * s->bits;
  const uint32_t reference = d[0];
  if (first) d[0] = 0; /* what its difference would be */
  const uint32_t split = best_split(s, w, d, coded), pairs = pairs_length(s, d, plain);
  d[0] = reference;
  if (split < plain ? split >= pairs : pairs < plain) {
    put(w, 1, id_length + 1);
    if (first) put(w, reference, s->bits);
    for (unsigned i = 0; i < s->block; i += 2) {
      const uint32_t a = first && i == 0 ? 0 : d[i], sum = a + d[i + 1];
      put_unary(w, sum * (sum + 1) / 2 + d[i + 1]);
    }
  } else if (split < plain) {
    put(w, w->k + 1, id_length);
    if (first) put(w, reference, s->bits);
    for (unsigned i = first; i < s->block; i++) put_unary(w, d[i] >> w->k);
    if (w->k > 0)
      for (unsigned i = first; i < s->block; i++) put(w, d[i] & ((1u << w->k) - 1), w->k);
  } else {
    put(w, (1u << id_length) - 1, id_length);
    for (unsigned i = 0; i < s->block; i++) put(w, d[i], s->bits);
  }
}

static int is_zero(const uint32_t *d, unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++)
    if (d[i] != 0) return 0;
  return 1;
}

void aec_encode_line(const aec_settings *s, aec_writer *writer, uint32_t *samples) {
  aec_writer local = *writer, *const w = &local; /* stays in registers, which no store can change */
  const unsigned blocks = s->line / s->block;
  if (s->neighbour) subtract(s, samples);
  for (unsigned b = 0; b < blocks && !w->full;) {
    uint32_t *d = samples + (size_t)b * s->block;
    const unsigned first = s->neighbour && b == 0;
    /* A run of zero blocks ends with its segment of 64. */
    unsigned run = 0;
    int whole = 0; /* the run goes to the end of the segment or line */
    while (!whole && is_zero(d + (size_t)run * s->block, run == 0 ? first : 0, s->block)) {
      run++;
      whole = b + run == blocks || (b + run) % SEGMENT == 0;
    }
    if (run == 0) {
      put_block(s, w, d, first);
      b++;
      continue;
    }
    put(w, 0, id_bits(s->bits) + 1);
    if (first) put(w, d[0], s->bits);
    if (run > 4 && whole) put_unary(w, REST_OF_SEGMENT - 1);
    else put_unary(w, run >= REST_OF_SEGMENT ? run : run - 1);
    b += run;
  }
  *writer = local;
}

void aec_finish(aec_writer *w) {
  if (w->count % 8 != 0) w->acc <<= 8 - w->count % 8, w->count += 8 - w->count % 8;
  for (; w->count > 0 && !w->full; w->count -= 8) {
    if (w->next < w->end) *w->next++ = (uint8_t)(w->acc >> (w->count - 8));
    else w->full = 1;
  }
}
