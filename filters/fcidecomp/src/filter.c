/* HDF5 filter 32018: FCIDECOMP, JPEG-LS for images of 8 and 16-bit integers (EUMETSAT's MTG satellites). Early files carry the
 * same bytes under ID 56782.
 *
 * A chunk is one JPEG-LS codestream, ISO/IEC 14495-1:
 *
 *     +-----+----------------------------------------------------+---------+-----+--------------+--  --+-----+
 *     | SOI | SOF55: bits, u16 lines, u16 samples, u8 components | LSE ... | SOS | entropy code | ...  | EOI |
 *     +-----+----------------------------------------------------+---------+-----+--------------+--  --+-----+
 *
 * cd_values: client, all optional, 0 = by default           stored: four words more in front
 *
 *     [0] bits of a sample (0: of the datatype)                 [0] bytes of a sample, 1 or 2
 *     [1] components: set from the chunk                        [1] components [2] lines [3] samples of a line
 *     [2] interleave: 0 none, 1 line, 2 sample                  [4] ... [12] the client's nine
 *     [3] near: largest error of a sample, 0 is lossless
 *     [4] MAXVAL [5] T1 [6] T2 [7] T3 [8] RESET of JPEG-LS
 *
 * CharLS knows no byte order: samples are little-endian words to it, whatever the datatype says, and so they come back.
 *
 * CharLS before 2.4, which FCIDECOMP and hdf5plugin have inside, writes a MAXVAL into lossless codestreams of 8, 12 and 16 bits
 * but codes as if it were the largest that the bits allow. So do we, in both directions, without writing it.
 */
#include <h5z/filter.h>

#include <charls/charls.h>
#include <stdbool.h>
#include <stdlib.h>

enum { CLIENT = 9, FRONT = 4, STORED = CLIENT + FRONT };
enum { BITS = 4, COMPONENTS = 5, INTERLEAVE = 6, NEAR = 7, MAXVAL = 8, RESET = 12 }; /* of the stored words */
enum { FEWEST_PIXELS = 16, MOST_SIDE = 65535, MOST_COMPONENTS = 4 };

static int64_t error_of(charls_jpegls_errc error) {
  switch (error) {
    case CHARLS_JPEGLS_ERRC_SUCCESS: return 0;
    case CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY: return H5Z_E_MEMORY;
    case CHARLS_JPEGLS_ERRC_PARAMETER_VALUE_NOT_SUPPORTED:
    case CHARLS_JPEGLS_ERRC_ENCODING_NOT_SUPPORTED:
    case CHARLS_JPEGLS_ERRC_JPEGLS_PRESET_EXTENDED_PARAMETER_TYPE_NOT_SUPPORTED:
    case CHARLS_JPEGLS_ERRC_COLOR_TRANSFORM_NOT_SUPPORTED:
    case CHARLS_JPEGLS_ERRC_BIT_DEPTH_FOR_TRANSFORM_NOT_SUPPORTED: return H5Z_E_UNSUPPORTED;
    case CHARLS_JPEGLS_ERRC_UNEXPECTED_FAILURE: return H5Z_E_INTERNAL;
    default: return H5Z_E_CORRUPT;
  }
}

static bool is_maxval_ignored(int32_t bits, int32_t near, uint32_t reset) {
  return near == 0 && (bits == 8 || bits == 12 || bits == 16) && (reset == 0 || reset == 64);
}

/* Where MAXVAL stands in a codestream whose header has been read; 0 where there is none. */
static size_t find_maxval(const uint8_t *in, size_t nin) {
  for (size_t at = 2; at + 7 <= nin && in[at] == 0xff && in[at + 1] != 0xda; at += 2 + (in[at + 2] << 8 | in[at + 3]))
    if (in[at + 1] == 0xf8 && in[at + 4] == 1) return at + 5;
  return 0;
}

