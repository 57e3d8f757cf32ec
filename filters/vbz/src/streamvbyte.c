/* StreamVByte for the VBZ filter: any processor, and 16-bit differences (raw signal) eight at a time with vectors. */
#include "streamvbyte.h"

#include <string.h>

/* ---- reading and writing integers of 1, 2 and 4 bytes ------------------------------------------------------------ */

static inline uint32_t load(const uint8_t *p, size_t i, unsigned width) {
  p += i * width;
  switch (width) {
    case 1: return p[0];
    case 2: return p[0] | (uint32_t)p[1] << 8;
    default: return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  }
}

static inline void store(uint8_t *p, size_t i, unsigned width, uint32_t v) {
  p += i * width;
  p[0] = (uint8_t)v;
  if (width > 1) p[1] = (uint8_t)(v >> 8);
  if (width > 2) p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}

static inline uint32_t get_u32le(const uint8_t *p) { return load(p, 0, 4); }

static inline uint32_t unzigzag(uint32_t v) { return v >> 1 ^ (0 - (v & 1)); }

/* The zigzag code of a difference at its width: sign into bit 0. */
static inline uint32_t zigzag(uint32_t difference, unsigned width) {
  const unsigned spare = 32 - 8 * width;
  const int32_t d = (int32_t)(difference << spare) >> spare;
  return (uint32_t)d << 1 ^ (uint32_t)(d >> 31);
}

/* ---- how long the data are that the keys announce ---------------------------------------------------------------- */

/* Sum of the keys' low bits and twice their high bits: 2 bits an integer, 32 integers a step. */
static uint64_t sum_of_keys(const uint8_t *keys, size_t n) {
  uint64_t sum = 0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    uint64_t w;
    memcpy(&w, keys + i / 4, 8);
    sum += (unsigned)__builtin_popcountll(w & UINT64_C(0x5555555555555555)) +
           2u * (unsigned)__builtin_popcountll(w & UINT64_C(0xaaaaaaaaaaaaaaaa));
  }
  for (; i < n; i++) sum += keys[i / 4] >> 2 * (i % 4) & 3;
  return sum;
}

/* ---- whole bytes ------------------------------------------------------------------------------------------------- */

/* Integers i..n one by one; the data are as long as the keys say. `last` is the integer before. */
static inline void decode_rest(unsigned width, int delta, const uint8_t *keys, const uint8_t *data, const uint8_t *end,
                               uint8_t *out, size_t i, size_t n, uint32_t last) {
  static const uint32_t mask[4] = {0xff, 0xffff, 0xffffff, 0xffffffff};
  for (; i < n; i++) {
    const unsigned key = keys[i / 4] >> 2 * (i % 4) & 3;
    uint32_t v = 0;
    if (end - data >= 4) {
      v = get_u32le(data) & mask[key];
    } else {
      for (unsigned k = 0; k <= key; k++) v |= (uint32_t)data[k] << 8 * k;
    }
    data += key + 1;
    if (delta) v = last += unzigzag(v);
    store(out, i, width, v);
  }
}

#if defined(__SSE2__) && defined(__x86_64__)
#  include <cpuid.h>
#  include <stdatomic.h>
#  include <tmmintrin.h>
#  define HAVE_VECTORS
#  define TARGET __attribute__((target("ssse3")))
typedef __m128i bytes16;
TARGET static inline bytes16 pick(const uint8_t *from, const uint8_t *index) {
  return _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)(const void *)from), _mm_loadl_epi64((const __m128i *)(const void *)index));
}
TARGET static inline bytes16 join(bytes16 low, bytes16 high) { return _mm_unpacklo_epi64(low, high); }

