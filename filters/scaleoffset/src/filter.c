/* HDF5 filter 6: scale-offset. A chunk's numbers less the smallest of them, in as few bits as the largest needs; of
 * floating-point numbers, first times a power of ten and rounded.
 *
 *     0         4    5                 13             21
 *     +---------+----+-----------------+--------------+------------------------------------------------+
 *     | bits    | 8  | smallest value, | zeros        | numbers of that many bits without gaps, from   |
 *     | u32 le  |    | u64 le          |              | the highest bit down; a last byte, maybe spare |
 *     +---------+----+-----------------+--------------+------------------------------------------------+
 *
 * The smallest value of floating-point numbers is their bits in as many bytes. A number of all ones stands for the fill
 * value, if the dataset has one. When the bits are those of the type, its numbers follow little-endian as they are, and no
 * spare byte.
 *
 * stored cd_values, 20 words:
 *     [0] 0 floating-point, scaled by a power of ten; 1 by a power of two (reserved, never written); 2 integers
 *     [1] int32: the power of ten, or bits of an integer (0 = as many as it takes; all of the type's = chunks as they are)
 *     [2] elements of the chunk  [3] 0 integer, 1 floating-point  [4] size in bytes  [5] 1 signed  [6] 1 big-endian
 *     [7] 1 when there is a fill value, and it lies in [8], [9], low word first; the rest is 0
 * client cd_values: [0], [1]
 */
#include <h5z/filter.h>

#include <bitstream/bitstream.h>
#include <decimal/decimal.h>

enum { WORDS = 20, HEADER = 21, MINIMUM = 5 };
enum { DECIMAL = 0, BINARY = 1, INTEGER = 2 };
enum { TYPE, FACTOR, ELEMENTS, CLASS, SIZE, SIGN, ORDER, FILL_DEFINED, FILL }; /* of cd_values: where what is */
enum { CLASS_INTEGER = 0, CLASS_FLOAT = 1 };
enum { MOST_POWER = 299, MOST_POWER_FLOAT = 38, LEAST_POWER_FLOAT = -37 };

typedef struct {
  int pass;         /* chunks are as they are                                     */
  int is_float;
  int has_fill;
  int big_endian;
  int32_t factor;
  uint64_t elements;
  unsigned size;    /* of an element: 1, 2, 4 or 8                                */
  unsigned width;   /* in bits                                                    */
  uint64_t ones;    /* `width` of them                                            */
  uint64_t fill;    /* its bits                                                   */
} settings;

