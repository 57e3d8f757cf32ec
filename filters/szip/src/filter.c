/* HDF5 filter 4: szip.
 *
 *     0            4
 *     +------------+----------------------------------------------+
 *     | u32 le     | adaptive entropy coding (aec.h), line by line |
 *     | bytes of   |                                               |
 *     | the chunk  |                                               |
 *     +------------+----------------------------------------------+
 *
 * The chunk is a row of pixels: integers of 1, 2 or 4 bytes, by the bits of a pixel. The codec knows 24 bits at most, so
 * elements of 32 and 64 bits are taken apart: all first bytes, all second bytes, ..., and a byte is a pixel. The row is cut
 * into lines of [3] pixels, each filled up to whole blocks with its last pixel (or with zeros); the last line is filled up
 * to a whole line first.
 *
 * cd_values: [0] options: 4 no differences, 32 differences to the pixel before ("nearest neighbour"), 8 little-endian pixels,
 *                16 big-endian ones; 1 and 128 are always set and mean nothing here
 *            [1] pixels of a block, even, up to 32
 *            [2] bits of a pixel: 1 to 24, 32, 64                  (added by HDF5's set_local)
 *            [3] pixels of a line, up to 4096                      (added by HDF5's set_local)
 * client cd_values: [0], [1]
 */
#include <h5z/filter.h>

#include "aec.h"

enum { HEADER = 4, WORDS = 4 };
enum { ALLOW_K13 = 1, CHIP = 2, ENTROPY = 4, LSB = 8, MSB = 16, NEIGHBOUR = 32, RAW = 128 };
enum { MOST_BLOCKS = 128 }; /* of a line, by HDF5's rule */

typedef struct {
  aec_settings aec;
  unsigned pixels;   /* of a line, without what fills it up */
  unsigned pixel;    /* bytes */
  unsigned planes;   /* 4 or 8 when elements are taken apart, else 1 */
  int big_endian;
} settings;

static int64_t parse(const uint32_t *cd, size_t ncd, settings *s) {
  if (ncd != WORDS) return H5Z_E_PARAM;
  const uint32_t block = cd[1], bits = cd[2], pixels = cd[3];
  if (block < 2 || block > AEC_MOST_BLOCK || block % 2 != 0) return H5Z_E_PARAM;
  if (bits < 1 || (bits > 24 && bits != 32 && bits != 64) || pixels < 1 || pixels > AEC_MOST_PIXELS) return H5Z_E_PARAM;
  s->planes = bits == 32 || bits == 64 ? bits / 8 : 1;
  s->aec.bits = s->planes > 1 ? 8 : bits;
  s->pixel = s->aec.bits > 16 ? 4 : s->aec.bits > 8 ? 2 : 1;
  s->aec.block = block;
  s->aec.line = (pixels + block - 1) / block * block;
  s->aec.neighbour = (cd[0] & NEIGHBOUR) != 0;
  s->pixels = pixels;
  s->big_endian = (cd[0] & MSB) != 0;
  return 0;
}

static uint32_t get_u32le(const uint8_t *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Whether a chunk of `size` bytes is a row of whole pixels in whole elements. */
static int is_whole(const settings *s, uint64_t size) { return size % (s->planes > 1 ? s->planes : s->pixel) == 0; }

static int64_t szip_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  if (nin < HEADER) return H5Z_E_CORRUPT;
  const uint32_t size = get_u32le(in);
  if (!is_whole(&s, size)) return H5Z_E_CORRUPT;
  /* A line has a code at least, of 5 bits at least: more is a lie that would cost the caller memory. */
  const uint64_t pixels = size / s.pixel, lines = (pixels + s.pixels - 1) / s.pixels;
  return lines > (uint64_t)(nin - HEADER) * 8 / 5 ? (int64_t)H5Z_E_CORRUPT : (int64_t)size;
}

/* Pixels [at, at + n) of the row: n samples to bytes of the chunk, whose row has `row` pixels. */
static void put_pixels(const settings *s, uint8_t *out, size_t row, size_t at, const uint32_t *samples, size_t n) {
  if (s->planes > 1) {
    const size_t elements = row / s->planes;
    size_t plane = at / elements, element = at % elements;
    while (n > 0) {
      const size_t here = n < elements - element ? n : elements - element;
      uint8_t *p = out + element * s->planes + plane;
      if (s->planes == 4)
        for (size_t i = 0; i < here; i++) p[i * 4] = (uint8_t)samples[i];
      else
        for (size_t i = 0; i < here; i++) p[i * 8] = (uint8_t)samples[i];
      samples += here, n -= here, plane++, element = 0;
    }
  } else if (s->pixel == 1) {
    for (size_t i = 0; i < n; i++) out[at + i] = (uint8_t)samples[i];
  } else if (s->pixel == 2) {
    uint8_t *p = out + 2 * at;
    const unsigned low = s->big_endian ? 1 : 0;
    for (size_t i = 0; i < n; i++, p += 2) p[low] = (uint8_t)samples[i], p[1 - low] = (uint8_t)(samples[i] >> 8);
  } else {
    uint8_t *p = out + 4 * at;
    const unsigned flip = s->big_endian ? 3 : 0;
    for (size_t i = 0; i < n; i++, p += 4)
      for (unsigned j = 0; j < 4; j++) p[j ^ flip] = (uint8_t)(samples[i] >> 8 * j);
  }
}

static int64_t szip_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  const int64_t size = szip_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;

  const size_t row = (size_t)size / s.pixel;
  uint32_t samples[AEC_MOST_LINE];
  aec_reader reader = {.next = (const uint8_t *)in + HEADER, .end = (const uint8_t *)in + nin};
  for (size_t at = 0; at < row; at += s.pixels) {
    if (aec_decode_line(&s.aec, &reader, samples) < 0) return H5Z_E_CORRUPT;
    put_pixels(&s, out, row, at, samples, row - at < s.pixels ? row - at : s.pixels);
  }
  return size;
}

