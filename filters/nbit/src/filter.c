/* HDF5 filter 5: n-bit. Of every number only the significant bits are kept, one after the other without gaps; bits go
 * from the highest down, and a byte is filled from its highest bit down. There is no header. The chunk ends with a byte
 * that holds the last bits, and is spare when they end with the byte before:
 *
 *     element 0         element 1
 *     +---------+----+  +---------+----+       bytes = bits of all elements / 8 + 1
 *     | member  | .. |  | member  | .. | ...
 *     +---------+----+  +---------+----+
 *
 * What an element is made of is in the stored cd_values, which HDF5's set_local writes from the datatype:
 *
 *     [0] count of the values  [1] 1: nothing to leave out, the chunk is as it was  [2] elements of the chunk  [3..] a type
 *
 *     a type is   1, size, order (0 LE, 1 BE), precision, offset          a number; precision and offset in bits
 *                 2, size, type of an item                                an array
 *                 3, size, members, { offset, type } for each             a compound; what lies between members is not kept
 *                 4, size                                                 bytes that are kept as they are
 *
 * There are no client cd_values. Sizes and offsets are in bytes.
 */
#include <h5z/filter.h>

#include <bitstream/bitstream.h>
#include <stdlib.h>

enum { COUNT, PASS, ELEMENTS, TYPE, SIZE }; /* of cd_values: where what is */
enum { NUMBER = 1, ARRAY = 2, COMPOUND = 3, BYTES = 4 };
enum { NUMBER_WORDS = 5 };
enum { MOST_DEPTH = 64 }; /* types in types; HDF5 sets no limit, and nobody's has ten */
enum { MOST_VISITS = 4 * H5Z_CD_MAX };

/* ---- types ----------------------------------------------------------------------------------------------------- */

/* What a type comes to, and at which word HDF5 goes on behind it. That is where the type ends, but for one slip of HDF5's:
 * behind an array whose items are arrays or compounds it goes on at the size of its items. So the members of a compound
 * that follow such an array are read from the wrong words, when encoding and when decoding; what is then left out is lost.
 * Chunks are read here as HDF5 reads them, and nothing is encoded that would not come back. */
typedef struct {
  uint64_t bits;
  size_t next;
} type_facts;

static size_t after_array(const uint32_t *cd, size_t at, size_t item_next) {
  return cd[at + 2] == NUMBER || cd[at + 2] == BYTES ? item_next : at + 3;
}

/* Checks the type at word `at`, whatever it claims; after this, walking it needs no checks. *visits is how many types may
 * still be met: going back, HDF5's slip could lead through the same words again and again. */
static int64_t check_type(const uint32_t *cd, size_t ncd, size_t at, int depth, unsigned *visits, type_facts *f) {
  if (depth > MOST_DEPTH || (*visits)-- == 0) return H5Z_E_UNSUPPORTED;
  if (at >= ncd || ncd - at < 2 || cd[at + 1] == 0) return H5Z_E_PARAM;
  const uint32_t class = cd[at], size = cd[at + 1];
  if (class == NUMBER) {
    if (ncd - at < NUMBER_WORDS || cd[at + 2] > 1) return H5Z_E_PARAM;
    const uint64_t precision = cd[at + 3], offset = cd[at + 4];
    if (precision == 0 || precision + offset > (uint64_t)size * 8) return H5Z_E_PARAM;
    f->bits = precision, f->next = at + NUMBER_WORDS;
    return 0;
  }
  if (class == BYTES) {
    f->bits = (uint64_t)size * 8, f->next = at + 2;
    return 0;
  }
  if (class == ARRAY) {
    type_facts item;
    const int64_t error = check_type(cd, ncd, at + 2, depth + 1, visits, &item);
    if (error < 0) return error;
    if (size % cd[at + 3] != 0) return H5Z_E_PARAM;
    f->bits = item.bits * (size / cd[at + 3]), f->next = after_array(cd, at, item.next);
    return 0;
  }
  if (class != COMPOUND || ncd - at < 3 || cd[at + 2] == 0) return H5Z_E_PARAM;
  uint64_t used = 0;
  f->bits = 0, f->next = at + 3;
  for (uint32_t i = 0; i < cd[at + 2]; i++) {
    type_facts member;
    if (f->next >= ncd || ncd - f->next < 3) return H5Z_E_PARAM;
    const uint64_t offset = cd[f->next], bytes = cd[f->next + 2];
    used += bytes;
    if (used > size || offset + bytes > size) return H5Z_E_PARAM;
    const int64_t error = check_type(cd, ncd, f->next + 1, depth + 1, visits, &member);
    if (error < 0) return error;
    f->bits += member.bits, f->next = member.next;
  }
  return 0;
}

