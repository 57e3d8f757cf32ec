/* HDF5 filter 32019: JPEG, one 8-bit image per chunk.
 *
 * A chunk is a whole JPEG file of one component (grey) or three (RGB, kept as YCbCr):
 *
 *     +------+---------+-----   -+------------------------------------------------+-----+--------------+------+
 *     | FFD8 | segment | ...     | FFC0..2, length, 8, rows u16 be, columns u16 be, | ... | FFDA, scan   | FFD9 |
 *     |      |         |         | components u8, ...                              |     | (or several) |      |
 *     +------+---------+-----   -+------------------------------------------------+-----+--------------+------+
 *
 * cd_values: [0] quality, 1 to 100; [1] columns; [2] rows; [3] 0 grey, 1 RGB. Only the encoder looks at them.
 *
 * libjpeg reports errors by calling back and expects not to be returned to: longjmp, within this file. What it calls a
 * warning of damaged data is an error here: it would go on with grey.
 */
#include <h5z/filter.h>

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants FILE */

#include <jerror.h>
#include <jpeglib.h>

enum { MOST_SCANS = 100 }; /* of a progressive file: each costs a pass over the image */

typedef struct {
  struct jpeg_error_mgr base;
  jmp_buf escape;
  int64_t code;
} errors;

static void fail(j_common_ptr jpeg, int64_t code) {
  errors *e = (errors *)(void *)jpeg->err;
  e->code = code;
  longjmp(e->escape, 1);
}

static void on_error(j_common_ptr jpeg) {
  switch (jpeg->err->msg_code) {
    case JERR_OUT_OF_MEMORY: fail(jpeg, H5Z_E_MEMORY); break;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_SOF_UNSUPPORTED: fail(jpeg, H5Z_E_UNSUPPORTED); break;
    default: fail(jpeg, H5Z_E_CORRUPT);
  }
}

static void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return; /* a trace */
  switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR: return;
    default: fail(jpeg, H5Z_E_CORRUPT);
  }
}

static void no_output(j_common_ptr jpeg) { (void)jpeg; }
static void no_format(j_common_ptr jpeg, char *buffer) { (void)jpeg, *buffer = 0; }
static void reset(j_common_ptr jpeg) { jpeg->err->num_warnings = 0, jpeg->err->msg_code = 0; }

static struct jpeg_error_mgr *handlers(errors *e) {
  memset(e, 0, sizeof *e);
  e->base.error_exit = on_error, e->base.emit_message = on_message, e->base.output_message = no_output;
  e->base.format_message = no_format, e->base.reset_error_mgr = reset;
  return &e->base;
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

typedef struct {
  uint32_t rows, columns, components;
} image;

/* The frame header of a JPEG file. 0, or the error. */
static int64_t find_image(const uint8_t *p, size_t n, image *to) {
  if (n < 4 || p[0] != 0xff || p[1] != 0xd8) return H5Z_E_CORRUPT;
  for (size_t i = 2; i + 9 < n;) {
    if (p[i] != 0xff) {
      i++; /* libjpeg skips what is no marker */
      continue;
    }
    const unsigned marker = p[i + 1];
    if (marker == 0xff) {
      i++; /* fill byte */
      continue;
    }
    if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd7)) {
      i += 2; /* markers without length */
      continue;
    }
    if (marker == 0xd8 || marker == 0xd9 || marker == 0xda) return H5Z_E_CORRUPT; /* a scan, or the end, before any frame */
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      if (marker > 0xc2 || p[i + 4] != 8) return H5Z_E_UNSUPPORTED; /* lossless, hierarchical, arithmetic, 12 bits */
      to->rows = (uint32_t)p[i + 5] << 8 | p[i + 6], to->columns = (uint32_t)p[i + 7] << 8 | p[i + 8];
      to->components = p[i + 9];
      if (to->components != 1 && to->components != 3) return H5Z_E_UNSUPPORTED;
      return to->rows > 0 && to->columns > 0 ? 0 : H5Z_E_CORRUPT;
    }
    i += 2 + ((size_t)p[i + 2] << 8 | p[i + 3]);
  }
  return H5Z_E_CORRUPT;
}

