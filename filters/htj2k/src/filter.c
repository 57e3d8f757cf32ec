/* HDF5 filter 32033: High-Throughput JPEG 2000, for images of 8 and 16-bit integers.
 *
 * A chunk is one bare codestream of ISO/IEC 15444-15 (header.c draws it), of one component, or of three whose samples lie
 * interleaved in the chunk. The encoder is lossless. Codestreams that others made may be lossy, tiled, of fewer bits.
 *
 * Stored cd_values; there are no client values:
 *
 *     [0] 1, the filter's revision      [1] datatype: bytes (1 or 2) | 0x80 signed | 0x100 big-endian
 *     [2] width  [3] height  [4] components (1 or 3)
 *
 * The decoder looks at [0] and [1] alone, and does without them: the codestream then says how wide samples are. Shape: the
 * chunk's dimensions above 1, at most two, or three of which the last is 3 and becomes the components.
 */
#include "htj2k.h"

enum { REVISION = 0, TYPE = 1, WIDTH = 2, HEIGHT = 3, COMPONENTS = 4, WORDS = 5 };
enum { NEWEST = 1, TYPE_BYTES = 0x7f, TYPE_SIGNED = 0x80, TYPE_BIG_ENDIAN = 0x100 };

/* The datatype word, if there is one. */
static int64_t read_type(const uint32_t *cd, size_t ncd, htj2k_image *image) {
  if (ncd > REVISION && cd[REVISION] > NEWEST) return H5Z_E_VERSION;
  const uint32_t type = ncd > TYPE ? cd[TYPE] : 0;
  image->bytes = type & TYPE_BYTES, image->is_signed = type & TYPE_SIGNED, image->big_endian = type & TYPE_BIG_ENDIAN;
  if (type > (TYPE_BIG_ENDIAN | TYPE_SIGNED | 2) || image->bytes > 2 || (image->bytes == 0 && type != 0)) return H5Z_E_PARAM;
  return 0;
}

/* What the chunk decodes to. */
static int64_t read_image(const uint32_t *cd, size_t ncd, const void *in, size_t nin, htj2k_image *image) {
  int64_t error = read_type(cd, ncd, image);
  if (error) return error;
  error = htj2k_read_header(in, nin, image);
  if (error) return error;
  if (image->bytes == 0) image->bytes = image->depth > 8 ? 2 : 1;
  return image->depth > 8 * image->bytes ? H5Z_E_CORRUPT : 0;
}

static int64_t size_of(const htj2k_image *image, uint64_t *size) {
  const uint64_t pixels = (uint64_t)image->width * image->height, each = (uint64_t)image->components * image->bytes;
  if (pixels > (uint64_t)INT64_MAX / each / 2) return H5Z_E_CORRUPT;
  *size = pixels * each;
  return 0;
}

static int64_t htj2k_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  htj2k_image image;
  uint64_t size;
  int64_t error = read_image(cd, ncd, in, nin, &image);
  if (!error) error = size_of(&image, &size);
  return error ? error : (int64_t)size;
}

static int64_t htj2k_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  htj2k_image image;
  uint64_t size;
  int64_t error = read_image(cd, ncd, in, nin, &image);
  if (!error) error = size_of(&image, &size);
  if (!error && size > cap) error = H5Z_E_OUTPUT;
  if (!error) error = htj2k_check(in, nin, size);
  return error ? error : htj2k_codec_decode(&image, in, nin, out);
}

static int64_t htj2k_explain(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap) {
  (void)in, (void)nin;
  if (ncd <= REVISION || cd[REVISION] <= NEWEST) return 0;
  return h5z_explain_version(text, cap, "revision", cd[REVISION], "revisions up to 1");
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t htj2k_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  (void)client, (void)nclient; /* all is derived */
  if (cap < WORDS) return H5Z_E_OUTPUT;
  if (ds->type_class != H5Z_CLASS_INTEGER || ds->type_size < 1 || ds->type_size > 2) return H5Z_E_NOT_APPLICABLE;
  uint64_t used[3] = {1, 1, 1};
  unsigned n = 0;
  if (ds->rank > H5Z_MAX_RANK) return H5Z_E_PARAM;
  for (uint32_t i = 0; i < ds->rank; i++) {
    if (ds->chunk_dims[i] <= 1) continue;
    if (n == 3 || ds->chunk_dims[i] > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
    used[n++] = ds->chunk_dims[i];
  }
  if (n == 3 && used[2] != 3) return H5Z_E_NOT_APPLICABLE;
  const bool column = n == 1 && ds->chunk_dims[ds->rank - 1] <= 1; /* (n, 1) is an image one pixel wide */
  stored[REVISION] = NEWEST;
  stored[TYPE] = ds->type_size | (ds->is_signed ? TYPE_SIGNED : 0) | (ds->big_endian && ds->type_size > 1 ? TYPE_BIG_ENDIAN : 0);
  stored[WIDTH] = (uint32_t)(n == 1 ? (column ? 1 : used[0]) : used[1]);
  stored[HEIGHT] = (uint32_t)(n == 1 ? (column ? used[0] : 1) : used[0]);
  stored[COMPONENTS] = n == 3 ? 3 : 1;
  return WORDS;
}

/* Noise takes some bits more than it has: up to two in the bands of each level, and what tells blocks apart. */
static int64_t htj2k_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  const uint64_t n = nin;
  return n > (uint64_t)INT64_MAX / 4 ? H5Z_E_NOT_APPLICABLE : (int64_t)(2 * n + n / 4 + 1024);
}

static int64_t htj2k_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  htj2k_image image;
  uint64_t size;
  int64_t error = read_type(cd, ncd, &image);
  if (error) return error;
  if (ncd < WORDS || image.bytes == 0) return H5Z_E_PARAM;
  image.width = cd[WIDTH], image.height = cd[HEIGHT], image.components = cd[COMPONENTS], image.depth = 8 * image.bytes;
  if (image.width == 0 || image.height == 0 || (image.components != 1 && image.components != 3)) return H5Z_E_PARAM;
  if (size_of(&image, &size) != 0 || size != nin) return H5Z_E_PARAM;
  const int64_t n = htj2k_codec_encode(&image, in, out, cap);
  return n == H5Z_E_OUTPUT && cap >= (uint64_t)htj2k_encode_bound(cd, ncd, nin) ? H5Z_E_NOT_APPLICABLE : n;
}
#endif

H5Z_FILTER(H5Z_ENCODER(.derive = htj2k_derive, .encode_bound = htj2k_encode_bound, .encode = htj2k_encode,)
           .decoded_size = htj2k_decoded_size, .decode = htj2k_decode, .explain = htj2k_explain)