typedef struct {
  int pass;
  uint64_t elements, bits; /* bits of an element; at most 8 times its size */
  uint32_t size;           /* of an element */
  size_t flat;             /* where the number is described that the elements consist of and nothing else; or 0 */
  uint64_t numbers;        /* how many of those in all */
} settings;

static int64_t parse(const uint32_t *cd, size_t ncd, settings *s) {
  if (ncd < 2 || ncd > H5Z_CD_MAX || cd[COUNT] != ncd) return H5Z_E_PARAM;
  *s = (settings){.pass = cd[PASS] != 0};
  if (s->pass) return 0;
  if (ncd <= SIZE || cd[TYPE] == BYTES) return H5Z_E_PARAM;
  type_facts facts;
  unsigned visits = MOST_VISITS;
  const int64_t error = check_type(cd, ncd, TYPE, 0, &visits, &facts);
  if (error < 0) return error;
  s->elements = cd[ELEMENTS], s->bits = facts.bits, s->size = cd[SIZE];
  size_t at = TYPE;
  while (cd[at] == ARRAY) at += 2;
  if (cd[at] == NUMBER) s->flat = at, s->numbers = s->elements * (s->size / cd[at + 1]);
  return 0;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static inline void store(uint8_t *p, uint32_t size, int big_endian, uint64_t x) {
  for (uint32_t i = 0; i < size; i++, x >>= 8) p[big_endian ? size - 1 - i : i] = (uint8_t)x;
}

/* Numbers wider than 64 bits (long double) go byte by byte. The significant bits of byte b, counted from the least
 * significant one: `bits` of them from bit `from` up, and where the byte lies. */
typedef struct {
  uint64_t byte;
  unsigned bits, from;
} part;

static inline part part_of(const uint32_t *number, uint64_t b) {
  const uint64_t offset = number[4], end = offset + number[3];
  const unsigned from = b == offset / 8 ? offset % 8 : 0;
  return (part){.byte = number[2] == 1 ? number[1] - 1 - b : b, .from = from,
                .bits = (unsigned)(end - 8 * b < 8 ? end - 8 * b : 8) - from};
}

/* Writes the bytes that have significant bits; the others are zero before, or another member's after HDF5's slip. */
static inline void get_number(const uint32_t *number, const uint8_t *in, size_t nin, uint64_t *bit, uint8_t *out) {
  const uint32_t size = number[1], precision = number[3], offset = number[4];
  if (size <= 8) {
    const uint64_t x = bits_get(in, nin, *bit, precision) << offset;
    const uint32_t first = offset / 8, last = (offset + precision - 1) / 8;
    for (uint32_t b = first; b <= last; b++) out[number[2] == 1 ? size - 1 - b : b] = (uint8_t)(x >> 8 * b);
    *bit += precision;
    return;
  }
  for (uint64_t b = ((uint64_t)offset + precision - 1) / 8 + 1; b-- > offset / 8;) {
    const part p = part_of(number, b);
    out[p.byte] = (uint8_t)(bits_get(in, nin, *bit, p.bits) << p.from);
    *bit += p.bits;
  }
}

/* Numbers one after the other, of a size that there is: the compiler makes one load and one store of each. */
static inline void get_numbers(const uint32_t *number, uint32_t size, int big_endian, uint64_t n, const uint8_t *in,
                               size_t nin, uint8_t *out) {
  const unsigned precision = number[3], offset = number[4];
  uint64_t bit = 0;
  for (uint64_t i = 0; i < n; i++, bit += precision)
    store(out + i * size, size, big_endian, bits_get(in, nin, bit, precision) << offset);
}

/* ---- elements of other types ------------------------------------------------------------------------------------- */

/* One value of the (checked) type at `at`, from or to bits; returns where the next type begins. `out` is all zero before. */
static size_t get_value(const uint32_t *cd, size_t at, const uint8_t *in, size_t nin, uint64_t *bit, uint8_t *out) {
  const uint32_t class = cd[at], size = cd[at + 1];
  size_t next = at + 2;
  if (class == NUMBER) {
    get_number(cd + at, in, nin, bit, out);
    return at + NUMBER_WORDS;
  }
  if (class == BYTES) {
    for (uint32_t i = 0; i < size; i++, *bit += 8) out[i] = (uint8_t)bits_get(in, nin, *bit, 8);
  } else if (class == ARRAY) {
    for (uint32_t i = 0; i < size; i += cd[at + 3]) next = get_value(cd, at + 2, in, nin, bit, out + i);
    next = after_array(cd, at, next);
  } else {
    next = at + 3;
    for (uint32_t i = 0; i < cd[at + 2]; i++) next = get_value(cd, next + 1, in, nin, bit, out + cd[next]);
  }
  return next;
}

static int64_t nbit_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (s.pass) return (int64_t)nin;
  const uint64_t size = s.elements * s.size; /* both are of 32 bits */
  if (size > INT64_MAX / 8) return H5Z_E_PARAM;
  return nin > s.elements * s.bits / 8 ? (int64_t)size : (int64_t)H5Z_E_CORRUPT;
}