static int64_t parse(const uint32_t *cd, size_t ncd, settings *s) {
  if (ncd != WORDS) return H5Z_E_PARAM;
  *s = (settings){.is_float = cd[CLASS] == CLASS_FLOAT, .has_fill = cd[FILL_DEFINED] != 0, .big_endian = cd[ORDER] != 0,
                  .factor = (int32_t)cd[FACTOR], .elements = cd[ELEMENTS], .size = cd[SIZE], .width = 8 * cd[SIZE]};
  if (cd[CLASS] > CLASS_FLOAT || cd[SIGN] > 1 || cd[ORDER] > 1) return H5Z_E_PARAM;
  if (s->is_float && cd[TYPE] == BINARY) return H5Z_E_UNSUPPORTED;
  if (cd[TYPE] != (s->is_float ? DECIMAL : INTEGER)) return H5Z_E_PARAM;
  if (!s->is_float) {
    if (cd[SIZE] == 0 || cd[SIZE] > INT32_MAX / 8) return H5Z_E_PARAM;
    if (s->factor < 0) s->factor = 0;
    if (s->factor > (int32_t)s->width) return H5Z_E_PARAM;
    s->pass = s->factor == (int32_t)s->width;
    if (s->pass) return 0;
    if (s->size > 8 || (s->size & (s->size - 1)) != 0) return H5Z_E_PARAM;
  } else {
    if (s->size != 4 && s->size != 8) return H5Z_E_PARAM;
    if (s->factor < (s->size == 4 ? LEAST_POWER_FLOAT : -MOST_POWER)) return H5Z_E_PARAM;
    if (s->factor > (s->size == 4 ? MOST_POWER_FLOAT : MOST_POWER)) return H5Z_E_PARAM;
  }
  s->ones = s->width == 64 ? UINT64_MAX : ((uint64_t)1 << s->width) - 1;
  s->fill = (cd[FILL] | (uint64_t)cd[FILL + 1] << 32) & s->ones;
  return 0;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static inline uint64_t load(const uint8_t *p, unsigned size, int big_endian) {
  uint64_t x = 0;
  for (unsigned i = 0; i < size; i++) x = x << 8 | p[big_endian ? i : size - 1 - i];
  return x;
}

static inline void store(uint8_t *p, unsigned size, int big_endian, uint64_t x) {
  for (unsigned i = 0; i < size; i++, x >>= 8) p[big_endian ? size - 1 - i : i] = (uint8_t)x;
}

static inline float as_float(uint64_t bits) {
  const uint32_t word = (uint32_t)bits;
  float x;
  memcpy(&x, &word, sizeof x);
  return x;
}
static inline double as_double(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
static inline uint64_t float_bits(float x) {
  uint32_t word;
  memcpy(&word, &x, sizeof word);
  return word;
}
static inline uint64_t double_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

static int64_t scaleoffset_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (s.pass) return (int64_t)nin;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const uint64_t bits = load(in, 4, 0), size = s.elements * s.size;
  if (bits > s.width) return H5Z_E_CORRUPT;
  /* HDF5 ends every chunk so; it does not read the spare byte, but a chunk that lacks it is cut. */
  const uint64_t packed = bits == s.width ? size : s.elements * bits / 8 + 1;
  return packed > nin - HEADER ? (int64_t)H5Z_E_CORRUPT : (int64_t)size;
}

typedef struct {
  uint64_t minimum;  /* the smallest value */
  uint64_t fill_as;  /* what stands for the fill value */
  float ten_float, minimum_float;
  double ten, minimum_double;
} offsets;

/* A NaN among the operands would come out with other bits on other processors: this is x86's. */
static inline uint64_t same_nan(double x, uint64_t bits, unsigned width) {
  return x == x ? bits : width == 32 ? 0xffc00000u : 0xfff8000000000000u;
}

static inline uint64_t decode_one(const settings *s, const offsets *o, uint64_t x, int is_float, unsigned size) {
  if (s->has_fill && x == o->fill_as) return s->fill;
  if (!is_float) return x + o->minimum;
  if (size == 4) {
    const float value = (float)(int32_t)(uint32_t)x / o->ten_float + o->minimum_float;
    return same_nan(value, float_bits(value), 32);
  }
  const double value = (double)(int64_t)x / o->ten + o->minimum_double;
  return same_nan(value, double_bits(value), 64);
}

/* All elements; size, class and order are constants where this is called, so that each gets a loop of its own. */
static inline void decode_all(const settings *s, const offsets *o, unsigned bits, const uint8_t *in, size_t nin, uint8_t *out,
                              int is_float, unsigned size, int big_endian) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < s->elements; i++, at += bits) {
    const uint64_t x = bits > 0 ? bits_get(in, nin, at, bits) : 0;
    store(out + i * size, size, big_endian, decode_one(s, o, x, is_float, size));
  }
}