static int have_vectors(void) {
  static _Atomic int answer; /* 0 not asked yet, 1 no, 2 yes */
  int known = atomic_load_explicit(&answer, memory_order_relaxed);
  if (known == 0) {
    unsigned a, b, c, d;
    known = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) ? 2 : 1;
    atomic_store_explicit(&answer, known, memory_order_relaxed);
  }
  return known == 2;
}
#elif defined(__wasm_simd128__)
#  include <wasm_simd128.h>
#  define HAVE_VECTORS
#  define TARGET
typedef v128_t bytes16;
static inline bytes16 pick(const uint8_t *from, const uint8_t *index) {
  return wasm_i8x16_swizzle(wasm_v128_load64_zero(from), wasm_v128_load64_zero(index));
}
static inline bytes16 join(bytes16 low, bytes16 high) { return wasm_i64x2_shuffle(low, high, 0, 2); }
static int have_vectors(void) { return 1; }
#elif defined(__aarch64__) && defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#  include <arm_neon.h>
#  define HAVE_VECTORS
#  define TARGET
typedef uint8x16_t bytes16;
static inline bytes16 pick(const uint8_t *from, const uint8_t *index) {
  return vcombine_u8(vtbl1_u8(vld1_u8(from), vld1_u8(index)), vdup_n_u8(0));
}
static inline bytes16 join(bytes16 low, bytes16 high) { return vcombine_u8(vget_low_u8(low), vget_low_u8(high)); }
static int have_vectors(void) { return 1; }
#endif

#if defined(HAVE_VECTORS)
typedef uint16_t u16x8 __attribute__((vector_size(16)));

/* For a key byte of four integers of 1 or 2 bytes: where each one's bytes lie; 0x80 is none. Bits 1, 3, 5, 7 are 0. */
#  define LENGTH(k, i) (1 + ((k) >> 2 * (i) & 1))
#  define AT(k, i) (((i) > 0 ? LENGTH(k, 0) : 0) + ((i) > 1 ? LENGTH(k, 1) : 0) + ((i) > 2 ? LENGTH(k, 2) : 0))
#  define LANE(k, i) AT(k, i), LENGTH(k, i) == 2 ? AT(k, i) + 1 : 0x80
#  define ROW(k) [k] = {LANE(k, 0), LANE(k, 1), LANE(k, 2), LANE(k, 3)}
#  define ROWS(k) ROW(k), ROW((k) + 1), ROW((k) + 4), ROW((k) + 5)
static const uint8_t rows[0x56][8] = {ROWS(0x00), ROWS(0x10), ROWS(0x40), ROWS(0x50)};

/* 16-bit differences, eight at a time, as long as all of them take 1 or 2 bytes and 16 bytes of data are left.
 * Returns how many were decoded; *data is moved. */
TARGET static size_t decode_deltas(const uint8_t *keys, const uint8_t **data, const uint8_t *end, uint8_t *out, size_t n) {
  const uint8_t *p = *data;
  u16x8 last = {0};
  size_t i = 0;
  for (; i + 8 <= n && end - p >= 16; i += 8) {
    const unsigned a = keys[i / 4], b = keys[i / 4 + 1];
    if ((a | b) & 0xaa) break; /* written without wrapping: 3 bytes */
    const unsigned first = 4 + (unsigned)__builtin_popcount(a), second = 4 + (unsigned)__builtin_popcount(b);
    const bytes16 picked = join(pick(p, rows[a]), pick(p + first, rows[b]));
    p += first + second;
    u16x8 v;
    memcpy(&v, &picked, 16);
    v = v >> 1 ^ (0 - (v & 1));
    const u16x8 zero = {0};
    v += __builtin_shufflevector(zero, v, 0, 8, 9, 10, 11, 12, 13, 14);
    v += __builtin_shufflevector(zero, v, 0, 1, 8, 9, 10, 11, 12, 13);
    v += __builtin_shufflevector(zero, v, 0, 1, 2, 3, 8, 9, 10, 11);
    v += last;
    last = __builtin_shufflevector(v, v, 7, 7, 7, 7, 7, 7, 7, 7);
    memcpy(out + 2 * i, &v, 16);
  }
  *data = p;
  return i;
}
#endif

static void decode_bytes(unsigned width, int delta, const uint8_t *keys, const uint8_t *data, const uint8_t *end, uint8_t *out, size_t n) {
  size_t i = 0;
#if defined(HAVE_VECTORS)
  if (width == 2 && delta && have_vectors()) i = decode_deltas(keys, &data, end, out, n);
#endif
  const uint32_t last = i > 0 ? load(out, i - 1, 2) : 0;
  /* Each width by itself, so that the compiler knows it. */
  if (width == 1) decode_rest(1, delta, keys, data, end, out, i, n, last);
  else if (width == 2) decode_rest(2, delta, keys, data, end, out, i, n, last);
  else decode_rest(4, delta, keys, data, end, out, i, n, last);
}

