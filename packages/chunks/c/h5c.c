/* The questions @h5z/chunks asks libhdf5, as exports of a WebAssembly module without a file system and without
 * JavaScript glue. One instance holds one open file; packages/chunks/src/module.ts is the other side.
 *
 *   h5c_open(size)                  opens the file of `size` bytes that h5z_read answers for: address of the root
 *                                   group, or -1
 *   h5c_links(group)                JSON: the links of the group at that address
 *   h5c_dataset(dataset)            JSON: datatype, shape, layout, pipeline, fill value
 *   h5c_chunks(dataset)             no answer: gives h5z_take doubles, per allocated chunk its number in the grid of chunks
 *                                   (C order), address, stored size and filter mask
 *   h5c_compact(dataset)            the bytes of a compact dataset
 *   h5c_filter(id, flags, ...)      one call of a built-in filter
 *   h5c_alloc, h5c_free             memory for arguments
 *   h5c_result, h5c_result_size     where the answer of the last call lies, valid until the next call
 *   h5c_error                       why the last call failed (NUL-terminated)
 *
 * Objects are named by their address in the file, not by path: names in a hostile file need not be text. Addresses
 * and sizes are doubles (exact up to 2^53; vfd.c refuses addresses beyond). Calls return 0, or -1 with h5c_error set.
 * JSON strings carry the file's bytes with only quotes, backslashes and control characters escaped.
 */
#include "h5c.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "H5VLnative.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

/* The deepest datatype that is described; a real one has a handful of levels. */
#define MAX_TYPE_DEPTH 64

/* The most source mappings of a virtual dataset, and blocks of one irregular selection, that are listed. */
#define MAX_SOURCES 100000
#define MAX_BLOCKS 10000

static hid_t file = H5I_INVALID_HID;

/* --- the answer: one growing buffer ------------------------------------------------------------------------------ */

static char *answer;
static size_t answer_size, answer_capacity;
static int answer_failed;

static void start(void) {
  answer_size = 0;
  answer_failed = 0;
  h5c_problem[0] = 0;
  H5Eclear2(H5E_DEFAULT);
}

static void *extend(size_t size) {
  if (answer_failed) return NULL;
  if (size > answer_capacity - answer_size) {
    size_t want = answer_capacity * 2 + size + 4096;
    char *grown = want < size ? NULL : realloc(answer, want);
    if (!grown) {
      answer_failed = 1;
      return NULL;
    }
    answer = grown;
    answer_capacity = want;
  }
  answer_size += size;
  return answer + answer_size - size;
}

static void put(const char *text) {
  size_t n = strlen(text);
  char *to = extend(n);
  if (to) memcpy(to, text, n);
}

__attribute__((format(printf, 1, 2))) static void putf(const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  put(text);
}

static void put_string(const char *text) {
  put("\"");
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (*p == '"' || *p == '\\') {
      putf("\\%c", *p);
    } else if (*p < 0x20) {
      putf("\\u%04x", *p);
    } else {
      char *to = extend(1);
      if (to) *to = (char)*p;
    }
  }
  put("\"");
}

