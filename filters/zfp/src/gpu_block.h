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
      uint32_t word = bits_take(r, known - at < 32 ? known - at : 32);
      for (; word != 0; word &= word - 1) p[order[at + (uint32_t)__builtin_ctz(word)]] |= one;
    }
    while (n < values && left > 0) {
      left--;
      if (!bits_take(r, 1)) break;
      /* Zeros up to the next one, which nobody writes down where it can only be the last value. */
      uint32_t limit = values - 1 - n < left ? values - 1 - n : left;
      while (limit > 0) {
        const uint32_t some = limit < 32 ? limit : 32;
        const uint32_t zeros = bits_zeros(r, some);
        const uint32_t used = zeros + (zeros < some);
        bits_take(r, used);
        left -= used, limit -= used, n += zeros;
        if (zeros < some) break;
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

/* Planes, and what follows from them, up to integers. At least `least` bits are read. */
H5Z_DEVICE void NAME(ints)(bits *r, uint32_t least, uint32_t most, uint32_t precision, int reversible, uint32_t rank,
                           H5Z_LOCAL const uint8_t *order, UINT *p) {
  const uint32_t values = 1u << 2 * rank, used = NAME(planes)(r, most, precision, values, order, p);
  if (used < least) bits_skip(r, least - used);
  for (uint32_t i = 0; i < values; i++) p[i] = (p[i] ^ MASK) - MASK;
  for (uint32_t d = rank; d-- > 0;) {
    const uint32_t s = 1u << 2 * d;
    for (uint32_t i = 0; i < values / 4; i++) NAME(lift)(p + (i >> 2 * d << (2 * d + 2)) + (i & (s - 1)), s, reversible);
  }
}

/* A block of numbers, as the bits that they are. */
H5Z_DEVICE void NAME(decode)(bits *r, const settings *s, H5Z_LOCAL const uint8_t *order, UINT *p) {
  const int floats = s->type >= FLOAT, reversible = s->min_exp < LOWEST_EXP;
  const uint32_t values = 1u << 2 * s->rank;
  uint32_t used = 0, precision = s->max_prec;
  int exponent = 0, raw = 0;
  if (floats) {
    if (!bits_take(r, 1)) {
      for (uint32_t i = 0; i < values; i++) p[i] = 0;
      if (s->min_bits > 1) bits_skip(r, s->min_bits - 1);
      return;
    }
    raw = reversible && bits_take(r, 1);
    used = 1 + (uint32_t)reversible;
    if (!raw) exponent = (int)bits_take(r, EBITS) - ((1 << (EBITS - 1)) - 1), used += EBITS;
    const int planes = exponent - s->min_exp + 2 * (int)s->rank + 2;
    if (!reversible) precision = planes < 0 ? 0 : (uint32_t)planes < precision ? (uint32_t)planes : precision;
  }
  if (reversible) precision = bits_take(r, PBITS) + 1;
  const uint32_t head = used + (reversible ? PBITS : 0);
  NAME(ints)(r, s->min_bits > head ? s->min_bits - head : 0, s->max_bits - head, precision, reversible, s->rank, order, p);
  if (!floats) return;
  if (raw) { /* sign and magnitude from two's complement */
    for (uint32_t i = 0; i < values; i++) p[i] ^= (UINT)((INT)p[i] >> (WIDTH - 1)) >> 1;
    return;
  }
  const int nothing = reversible && exponent == -((1 << (EBITS - 1)) - 1);
  for (uint32_t i = 0; i < values; i++) p[i] = nothing ? 0 : NAME(scaled)((INT)p[i], exponent - (WIDTH - 2));
}

/* Into the chunk, as much of the block as it has. */
H5Z_DEVICE void NAME(scatter)(const UINT *p, const settings *s, uint64_t block, H5Z_GLOBAL uint8_t *out) {
  const uint32_t values = 1u << 2 * s->rank;
  uint64_t from[4], at = 0, stride = 1;
  uint32_t count[4];
  for (uint32_t d = 0; d < 4; d++) {
    const uint64_t n = (s->dims[d] + 3) / 4;
    from[d] = block % n * 4, block /= n;
    count[d] = s->dims[d] - from[d] < 4 ? (uint32_t)(s->dims[d] - from[d]) : 4;
    at += from[d] * stride, stride *= s->dims[d];
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
