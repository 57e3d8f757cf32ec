/* filter.c: run lengths for images that are mostly black. A pixel is black when 0 <= value <= threshold; a run of black pixels is
 * one negative count and decodes to zeros. With threshold 0 nothing is lost; negative pixels, which detectors use as marks, are
 * never black. Other pixels are stored in as few bytes as they need, and a run of equal ones once.
 *
 *   chunk:   | bytes of the decoded chunk, u32 big-endian | tokens ... | bytes behind the last whole pixel, as they are |
 *   token:   | c, a signed byte | ... |
 *
 *     c = -127..-1           -c black pixels
 *     c = -128               | n, LEB128 |                128 + n black pixels
 *     c = 0 r w w k k k k    k + 1 pixels; kkkk = 15:     | n, LEB128 | then 16 + n pixels
 *         r = 0              | each pixel in 2^w bytes |
 *         r = 1              | one pixel in 2^w bytes |   that many times
 *
 * Stored pixels are little-endian and are widened by their sign where the type is signed. LEB128: 7 bits a byte, low first, the
 * high bit on all bytes but the last; at most 5 bytes.
 *
 *   client cd_values: [0] threshold, default 0
 *   stored cd_values: [0] the same, [1] bytes of a pixel: 1, 2, 4 or 8, [2] bit 0: signed, bit 1: big-endian
 */
#include <h5z/filter.h>

enum { HEADER = 4, WINDOW = 2048, REPEAT_MIN = 4, TOKEN_MAX = 6, BIG_ENDIAN_BIT = 2 };

typedef struct format {
  uint32_t threshold, size; /* size: bytes of a pixel */
  int is_signed, big_endian;
} format;

static int read_format(const uint32_t *cd, size_t ncd, format *f) {
  if (ncd < 3) return 0;
  *f = (format){cd[0], cd[1], (int)(cd[2] & 1), (cd[2] & BIG_ENDIAN_BIT) != 0};
  return (cd[1] == 1 || cd[1] == 2 || cd[1] == 4 || cd[1] == 8) && cd[2] < 4;
}

/* Reverses the bytes of each of n pixels in place. */
static void swap(uint8_t *p, size_t n, size_t size) {
  for (size_t i = 0; i < n; i++, p += size)
    for (size_t a = 0, b = size - 1; a < b; a++, b--) {
      const uint8_t t = p[a];
      p[a] = p[b], p[b] = t;
    }
}

/* One set of loops for each size of pixel, plain enough to become SIMD.
 * fill_N: n times v. widen_N_M: n stored pixels of M bits to N bits; `sign` is their sign bit, or 0 for unsigned types. */
#define PIXELS(N)                                                                   \
  static void fill_##N(uint8_t *out, size_t n, uint64_t v) {                        \
    const uint##N##_t x = (uint##N##_t)v;                                           \
    for (size_t i = 0; i < n; i++) memcpy(out + i * sizeof x, &x, sizeof x);        \
  }
PIXELS(8)
PIXELS(16)
PIXELS(32)
PIXELS(64)

#define WIDEN(N, M)                                                                                   \
  static void widen_##N##_##M(uint8_t *out, const uint8_t *in, size_t n, uint64_t sign) {             \
    const uint##N##_t s = (uint##N##_t)sign;                                                          \
    for (size_t i = 0; i < n; i++) {                                                                  \
      uint##M##_t raw;                                                                                \
      memcpy(&raw, in + i * sizeof raw, sizeof raw);                                                  \
      const uint##N##_t x = (uint##N##_t)(((uint##N##_t)raw ^ s) - s);                                \
      memcpy(out + i * sizeof x, &x, sizeof x);                                                       \
    }                                                                                                 \
  }
WIDEN(16, 8)
WIDEN(32, 8)
WIDEN(32, 16)
WIDEN(64, 8)
WIDEN(64, 16)
WIDEN(64, 32)