static int64_t nbit_passes(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in, (void)nin;
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  return error < 0 ? error : s.pass;
}

static int64_t nbit_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t size = nbit_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  parse(cd, ncd, &s);
  uint8_t *to = out;
  uint64_t bit = 0;
  if (s.pass) {
    if (size > 0) memcpy(out, in, (size_t)size);
  } else if (s.flat) {
    const uint32_t *number = cd + s.flat, bytes = number[1];
    const uint64_t n = s.numbers;
    switch (bytes <= 8 ? bytes + (number[2] ? 0x10 : 0) : 0) {
      case 0x01: get_numbers(number, 1, 0, n, in, nin, to); break;
      case 0x02: get_numbers(number, 2, 0, n, in, nin, to); break;
      case 0x04: get_numbers(number, 4, 0, n, in, nin, to); break;
      case 0x08: get_numbers(number, 8, 0, n, in, nin, to); break;
      case 0x12: get_numbers(number, 2, 1, n, in, nin, to); break;
      case 0x14: get_numbers(number, 4, 1, n, in, nin, to); break;
      case 0x18: get_numbers(number, 8, 1, n, in, nin, to); break;
      default:
        memset(to, 0, (size_t)size);
        for (uint64_t i = 0; i < n; i++) get_number(number, in, nin, &bit, to + i * bytes);
    }
  } else {
    memset(out, 0, (size_t)size);
    for (uint64_t i = 0; i < s.elements; i++) get_value(cd, TYPE, in, nin, &bit, to + i * s.size);
  }
  return size;
}

#if !defined(H5Z_DECODE_ONLY)
static inline uint64_t load(const uint8_t *p, uint32_t size, int big_endian) {
  uint64_t x = 0;
  for (uint32_t i = 0; i < size; i++) x = x << 8 | p[big_endian ? i : size - 1 - i];
  return x;
}

static inline void put_number(const uint32_t *number, const uint8_t *in, bits_writer *w) {
  const uint32_t size = number[1], precision = number[3], offset = number[4];
  if (size <= 8) {
    const uint64_t x = load(in, size, number[2] == 1) >> offset;
    bits_put(w, precision < 64 ? x & (((uint64_t)1 << precision) - 1) : x, precision);
    return;
  }
  for (uint64_t b = ((uint64_t)offset + precision - 1) / 8 + 1; b-- > offset / 8;) {
    const part p = part_of(number, b);
    bits_put_few(w, in[p.byte] >> p.from & ((1u << p.bits) - 1), p.bits);
  }
}

static size_t put_value(const uint32_t *cd, size_t at, const uint8_t *in, bits_writer *w) {
  const uint32_t class = cd[at], size = cd[at + 1];
  size_t next = at + 2;
  if (class == NUMBER) {
    put_number(cd + at, in, w);
    return at + NUMBER_WORDS;
  }
  if (class == BYTES) {
    for (uint32_t i = 0; i < size; i++) bits_put_few(w, in[i], 8);
  } else if (class == ARRAY) {
    for (uint32_t i = 0; i < size; i += cd[at + 3]) next = put_value(cd, at + 2, in + i, w);
    next = after_array(cd, at, next);
  } else {
    next = at + 3;
    for (uint32_t i = 0; i < cd[at + 2]; i++) next = put_value(cd, next + 1, in + cd[next], w);
  }
  return next;
}