static int64_t jpeg_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd;
  image i;
  const int64_t error = find_image(in, nin, &i);
  if (error < 0) return error;
  const uint64_t size = (uint64_t)i.rows * i.columns * i.components;
  /* 64 pixels of some component take a bit at least: more would be a lie that costs memory. */
  return size > (uint64_t)nin * 8 * 64 * i.components ? H5Z_E_CORRUPT : (int64_t)size;
}

static void start_input(j_decompress_ptr jpeg) { (void)jpeg; }
static boolean more_input(j_decompress_ptr jpeg) {
  fail((j_common_ptr)jpeg, H5Z_E_CORRUPT); /* all was there from the beginning */
  return FALSE;
}
static void skip_input(j_decompress_ptr jpeg, long count) {
  if (count <= 0) return;
  if ((unsigned long)count > jpeg->src->bytes_in_buffer) fail((j_common_ptr)jpeg, H5Z_E_CORRUPT);
  jpeg->src->next_input_byte += count, jpeg->src->bytes_in_buffer -= (size_t)count;
}
static void end_input(j_decompress_ptr jpeg) { (void)jpeg; }

static void on_progress(j_common_ptr jpeg) {
  if (((j_decompress_ptr)(void *)jpeg)->input_scan_number > MOST_SCANS) fail(jpeg, H5Z_E_UNSUPPORTED);
}

static int64_t jpeg_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const int64_t size = jpeg_decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  if ((uint64_t)size > cap) return H5Z_E_OUTPUT;
  image expected;
  find_image(in, nin, &expected);

  errors e;
  struct jpeg_decompress_struct jpeg;
  struct jpeg_source_mgr source = {.next_input_byte = in, .bytes_in_buffer = nin, .init_source = start_input,
                                   .fill_input_buffer = more_input, .skip_input_data = skip_input,
                                   .resync_to_restart = jpeg_resync_to_restart, .term_source = end_input};
  struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
  memset(&jpeg, 0, sizeof jpeg);
  jpeg.err = handlers(&e);
  if (setjmp(e.escape)) {
    jpeg_destroy_decompress(&jpeg);
    return e.code;
  }
  jpeg_create_decompress(&jpeg);
  jpeg.src = &source;
  jpeg.progress = &progress;
  jpeg_read_header(&jpeg, TRUE);
  if (jpeg.image_height != expected.rows || jpeg.image_width != expected.columns ||
      (uint32_t)jpeg.num_components != expected.components)
    fail((j_common_ptr)&jpeg, H5Z_E_CORRUPT);
  jpeg.out_color_space = expected.components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&jpeg);
  const size_t stride = (size_t)expected.columns * expected.components;
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW rows[16];
    unsigned n = 0;
    for (; n < 16 && jpeg.output_scanline + n < jpeg.output_height; n++)
      rows[n] = (uint8_t *)out + (jpeg.output_scanline + n) * stride;
    if (jpeg_read_scanlines(&jpeg, rows, n) == 0) fail((j_common_ptr)&jpeg, H5Z_E_CORRUPT);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return size;
}

/* Columns and rows that a caller left to the chunk's shape are in the file: they mean the same. */
static int64_t jpeg_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  if (nstored > cap) return H5Z_E_OUTPUT;
  if (nstored > 0) memcpy(client, stored, 4 * nstored);
  return (int64_t)nstored;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

/* 0, or the error. */
static int64_t read_image(const uint32_t *cd, size_t ncd, image *to) {
  if (ncd != 4 || cd[1] == 0 || cd[1] > JPEG_MAX_DIMENSION || cd[2] == 0 || cd[2] > JPEG_MAX_DIMENSION || cd[3] > 1)
    return H5Z_E_PARAM;
  *to = (image){.rows = cd[2], .columns = cd[1], .components = cd[3] == 1 ? 3 : 1};
  return 0;
}

/* libjpeg-turbo's tjBufSize for 4:2:0, which is never less than what is needed. */
static int64_t jpeg_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  image i;
  const int64_t error = read_image(cd, ncd, &i);
  (void)nin;
  return error < 0 ? error : ((int64_t)i.columns + 15) / 16 * 16 * (((int64_t)i.rows + 15) / 16 * 16) * 3 + 2048;
}