static void put_hex(const void *bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";
  put("\"");
  char *to = extend(size * 2);
  for (size_t i = 0; to && i < size; i++) {
    to[2 * i] = digits[((const uint8_t *)bytes)[i] >> 4];
    to[2 * i + 1] = digits[((const uint8_t *)bytes)[i] & 15];
  }
  put("\"");
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

static int finish(void) {
  return answer_failed ? h5c_fail("out of memory") : 0;
}

/* --- objects ----------------------------------------------------------------------------------------------------- */

static hid_t open_at(double address) {
  H5O_token_t token;
  if (!(address >= 0 && address <= 9007199254740992.0)) return H5I_INVALID_HID;
  if (H5VLnative_addr_to_token(file, (haddr_t)address, &token) < 0) return H5I_INVALID_HID;
  return H5Oopen_by_token(file, token);
}

static double address_of(const H5O_token_t token) {
  haddr_t address = HADDR_UNDEF;
  if (H5VLnative_token_to_addr(file, token, &address) < 0 || address == HADDR_UNDEF) return -1;
  return (double)address;
}

double EXPORT(h5c_open)(double size) {
  start();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  h5c_file_size = size;
  file = H5Fopen("file", H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) return h5c_fail("not an HDF5 file");
  H5O_info2_t info;
  if (H5Oget_info3(file, &info, H5O_INFO_BASIC) < 0) return h5c_fail("no root group");
  return address_of(info.token);
}

/* --- links ------------------------------------------------------------------------------------------------------- */

static herr_t put_link(hid_t group, const char *name, const H5L_info2_t *link, void *count) {
  if ((*(size_t *)count)++) put(",");
  put("{\"name\":");
  put_string(name);
  if (link->type == H5L_TYPE_HARD) {
    H5O_info2_t info;
    const char *kind = "broken";
    if (H5Oget_info_by_name3(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0)
      kind = info.type == H5O_TYPE_GROUP            ? "group"
             : info.type == H5O_TYPE_DATASET        ? "dataset"
             : info.type == H5O_TYPE_NAMED_DATATYPE ? "datatype"
                                                    : "other";
    H5Eclear2(H5E_DEFAULT);
    putf(",\"link\":\"hard\",\"kind\":\"%s\",\"address\":%.0f", kind, address_of(link->u.token));
  } else {
    char *value = link->u.val_size && link->u.val_size < 1 << 20 ? calloc(1, link->u.val_size + 1) : NULL;
    const char *target_file = NULL, *target = value;
    unsigned flags;
    putf(",\"link\":\"%s\"", link->type == H5L_TYPE_SOFT       ? "soft"
                             : link->type == H5L_TYPE_EXTERNAL ? "external"
                                                               : "user-defined");
    int good = value && H5Lget_val(group, name, value, link->u.val_size, H5P_DEFAULT) >= 0;
    if (good && link->type == H5L_TYPE_EXTERNAL)
      good = H5Lunpack_elink_val(value, link->u.val_size, &flags, &target_file, &target) >= 0;
    if (good && link->type != H5L_TYPE_SOFT && link->type != H5L_TYPE_EXTERNAL) good = 0;
    if (good) put(",\"target\":"), put_string(target);
    if (good && target_file) put(",\"file\":"), put_string(target_file);
    H5Eclear2(H5E_DEFAULT);
    free(value);
  }
  put("}");
  return 0;
}

int EXPORT(h5c_links)(double group) {
  start();
  hid_t id = open_at(group);
  if (id < 0) return h5c_fail("the group cannot be opened");
  size_t count = 0;
  put("[");
  herr_t result = H5Literate2(id, H5_INDEX_NAME, H5_ITER_INC, NULL, put_link, &count);
  int failed = result < 0 ? h5c_fail("the group's links cannot be read") : 0;
  H5Oclose(id);
  put("]");
  return failed ? -1 : finish();
}

/* --- datatypes --------------------------------------------------------------------------------------------------- */

static int put_type(hid_t type, int depth);

static int put_super(hid_t type, int depth) {
  hid_t base = H5Tget_super(type);
  if (base < 0) return -1;
  put(",\"base\":");
  int result = put_type(base, depth + 1);
  H5Tclose(base);
  return result;
}

static const char *order_of(hid_t type) {
  switch (H5Tget_order(type)) {
    case H5T_ORDER_LE: return "le";
    case H5T_ORDER_BE: return "be";
    case H5T_ORDER_VAX: return "vax";
    case H5T_ORDER_MIXED: return "mixed";
    default: return "none";
  }
}

static void put_bits(hid_t type) {
  putf(",\"order\":\"%s\",\"precision\":%u,\"offset\":%d", order_of(type), (unsigned)H5Tget_precision(type),
       H5Tget_offset(type));
}

static int put_members(hid_t type, H5T_class_t class, int depth) {
  int count = H5Tget_nmembers(type);
  size_t size = H5Tget_size(type);
  if (count < 0 || size == 0) return -1;
  put(",\"members\":[");
  for (int i = 0; i < count; i++) {
    char *name = H5Tget_member_name(type, (unsigned)i);
    if (!name) return -1;
    put(i ? ",{\"name\":" : "{\"name\":");
    put_string(name);
    H5free_memory(name);
    if (class == H5T_ENUM) {
      void *value = calloc(1, size);
      if (!value || H5Tget_member_value(type, (unsigned)i, value) < 0) {
        free(value);
        return -1;
      }
      put(",\"value\":");
      put_hex(value, size);
      free(value);
    } else {
      hid_t member = H5Tget_member_type(type, (unsigned)i);
      if (member < 0) return -1;
      putf(",\"offset\":%u,\"type\":", (unsigned)H5Tget_member_offset(type, (unsigned)i));
      int result = put_type(member, depth + 1);
      H5Tclose(member);
      if (result < 0) return -1;
    }
    put("}");
  }
  put("]");
  return 0;
}

static int put_type(hid_t type, int depth) {
  static const char *const names[] = {"integer",  "float",    "time",      "string", "bitfield", "opaque",
                                      "compound", "reference", "enum",     "vlen",   "array",    "complex"};
  H5T_class_t class = H5Tget_class(type);
  if (class < 0 || (size_t)class >= sizeof names / sizeof names[0] || depth > MAX_TYPE_DEPTH) return -1;
  size_t size = H5Tget_size(type);
  if (size == 0) return -1;
  int result = 0;
  /* A variable-length string is H5T_STRING to H5Tget_class, whatever lies in the file. */
  putf("{\"class\":\"%s\",\"size\":%u", names[class], (unsigned)size);
  switch (class) {
    case H5T_INTEGER:
      put_bits(type);
      putf(",\"signed\":%s", H5Tget_sign(type) == H5T_SGN_2 ? "true" : "false");
      break;
    case H5T_FLOAT: {
      size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
      if (H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) < 0) return -1;
      put_bits(type);
      putf(",\"signAt\":%zu,\"exponent\":[%zu,%zu],\"mantissa\":[%zu,%zu],\"bias\":%zu,\"implied\":%s", sign, exponent,
           exponent_bits, mantissa, mantissa_bits, H5Tget_ebias(type),
           H5Tget_norm(type) == H5T_NORM_IMPLIED ? "true" : "false");
      break;
    }
    case H5T_TIME:
    case H5T_BITFIELD: put_bits(type); break;
    case H5T_STRING: {
      H5T_str_t pad = H5Tget_strpad(type);
      putf(",\"charset\":\"%s\",\"pad\":\"%s\",\"variable\":%s",
           H5Tget_cset(type) == H5T_CSET_UTF8 ? "utf-8" : "ascii",
           pad == H5T_STR_NULLTERM  ? "nul-terminated"
           : pad == H5T_STR_NULLPAD ? "nul-padded"
                                    : "space-padded",
           H5Tis_variable_str(type) > 0 ? "true" : "false");
      break;
    }
    case H5T_OPAQUE: {
      char *tag = H5Tget_tag(type);
      put(",\"tag\":");
      put_string(tag ? tag : "");
      H5free_memory(tag);
      break;
    }
    case H5T_COMPOUND: result = put_members(type, class, depth); break;
    case H5T_ENUM:
      result = put_super(type, depth);
      if (result >= 0) result = put_members(type, class, depth);
      break;
    case H5T_VLEN:
    case H5T_COMPLEX: result = put_super(type, depth); break;
    case H5T_ARRAY: {
      hsize_t dims[H5S_MAX_RANK];
      int rank = H5Tget_array_ndims(type);
      if (rank < 0 || rank > H5S_MAX_RANK || H5Tget_array_dims2(type, dims) < 0) return -1;
      put(",\"dims\":[");
      for (int i = 0; i < rank; i++) putf(i ? ",%llu" : "%llu", (unsigned long long)dims[i]);
      put("]");
      result = put_super(type, depth);
      break;
    }
    default: break;
  }
  put("}");
  return result;
}

/* --- datasets ---------------------------------------------------------------------------------------------------- */

static void put_dims(const char *name, const hsize_t *dims, int rank) {
  putf(",\"%s\":[", name);
  for (int i = 0; i < rank; i++)
    if (dims[i] == H5S_UNLIMITED)
      put(i ? ",null" : "null");
    else
      putf(i ? ",%llu" : "%llu", (unsigned long long)dims[i]);
  put("]");
}

static int put_space(hid_t dataset) {
  hsize_t dims[H5S_MAX_RANK], most[H5S_MAX_RANK];
  hid_t space = H5Dget_space(dataset);
  if (space < 0) return -1;
  H5S_class_t class = H5Sget_simple_extent_type(space);
  int rank = class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, dims, most) : 0;
  H5Sclose(space);
  if (rank < 0 || class == H5S_NO_CLASS) return -1;
  putf(",\"space\":\"%s\"", class == H5S_SCALAR ? "scalar" : class == H5S_NULL ? "null" : "simple");
  put_dims("shape", dims, rank);
  put_dims("maxShape", most, rank);
  return 0;
}