/* A decoder that has read the header, and the bytes its image takes. */
static int64_t open_decoder(const uint32_t *cd, size_t ncd, const void *in, size_t nin, charls_jpegls_decoder **decoder,
                            uint64_t *size) {
  *decoder = NULL;
  if (nin == 0) return H5Z_E_CORRUPT;
  charls_jpegls_decoder *d = charls_jpegls_decoder_create();
  if (!d) return H5Z_E_MEMORY;
  charls_frame_info frame;
  charls_jpegls_errc error = charls_jpegls_decoder_set_source_buffer(d, in, nin);
  if (!error) error = charls_jpegls_decoder_read_header(d);
  if (!error) error = charls_jpegls_decoder_get_frame_info(d, &frame);
  int64_t result = error_of(error);
  if (!result) {
    const uint32_t bytes = frame.bits_per_sample > 8 ? 2 : 1;
    const uint64_t pixels = (uint64_t)frame.width * frame.height, each = (uint64_t)frame.component_count * bytes;
    *size = pixels <= (uint64_t)INT64_MAX / 2 / each ? pixels * each : UINT64_MAX;
    if (*size == UINT64_MAX) result = H5Z_E_CORRUPT;
    if (frame.component_count > MOST_COMPONENTS) result = H5Z_E_UNSUPPORTED;
    /* The stored words say the same, if there are any. */
    if (!result && ncd >= STORED) {
      if (cd[0] != bytes || cd[1] != (uint32_t)frame.component_count) result = H5Z_E_CORRUPT;
      if (cd[2] != frame.height || cd[3] != frame.width) result = H5Z_E_CORRUPT;
    }
  }
  if (result) {
    charls_jpegls_decoder_destroy(d);
    return result;
  }
  *decoder = d;
  return 0;
}

static int64_t fcidecomp_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  charls_jpegls_decoder *decoder;
  uint64_t size;
  const int64_t error = open_decoder(cd, ncd, in, nin, &decoder, &size);
  if (error) return error;
  charls_jpegls_decoder_destroy(decoder);
  return (int64_t)size;
}

static int64_t fcidecomp_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  charls_jpegls_decoder *decoder;
  uint64_t size;
  int64_t result = open_decoder(cd, ncd, in, nin, &decoder, &size);
  if (result) return result;
  charls_frame_info frame;
  charls_jpegls_pc_parameters preset;
  int32_t near = 0;
  uint8_t *copy = NULL;
  const size_t at = find_maxval(in, nin);
  if (at != 0 && charls_jpegls_decoder_get_frame_info(decoder, &frame) == 0 &&
      charls_jpegls_decoder_get_near_lossless(decoder, 0, &near) == 0 &&
      charls_jpegls_decoder_get_preset_coding_parameters(decoder, 0, &preset) == 0 &&
      is_maxval_ignored(frame.bits_per_sample, near, (uint32_t)preset.reset_value)) {
    charls_jpegls_decoder_destroy(decoder);
    copy = malloc(nin);
    if (!copy) return H5Z_E_MEMORY;
    memcpy(copy, in, nin);
    copy[at] = copy[at + 1] = 0; /* by default */
    result = open_decoder(cd, ncd, copy, nin, &decoder, &size);
    if (result) return free(copy), result;
  }
  if (size > cap) {
    result = H5Z_E_OUTPUT;
  } else {
    result = error_of(charls_jpegls_decoder_decode_to_buffer(decoder, out, (size_t)size, 0));
    if (result == 0) result = (int64_t)size;
  }
  charls_jpegls_decoder_destroy(decoder);
  free(copy);
  return result;
}

/* What the caller gave: the bits are left out where they are the datatype's. */
static int64_t fcidecomp_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  if (nstored != STORED) return H5Z_E_PARAM;
  if (cap < CLIENT) return H5Z_E_OUTPUT;
  memcpy(client, stored + FRONT, CLIENT * sizeof *client);
  if (stored[BITS] == 8 * stored[0]) client[BITS - FRONT] = 0;
  return CLIENT;
}

#if !defined(H5Z_DECODE_ONLY)
/* Lines, columns and components within what JPEG-LS and the filter take. */
static bool is_image(uint64_t components, uint64_t lines, uint64_t samples) {
  if (components < 1 || components > MOST_COMPONENTS || lines > MOST_SIDE || samples > MOST_SIDE) return false;
  return lines * samples >= FEWEST_PIXELS;
}