static void fill(uint8_t *out, size_t n, uint64_t v, size_t size) {
  switch (size) {
    case 1: fill_8(out, n, v); break;
    case 2: fill_16(out, n, v); break;
    case 4: fill_32(out, n, v); break;
    default: fill_64(out, n, v); break;
  }
}

/* n stored pixels of `width` bytes to `size` bytes; width <= size. */
static void widen(uint8_t *out, const uint8_t *in, size_t n, size_t width, size_t size, int is_signed) {
  if (width == size) {
    memcpy(out, in, n * size);
    return;
  }
  const uint64_t sign = is_signed ? UINT64_C(1) << (8 * width - 1) : 0;
  switch (size * 10 + width) {
    case 21: widen_16_8(out, in, n, sign); break;
    case 41: widen_32_8(out, in, n, sign); break;
    case 42: widen_32_16(out, in, n, sign); break;
    case 81: widen_64_8(out, in, n, sign); break;
    case 82: widen_64_16(out, in, n, sign); break;
    default: widen_64_32(out, in, n, sign); break;
  }
}

/* Reads a LEB128 number at *i; 0 when it does not end within 5 bytes or the chunk. */
static int read_number(const uint8_t *in, size_t nin, size_t *i, uint64_t *n) {
  *n = 0;
  for (unsigned shift = 0; shift < 35 && *i < nin; shift += 7) {
    const uint8_t b = in[(*i)++];
    *n |= (uint64_t)(b & 127) << shift;
    if (b < 128) return 1;
  }
  return 0;
}

static int64_t decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  return nin < HEADER ? (int64_t)H5Z_E_CORRUPT : (int64_t)h5z_get_u32be(in);
}

static int64_t decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  uint8_t *dst = out;
  format f;
  if (!read_format(cd, ncd, &f)) return H5Z_E_PARAM;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const size_t bytes = h5z_get_u32be(src), size = f.size, pixels = bytes / size, tail = bytes % size;
  if (bytes > cap) return H5Z_E_OUTPUT;
  size_t i = HEADER, o = 0;
  while (o < pixels) {
    if (i >= nin) return H5Z_E_CORRUPT;
    const uint8_t c = src[i++];
    uint64_t n = c > 128 ? 256u - c : (c & 15u) + 1, more;
    if (c == 128 || (c < 128 && n == 16)) {
      if (!read_number(src, nin, &i, &more)) return H5Z_E_CORRUPT;
      n = (c == 128 ? 128 : 16) + more;
    }
    if (n > pixels - o) return H5Z_E_CORRUPT;
    uint8_t *to = dst + o * size;
    o += (size_t)n;
    if (c >= 128) {
      memset(to, 0, (size_t)n * size);
      continue;
    }
    const size_t width = (size_t)1 << (c >> 4 & 3), stored = c & 64 ? 1 : (size_t)n;
    if (width > size || stored > (nin - i) / width) return H5Z_E_CORRUPT;
    if (c & 64) {
      uint64_t v = 0;
      widen((uint8_t *)&v, src + i, 1, width, size, f.is_signed);
      fill(to, (size_t)n, v, size);
    } else {
      widen(to, src + i, stored, width, size, f.is_signed);
    }
    i += stored * width;
  }
  if (nin - i != tail) return H5Z_E_CORRUPT;
  if (f.big_endian) swap(dst, pixels, size);
  if (tail > 0) memcpy(dst + pixels * size, src + i, tail);
  return (int64_t)bytes;
}

/* A token that begins anew costs no more than it saves, but for the first of each window of the encoder. */
static int64_t encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin + (int64_t)(nin / WINDOW + 1) * 2 * TOKEN_MAX + HEADER;
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const uint32_t size = ds->type_size;
  if (ds->type_class != H5Z_CLASS_INTEGER || (size != 1 && size != 2 && size != 4 && size != 8)) return H5Z_E_NOT_APPLICABLE;
  const uint32_t most = size >= 4 ? UINT32_MAX : (UINT32_C(1) << (8 * size)) - 1;
  const uint32_t threshold = nclient >= 1 ? client[0] : 0;
  if (threshold > (ds->is_signed && size <= 4 ? most >> 1 : most)) return H5Z_E_PARAM;
  if (cap < 3) return H5Z_E_OUTPUT;
  stored[0] = threshold, stored[1] = size;
  stored[2] = (ds->is_signed ? 1u : 0) | (ds->big_endian && size > 1 ? BIG_ENDIAN_BIT : 0);
  return 3;
}