static int put_pipeline(hid_t dcpl) {
  int count = H5Pget_nfilters(dcpl);
  if (count < 0) return -1;
  put(",\"filters\":[");
  for (int i = 0; i < count; i++) {
    char name[256] = "";
    unsigned flags = 0, *cd = NULL;
    size_t n = 0;
    H5Z_filter_t id = H5Pget_filter2(dcpl, (unsigned)i, &flags, &n, NULL, sizeof name, name, NULL);
    if (id < 0) return -1;
    if (n) {
      if (n > 1 << 20 || !(cd = calloc(n, sizeof *cd))) return -1;
      if (H5Pget_filter2(dcpl, (unsigned)i, &flags, &n, cd, sizeof name, name, NULL) < 0) {
        free(cd);
        return -1;
      }
    }
    name[sizeof name - 1] = 0;
    putf("%s{\"id\":%d,\"flags\":%u,\"name\":", i ? "," : "", (int)id, flags);
    put_string(name);
    put(",\"cdValues\":[");
    for (size_t k = 0; k < n; k++) putf(k ? ",%u" : "%u", cd[k]);
    put("]}");
    free(cd);
  }
  put("]");
  return 0;
}

/* The external files of contiguous data: name, first byte in that file, bytes (-1: unlimited). */
static int put_external(hid_t dcpl) {
  int count = H5Pget_external_count(dcpl);
  if (count < 0) return -1;
  put(",\"external\":[");
  for (int i = 0; i < count; i++) {
    char name[4096] = "";
    HDoff_t offset = 0;
    hsize_t size = 0;
    if (H5Pget_external(dcpl, (unsigned)i, sizeof name - 1, name, &offset, &size) < 0) return -1;
    put(i ? ",{\"file\":" : "{\"file\":");
    put_string(name);
    putf(",\"offset\":%lld,\"size\":%lld}", (long long)offset, size == H5S_UNLIMITED ? -1 : (long long)size);
  }
  put("]");
  return 0;
}

