/* decode_block.h: the decoder of one block, written once and included for every type and rank (decode.c).
 *
 * The format is zfp's, codec 5; the way through it is ours, twice as fast and more. A block of 4^d values is
 *
 *     lossy        int    planes                          reversible   int    precision - 1 (5, 6 bits), planes
 *                  float  0: all values zero                           float  0: all values zero
 *                         1, exponent (8, 11 bits), planes                    1 0, exponent, precision - 1, planes
 *                                                                             1 1, precision - 1, planes: of the raw bits
 *
 * Planes are those of the transformed values, highest first: of a plane as many bits as values were known to be significant
 * (n), then, until n is all of them: 0 = no more ones in this plane; 1 = one more, then its distance in zeros.
 *
 * Defined by the includer: SCALAR, INT, UINT, WIDTH (32, 64), FLOATS (0, 1), EBITS, POWER_OF_2, PBITS, NEGABINARY, RANK,
 * PERM, NAME(x). */

#define VALUES (1 << 2 * RANK)
#define WORDS (VALUES > 64 ? VALUES / 64 : 1) /* 64-bit words of a plane */

/* Bit planes -> coefficients: a transpose of bits, in place, as swaps of ever smaller squares.
 * Up to 16 values, a plane has fewer bits than a coefficient: WIDTH / VALUES planes lie side by side in one row. */
static inline void NAME(transpose)(UINT *rows) {
  enum { SIDE = VALUES < WIDTH ? VALUES : WIDTH, ROWS = VALUES < WIDTH ? SIDE : VALUES };
#define STAGE(j, mask)                                              \
  if (SIDE > (j)) {                                                 \
    for (unsigned r = 0; r < ROWS; r += 2 * (j)) {                  \
      for (unsigned i = r; i < r + (j); i++) {                      \
        const UINT t = (rows[i] >> (j) % WIDTH ^ rows[i + (j)]) & (UINT)(mask); \
        rows[i + (j)] ^= t, rows[i] ^= t << (j) % WIDTH;            \
      }                                                             \
    }                                                               \
  }
  STAGE(32, UINT64_C(0x00000000ffffffff))
  STAGE(16, UINT64_C(0x0000ffff0000ffff))
  STAGE(8, UINT64_C(0x00ff00ff00ff00ff))
  STAGE(4, UINT64_C(0x0f0f0f0f0f0f0f0f))
  STAGE(2, UINT64_C(0x3333333333333333))
  STAGE(1, UINT64_C(0x5555555555555555))
#undef STAGE
}

/* Lays plane k, `plane` of WORDS words, into the rows that `transpose` takes. */
static inline void NAME(put_plane)(UINT *rows, const uint64_t *plane, unsigned k) {
#if RANK <= 2
  rows[k % VALUES] |= (UINT)plane[0] << k / VALUES * VALUES;
#else
  for (unsigned i = 0; i < VALUES / WIDTH; i++) rows[i * WIDTH + k] = (UINT)(plane[i * WIDTH / 64] >> i * WIDTH % 64);
#endif
}

/* Which bits of coefficients can be ones: planes from `low` up to below `top`, of the first `values` coefficients. */
#ifndef H5Z_ZFP_ONES
#define H5Z_ZFP_ONES
typedef struct {
  unsigned low, top, values;
} ones;
#endif

/* At most `most` bits of at most `precision` planes into `rows`. Returns the bits read; when there are no ones at all, `rows`
 * stays as it is. */