static uint32_t clamp(uint32_t i, uint32_t least, uint32_t most) { return i > most || i < least ? least : i; }

/* Whether the thresholds rise, those given and the standard's own for the rest (C.2.4.1.1): CharLS encodes with others too,
 * and nothing decodes that. */
static bool thresholds_rise(const uint32_t *given, uint32_t near, uint32_t most) {
  const uint32_t cut = most < 4095 ? most : 4095, up = (cut + 128) / 256, down = 256 / (most + 1);
  uint32_t t[3] = {3 * near, 5 * near, 7 * near};
  t[0] += most >= 128 ? up + 2 : 3 / down > 2 ? 3 / down : 2;
  t[1] += most >= 128 ? up * 4 + 3 : 7 / down > 3 ? 7 / down : 3;
  t[2] += most >= 128 ? up * 17 + 4 : 21 / down > 4 ? 21 / down : 4;
  uint32_t least = near + 1;
  for (int i = 0; i < 3; i++) {
    t[i] = clamp(t[i], least, most); /* each default by the default before it */
    least = t[i];
  }
  least = near + 1;
  for (int i = 0; i < 3; i++) {
    if (given[i] != 0) t[i] = given[i];
    if (t[i] < least || t[i] > most) return false;
    least = t[i];
  }
  return true;
}

/* The stored words, as far as they can be judged without the samples. */
static bool is_possible(const uint32_t *s) {
  const uint32_t most = s[MAXVAL] != 0 ? s[MAXVAL] : s[BITS] >= 2 && s[BITS] <= 16 ? (1u << s[BITS]) - 1 : 0;
  if (s[0] < 1 || s[0] > 2 || s[BITS] < 2 || s[BITS] > 8 * s[0] || (s[BITS] <= 8 && s[0] == 2)) return false;
  if (s[COMPONENTS] != s[1] || most > (1u << s[BITS]) - 1) return false;
  if (s[INTERLEAVE] > 2 || (s[INTERLEAVE] > 0 && s[1] < 3) || (s[INTERLEAVE] == 2 && s[1] > 3)) return false;
  if (s[NEAR] > 255 || s[NEAR] > most / 2) return false;
  if (s[RESET] != 0 && (s[RESET] < 3 || s[RESET] > 255)) return false; /* CharLS before 2.4 keeps 8 bits of it */
  return thresholds_rise(s + MAXVAL + 1, s[NEAR], most);
}

/* As FCIDECOMP's set_local, which takes whatever it is given: the filter is optional by force, and chunks that are no image,
 * or that the parameters do not suit, are then stored as they are. */
static int64_t fcidecomp_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (cap < STORED) return H5Z_E_OUTPUT;
  if (nclient > CLIENT && nclient != STORED) return H5Z_E_PARAM;
  if (ds->rank < 1 || ds->rank > H5Z_MAX_RANK) return H5Z_E_NOT_APPLICABLE;
  uint32_t words[STORED] = {0};
  const size_t skip = nclient == STORED ? FRONT : 0; /* stored words passed again */
  for (size_t i = skip; i < nclient; i++) words[FRONT + i - skip] = client[i];
  words[0] = ds->type_size;
  const uint32_t flat = ds->rank == 2; /* one component */
  words[1] = 1;
  for (uint32_t i = 0; i < ds->rank && flat + i < 3; i++) words[1 + flat + i] = (uint32_t)ds->chunk_dims[i];
  words[COMPONENTS] = words[1];
  if (words[BITS] == 0) words[BITS] = 8 * ds->type_size;
  /* A sample may come back `near` away as an unsigned little-endian number: another matter when it is no such number. */
  const bool is_number = ds->type_class == H5Z_CLASS_INTEGER && !ds->is_signed && (!ds->big_endian || ds->type_size == 1);
  if (words[NEAR] > 0 && ds->type_size <= 2 && !is_number) return H5Z_E_NOT_APPLICABLE;
  memcpy(stored, words, sizeof words);
  return STORED;
}

static int64_t fcidecomp_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin; /* what does not become smaller is left as it is */
}

