/* The cd_values of filter 32013: what people choose (client), what lies in the file (stored), and zfp's header between.
 *
 * client   [0] mode, [1] unused, then        1 rate        [2..3] bits a value, a double, low word first
 *                                            2 precision   [2] bit planes
 *                                            3 accuracy    [2..3] tolerance, a double, low word first
 *                                            4 expert      [2] minbits [3] maxbits [4] maxprec [5] minexp, int32
 *                                            5 reversible
 *          none at all: expert with zfp's own limits
 *
 * stored   [0]  31        16 15     12 11        0
 *               +-----------+---------+-----------+
 *               | zfp 1.0.1 | codec 5 | H5Z-ZFP   |     filters before 1.1.0 wrote no codec, and a library version
 *               |  = 0x1010 |         | 1.1.1     |     of three digits (0x0055)
 *               +-----------+---------+-----------+
 *          [1..] zfp's full header, a string of bits, lowest bit of the lowest word first:
 *               32 bits  'z' 'f' 'p' 5
 *               52 bits  type - 1 (2), rank - 1 (2), dims - 1, fastest first (48 bits in all, shared alike)
 *               12 bits  mode, short:  0 to 2047     rate: bits a block - 1
 *                                      2048 to 2175  precision: bit planes - 1
 *                                      2176          reversible
 *                                      2177 to 4094  accuracy: smallest exponent + 1074
 *                                      4095          long, 52 bits more: minbits - 1 (15), maxbits - 1 (15),
 *                                                    maxprec - 1 (7), minexp + 16495 (15)
 *
 * zfp wrote the header as bytes. On a big-endian machine their words came out the other way round, which a reader sees by
 * the magic number; there the chunk's decoded numbers belong in big-endian order too. The bytes behind the header in the last
 * word are whatever lay on the writer's stack. */
#include "header.h"

#include <math.h>

enum { MODE_RATE = 1, MODE_PRECISION, MODE_ACCURACY, MODE_EXPERT, MODE_REVERSIBLE };
enum { CODEC = 5, SHORT_PRECISION = 2048, SHORT_REVERSIBLE = 2176, SHORT_ACCURACY = 2177, LONG = 4095, EXP_BIAS = 16495 };
#define MAGIC (UINT32_C(0x0070667a) | (uint32_t)CODEC << 24)

static uint32_t swap32(uint32_t v) { return v >> 24 | (v >> 8 & 0xff00) | (v & 0xff00) << 8 | v << 24; }

/* The codec that the version word claims. Filters before 1.1.0 told only the library's version, whose second digit was
 * the codec's until zfp 1.0. */
static unsigned claimed_codec(uint32_t version) {
  const uint32_t filter = version & 0xfff, library = version >> 16;
  if (filter >= 0x110) return version >> 12 & 0xf;
  if (library >= 0x100) return CODEC; /* 1.0 or later: nothing else is known */
  return library < 0x50 ? 4 : library >> 4 & 0xf;
}

int64_t header_read(const uint32_t *cd, size_t ncd, header *h) {
  if (ncd < 4) return H5Z_E_PARAM;
  uint32_t word[5] = {0};
  const size_t n = ncd - 1 < 5 ? ncd - 1 : 5;
  const uint32_t first = cd[1];
  h->swapped = (first & 0xffffff) != (MAGIC & 0xffffff);
  for (size_t i = 0; i < n; i++) word[i] = h->swapped ? swap32(cd[i + 1]) : cd[i + 1];
  if ((word[0] & 0xffffff) != (MAGIC & 0xffffff)) return H5Z_E_PARAM;
  if (word[0] != MAGIC || claimed_codec(cd[0]) > CODEC) return H5Z_E_VERSION;

  uint64_t meta = word[1] | (uint64_t)(word[2] & 0xfffff) << 32;
  h->type = meta & 3, meta >>= 2;
  h->rank = (unsigned)(meta & 3) + 1, meta >>= 2;
  const unsigned width = 48 / h->rank;
  for (unsigned i = 0; i < 4; i++) {
    h->dims[i] = i < h->rank ? (meta & ((UINT64_C(1) << width) - 1)) + 1 : 1;
    meta >>= width;
  }

  const uint32_t mode = word[2] >> 20;
  h->mode = mode;
  limits *l = &h->limits;
  *l = (limits){1, MOST_BITS, MOST_PREC, LOWEST_EXP};
  if (mode < SHORT_PRECISION) {
    l->min_bits = l->max_bits = mode + 1;
  } else if (mode < SHORT_REVERSIBLE) {
    l->max_prec = mode - SHORT_PRECISION + 1;
  } else if (mode == SHORT_REVERSIBLE) {
    l->min_exp = LOWEST_EXP - 1;
  } else if (mode < LONG) {
    l->min_exp = (int32_t)(mode - SHORT_ACCURACY) + LOWEST_EXP;
  } else {
    if (ncd < 6) return H5Z_E_PARAM;
    uint64_t rest = word[3] | (uint64_t)word[4] << 32;
    h->mode |= rest << 12;
    l->min_bits = (uint32_t)(rest & 0x7fff) + 1, rest >>= 15;
    l->max_bits = (uint32_t)(rest & 0x7fff) + 1, rest >>= 15;
    l->max_prec = (uint32_t)(rest & 0x7f) + 1, rest >>= 7;
    l->min_exp = (int32_t)(rest & 0x7fff) - EXP_BIAS;
  }
  return l->min_bits > l->max_bits || l->max_prec > MOST_PREC ? H5Z_E_PARAM : 0;
}