static inline uint32_t NAME(decode_planes)(reader *r, uint32_t most, uint32_t precision, UINT *rows, ones *found) {
  const unsigned lowest = precision < WIDTH ? WIDTH - precision : 0;
  uint32_t bits = most;
  unsigned n = 0;
  reader s = *r;
  unsigned k = WIDTH;
  for (unsigned there = 0, empty = 0; empty == there && bits > 0 && k > lowest;) { /* planes without ones, a bit each */
    if (s.count < 32) reader_fill(&s);
    there = k - lowest < s.count ? k - lowest : s.count;
    if (there > bits) there = bits;
    empty = (unsigned)__builtin_ctzll(s.buffer | UINT64_C(1) << there);
    reader_take(&s, empty);
    bits -= empty, k -= empty;
  }
  if (bits == 0 || k == lowest) {
    *r = s;
    *found = (ones){0};
    return most - bits;
  }
  found->top = k;
  memset(rows, 0, VALUES * sizeof *rows);
  while (bits > 0 && k-- > lowest) {
    uint64_t plane[WORDS] = {0};
    unsigned m = n < bits ? n : bits;
    bits -= m;
#if RANK <= 2
    if (s.count < 2 * VALUES) reader_fill(&s); /* enough for all of the plane */
    plane[0] = reader_take(&s, m);
#else
    for (unsigned at = 0; at < m; at += 32) plane[at / 64] |= reader_get(&s, m - at < 32 ? m - at : 32) << at % 64;
#endif
    while (n < VALUES && bits > 0) {
      bits--;
#if RANK > 2
      if (s.count == 0) reader_fill(&s);
#endif
      if (!reader_take(&s, 1)) break;
      const unsigned left = VALUES - 1 - n, limit = left < bits ? left : bits;
#if RANK <= 2
      const unsigned zeros = (unsigned)__builtin_ctzll(s.buffer | UINT64_C(1) << limit);
      const unsigned used = zeros + (zeros < limit);
      reader_take(&s, used);
      bits -= used, n += zeros;
#else
      for (unsigned zeros = 0;;) {
        if (s.count < 32) reader_fill(&s);
        const unsigned there = limit - zeros < s.count ? limit - zeros : s.count;
        const unsigned run = (unsigned)__builtin_ctzll(s.buffer | UINT64_C(1) << there);
        const unsigned used = run + (run < there);
        reader_take(&s, used);
        bits -= used, n += run, zeros += run;
        if (run < there || zeros == limit) break;
      }
#endif
      plane[n / 64] |= UINT64_C(1) << n % 64;
      n++;
    }
    NAME(put_plane)(rows, plane, found->low = k);
  }
  found->values = n;
  *r = s;
  return most - bits;
}

/* Coefficient i, of one that may have ones, bit by bit. */
static inline UINT NAME(pick)(const UINT *rows, unsigned i, const ones *found) {
  UINT x = 0;
  for (unsigned k = found->low; k < found->top; k++) {
#if RANK <= 2
    x |= (rows[k % VALUES] >> (k / VALUES * VALUES + i) & 1) << k;
#else
    x |= (rows[i / WIDTH * WIDTH + k] >> i % WIDTH & 1) << k;
#endif
  }
  return x;
}

/* zfp's transforms of four values, `s` apart. They wrap: hence UINT, and an arithmetic shift where INT is meant. */
#define HALF(x) ((UINT)((INT)(x) >> 1))
static inline void NAME(lift)(UINT *p, unsigned s) {
  UINT x = p[0], y = p[s], z = p[2 * s], w = p[3 * s];
  y += HALF(w), w -= HALF(y);
  y += w, w <<= 1, w -= y;
  z += x, x <<= 1, x -= z;
  y += z, z <<= 1, z -= y;
  w += x, x <<= 1, x -= w;
  p[0] = x, p[s] = y, p[2 * s] = z, p[3 * s] = w;
}
#undef HALF

static inline void NAME(lift_reversible)(UINT *p, unsigned s) {
  UINT x = p[0], y = p[s], z = p[2 * s], w = p[3 * s];
  w += z;
  z += y, w += z;
  y += x, z += y, w += z;
  p[s] = y, p[2 * s] = z, p[3 * s] = w;
  (void)x;
}

/* All lines of the block along every dimension, the slowest first. */
static inline void NAME(lift_all)(UINT *p, int reversible) {
  for (unsigned d = RANK; d-- > 0;) {
    const unsigned s = 1u << 2 * d;
    for (unsigned g = 0; g < VALUES; g += 4 * s) {
      for (unsigned i = g; i < g + s; i++) {
        if (reversible) NAME(lift_reversible)(p + i, s);
        else NAME(lift)(p + i, s);
      }
    }
  }
}