static void put_hsizes(const char *name, const hsize_t *values, int rank) {
  putf("\"%s\":[", name);
  for (int i = 0; i < rank; i++)
    if (values[i] == H5S_UNLIMITED)
      put(i ? ",null" : "null");
    else
      putf(i ? ",%llu" : "%llu", (unsigned long long)values[i]);
  put("]");
}

/* A selection as hyperslabs: `null` is everything; an irregular one is the list of its blocks. */
static int put_selection(const char *name, hid_t space) {
  hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], block[H5S_MAX_RANK];
  if (space < 0) return -1;
  putf(",\"%s\":", name);
  H5S_sel_type type = H5Sget_select_type(space);
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0) return -1;
  if (type != H5S_SEL_HYPERSLABS) {
    put(type == H5S_SEL_ALL ? "null" : "[]");
    return type == H5S_SEL_ALL || type == H5S_SEL_NONE ? 0 : -1;
  }
  put("[");
  if (H5Sis_regular_hyperslab(space) > 0) {
    if (H5Sget_regular_hyperslab(space, start, stride, count, block) < 0) return -1;
    put("{");
    put_hsizes("start", start, rank), put(",");
    put_hsizes("stride", stride, rank), put(",");
    put_hsizes("count", count, rank), put(",");
    put_hsizes("block", block, rank);
    put("}");
  } else {
    hssize_t blocks = H5Sget_select_hyper_nblocks(space);
    if (blocks < 0 || blocks > MAX_BLOCKS) return -1;
    for (hssize_t i = 0; i < blocks; i++) {
      hsize_t corners[2 * H5S_MAX_RANK];
      if (H5Sget_select_hyper_blocklist(space, (hsize_t)i, 1, corners) < 0) return -1;
      for (int d = 0; d < rank; d++) block[d] = corners[rank + d] - corners[d] + 1, count[d] = 1;
      put(i ? ",{" : "{");
      put_hsizes("start", corners, rank), put(",");
      put_hsizes("stride", block, rank), put(",");
      put_hsizes("count", count, rank), put(",");
      put_hsizes("block", block, rank);
      put("}");
    }
  }
  put("]");
  return 0;
}