static size_t encode_bytes(svb_layout layout, const uint8_t *in, size_t n, uint8_t *keys) {
  uint8_t *data = keys + svb_key_bytes(n), *const begin = keys;
  uint32_t last = 0;
  for (size_t i = 0; i < n; i += 4) {
    unsigned four = 0;
    for (size_t k = 0; k < 4 && i + k < n; k++) {
      const uint32_t now = load(in, i + k, layout.width);
      uint32_t v = now;
      if (layout.delta) v = zigzag(now - last, layout.width), last = now;
      const unsigned key = (v > 0xff) + (v > 0xffff) + (v > 0xffffff);
      store(data, 0, 4, v); /* SVB_SLACK */
      data += key + 1;
      four |= key << 2 * k;
    }
    *keys++ = (uint8_t)four;
  }
  return (size_t)(data - begin);
}

/* ---- half bytes -------------------------------------------------------------------------------------------------- */

/* Half bytes that a key stands for: 0, 1, 2, 4. */
static uint64_t halves_of_keys(const uint8_t *keys, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += (1u << (keys[i / 4] >> 2 * (i % 4) & 3)) >> 1;
  return sum;
}

static void decode_halves(int delta, const uint8_t *keys, const uint8_t *data, uint8_t *out, size_t n) {
  size_t half = 0; /* position in data, in half bytes */
  uint32_t last = 0;
  for (size_t i = 0; i < n; i++) {
    const unsigned count = (1u << (keys[i / 4] >> 2 * (i % 4) & 3)) >> 1;
    uint32_t v = 0;
    for (unsigned k = 0; k < count; k++, half++) v |= (uint32_t)(data[half / 2] >> 4 * (half % 2) & 15) << 4 * k;
    if (delta) v = last += unzigzag(v);
    out[i] = (uint8_t)v;
  }
}

static size_t encode_halves(int delta, const uint8_t *in, size_t n, uint8_t *keys) {
  uint8_t *const data = keys + svb_key_bytes(n);
  size_t half = 0;
  uint32_t last = 0;
  memset(keys, 0, svb_bound((svb_layout){.width = 1}, n));
  for (size_t i = 0; i < n; i++) {
    uint32_t v = in[i];
    if (delta) v = zigzag(in[i] - last, 1), last = in[i];
    const unsigned key = (v > 0) + (v > 15);
    keys[i / 4] |= (uint8_t)(key << 2 * (i % 4));
    for (unsigned k = 0; k < key; k++, half++) data[half / 2] |= (uint8_t)((v >> 4 * k & 15) << 4 * (half % 2));
  }
  return (size_t)(data - keys) + (half + 1) / 2;
}

/* ---- the two functions ------------------------------------------------------------------------------------------- */

int svb_decode(svb_layout layout, const uint8_t *in, size_t nin, void *out, size_t n) {
  const size_t key_bytes = svb_key_bytes(n);
  if (nin < key_bytes) return 0;
  const uint8_t *const data = in + key_bytes;
  if (layout.halves) {
    if ((halves_of_keys(in, n) + 1) / 2 != nin - key_bytes) return 0;
    decode_halves(layout.delta, in, data, out, n);
  } else {
    if (n + sum_of_keys(in, n) != nin - key_bytes) return 0;
    decode_bytes(layout.width, layout.delta, in, data, in + nin, out, n);
  }
  return 1;
}

size_t svb_encode(svb_layout layout, const void *in, size_t n, uint8_t *out) {
  if (layout.halves) return encode_halves(layout.delta, in, n, out);
  /* Each width by itself, so that the compiler knows it. */
  switch (layout.width) {
    case 1: return encode_bytes((svb_layout){1, layout.delta, 0}, in, n, out);
    case 2: return encode_bytes((svb_layout){2, layout.delta, 0}, in, n, out);
    default: return encode_bytes((svb_layout){4, layout.delta, 0}, in, n, out);
  }
}