/* Planes, and what follows from them, up to integers. Returns the bits read, at least `least`. */
static inline uint32_t NAME(decode_ints)(reader *r, uint32_t least, uint32_t most, uint32_t precision, int reversible, UINT *p) {
  UINT rows[VALUES];
  ones found;
  uint32_t bits = NAME(decode_planes)(r, most, precision, rows, &found);
  if (bits < least) reader_skip(r, least - bits), bits = least;
  if (found.values <= 1) { /* the mean alone, which the transforms hand to all */
    const UINT mean = found.values > 0 ? (NAME(pick)(rows, 0, &found) ^ NEGABINARY) - NEGABINARY : 0;
    for (unsigned i = 0; i < VALUES; i++) p[i] = mean;
    return bits;
  }
  if (found.values * (found.top - found.low) <= 2 * VALUES) { /* few bits are picked sooner than all are transposed */
    memset(p, 0, VALUES * sizeof *p);
    for (unsigned i = 0; i < found.values; i++) p[PERM[i]] = (NAME(pick)(rows, i, &found) ^ NEGABINARY) - NEGABINARY;
    NAME(lift_all)(p, reversible);
    return bits;
  }
  NAME(transpose)(rows);
  for (unsigned i = 0; i < VALUES; i++) p[PERM[i]] = (rows[i] ^ NEGABINARY) - NEGABINARY;
  NAME(lift_all)(p, reversible);
  return bits;
}

static inline uint32_t NAME(decode_reversible)(reader *r, uint32_t least, uint32_t most, UINT *p) {
  const uint32_t precision = (uint32_t)reader_get(r, PBITS) + 1;
  return NAME(decode_ints)(r, least > PBITS ? least - PBITS : 0, most - PBITS, precision, 1, p);
}

static void NAME(decode)(reader *r, const limits *l, void *block) {
  const int reversible = l->min_exp < LOWEST_EXP;
#if !FLOATS
  if (reversible) NAME(decode_reversible)(r, l->min_bits, l->max_bits, block);
  else NAME(decode_ints)(r, l->min_bits, l->max_bits, l->max_prec, 0, block);
#else
  UINT p[VALUES];
  if (!reader_get(r, 1)) {
    memset(block, 0, sizeof p);
    if (l->min_bits > 1) reader_skip(r, l->min_bits - 1);
    return;
  }
  const int raw = reversible && reader_get(r, 1);
  uint32_t bits = 1 + (uint32_t)reversible;
  int exponent = 0;
  if (!raw) {
    exponent = (int)reader_get(r, EBITS) - ((1 << (EBITS - 1)) - 1);
    bits += EBITS;
  }
  const uint32_t least = l->min_bits > bits ? l->min_bits - bits : 0;
  if (reversible) {
    NAME(decode_reversible)(r, least, l->max_bits - bits, p);
    if (raw) { /* sign and magnitude from two's complement */
      for (unsigned i = 0; i < VALUES; i++) p[i] ^= (UINT)((INT)p[i] >> (WIDTH - 1)) >> 1;
      memcpy(block, p, sizeof p);
      return;
    }
    if (exponent == -((1 << (EBITS - 1)) - 1)) {
      memset(block, 0, sizeof p);
      return;
    }
  } else {
    const int planes = exponent - l->min_exp + 2 * RANK + 2;
    const uint32_t precision = planes < 0 ? 0 : (uint32_t)planes < l->max_prec ? (uint32_t)planes : l->max_prec;
    NAME(decode_ints)(r, least, l->max_bits - bits, precision, 0, p);
  }
  const SCALAR scale = POWER_OF_2(exponent - (WIDTH - 2));
  SCALAR *q = block;
  for (unsigned i = 0; i < VALUES; i++) q[i] = scale * (SCALAR)(INT)p[i];
#endif
}

#undef VALUES
#undef WORDS
