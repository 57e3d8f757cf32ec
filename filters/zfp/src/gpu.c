/* The zfp filter on a GPU: decoding, and encoding at a fixed rate. Format, header and limits are filter.c's, header.c's and decode_block.h's; the dialect is
 * h5z/gpu.h's.
 *
 * At a fixed rate every block has its bits at a known place: a lane for each block. In the other modes a block begins
 * where the one before it ends, which only decoding tells: one lane of a chunk does all of it, so that they pay in batches of
 * hundreds of chunks, and they are not encoded: H5Z_E_UNSUPPORTED.
 */
#include <h5z/gpu.h>

enum { INT32, INT64, FLOAT, DOUBLE };
enum { CODEC = 5, MOST_BITS = 16658, MOST_PREC = 64, LOWEST_EXP = -1074, EXP_BIAS = 16495 };
enum { SHORT_PRECISION = 2048, SHORT_REVERSIBLE = 2176, SHORT_ACCURACY = 2177, LONG = 4095 };

typedef struct settings {
  uint32_t type, rank, elem;
  uint32_t min_bits, max_bits, max_prec;
  int32_t min_exp;
  int32_t status;   /* 0 or an error, and then nothing else */
  int swapped;      /* written on a machine of the other byte order */
  uint64_t dims[4]; /* fastest first; 1 beyond the rank */
  uint64_t blocks, size;
} settings;

H5Z_DEVICE uint32_t swap_32(uint32_t v) { return v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24; }
H5Z_DEVICE uint64_t swap_64(uint64_t v) { return (uint64_t)swap_32((uint32_t)v) << 32 | swap_32((uint32_t)(v >> 32)); }

/* Word i of the header, in this machine's order; what is not stored is 0. */
H5Z_DEVICE uint32_t header_word(H5Z_GLOBAL const uint32_t *cd, uint32_t ncd, const settings *s, uint32_t i) {
  const uint32_t word = i + 1 < ncd ? cd[i + 1] : 0;
  return s->swapped ? swap_32(word) : word;
}

/* What the cd_values say; by value, so that it is never in memory. */
H5Z_OUTLINE settings parse(H5Z_GLOBAL const uint32_t *cd, uint32_t ncd) {
  settings s = {.status = H5Z_E_PARAM, .dims = {1, 1, 1, 1}};
  const uint32_t magic = 0x0070667au;
  if (ncd < 4) return s;
  s.swapped = (cd[1] & 0xffffff) != magic;
  const uint32_t first = header_word(cd, ncd, &s, 0);
  if ((first & 0xffffff) != magic) return s;
  const uint32_t filter = cd[0] & 0xfff, library = cd[0] >> 16;
  const uint32_t claimed = filter >= 0x110 ? cd[0] >> 12 & 0xf : library >= 0x100 ? CODEC : library < 0x50 ? 4 : library >> 4 & 0xf;
  if (first >> 24 != CODEC || claimed > CODEC) {
    s.status = H5Z_E_VERSION;
    return s;
  }

  uint64_t meta = header_word(cd, ncd, &s, 1) | (uint64_t)(header_word(cd, ncd, &s, 2) & 0xfffff) << 32;
  s.type = meta & 3, s.rank = (uint32_t)(meta >> 2 & 3) + 1, meta >>= 4;
  s.elem = s.type == INT32 || s.type == FLOAT ? 4 : 8;
  s.blocks = 1, s.size = s.elem;
  const uint32_t width = 48 / s.rank;
  H5Z_UNROLL for (uint32_t i = 0; i < 4; i++) {
    s.dims[i] = i < s.rank ? (meta & ((UINT64_C(1) << width) - 1)) + 1 : 1;
    meta >>= width;
    s.blocks *= (s.dims[i] + 3) / 4, s.size *= s.dims[i];
  }

  const uint32_t mode = header_word(cd, ncd, &s, 2) >> 20;
  s.min_bits = 1, s.max_bits = MOST_BITS, s.max_prec = MOST_PREC, s.min_exp = LOWEST_EXP;
  if (mode < SHORT_PRECISION) {
    s.min_bits = s.max_bits = mode + 1;
  } else if (mode < SHORT_REVERSIBLE) {
    s.max_prec = mode - SHORT_PRECISION + 1;
  } else if (mode == SHORT_REVERSIBLE) {
    s.min_exp = LOWEST_EXP - 1;
  } else if (mode < LONG) {
    s.min_exp = (int32_t)(mode - SHORT_ACCURACY) + LOWEST_EXP;
  } else {
    if (ncd < 6) return s;
    const uint64_t rest = header_word(cd, ncd, &s, 3) | (uint64_t)header_word(cd, ncd, &s, 4) << 32;
    s.min_bits = (uint32_t)(rest & 0x7fff) + 1, s.max_bits = (uint32_t)(rest >> 15 & 0x7fff) + 1;
    s.max_prec = (uint32_t)(rest >> 30 & 0x7f) + 1, s.min_exp = (int32_t)(rest >> 37 & 0x7fff) - EXP_BIAS;
  }
  if (s.min_bits <= s.max_bits && s.max_prec <= MOST_PREC) s.status = 0;
  return s;
}