static int64_t scaleoffset_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t size = scaleoffset_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  parse(cd, ncd, &s);
  uint8_t *to = out;
  if (s.pass) {
    if (size > 0) memcpy(out, in, (size_t)size);
    return size;
  }
  const uint8_t *from = in;
  const unsigned bits = (unsigned)load(from, 4, 0);
  if (bits == s.width) {
    if (s.big_endian)
      for (uint64_t i = 0; i < s.elements; i++) store(to + i * s.size, s.size, 1, load(from + HEADER + i * s.size, s.size, 0));
    else
      memcpy(to, from + HEADER, (size_t)size);
    return size;
  }
  /* The byte before the smallest value is its size; a smaller one leaves the high bytes 0. */
  const uint64_t minimum = load(from + MINIMUM, from[4] < 8 ? from[4] : 8, 0);
  offsets o = {.minimum = minimum, .fill_as = ((uint64_t)1 << bits) - 1};
  if (s.is_float) {
    o.ten = decimal_power(s.factor), o.minimum_double = as_double(minimum);
    if (s.size == 4) o.ten_float = (float)o.ten, o.minimum_float = as_float(minimum);
  }
  const uint8_t *packed = from + HEADER;
  const size_t npacked = nin - HEADER;
  switch (s.size | (s.big_endian ? 0x10 : 0) | (s.is_float ? 0x20 : 0)) {
    case 0x01: case 0x11: decode_all(&s, &o, bits, packed, npacked, to, 0, 1, 0); break;
    case 0x02: decode_all(&s, &o, bits, packed, npacked, to, 0, 2, 0); break;
    case 0x04: decode_all(&s, &o, bits, packed, npacked, to, 0, 4, 0); break;
    case 0x08: decode_all(&s, &o, bits, packed, npacked, to, 0, 8, 0); break;
    case 0x12: decode_all(&s, &o, bits, packed, npacked, to, 0, 2, 1); break;
    case 0x14: decode_all(&s, &o, bits, packed, npacked, to, 0, 4, 1); break;
    case 0x18: decode_all(&s, &o, bits, packed, npacked, to, 0, 8, 1); break;
    case 0x24: decode_all(&s, &o, bits, packed, npacked, to, 1, 4, 0); break;
    case 0x28: decode_all(&s, &o, bits, packed, npacked, to, 1, 8, 0); break;
    case 0x34: decode_all(&s, &o, bits, packed, npacked, to, 1, 4, 1); break;
    default: decode_all(&s, &o, bits, packed, npacked, to, 1, 8, 1);
  }
  return size;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

#if !defined(H5Z_DECODE_ONLY)
static int64_t scaleoffset_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (nclient < 2) return H5Z_E_PARAM;
  if (ds->type_class != H5Z_CLASS_INTEGER && ds->type_class != H5Z_CLASS_FLOAT) return H5Z_E_NOT_APPLICABLE;
  if (cap < WORDS) return H5Z_E_OUTPUT;
  uint64_t elements = 1;
  for (uint32_t i = 0; i < ds->rank && i < H5Z_MAX_RANK; i++) {
    if (ds->chunk_dims[i] == 0 || ds->chunk_dims[i] > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    elements *= ds->chunk_dims[i];
    if (elements > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  }
  const int is_float = ds->type_class == H5Z_CLASS_FLOAT;
  if (client[TYPE] > INTEGER) return H5Z_E_PARAM;
  if (is_float == (client[TYPE] == INTEGER)) return H5Z_E_NOT_APPLICABLE;
  memset(stored, 0, WORDS * sizeof *stored);
  stored[TYPE] = client[TYPE], stored[FACTOR] = client[FACTOR];
  stored[ELEMENTS] = (uint32_t)elements;
  stored[CLASS] = is_float ? CLASS_FLOAT : CLASS_INTEGER;
  stored[SIZE] = ds->type_size;
  stored[SIGN] = !is_float && ds->is_signed;
  stored[ORDER] = ds->big_endian ? 1 : 0;
  if (ds->fill_defined && ds->fill_size == ds->type_size && ds->type_size <= 8) {
    const uint64_t fill = load(ds->fill, ds->type_size, ds->big_endian != 0);
    stored[FILL_DEFINED] = 1, stored[FILL] = (uint32_t)fill, stored[FILL + 1] = (uint32_t)(fill >> 32);
  }
  settings s;
  const int64_t error = parse(stored, WORDS, &s);
  if (error < 0) return ds->type_size <= 8 && (ds->type_size & (ds->type_size - 1)) == 0 ? error : (int64_t)H5Z_E_NOT_APPLICABLE;
  return WORDS;
}

static int64_t scaleoffset_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (s.pass) return (int64_t)nin;
  return nin == 0 || nin != s.elements * s.size ? (int64_t)H5Z_E_NOT_APPLICABLE : (int64_t)nin + HEADER + 1;
}