unsigned header_block_head(const header *h) {
  static const uint8_t bits[2][4] = {{0, 0, 1 + 8, 1 + 11}, {5, 6, 2 + 8 + 5, 2 + 11 + 6}};
  return bits[header_reversible(h)][h->type];
}

/* What zfp calls the mode of these limits; its default limits are expert. */
static int mode_of(const limits *l) {
  const int open = l->min_bits <= 1 && l->max_bits >= MOST_BITS;
  if (l->min_bits == 1 && l->max_bits == MOST_BITS && l->max_prec == MOST_PREC && l->min_exp == LOWEST_EXP) return MODE_EXPERT;
  if (l->min_bits == l->max_bits && l->max_bits <= MOST_BITS && l->max_prec == MOST_PREC && l->min_exp == LOWEST_EXP)
    return MODE_RATE;
  if (open && l->min_exp == LOWEST_EXP) return MODE_PRECISION;
  if (open && l->max_prec == MOST_PREC) return l->min_exp > LOWEST_EXP ? MODE_ACCURACY : MODE_REVERSIBLE;
  return MODE_EXPERT;
}

int64_t zfp_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  header h;
  const int64_t error = header_read(stored, nstored, &h);
  if (error < 0) return error;
  if (cap < 6) return H5Z_E_OUTPUT;
  const limits *l = &h.limits;
  int mode = mode_of(l);
  if (mode == MODE_ACCURACY && l->min_exp > 1023) mode = MODE_EXPERT; /* no double says that */
  /* All the precision there is, said the short way, is what zfp makes of a limit on bits beyond any block's. */
  const uint32_t max_bits = h.mode == SHORT_PRECISION + MOST_PREC - 1 ? 0x8000 : l->max_bits;
  double number = 0;
  client[0] = (uint32_t)mode, client[1] = 0;
  switch (mode) {
    case MODE_RATE: number = (double)l->max_bits / (1 << 2 * h.rank); break;
    case MODE_ACCURACY: number = ldexp(1, l->min_exp); break;
    case MODE_PRECISION: client[2] = l->max_prec; return 3;
    case MODE_REVERSIBLE: return 1;
    default:
      client[2] = l->min_bits, client[3] = max_bits, client[4] = l->max_prec, client[5] = (uint32_t)l->min_exp;
      return 6;
  }
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  client[2] = (uint32_t)bits, client[3] = (uint32_t)(bits >> 32);
  return 4;
}