/* Bits that every block starts with: flags, exponent, precision. */
H5Z_DEVICE uint32_t head_of(const settings *s) {
  const int reversible = s->min_exp < LOWEST_EXP, wide = s->elem == 8;
  const uint32_t floats = s->type >= FLOAT ? 1 + (uint32_t)reversible + (wide ? 11 : 8) : 0;
  return floats + (reversible ? 5 + (uint32_t)wide : 0);
}

/* The bits of a chunk, lowest bit of the first byte first, and zeros behind it. */
typedef struct bits {
  H5Z_GLOBAL const uint8_t *in;
  uint64_t size, next; /* bytes: of the chunk, before the buffer's end */
  uint64_t buffer;     /* the next `count` bits, zeros above */
  uint32_t count;
} bits;

H5Z_DEVICE uint64_t bits_tell(const bits *r) { return r->next * 8 - r->count; }

/* 32 bits or more: whole words where they are aligned and inside of the chunk. */
H5Z_DEVICE void bits_fill(bits *r) {
  while (r->count < 32) {
    if (r->next + 4 <= r->size && (uint64_t)(uintptr_t)(r->in + r->next) % 4 == 0) {
      r->buffer |= (uint64_t)*(H5Z_GLOBAL const uint32_t *)(r->in + r->next) << r->count;
      r->next += 4, r->count += 32;
    } else {
      r->buffer |= (uint64_t)(r->next < r->size ? r->in[r->next] : 0) << r->count;
      r->next += 1, r->count += 8;
    }
  }
}

/* `n` of the bits that bits_fill made sure of. */
H5Z_DEVICE uint32_t bits_next(bits *r, uint32_t n) {
  const uint32_t value = (uint32_t)(r->buffer & ((UINT64_C(1) << n) - 1));
  r->buffer >>= n, r->count -= n;
  return value;
}

/* On to a bit of the chunk, or to one behind it. */
H5Z_DEVICE void bits_seek(bits *r, uint64_t bit) {
  r->next = bit / 8, r->buffer = 0, r->count = 0;
  bits_fill(r);
  bits_next(r, (uint32_t)(bit % 8));
}

/* i * 2^e, as bits. 2^e is 0 below the smallest subnormal number; e is at most 127 - 30 and 1023 - 62. */
H5Z_DEVICE uint32_t scaled_32(int32_t i, int e) {
  union {
    uint32_t bits;
    float value;
  } u = {.bits = e >= -126 ? (uint32_t)(e + 127) << 23 : e >= -149 ? UINT32_C(1) << (e + 149) : 0};
  u.value *= (float)i;
  return u.bits;
}

H5Z_DEVICE uint64_t scaled_64(int64_t i, int e) {
  union {
    uint64_t bits;
    double value;
  } u = {.bits = e >= -1022 ? (uint64_t)(e + 1023) << 52 : e >= -1074 ? UINT64_C(1) << (e + 1074) : 0};
  u.value *= (double)i;
  return u.bits;
}