static int put_sources(hid_t dcpl) {
  size_t count = 0;
  if (H5Pget_virtual_count(dcpl, &count) < 0 || count > MAX_SOURCES) return -1;
  put(",\"sources\":[");
  for (size_t i = 0; i < count; i++) {
    char file_name[4096] = "", dataset_name[4096] = "";
    if (H5Pget_virtual_filename(dcpl, i, file_name, sizeof file_name) < 0 ||
        H5Pget_virtual_dsetname(dcpl, i, dataset_name, sizeof dataset_name) < 0)
      return -1;
    file_name[sizeof file_name - 1] = dataset_name[sizeof dataset_name - 1] = 0;
    put(i ? ",{\"file\":" : "{\"file\":");
    put_string(file_name);
    put(",\"dataset\":");
    put_string(dataset_name);
    hid_t here = H5Pget_virtual_vspace(dcpl, i), there = H5Pget_virtual_srcspace(dcpl, i);
    int good = put_selection("here", here) >= 0 && put_selection("there", there) >= 0;
    if (here >= 0) H5Sclose(here);
    if (there >= 0) H5Sclose(there);
    if (!good) return -1;
    put("}");
  }
  put("]");
  return 0;
}

static int put_layout(hid_t dataset, hid_t dcpl) {
  H5D_layout_t layout = H5Pget_layout(dcpl);
  if (layout == H5D_CHUNKED) {
    hsize_t chunk[H5S_MAX_RANK];
    unsigned options = 0;
    int rank = H5Pget_chunk(dcpl, H5S_MAX_RANK, chunk);
    if (rank < 0 || H5Pget_chunk_opts(dcpl, &options) < 0) return -1;
    put(",\"layout\":\"chunked\"");
    put_dims("chunk", chunk, rank);
    putf(",\"rawEdgeChunks\":%s", options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS ? "true" : "false");
  } else if (layout == H5D_CONTIGUOUS) {
    haddr_t address = H5Dget_offset(dataset);
    put(",\"layout\":\"contiguous\"");
    if (put_external(dcpl) < 0) return -1;
    if (address != HADDR_UNDEF) putf(",\"address\":%llu", (unsigned long long)address);
  } else if (layout == H5D_COMPACT) {
    put(",\"layout\":\"compact\"");
  } else if (layout == H5D_VIRTUAL) {
    put(",\"layout\":\"virtual\"");
    if (put_sources(dcpl) < 0) return -1;
  } else {
    return -1;
  }
  putf(",\"storageSize\":%llu", (unsigned long long)H5Dget_storage_size(dataset));
  return 0;
}

static int put_fill(hid_t dcpl, hid_t type) {
  H5D_fill_value_t status;
  if (H5Pfill_value_defined(dcpl, &status) < 0) return -1;
  putf(",\"fill\":{\"status\":\"%s\"", status == H5D_FILL_VALUE_USER_DEFINED ? "user"
                                       : status == H5D_FILL_VALUE_DEFAULT    ? "default"
                                                                             : "undefined");
  /* A variable-length fill value would be a pointer; the default one is all zeros anyway. */
  if (status == H5D_FILL_VALUE_USER_DEFINED && H5Tdetect_class(type, H5T_VLEN) <= 0 &&
      H5Tis_variable_str(type) <= 0 && H5Tdetect_class(type, H5T_REFERENCE) <= 0) {
    size_t size = H5Tget_size(type);
    void *value = calloc(1, size ? size : 1);
    if (!value || H5Pget_fill_value(dcpl, type, value) < 0) {
      free(value);
      return -1;
    }
    put(",\"value\":");
    put_hex(value, size);
    free(value);
  }
  put("}");
  return 0;
}