/* What the encoder knows of a window's pixels, one byte each: `kind` is 0 for black, else 1 + log2 of the bytes needed;
 * `same` is 1 where a pixel equals the one before it. Black pixels become 0. */
#define CLASSIFY(N)                                                                                              \
  static void classify_##N(uint##N##_t *p, size_t n, const format *f, uint8_t *kind, uint8_t *same) {            \
    const uint##N##_t b1 = f->is_signed ? 0x80 : 0, b2 = (uint##N##_t)(f->is_signed ? 0x8000 : 0);               \
    const uint##N##_t b4 = (uint##N##_t)(f->is_signed ? UINT64_C(0x80000000) : 0);                               \
    const uint##N##_t black = (uint##N##_t)f->threshold;                                                         \
    for (size_t i = 0; i < n; i++) {                                                                             \
      const uint##N##_t v = p[i];                                                                                \
      const uint8_t one = (uint##N##_t)(v + b1) > 0xff, two = (uint##N##_t)(v + b2) > 0xffff;                    \
      const uint8_t four = (uint64_t)(uint##N##_t)(v + b4) > UINT32_MAX;                                         \
      const uint8_t light = v > black;                                                                           \
      kind[i] = (uint8_t)(light + (light & one) + (light & one & two) + (light & one & two & four));             \
      p[i] = light ? v : 0;                                                                                      \
    }                                                                                                            \
    same[0] = 0;                                                                                                 \
    for (size_t i = 1; i < n; i++) same[i] = p[i] == p[i - 1];                                                   \
  }
CLASSIFY(8)
CLASSIFY(16)
CLASSIFY(32)
CLASSIFY(64)

typedef struct writer {
  uint8_t *out;
  size_t at, cap;
  uint64_t black; /* pixels of a black run that has not ended */
} writer;

static uint8_t *put_number(uint8_t *p, uint64_t n) {
  for (; n > 127; n >>= 7) *p++ = (uint8_t)(n | 128);
  *p++ = (uint8_t)n;
  return p;
}

/* Writes the black run, if any. 0: no room. */
static int put_black(writer *w) {
  uint8_t token[TOKEN_MAX], *p = token;
  if (w->black == 0) return 1;
  if (w->black < 128) {
    *p++ = (uint8_t)(256 - w->black);
  } else {
    *p++ = 128;
    p = put_number(p, w->black - 128);
  }
  const size_t n = (size_t)(p - token);
  if (n > w->cap - w->at) return 0;
  memcpy(w->out + w->at, token, n);
  w->at += n, w->black = 0;
  return 1;
}

/* Writes `n` pixels from `p`, or their one value, in 2^log bytes each. 0: no room. */
static int put_pixels(writer *w, const uint8_t *p, size_t n, unsigned log, int repeat, size_t size) {
  uint8_t token[TOKEN_MAX], *t = token;
  const size_t width = (size_t)1 << log, stored = repeat ? 1 : n;
  if (!put_black(w)) return 0;
  *t++ = (uint8_t)((repeat ? 64 : 0) | log << 4 | (n < 16 ? n - 1 : 15));
  if (n >= 16) t = put_number(t, n - 16);
  const size_t head = (size_t)(t - token);
  if (head + stored * width > w->cap - w->at) return 0;
  uint8_t *to = w->out + w->at;
  memcpy(to, token, head);
  to += head;
  w->at += head + stored * width;
  if (width == size) memcpy(to, p, stored * size);
  else if (width == 1)
    for (size_t i = 0; i < stored; i++) to[i] = p[i * size];
  else
    for (size_t i = 0; i < stored; i++) memcpy(to + i * width, p + i * size, width == 2 ? 2 : 4);
  return 1;
}

/* How many from i on have the value v in `of`, at most `most`. */
static size_t run_of(const uint8_t *of, size_t n, size_t i, uint8_t v, size_t most) {
  size_t k = 0;
  const uint64_t word = v * UINT64_C(0x0101010101010101);
  for (uint64_t x; k + 8 <= most && i + k + 8 <= n; k += 8) {
    memcpy(&x, of + i + k, 8);
    if (x != word) break;
  }
  while (k < most && i + k < n && of[i + k] == v) k++;
  return k;
}

/* Where the pixels that are stored from i on in 2^log bytes end: before black ones, a run of equal ones, a wider one, or
 * four that need less. */
static size_t end_of_group(const uint8_t *kind, const uint8_t *same, size_t n, size_t i, unsigned log) {
  const unsigned own = log + 1;
  size_t j = i + 1, narrow = 0;
  for (; j < n; j++) {
    const unsigned k = kind[j];
    if (k > own) break;
    if (k == 0 && (log > 1 || (j + 1 < n && kind[j + 1] == 0))) break;
    if (same[j] && run_of(same, n, j, 1, REPEAT_MIN - 1) == REPEAT_MIN - 1) {
      j--; /* the run's first pixel */
      break;
    }
    narrow = k < own ? narrow + 1 : 0;
    if (narrow == 4) {
      j -= 3;
      break;
    }
  }
  return j > i ? j : i + 1;
}

static int encode_window(writer *w, const uint8_t *p, size_t n, size_t size, const uint8_t *kind, const uint8_t *same) {
  for (size_t i = 0; i < n;) {
    if (kind[i] == 0) {
      const size_t run = run_of(kind, n, i, 0, n);
      w->black += run;
      i += run;
      continue;
    }
    const unsigned log = kind[i] - 1u;
    const size_t equal = i + 1 < n ? run_of(same, n, i + 1, 1, n) + 1 : 1;
    const int repeat = equal >= REPEAT_MIN;
    const size_t end = repeat ? i + equal : end_of_group(kind, same, n, i, log);
    if (!put_pixels(w, p + i * size, end - i, log, repeat, size)) return 0;
    i = end;
  }
  return 1;
}

static int64_t encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint8_t *src = in;
  format f;
  if (!read_format(cd, ncd, &f)) return H5Z_E_PARAM;
  if ((uint64_t)nin > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  if (cap < HEADER) return H5Z_E_OUTPUT;
  h5z_put_u32be(out, (uint32_t)nin);
  writer w = {out, HEADER, cap, 0};
  union {
    uint8_t bytes[8 * WINDOW];
    uint16_t u16[WINDOW];
    uint32_t u32[WINDOW];
    uint64_t u64[WINDOW];
  } window;
  uint8_t kind[WINDOW], same[WINDOW];
  const size_t size = f.size, pixels = nin / size, tail = nin % size;
  for (size_t at = 0; at < pixels; at += WINDOW) {
    const size_t n = pixels - at < WINDOW ? pixels - at : WINDOW;
    uint8_t *p = window.bytes;
    memcpy(p, src + at * size, n * size);
    if (f.big_endian) swap(p, n, size);
    switch (size) {
      case 1: classify_8(p, n, &f, kind, same); break;
      case 2: classify_16(window.u16, n, &f, kind, same); break;
      case 4: classify_32(window.u32, n, &f, kind, same); break;
      default: classify_64(window.u64, n, &f, kind, same); break;
    }
    if (!encode_window(&w, p, n, size, kind, same)) return H5Z_E_OUTPUT;
  }
  if (!put_black(&w) || tail > cap - w.at) return H5Z_E_OUTPUT;
  if (tail > 0) memcpy(w.out + w.at, src + pixels * size, tail);
  return (int64_t)(w.at + tail);
}
#endif

H5Z_FILTER(H5Z_ENCODER(.derive = derive, .encode = encode, ).encode_bound = encode_bound,
           .decoded_size = decoded_size, .decode = decode)