/* The whole part of a number, given as its bits, times 2^e; what does not fit is the smallest integer, as on x86. */
H5Z_DEVICE int32_t whole_32(uint32_t bits, int e) {
  union {
    uint32_t bits;
    float value;
  } u = {.bits = bits}, power = {.bits = e > 127 ? UINT32_C(0x7f800000) : (uint32_t)(e + 127) << 23};
  u.value *= power.value;
  return u.value >= -2147483648.0f && u.value < 2147483648.0f ? (int32_t)u.value : INT32_MIN;
}

H5Z_DEVICE int64_t whole_64(uint64_t bits, int e) {
  union {
    uint64_t bits;
    double value;
  } u = {.bits = bits}, power = {.bits = e > 1023 ? UINT64_C(0x7ff0000000000000) : (uint64_t)(e + 1023) << 52};
  u.value *= power.value;
  return u.value >= -9223372036854775808.0 && u.value < 9223372036854775808.0 ? (int64_t)u.value : INT64_MIN;
}

/* Bits to be written from a byte's first one on, lowest first. */
typedef struct bits_out {
  H5Z_GLOBAL uint8_t *out;
  uint64_t next, buffer; /* bytes written; `count` bits that are not */
  uint32_t count;
} bits_out;

/* Up to 32 bits; what is above them in `value` is left away. */
H5Z_DEVICE void bits_put(bits_out *o, uint32_t value, uint32_t n) {
  o->buffer |= (value & ((UINT64_C(1) << n) - 1)) << o->count;
  o->count += n;
  for (; o->count >= 8; o->count -= 8, o->buffer >>= 8) o->out[o->next++] = (uint8_t)o->buffer;
}

H5Z_DEVICE void bits_flush(bits_out *o) {
  if (o->count > 0) o->out[o->next] = (uint8_t)o->buffer;
}

/* zfp's order of coefficients: place i of a block of 4^rank values, eight to a word, by rank from 2 on. */
H5Z_DEVICE uint8_t order_of(uint32_t rank, uint32_t i) {
  const uint64_t words[42] = {
      0x0906080205040100u, 0x0f0e0b0d070a0c03u, 0x0205111410040100u, 0x2109181206152008u,
      0x28251916300c0324u, 0x34310d1c13070a22u, 0x230b351d171a2629u, 0x2d271b2a38320e2cu,
      0x2e2b0f333c39361eu, 0x3f2f3b3e1f373d3au, 0x1150054010040100u, 0x5480200802144144u,
      0x4818421206154551u, 0x0390848124216009u, 0x4916465255c0300cu, 0x8591946164255819u,
      0x130728828822a00au, 0xc13431700d4c1c43u, 0x89a195655956d0c4u, 0x6892981aa4268629u,
      0x5c1d4d1747534a62u, 0x230bc5d1d4717435u, 0xc23832b00e8c2c83u, 0x69969966a55ae0c8u,
      0xd5755d572a8aa2a8u, 0x2d6c938727634b1bu, 0x7236b4b14e1e9c8du, 0xe4e1c9d8d2c63978u,
      0xa6a93cc3cc33f00fu, 0x5e9d6d97675b6a9au, 0x8ba3e5d9d67976b5u, 0xe8b2b83aac2e8e2bu,
      0xf437c73dcdf1cae2u, 0xa7aa4f737cd3dc1fu, 0xb6b97aad6e9e6b9bu, 0xd7dd77f55fdae6e9u,
      0x2ff83bcb3ecef27du, 0xbaaeab8fb3bce3ecu, 0x6ff97bdb7edef6eau, 0xcff3fc9fb7bde7edu,
      0xfdbeebeebbfaaf3fu, 0xffbfeffbfe7fdff7u};
  const uint32_t first = rank == 2 ? 0 : rank == 3 ? 2 : 10;
  return rank == 1 ? (uint8_t)i : (uint8_t)(words[first + i / 8] >> i % 8 * 8);
}

#define PASTE_(x, width) x##_##width
#define PASTE(x, width) PASTE_(x, width)
#define NAME(x) PASTE(x, WIDTH)