int EXPORT(h5c_dataset)(double dataset) {
  start();
  hid_t id = open_at(dataset);
  if (id < 0) return h5c_fail("the dataset cannot be opened");
  hid_t type = h5c_stored_type(id), dcpl = H5Dget_create_plist(id);
  int good = type >= 0 && dcpl >= 0;
  put("{\"type\":");
  good = good && put_type(type, 0) >= 0 && put_space(id) >= 0 && put_layout(id, dcpl) >= 0 &&
         put_pipeline(dcpl) >= 0 && put_fill(dcpl, type) >= 0;
  put("}");
  int failed = good ? 0 : h5c_fail("the dataset's description is damaged");
  if (dcpl >= 0) H5Pclose(dcpl);
  if (type >= 0) H5Tclose(type);
  H5Oclose(id);
  return failed ? -1 : finish();
}

/* Takes doubles of h5c_chunks: ten million chunks fill 320 MB, of which only the host keeps a copy. */
__attribute__((import_module("h5z"), import_name("h5z_take"))) extern void h5z_take(const double *from, uint32_t count);

/* Chunks that are given to the host at once. */
#define RECORDS 8192

/* Where chunks may lie: the grid of a dataset's chunks; and what is known of those that the host has not got yet. */
struct grid {
  int rank;
  hsize_t chunk[H5S_MAX_RANK], counts[H5S_MAX_RANK];
  int turned; /* the unlimited dimension of an extensible array, where it is not the first; else 0 */
  hsize_t most[H5S_MAX_RANK]; /* chunks along each dimension when the dataset is as large as it may be; not along that one */
  double *records;
  uint32_t filled; /* doubles */
};

static void give(struct grid *grid) {
  if (grid->filled) h5z_take(grid->records, grid->filled);
  grid->filled = 0;
}

/* An extensible array has the unlimited dimension first, but libhdf5's walk over it (H5D__earray_idx_iterate_cb, which
 * H5Dchunk_iter and H5Dget_chunk_info share) counts its elements as if no dimension had changed its place. So what it gives
 * are no coordinates, but tell the number of the element. */
static void turn(const struct grid *grid, const hsize_t *offset, hsize_t *right) {
  hsize_t number = 0;
  for (int i = grid->turned; i < grid->rank; i++) number = number * grid->most[i] + offset[i] / grid->chunk[i];
  for (int i = grid->rank - 1; i >= 0; i--) {
    if (i == grid->turned) continue;
    right[i] = number % grid->most[i] * grid->chunk[i];
    number /= grid->most[i];
  }
  right[grid->turned] = number * grid->chunk[grid->turned];
}

/* One chunk is four doubles. What lies outside the grid ends the walk with an error that names it. */
static herr_t visit_chunk(const hsize_t *offset, unsigned mask, haddr_t address, hsize_t size, void *data) {
  struct grid *grid = data;
  hsize_t right[H5S_MAX_RANK];
  if (address == HADDR_UNDEF) return 0;
  if (grid->turned) {
    turn(grid, offset, right);
    offset = right;
  }
  double number = 0;
  for (int i = 0; i < grid->rank; i++) {
    hsize_t at = offset[i] / grid->chunk[i];
    if (offset[i] % grid->chunk[i] || at >= grid->counts[i]) {
      size_t used = (size_t)snprintf(h5c_problem, sizeof h5c_problem, "chunk ");
      for (int k = 0; k < grid->rank && used + 24 < sizeof h5c_problem; k++)
        used += (size_t)snprintf(h5c_problem + used, sizeof h5c_problem - used, k ? ",%llu" : "%llu",
                                 (unsigned long long)offset[k]);
      snprintf(h5c_problem + used, sizeof h5c_problem - used, " lies outside the chunk grid");
      return -1;
    }
    number = number * (double)grid->counts[i] + (double)at;
  }
  double *to = grid->records + grid->filled;
  to[0] = number;
  to[1] = (double)address;
  to[2] = (double)size;
  to[3] = mask;
  grid->filled += 4;
  if (grid->filled == 4 * RECORDS) give(grid);
  return 0;
}