/* The smallest number of bits that counts `values`, at least 1, from 0. */
static unsigned bits_for(uint64_t values) { return values <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(values - 1); }

/* What HDF5 finds out about a chunk before packing it. */
typedef struct {
  unsigned bits;
  uint64_t minimum; /* as it goes into the header */
  float minimum_float, ten_float, near_float;
  double minimum_double, ten;
} plan;

/* Rounds half away from zero, as lround does; the caller knows that the number fits. */
static int64_t round_half_away(double x) {
  const int64_t whole = (int64_t)x;
  const double rest = x - (double)whole; /* exact: below 2^53 there are digits behind the point, above there are none */
  return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

/* Integers in order: signed ones are moved up by half their range. */
static uint64_t rank_of(const settings *s, int is_signed, uint64_t x) {
  return is_signed ? x ^ (uint64_t)1 << (s->width - 1) : x;
}

static void plan_integers(const settings *s, int is_signed, const uint8_t *in, plan *p) {
  uint64_t low = 0, high = 0; /* ranks */
  int any = 0;
  for (uint64_t i = 0; i < s->elements; i++) {
    const uint64_t x = load(in + i * s->size, s->size, s->big_endian);
    if (s->has_fill && x == s->fill) continue;
    const uint64_t rank = rank_of(s, is_signed, x);
    if (!any || rank < low) low = rank;
    if (!any || rank > high) high = rank;
    any = 1;
  }
  if (!any) low = high = rank_of(s, is_signed, 0);
  uint64_t minimum = rank_of(s, is_signed, low);
  if (is_signed && minimum >> (s->width - 1)) minimum |= ~s->ones; /* sign-extended */
  p->minimum = minimum;
  p->bits = (unsigned)s->factor;
  if (s->factor > 0) return;
  if (high - low > s->ones - 2) {
    p->bits = s->width;
    if (!(s->size == 1 && is_signed && !s->has_fill)) p->minimum = 0; /* which HDF5 then leaves out, but for this type */
    return;
  }
  p->bits = bits_for(high - low + 1 + (s->has_fill ? 1 : 0));
}

/* 1 when x is the fill value or so near to it that HDF5 takes it for that, when looking for the smallest and largest. */
static int is_fill(const settings *s, double difference) { return s->has_fill && (difference < 0 ? -difference : difference) < decimal_power(-s->factor); }

/* Floating-point numbers: 0, or H5Z_E_NOT_APPLICABLE for those of which HDF5 makes garbage. */
static int64_t plan_floats(const settings *s, const uint8_t *in, plan *p) {
  const int single = s->size == 4;
  const float fill_float = as_float(s->fill);
  const double fill = as_double(s->fill);
  double low = 0, high = 0;
  int any = 0, has_nan = 0;
  for (uint64_t i = 0; i < s->elements; i++) {
    const uint64_t bits = load(in + i * s->size, s->size, s->big_endian);
    const double x = single ? as_float(bits) : as_double(bits);
    const double difference = single ? (double)(as_float(bits) - fill_float) : x - fill;
    if (is_fill(s, difference)) continue;
    if (x != x) has_nan = 1;
    if (!any || x > high) high = x;
    if (!any || x < low) low = x;
    any = 1;
  }
  p->ten = decimal_power(s->factor);
  p->minimum_double = low;
  p->minimum = double_bits(low);
  double span;
  if (single) {
    p->ten_float = (float)p->ten, p->minimum_float = (float)low, p->near_float = (float)decimal_power(-s->factor);
    p->minimum = float_bits(p->minimum_float);
    const float high_scaled = (float)high * p->ten_float, low_scaled = p->minimum_float * p->ten_float;
    span = high_scaled - low_scaled;
    span = (float)span;
  } else {
    span = high * p->ten - low * p->ten;
  }
  if (span != span) return H5Z_E_NOT_APPLICABLE; /* NaN first, infinity less infinity */
  const double most = single ? 2147483648.0 : 9223372036854775808.0;
  if (span >= most) { /* HDF5 asks for more than that, and comes to all bits for just that */
    const double rounded = span; /* whole already */
    p->bits = s->width;
    if (rounded > most) p->minimum = 0;
    return 0;
  }
  if (has_nan) return H5Z_E_NOT_APPLICABLE;
  const uint64_t values = (uint64_t)round_half_away(span) + 1;
  p->bits = bits_for(values + (s->has_fill ? 1 : 0));
  return 0;
}

/* One number as it is packed, in *x; H5Z_E_NOT_APPLICABLE when it is none that can be. */
static inline int64_t encode_one(const settings *s, const plan *p, uint64_t *x) {
  const uint64_t all_ones = ((uint64_t)1 << p->bits) - 1;
  double scaled;
  if (!s->is_float) {
    *x = s->has_fill && *x == s->fill ? all_ones : *x - p->minimum;
    return 0;
  }
  if (s->size == 4) {
    const float value = as_float(*x), difference = value - as_float(s->fill);
    if (s->has_fill && (difference < 0 ? -difference : difference) < p->near_float) {
      *x = all_ones;
      return 0;
    }
    const float value_scaled = value * p->ten_float, minimum_scaled = p->minimum_float * p->ten_float;
    scaled = (float)(value_scaled - minimum_scaled);
  } else {
    const double value = as_double(*x);
    if (is_fill(s, value - as_double(s->fill))) {
      *x = all_ones;
      return 0;
    }
    scaled = value * p->ten - p->minimum_double * p->ten;
  }
  if (!(scaled > -9e18 && scaled < 9e18)) return H5Z_E_NOT_APPLICABLE;
  *x = (uint64_t)round_half_away(scaled);
  return 0;
}

static int64_t scaleoffset_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t bound = scaleoffset_encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  settings s;
  parse(cd, ncd, &s);
  if (s.pass) {
    if (nin > cap) return H5Z_E_OUTPUT;
    if (nin > 0) memcpy(out, in, nin);
    return (int64_t)nin;
  }
  const uint8_t *from = in;
  uint8_t *to = out;
  plan p = {.bits = 0};
  if (s.is_float) {
    const int64_t error = plan_floats(&s, from, &p);
    if (error < 0) return error;
  } else {
    plan_integers(&s, cd[SIGN] == 1, from, &p);
  }
  const int whole = p.bits == s.width;
  const uint64_t length = HEADER + (whole ? nin : s.elements * p.bits / 8 + 1);
  if (length > cap) return H5Z_E_OUTPUT;
  memset(to, 0, HEADER);
  store(to, 4, 0, p.bits), to[4] = 8, store(to + MINIMUM, 8, 0, p.minimum);
  if (whole) {
    for (uint64_t i = 0; i < s.elements; i++)
      store(to + HEADER + i * s.size, s.size, 0, load(from + i * s.size, s.size, s.big_endian));
    return (int64_t)length;
  }
  bits_writer writer = {.next = to + HEADER};
  const uint64_t mask = ((uint64_t)1 << p.bits) - 1;
  for (uint64_t i = 0; i < s.elements && p.bits > 0; i++) {
    uint64_t x = load(from + i * s.size, s.size, s.big_endian);
    const int64_t error = encode_one(&s, &p, &x);
    if (error < 0) return error;
    bits_put(&writer, x & mask, p.bits);
  }
  if (bits_finish(&writer) < to + length) *writer.next = 0; /* the spare byte */
  return (int64_t)length;
}
#endif

H5Z_FILTER(.decoded_size = scaleoffset_decoded_size, .decode = scaleoffset_decode,
           H5Z_ENCODER(.derive = scaleoffset_derive, .encode_bound = scaleoffset_encode_bound, .encode = scaleoffset_encode))