/* JPEG-LS codes samples up to MAXVAL; a larger one would not come back. */
static bool fits(const uint8_t *in, size_t nin, uint32_t bytes, uint32_t most) {
  uint32_t above = 0;
  if (bytes == 1) {
    for (size_t i = 0; i < nin; i++) above |= in[i] > most;
  } else {
    for (size_t i = 0; i + 1 < nin; i += 2) above |= (uint32_t)(in[i] | in[i + 1] << 8) > most;
  }
  return above == 0;
}

static int64_t fcidecomp_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (ncd != STORED) return H5Z_E_PARAM;
  if (!is_image(cd[1], cd[2], cd[3]) || !is_possible(cd)) return H5Z_E_NOT_APPLICABLE;
  if ((uint64_t)cd[0] * cd[1] * cd[2] * cd[3] != nin) return H5Z_E_PARAM;
  const uint32_t full = (1u << cd[BITS]) - 1, most = cd[MAXVAL] != 0 ? cd[MAXVAL] : full;
  if (most < (cd[0] == 2 ? 65535u : 255u) && !fits(in, nin, cd[0], most)) return H5Z_E_NOT_APPLICABLE;

  /* CharLS writes a few bytes at a time: it wants more room than its result has, and 16-bit samples aligned. */
  const size_t room = nin + 1024;
  uint8_t *scratch = malloc(room + (cd[0] == 2 && (uintptr_t)in % 2 ? nin : 0));
  charls_jpegls_encoder *encoder = charls_jpegls_encoder_create();
  int64_t result = H5Z_E_MEMORY;
  if (!scratch || !encoder) goto done;
  if (cd[0] == 2 && (uintptr_t)in % 2) in = memcpy(scratch + room, in, nin);

  const charls_frame_info frame = {cd[3], cd[2], (int32_t)cd[BITS], (int32_t)cd[1]};
  const bool ignored = is_maxval_ignored(frame.bits_per_sample, (int32_t)cd[NEAR], cd[RESET]);
  const charls_jpegls_pc_parameters preset = {ignored ? 0 : (int32_t)cd[MAXVAL], (int32_t)cd[MAXVAL + 1], (int32_t)cd[MAXVAL + 2],
                                              (int32_t)cd[MAXVAL + 3], (int32_t)cd[MAXVAL + 4]};
  size_t written = 0;
  charls_jpegls_errc error = charls_jpegls_encoder_set_destination_buffer(encoder, scratch, room);
  if (!error) error = charls_jpegls_encoder_set_frame_info(encoder, &frame);
  if (!error) error = charls_jpegls_encoder_set_near_lossless(encoder, (int32_t)cd[NEAR]);
  if (!error) error = charls_jpegls_encoder_set_interleave_mode(encoder, (charls_interleave_mode)cd[INTERLEAVE]);
  if (!error) error = charls_jpegls_encoder_set_preset_coding_parameters(encoder, &preset);
  if (!error) error = charls_jpegls_encoder_encode_from_buffer(encoder, in, nin, 0);
  if (!error) error = charls_jpegls_encoder_get_bytes_written(encoder, &written);
  if (error == CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY) {
    result = H5Z_E_MEMORY;
  } else if (error == CHARLS_JPEGLS_ERRC_DESTINATION_BUFFER_TOO_SMALL || (!error && written >= nin)) {
    result = H5Z_E_NOT_APPLICABLE;
  } else if (error) {
    result = H5Z_E_NOT_APPLICABLE; /* thresholds that do not rise, and the like */
  } else if (written > cap) {
    result = H5Z_E_OUTPUT;
  } else {
    memcpy(out, scratch, written);
    result = (int64_t)written;
  }
done:
  charls_jpegls_encoder_destroy(encoder);
  free(scratch);
  return result;
}
#endif

H5Z_FILTER(H5Z_ENCODER(.derive = fcidecomp_derive, .encode_bound = fcidecomp_encode_bound, .encode = fcidecomp_encode,)
           .decoded_size = fcidecomp_decoded_size, .decode = fcidecomp_decode, .restore = fcidecomp_restore)