#if !defined(H5Z_DECODE_ONLY)
/* Samples of 8 bits, alone, in arrays, or three to a compound. */
static int has_samples(const h5z_dataset *ds) {
  if (ds->type_class == H5Z_CLASS_COMPOUND) return ds->type_size == 3;
  return ds->base_size == 1 && (ds->base_class == H5Z_CLASS_INTEGER || ds->base_class == H5Z_CLASS_BITFIELD ||
                                ds->base_class == H5Z_CLASS_ENUM || ds->base_class == H5Z_CLASS_OPAQUE);
}

static int64_t jpeg_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  if (nclient != 4 || client[3] > 1) return H5Z_E_PARAM;
  if (cap < 4) return H5Z_E_OUTPUT;
  if (!has_samples(ds)) return H5Z_E_NOT_APPLICABLE;
  uint64_t bytes = ds->type_size;
  for (uint32_t i = 0; i < ds->rank && i < H5Z_MAX_RANK; i++)
    if (__builtin_mul_overflow(bytes, ds->chunk_dims[i], &bytes)) return H5Z_E_NOT_APPLICABLE;
  if (bytes == 0 || bytes > INT32_MAX) return H5Z_E_NOT_APPLICABLE;
  const uint32_t components = client[3] == 1 ? 3 : 1;
  uint64_t columns = client[1], rows = client[2];
  if (columns == 0 && rows == 0) {
    /* The samples of a pixel are the element itself or the last dimension; then come the columns, and all else is rows. */
    uint32_t rank = ds->rank;
    if (ds->type_size == 1 && components == 3 && (rank == 0 || ds->chunk_dims[--rank] != 3)) return H5Z_E_NOT_APPLICABLE;
    if (ds->type_size != 1 && ds->type_size != components) return H5Z_E_NOT_APPLICABLE;
    columns = rank > 0 ? ds->chunk_dims[rank - 1] : 1;
    rows = columns > 0 ? bytes / components / columns : 0;
  }
  if (columns == 0 || columns > JPEG_MAX_DIMENSION || rows == 0 || rows > JPEG_MAX_DIMENSION) return H5Z_E_NOT_APPLICABLE;
  if (columns * rows * components != bytes) return H5Z_E_NOT_APPLICABLE;
  stored[0] = client[0], stored[1] = (uint32_t)columns, stored[2] = (uint32_t)rows, stored[3] = client[3];
  return 4;
}

static void start_output(j_compress_ptr jpeg) { (void)jpeg; }
static boolean more_output(j_compress_ptr jpeg) {
  fail((j_common_ptr)jpeg, H5Z_E_OUTPUT);
  return FALSE;
}
static void end_output(j_compress_ptr jpeg) { (void)jpeg; }

static int64_t jpeg_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  image i;
  const int64_t error = read_image(cd, ncd, &i);
  if (error < 0) return error;
  const size_t stride = (size_t)i.columns * i.components;
  if ((uint64_t)stride * i.rows != nin) return H5Z_E_NOT_APPLICABLE; /* no whole image */
  if (cap == 0) return H5Z_E_OUTPUT;

  errors e;
  struct jpeg_compress_struct jpeg;
  struct jpeg_destination_mgr to = {.next_output_byte = out, .free_in_buffer = cap, .init_destination = start_output,
                                    .empty_output_buffer = more_output, .term_destination = end_output};
  memset(&jpeg, 0, sizeof jpeg);
  jpeg.err = handlers(&e);
  if (setjmp(e.escape)) {
    jpeg_destroy_compress(&jpeg);
    return e.code == H5Z_E_CORRUPT ? H5Z_E_INTERNAL : e.code; /* the encoder's input cannot be corrupt */
  }
  jpeg_create_compress(&jpeg);
  jpeg.dest = &to;
  jpeg.image_width = i.columns, jpeg.image_height = i.rows;
  jpeg.input_components = (int)i.components;
  jpeg.in_color_space = i.components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, cd[0] < 1 ? 1 : cd[0] > 100 ? 100 : (int)cd[0], TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = (uint8_t *)(uintptr_t)in + jpeg.next_scanline * stride;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  return (int64_t)(cap - to.free_in_buffer);
}
#endif

H5Z_FILTER(.decoded_size = jpeg_decoded_size, .decode = jpeg_decode, .restore = jpeg_restore,
           .encode_bound = jpeg_encode_bound, H5Z_ENCODER(.derive = jpeg_derive, .encode = jpeg_encode))