#define WIDTH 32
#define UINT uint32_t
#define INT int32_t
#define PBITS 5u
#define EBITS 8
#include "gpu_block.h"
#include "gpu_encode.h"
#undef WIDTH
#undef UINT
#undef INT
#undef PBITS
#undef EBITS

#define WIDTH 64
#define UINT uint64_t
#define INT int64_t
#define PBITS 6u
#define EBITS 11
#include "gpu_block.h"
#include "gpu_encode.h"

H5Z_KERNEL void h5z_zfp_decode(h5z_gpu_batch b) {
  H5Z_SHARED(uint8_t, order, 256);
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const settings s = parse(b.cd, b.ncd);
  int32_t status = s.status;
  if (status == 0) status = s.blocks / 8 > p.size ? H5Z_E_CORRUPT : s.size > p.room ? H5Z_E_OUTPUT : 0;
  const int fixed = status == 0 && s.min_bits == s.max_bits && s.max_bits >= head_of(&s);
  if (fixed && s.blocks > p.size * 8 / s.max_bits) status = H5Z_E_CORRUPT;
  if (fixed || status != 0) h5z_gpu_answer(&b, &p, s.size, status);
  if (status != 0) return;

  for (uint32_t i = h5z_lane(); i < 1u << 2 * s.rank; i += h5z_lanes()) order[i] = order_of(s.rank, i);
  h5z_sync();
  if (!fixed && p.lane != 0) return;
  bits r = {.in = p.in, .size = p.size};
  uint64_t at = 0; /* the bit that a block begins with */
  for (uint64_t block = fixed ? p.lane : 0; block < s.blocks; block += fixed ? p.lanes : 1) {
    if (fixed) at = block * s.max_bits;
    if (at != bits_tell(&r)) bits_seek(&r, at);
    if (s.elem == 4) {
      uint32_t values[256];
      at += decode_32(&r, &s, order, values);
      if (at <= p.size * 8) scatter_32(values, &s, block, p.out);
    } else {
      uint64_t values[256];
      at += decode_64(&r, &s, order, values);
      if (at <= p.size * 8) scatter_64(values, &s, block, p.out);
    }
    if (at > p.size * 8) {
      h5z_gpu_answer(&b, &p, 0, H5Z_E_CORRUPT);
      return;
    }
  }
  if (!fixed) h5z_gpu_answer(&b, &p, s.size, 0);
}

H5Z_KERNEL void h5z_zfp_encode(h5z_gpu_batch b) {
  H5Z_SHARED(uint8_t, order, 256);
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const settings s = parse(b.cd, b.ncd);
  int32_t status = s.status;
  if (status == 0 && (s.size != p.size || s.max_bits < head_of(&s))) status = H5Z_E_PARAM;
  if (status == 0 && (s.min_bits != s.max_bits || s.min_exp < LOWEST_EXP)) status = H5Z_E_UNSUPPORTED;
  const uint64_t bytes = status == 0 ? s.blocks / 8 * s.max_bits + (s.blocks % 8 * s.max_bits + 7) / 8 : 0;
  if (status == 0 && bytes > p.room) status = H5Z_E_OUTPUT;
  h5z_gpu_answer(&b, &p, bytes, status);
  if (status != 0) return;

  for (uint32_t i = h5z_lane(); i < 1u << 2 * s.rank; i += h5z_lanes()) order[i] = order_of(s.rank, i);
  h5z_sync();
  /* A lane has as many blocks as end where a byte does, so that no two write the same one. */
  uint32_t run = 8;
  while (run > 1 && run / 2 * s.max_bits % 8 == 0) run /= 2;
  for (uint64_t first = p.lane * run; first < s.blocks; first += p.lanes * run) {
    bits_out o = {.out = p.out + first / 8 * s.max_bits + first % 8 * s.max_bits / 8};
    for (uint64_t block = first; block < first + run && block < s.blocks; block++) {
      if (s.elem == 4) {
        uint32_t values[256];
        gather_32(values, &s, block, p.in);
        encode_32(&o, &s, order, values);
      } else {
        uint64_t values[256];
        gather_64(values, &s, block, p.in);
        encode_64(&o, &s, order, values);
      }
    }
    bits_flush(&o);
  }
}