static int get_grid(hid_t dataset, struct grid *grid) {
  hsize_t shape[H5S_MAX_RANK], max[H5S_MAX_RANK];
  H5D_chunk_index_t index = H5D_CHUNK_IDX_BTREE;
  hid_t space = H5Dget_space(dataset), dcpl = H5Dget_create_plist(dataset);
  int good = space >= 0 && dcpl >= 0;
  grid->rank = good ? H5Sget_simple_extent_dims(space, shape, max) : -1;
  good = good && grid->rank >= 0 && H5Pget_chunk(dcpl, H5S_MAX_RANK, grid->chunk) == grid->rank;
  for (int i = 0; good && i < grid->rank; i++) {
    if (grid->chunk[i] == 0) good = 0;
    else grid->counts[i] = shape[i] / grid->chunk[i] + (shape[i] % grid->chunk[i] != 0);
  }
  good = good && H5Dget_chunk_index_type(dataset, &index) >= 0;
  for (int i = 0; good && index == H5D_CHUNK_IDX_EARRAY && i < grid->rank; i++) {
    grid->most[i] = max[i] / grid->chunk[i] + (max[i] % grid->chunk[i] != 0);
    if (max[i] == H5S_UNLIMITED) grid->turned = i;
    else if (grid->most[i] == 0) good = 0;
  }
  if (dcpl >= 0) H5Pclose(dcpl);
  if (space >= 0) H5Sclose(space);
  return good ? 0 : -1;
}

int EXPORT(h5c_chunks)(double dataset) {
  start();
  hid_t id = open_at(dataset);
  if (id < 0) return h5c_fail("the dataset cannot be opened");
  struct grid grid = {.records = malloc(4 * RECORDS * sizeof(double))};
  int failed = 0;
  if (!grid.records) {
    failed = h5c_fail("out of memory");
  } else if (get_grid(id, &grid) < 0) {
    failed = h5c_fail("the chunk shape is not that of the dataset");
  } else if (H5Dchunk_iter(id, H5P_DEFAULT, visit_chunk, &grid) < 0) {
    if (h5c_problem[0]) H5Eclear2(H5E_DEFAULT), failed = -1;
    else failed = h5c_fail("the chunk index is damaged");
  } else {
    give(&grid);
  }
  free(grid.records);
  H5Oclose(id);
  return failed ? -1 : finish();
}

int EXPORT(h5c_compact)(double dataset) {
  start();
  hid_t id = open_at(dataset);
  if (id < 0) return h5c_fail("the dataset cannot be opened");
  size_t size = 0;
  const void *bytes = h5c_compact_bytes(id, &size);
  int failed = 0;
  if (bytes) {
    void *to = extend(size);
    if (to) memcpy(to, bytes, size);
  } else if (size) {
    failed = h5c_fail("no compact data");
  }
  H5Oclose(id);
  return failed ? -1 : finish();
}

/* --- built-in filters -------------------------------------------------------------------------------------------- */

/* The input is copied: filters own their buffer and give it back grown or replaced. `flags` is H5Z_FLAG_REVERSE to
 * decode, 0 to encode. The answer is what the filter returned. */
int EXPORT(h5c_filter)(int id, uint32_t flags, const uint32_t *cd, uint32_t ncd, const void *in, uint32_t size,
                       uint32_t room) {
  start();
  H5open();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  const H5Z_class2_t *filter = h5c_builtin_filter(id);
  if (!filter) return h5c_fail("not a filter of libhdf5's own");
  size_t capacity = room > size ? room : size;
  void *buffer = H5allocate_memory(capacity ? capacity : 1, false);
  if (!buffer) return h5c_fail("out of memory");
  memcpy(buffer, in, size);
  size_t got = filter->filter(flags, ncd, cd, size, &capacity, &buffer);
  int failed = 0;
  if (got == 0 || got > capacity) {
    failed = h5c_fail("the filter refused the data");
  } else {
    void *to = extend(got);
    if (to) memcpy(to, buffer, got);
  }
  H5free_memory(buffer);
  return failed ? -1 : finish();
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

void *EXPORT(h5c_alloc)(uint32_t size) { return malloc(size ? size : 1); }
void EXPORT(h5c_free)(void *p) { free(p); }
const void *EXPORT(h5c_result)(void) { return answer; }
uint32_t EXPORT(h5c_result_size)(void) { return (uint32_t)answer_size; }
const char *EXPORT(h5c_error)(void) { return h5c_problem; }