#if !defined(H5Z_DECODE_ONLY)
/* HDF5's H5Pset_szip and set_local. Stored values that are passed again differ in nothing that is looked at here. */
static int64_t szip_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (nclient < 2 || nclient > WORDS) return H5Z_E_PARAM;
  const uint32_t block = client[1];
  if (block < 2 || block > AEC_MOST_BLOCK || block % 2 != 0) return H5Z_E_PARAM;
  if (cap < WORDS) return H5Z_E_OUTPUT;

  /* Numbers of up to 32 or of 64 bits that have a byte order: no strings, no compounds. */
  const uint64_t size_bits = (uint64_t)ds->type_size * 8;
  uint64_t bits = ds->precision;
  if (bits == 0 && (ds->base_class == H5Z_CLASS_INTEGER || ds->base_class == H5Z_CLASS_FLOAT)) bits = ds->base_size * 8ull;
  if (bits == 0 || size_bits == 0 || (size_bits > 32 && size_bits != 64) || ds->rank == 0 || ds->rank > H5Z_MAX_RANK)
    return H5Z_E_NOT_APPLICABLE;
  if (bits < size_bits && ds->bit_offset != 0) bits = size_bits;
  if (bits > 24) bits = bits <= 32 ? 32 : 64;

  uint64_t elements = 1;
  for (uint32_t i = 0; i < ds->rank; i++) {
    if (ds->chunk_dims[i] == 0 || ds->chunk_dims[i] > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    elements *= ds->chunk_dims[i];
    if (elements > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  }
  uint64_t line = ds->chunk_dims[ds->rank - 1];
  if (line < block) {
    if (elements < block) return H5Z_E_NOT_APPLICABLE;
    line = elements;
  }
  if (line > block * MOST_BLOCKS) line = block * MOST_BLOCKS;

  uint32_t options = client[0] & ~(uint32_t)(CHIP | LSB | MSB);
  if ((options & (ENTROPY | NEIGHBOUR)) == 0) options |= ENTROPY;
  stored[0] = options | ALLOW_K13 | RAW | (ds->big_endian ? MSB : LSB);
  stored[1] = block, stored[2] = (uint32_t)bits, stored[3] = (uint32_t)line;
  return WORDS;
}

/* A chunk that does not become smaller is not for this filter. */
static int64_t szip_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  return nin > UINT32_MAX || !is_whole(&s, nin) ? (int64_t)H5Z_E_NOT_APPLICABLE : (int64_t)nin + HEADER;
}

/* put_pixels the other way round. */
static void get_pixels(const settings *s, const uint8_t *in, size_t row, size_t at, uint32_t *samples, size_t n) {
  if (s->planes > 1) {
    const size_t elements = row / s->planes;
    size_t plane = at / elements, element = at % elements;
    while (n > 0) {
      const size_t here = n < elements - element ? n : elements - element;
      const uint8_t *p = in + element * s->planes + plane;
      for (size_t i = 0; i < here; i++) samples[i] = p[i * s->planes];
      samples += here, n -= here, plane++, element = 0;
    }
    return;
  }
  const uint8_t *p = in + at * s->pixel;
  if (s->pixel == 1) {
    for (size_t i = 0; i < n; i++) samples[i] = p[i];
  } else if (s->pixel == 2) {
    const unsigned low = s->big_endian ? 1 : 0;
    for (size_t i = 0; i < n; i++, p += 2) samples[i] = p[low] | (uint32_t)p[1 - low] << 8;
  } else {
    for (size_t i = 0; i < n; i++, p += 4) samples[i] = s->big_endian ? h5z_get_u32be(p) : get_u32le(p);
  }
}

static int64_t szip_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  settings s;
  const int64_t error = parse(cd, ncd, &s);
  if (error < 0) return error;
  const int64_t bound = szip_encode_bound(cd, ncd, nin); /* knows what cannot be encoded */
  if (bound < 0) return bound;
  if (nin == 0) return H5Z_E_NOT_APPLICABLE;
  if (cap < HEADER) return H5Z_E_OUTPUT;

  uint8_t *const to = out;
  for (unsigned i = 0; i < HEADER; i++) to[i] = (uint8_t)(nin >> 8 * i);
  const size_t room = cap - HEADER < nin ? cap - HEADER : nin;
  const uint32_t most = (1u << s.aec.bits) - 1;
  const size_t row = nin / s.pixel;
  uint32_t samples[AEC_MOST_LINE];
  aec_writer writer = {.next = to + HEADER, .end = to + HEADER + room};
  for (size_t at = 0; at < row; at += s.pixels) {
    const size_t n = row - at < s.pixels ? row - at : s.pixels;
    get_pixels(&s, in, row, at, samples, n);
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++) all |= samples[i];
    if (all > most) return H5Z_E_NOT_APPLICABLE; /* bits set outside the type's precision would be lost */
    for (size_t i = n; i < s.aec.line; i++) samples[i] = s.aec.neighbour ? samples[n - 1] : 0;
    aec_encode_line(&s.aec, &writer, samples);
  }
  aec_finish(&writer);
  if (writer.full) return room < nin ? H5Z_E_OUTPUT : H5Z_E_NOT_APPLICABLE;
  return writer.next - to;
}
#endif

H5Z_FILTER(.decoded_size = szip_decoded_size, .decode = szip_decode,
           H5Z_ENCODER(.derive = szip_derive, .encode_bound = szip_encode_bound, .encode = szip_encode))