/* HDF5's set_local, for what the description of a dataset tells: numbers, arrays of numbers, types that are left alone.
 * It tells nothing of a compound's members. Stored values, which do, are taken over when they fit the dataset. */
static int64_t nbit_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  uint64_t elements = 1;
  for (uint32_t i = 0; i < ds->rank && i < H5Z_MAX_RANK; i++) {
    if (ds->chunk_dims[i] == 0 || ds->chunk_dims[i] > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    elements *= ds->chunk_dims[i];
    if (elements > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  }
  const uint32_t class = ds->type_class, base = class == H5Z_CLASS_ARRAY ? ds->base_class : class;
  const uint32_t size = class == H5Z_CLASS_ARRAY ? ds->base_size : ds->type_size;
  if (ds->type_size == 0 || size == 0) return H5Z_E_NOT_APPLICABLE;

  if (base == H5Z_CLASS_COMPOUND || (class == H5Z_CLASS_ARRAY && ds->type_size % size != 0)) {
    settings s;
    if (nclient <= SIZE || parse(client, nclient, &s) < 0) return H5Z_E_UNSUPPORTED;
    if (client[ELEMENTS] != elements || client[SIZE] != ds->type_size) return H5Z_E_UNSUPPORTED;
    if (cap < nclient) return H5Z_E_OUTPUT;
    memcpy(stored, client, nclient * sizeof *stored);
    return (int64_t)nclient;
  }

  uint32_t words[TYPE + 2 + NUMBER_WORDS];
  size_t n = TYPE;
  words[PASS] = 1, words[ELEMENTS] = (uint32_t)elements;
  if (class == H5Z_CLASS_ARRAY) {
    if (base == H5Z_CLASS_VLEN) return H5Z_E_NOT_APPLICABLE;
    words[n++] = ARRAY, words[n++] = ds->type_size;
  }
  if (base == H5Z_CLASS_INTEGER || base == H5Z_CLASS_FLOAT) {
    const uint64_t precision = ds->precision ? ds->precision : (uint64_t)size * 8;
    if (precision + ds->bit_offset > (uint64_t)size * 8) return H5Z_E_PARAM;
    words[n++] = NUMBER, words[n++] = size, words[n++] = ds->big_endian ? 1 : 0;
    words[n++] = (uint32_t)precision, words[n++] = ds->bit_offset;
    words[PASS] = precision == (uint64_t)size * 8;
  } else if (class == H5Z_CLASS_ARRAY) {
    words[n++] = BYTES, words[n++] = size;
  }
  words[COUNT] = (uint32_t)n;
  if (cap < n) return H5Z_E_OUTPUT;
  memcpy(stored, words, n * sizeof *words);
  return (int64_t)n;
}

static int64_t nbit_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (s.pass) return (int64_t)nin;
  if (nin == 0 || s.elements > INT64_MAX / 8 / s.size || nin != s.elements * s.size) return H5Z_E_NOT_APPLICABLE;
  return (int64_t)(s.elements * s.bits / 8 + 1);
}

static int64_t nbit_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t length = nbit_encode_bound(cd, ncd, nin);
  if (length < 0) return length;
  if ((uint64_t)length > cap) return H5Z_E_OUTPUT;
  settings s;
  parse(cd, ncd, &s);
  if (s.pass) {
    if (nin > 0) memcpy(out, in, nin);
    return length;
  }
  const uint8_t *from = in;
  bits_writer writer = {.next = out};
  for (uint64_t i = 0; i < s.elements; i++) put_value(cd, TYPE, from + i * s.size, &writer);
  if (bits_finish(&writer) < (uint8_t *)out + length) *writer.next = 0; /* the spare byte */

  /* What is left out must be zero, or it would be lost. */
  void *back = malloc(nin);
  if (!back) return H5Z_E_MEMORY;
  const int64_t got = nbit_decode(cd, ncd, out, (size_t)length, back, nin);
  const int same = got == (int64_t)nin && memcmp(back, in, nin) == 0;
  free(back);
  return same ? length : (int64_t)H5Z_E_NOT_APPLICABLE;
}
#endif

H5Z_FILTER(.decoded_size = nbit_decoded_size, .decode = nbit_decode, .passes = nbit_passes,
           H5Z_ENCODER(.derive = nbit_derive, .encode_bound = nbit_encode_bound, .encode = nbit_encode))
