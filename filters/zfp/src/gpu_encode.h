/* gpu_encode.h: the encoder of one block for gpu.c, included for every width, with what gpu_block.h is given. It makes the bits that
 * zfp makes (its template/encode.c and encodef.c), of numbers that zfp can: NaN and infinities are nobody's. */

#define MASK (WIDTH == 32 ? (UINT)0xaaaaaaaau : (UINT)0xaaaaaaaaaaaaaaaau)
#define HALF(x) ((UINT)((INT)(x) >> 1))

/* Value `i` of a block: those that the chunk has not are copies of others, as zfp pads. */
H5Z_DEVICE UINT NAME(value_of)(const settings *s, const uint64_t *from, const uint32_t *count, uint32_t i,
                               H5Z_GLOBAL const uint8_t *in) {
  uint64_t element = 0, stride = 1;
  for (uint32_t d = 0; d < s->rank; d++, i /= 4) {
    uint32_t x = i % 4;
    if (x >= count[d]) x = x == 2 && count[d] == 2 ? 1 : 0;
    element += (from[d] + x) * stride, stride *= s->dims[d];
  }
  UINT value = 0;
  for (uint32_t k = 0; k < sizeof value; k++) value |= (UINT)in[element * sizeof value + k] << 8 * k;
  return s->swapped ? NAME(swap)(value) : value;
}

H5Z_OUTLINE void NAME(gather)(UINT *p, const settings *s, uint64_t block, H5Z_GLOBAL const uint8_t *in) {
  uint64_t from[4];
  uint32_t count[4];
  for (uint32_t d = 0; d < s->rank; d++) {
    const uint64_t n = (s->dims[d] + 3) / 4;
    from[d] = block % n * 4, block /= n;
    count[d] = s->dims[d] - from[d] < 4 ? (uint32_t)(s->dims[d] - from[d]) : 4;
  }
  for (uint32_t i = 0; i < 1u << 2 * s->rank; i++) p[i] = NAME(value_of)(s, from, count, i, in);
}

H5Z_DEVICE void NAME(forward)(UINT *p, uint32_t s) {
  UINT x = p[0], y = p[s], z = p[2 * s], w = p[3 * s];
  x += w, x = HALF(x), w -= x;
  z += y, z = HALF(z), y -= z;
  x += z, x = HALF(x), z -= x;
  w += y, w = HALF(w), y -= w;
  w += HALF(y), y -= HALF(w);
  p[0] = x, p[s] = y, p[2 * s] = z, p[3 * s] = w;
}

/* Planes of coefficients, at most `most` bits of them. Returns the bits written. */
H5Z_DEVICE uint32_t NAME(put_planes)(bits_out *o, uint32_t most, uint32_t precision, uint32_t values,
                                     H5Z_LOCAL const uint8_t *order, const UINT *p) {
  const uint32_t lowest = precision < WIDTH ? WIDTH - precision : 0;
  uint32_t left = most, n = 0;
  for (uint32_t k = WIDTH; left > 0 && k-- > lowest;) {
    uint64_t x[4] = {0, 0, 0, 0};
    for (uint32_t i = 0; i < values; i++) x[i / 64] |= (uint64_t)(p[order[i]] >> k & 1) << i % 64;
    const uint32_t known = n < left ? n : left;
    left -= known;
    for (uint32_t at = 0; at < known; at += 32)
      bits_put(o, (uint32_t)(x[at / 64] >> at % 64), known - at < 32 ? known - at : 32);
    while (n < values && left > 0) {
      uint64_t ones = x[n / 64] >> n % 64;
      for (uint32_t i = n / 64 + 1; i < 4; i++) ones |= x[i];
      left--;
      bits_put(o, ones != 0, 1);
      if (ones == 0) break;
      for (; n < values - 1 && left > 0; n++) {
        const uint32_t bit = (uint32_t)(x[n / 64] >> n % 64 & 1);
        left--;
        bits_put(o, bit, 1);
        if (bit) break;
      }
      n++;
    }
  }
  return most - left;
}

/* A block of exactly s->max_bits bits. */
H5Z_OUTLINE void NAME(encode)(bits_out *at, const settings *s, H5Z_LOCAL const uint8_t *order, UINT *p) {
  bits_out here = *at, *const o = &here; /* in registers, whatever is written to the block */
  const uint32_t values = 1u << 2 * s->rank;
  const int bias = (1 << (EBITS - 1)) - 1;
  uint32_t used = 0, precision = s->max_prec;
  int something = 1;
  if (s->type >= FLOAT) {
    /* Of numbers without their signs the bits are in the numbers' order; NaN is above infinity. */
    UINT largest = 0;
    for (uint32_t i = 0; i < values; i++) {
      const UINT size = (UINT)(p[i] << 1) >> 1;
      if (size > largest && size <= (UINT)((1u << EBITS) - 1) << (WIDTH - 1 - EBITS)) largest = size;
    }
    /* zfp's exponents are one more than IEEE's, and not less than that of the smallest normal number. */
    const int stored = (int)(largest >> (WIDTH - 1 - EBITS)), exponent = largest == 0 ? -bias : stored > 1 ? stored - bias + 1 : stored + 1 - bias;
    const int planes = exponent - s->min_exp + 2 * (int)s->rank + 2;
    precision = planes < 0 ? 0 : (uint32_t)planes < precision ? (uint32_t)planes : precision;
    something = precision > 0 && exponent + bias != 0;
    used = something ? 1 + EBITS : 1;
    bits_put(o, something ? 2 * (uint32_t)(exponent + bias) + 1 : 0, used);
    for (uint32_t i = 0; i < values; i++) p[i] = (UINT)NAME(whole)(p[i], WIDTH - 2 - exponent);
  }
  if (something) {
    for (uint32_t d = 0; d < s->rank; d++) {
      const uint32_t step = 1u << 2 * d;
      for (uint32_t i = 0; i < values / 4; i++) NAME(forward)(p + (i >> 2 * d << (2 * d + 2)) + (i & (step - 1)), step);
    }
    for (uint32_t i = 0; i < values; i++) p[i] = (p[i] + MASK) ^ MASK;
    used += NAME(put_planes)(o, s->max_bits - used, precision, values, order, p);
  }
  for (; used < s->max_bits; used += s->max_bits - used < 32 ? s->max_bits - used : 32)
    bits_put(o, 0, s->max_bits - used < 32 ? s->max_bits - used : 32);
  *at = here;
}

#undef MASK
#undef HALF