#if !defined(H5Z_DECODE_ONLY)
static double double_of(const uint32_t *words) {
  const uint64_t bits = words[0] | (uint64_t)words[1] << 32;
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

/* Client values -> limits. `h` has type and rank. Values that H5Z-ZFP would take for something else, or read from beyond
 * what it was given, are errors. */
static int64_t read_client(const uint32_t *client, size_t n, const header *h, limits *l) {
  *l = (limits){1, MOST_BITS, MOST_PREC, LOWEST_EXP};
  if (n == 0) return 0;
  switch (client[0]) {
    case MODE_RATE: {
      const double values = 1 << 2 * h->rank, rate = n < 4 ? 0 : double_of(client + 2);
      if (!(rate > 0 && values * rate <= 0x8000)) return H5Z_E_PARAM;
      const uint32_t bits = (uint32_t)(values * rate + 0.5), least = h->type < ZFP_FLOAT ? 1 : header_block_head(h);
      l->min_bits = l->max_bits = bits < least ? least : bits;
      return 0;
    }
    case MODE_PRECISION:
      if (n < 3) return H5Z_E_PARAM;
      if (client[2] > 0 && client[2] < MOST_PREC) l->max_prec = client[2];
      return 0;
    case MODE_ACCURACY: {
      if (n < 4) return H5Z_E_PARAM;
      const double tolerance = double_of(client + 2);
      if (!(tolerance < HUGE_VAL)) return H5Z_E_PARAM;
      if (tolerance > 0) { /* 2^min_exp <= tolerance < 2^(min_exp + 1) */
        frexp(tolerance, &l->min_exp);
        l->min_exp--;
      }
      return 0;
    }
    case MODE_EXPERT:
      if (n < 6) return H5Z_E_PARAM;
      *l = (limits){client[2], client[3], client[4], (int32_t)client[5]};
      if (l->min_bits < 1) l->min_bits = 1;
      if (l->max_bits > 0x8000) l->max_bits = 0x8000;
      if (l->min_exp < -EXP_BIAS || l->min_exp > 0x7fff - EXP_BIAS) return H5Z_E_PARAM;
      return l->min_bits > l->max_bits || l->max_prec < 1 || l->max_prec > MOST_PREC ? H5Z_E_PARAM : 0;
    case MODE_REVERSIBLE: l->min_exp = LOWEST_EXP - 1; return 0;
    default: return H5Z_E_PARAM;
  }
}

static uint64_t mode_bits(const limits *l) {
  switch (mode_of(l)) {
    case MODE_RATE:
      if (l->max_bits <= 2048) return l->max_bits - 1;
      break;
    case MODE_PRECISION: return SHORT_PRECISION + l->max_prec - 1;
    case MODE_ACCURACY:
      if (l->min_exp <= 843) return SHORT_ACCURACY + (uint64_t)(l->min_exp - LOWEST_EXP);
      break;
    case MODE_REVERSIBLE: return SHORT_REVERSIBLE;
    default: break;
  }
  const uint64_t exp = (uint64_t)(l->min_exp + EXP_BIAS);
  return exp << 49 | (uint64_t)(l->max_prec - 1) << 42 | (uint64_t)(l->max_bits - 1) << 27 | (uint64_t)(l->min_bits - 1) << 12 |
         LONG;
}

/* As H5Z-ZFP's can_apply and set_local. */
int64_t zfp_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  header h = {0};
  if (ds->type_class != H5Z_CLASS_INTEGER && ds->type_class != H5Z_CLASS_FLOAT) return H5Z_E_NOT_APPLICABLE;
  if (ds->type_size != 4 && ds->type_size != 8) return H5Z_E_NOT_APPLICABLE;
  if (ds->big_endian) return H5Z_E_NOT_APPLICABLE; /* zfp codes numbers, which the writer's machine must have in its order */
  h.type = (ds->type_class == H5Z_CLASS_FLOAT ? ZFP_FLOAT : ZFP_INT32) + (ds->type_size == 8);
  if (ds->rank > H5Z_MAX_RANK) return H5Z_E_PARAM;
  for (uint32_t i = ds->rank; i-- > 0;) {
    if (ds->chunk_dims[i] <= 1) continue;
    if (h.rank == 4) return H5Z_E_NOT_APPLICABLE;
    h.dims[h.rank++] = ds->chunk_dims[i];
  }
  if (h.rank == 0) return H5Z_E_NOT_APPLICABLE;

  int64_t error;
  if (nclient > 0 && client[0] > MODE_REVERSIBLE) { /* stored values passed again */
    header known;
    error = header_read(client, nclient, &known);
    if (error < 0) return error;
    h.limits = known.limits, h.mode = known.mode; /* the same limits can be said in more than one way */
  } else {
    error = read_client(client, nclient, &h, &h.limits);
    if (error < 0) return error;
    h.mode = mode_bits(&h.limits);
  }
  /* Fewer bits than the head of a block takes, and reversible blocks of a least size, are what zfp does not keep to. */
  if (h.limits.max_bits < header_block_head(&h)) return H5Z_E_PARAM;
  if (header_reversible(&h) && h.limits.min_bits > 1) return H5Z_E_PARAM;

  uint64_t meta = 0;
  const unsigned width = 48 / h.rank;
  for (unsigned i = h.rank; i-- > 0;) {
    if ((h.dims[i] - 1) >> width) return H5Z_E_NOT_APPLICABLE; /* more than the header can say */
    meta = meta << width | (h.dims[i] - 1);
  }
  meta = meta << 4 | (h.rank - 1) << 2 | h.type;
  const int64_t n = (h.mode & 0xfff) == LONG ? 6 : 4;
  if (cap < (size_t)n) return H5Z_E_OUTPUT;
  stored[0] = UINT32_C(0x10105111);
  stored[1] = MAGIC;
  stored[2] = (uint32_t)meta;
  stored[3] = (uint32_t)(meta >> 32) | (uint32_t)(h.mode & 0xfff) << 20;
  if (n == 6) stored[4] = (uint32_t)(h.mode >> 12), stored[5] = (uint32_t)(h.mode >> 44);
  return n;
}
#endif
