/* gpu_block.h: the decoder of one block for gpu.c, included for every width. The format is decode_block.h's; the way
 * through it is another, since a lane has a block to itself and its memory is far away: plane after plane, straight into the
 * coefficients. Defined by the includer: UINT, INT, WIDTH (32, 64), PBITS, EBITS, NAME(x). The rank is a number like others: a
 * text for each would be four times as long, and the block's values lie in memory either way. */

#define MASK (WIDTH == 32 ? (UINT)0xaaaaaaaau : (UINT)0xaaaaaaaaaaaaaaaau)

/* At most `most` bits of at most `precision` planes into the coefficients. Returns the bits read. */
H5Z_DEVICE uint32_t NAME(planes)(bits *r, uint32_t most, uint32_t precision, uint32_t values,
                                  H5Z_LOCAL const uint8_t *order, UINT *p) {
  const uint32_t lowest = precision < WIDTH ? WIDTH - precision : 0;
  uint32_t left = most, n = 0;
  for (uint32_t i = 0; i < values; i++) p[i] = 0;
  for (uint32_t k = WIDTH; left > 0 && k-- > lowest;) {
    const UINT one = (UINT)1 << k;
    const uint32_t known = n < left ? n : left;
    left -= known;
    for (uint32_t at = 0; at < known; at += 32) {
      bits_fill(r);
      uint32_t word = bits_next(r, known - at < 32 ? known - at : 32);
      for (; word != 0; word &= word - 1) p[order[at + (uint32_t)__builtin_ctz(word)]] |= one;
    }
    while (n < values && left > 0) {
      bits_fill(r);
      left--;
      if (!bits_next(r, 1)) break;
      /* Zeros up to the next one, which nobody writes down where it can only be the last value; 31 bits are there. */
      uint32_t limit = values - 1 - n < left ? values - 1 - n : left;
      while (limit > 0) {
        const uint32_t some = limit < 31 ? limit : 31;
        const uint32_t zeros = (uint32_t)__builtin_ctzll(r->buffer | UINT64_C(1) << some);
        const uint32_t used = zeros + (zeros < some);
        bits_next(r, used);
        left -= used, limit -= used, n += zeros;
        if (zeros < some) break;
        bits_fill(r);
      }
      p[order[n++]] |= one;
    }
  }
  return most - left;
}

/* zfp's transforms of four values, `s` apart, undone. They wrap. */
#define HALF(x) ((UINT)((INT)(x) >> 1))
H5Z_DEVICE void NAME(lift)(UINT *p, uint32_t s, int reversible) {
  UINT x = p[0], y = p[s], z = p[2 * s], w = p[3 * s];
  if (reversible) {
    w += z;
    z += y, w += z;
    y += x, z += y, w += z;
  } else {
    y += HALF(w), w -= HALF(y);
    y += w, w <<= 1, w -= y;
    z += x, x <<= 1, x -= z;
    y += z, z <<= 1, z -= y;
    w += x, x <<= 1, x -= w;
  }
  p[0] = x, p[s] = y, p[2 * s] = z, p[3 * s] = w;
}
#undef HALF

/* A block of numbers, as the bits that they are. Returns how many of the chunk's bits are the block's. */
H5Z_DEVICE uint32_t NAME(decode)(bits *r, const settings *s, H5Z_LOCAL const uint8_t *order, UINT *p) {
  const int floats = s->type >= FLOAT, reversible = s->min_exp < LOWEST_EXP;
  const uint32_t values = 1u << 2 * s->rank;
  uint32_t used = 0, precision = s->max_prec;
  int exponent = 0, raw = 0, something = 1;
  bits_fill(r); /* the whole head */
  if (floats) something = (int)bits_next(r, 1), used = 1;
  if (floats && something) {
    if (reversible) raw = (int)bits_next(r, 1), used++;
    if (!raw) exponent = (int)bits_next(r, EBITS) - ((1 << (EBITS - 1)) - 1), used += EBITS;
    const int planes = exponent - s->min_exp + 2 * (int)s->rank + 2;
    if (!reversible) precision = planes < 0 ? 0 : (uint32_t)planes < precision ? (uint32_t)planes : precision;
  }
  if (something && reversible) precision = bits_next(r, PBITS) + 1, used += PBITS;
  used += NAME(planes)(r, something ? s->max_bits - used : 0, precision, values, order, p);
  if (used < s->min_bits) used = s->min_bits;
  if (!something) return used;

  for (uint32_t i = 0; i < values; i++) p[i] = (p[i] ^ MASK) - MASK;
  for (uint32_t d = s->rank; d-- > 0;) {
    const uint32_t step = 1u << 2 * d;
    for (uint32_t i = 0; i < values / 4; i++) NAME(lift)(p + (i >> 2 * d << (2 * d + 2)) + (i & (step - 1)), step, reversible);
  }
  if (!floats) return used;
  const int nothing = reversible && exponent == -((1 << (EBITS - 1)) - 1);
  for (uint32_t i = 0; i < values; i++) {
    if (raw) p[i] ^= (UINT)((INT)p[i] >> (WIDTH - 1)) >> 1; /* sign and magnitude from two's complement */
    else p[i] = nothing ? 0 : NAME(scaled)((INT)p[i], exponent - (WIDTH - 2));
  }
  return used;
}

/* Into the chunk, as much of the block as it has. */
H5Z_DEVICE void NAME(scatter)(const UINT *p, const settings *s, uint64_t block, H5Z_GLOBAL uint8_t *out) {
  const uint32_t values = 1u << 2 * s->rank;
  uint64_t at = 0, stride = 1;
  uint32_t count[4] = {1, 1, 1, 1};
  for (uint32_t d = 0; d < s->rank; d++) {
    const uint64_t n = (s->dims[d] + 3) / 4, from = block % n * 4;
    block /= n;
    count[d] = s->dims[d] - from < 4 ? (uint32_t)(s->dims[d] - from) : 4;
    at += from * stride, stride *= s->dims[d];
  }
  const int aligned = (uint64_t)(uintptr_t)out % sizeof(UINT) == 0;
  for (uint32_t i = 0; i < values; i++) {
    const uint32_t x = i % 4, y = i / 4 % 4, z = i / 16 % 4, w = i / 64;
    if (x >= count[0] || y >= count[1] || z >= count[2] || w >= count[3]) continue;
    const uint64_t element = at + x + s->dims[0] * (y + s->dims[1] * (z + s->dims[2] * w));
    const UINT value = s->swapped ? NAME(swap)(p[i]) : p[i];
    if (aligned) ((H5Z_GLOBAL UINT *)out)[element] = value;
    else
      for (uint32_t k = 0; k < sizeof value; k++) out[element * sizeof value + k] = (uint8_t)(value >> 8 * k);
  }
}

#undef MASK
