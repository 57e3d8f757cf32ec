/* What @h5z/chunks has libhdf5 do to files, as exports of a WebAssembly module: packages/chunks/src/write-module.ts is the
 * other side. Files are named by numbers of the host's choosing (write_driver.c), objects by their address or path.
 *
 *   h5w_open(number, writable)          opens a file; h5w_create(number, like) makes one with the creation properties and the
 *                                       format version of an open one; h5w_flush, h5w_close
 *   h5w_time(now)                       tells the time of day, which objects get that keep track of it: milliseconds since 1970
 *   h5w_filter_class(id, name)          makes libhdf5 take filter `id`, whose work the host does (h5z_filter)
 *   h5w_select(number, address)         makes a dataset the one that the next calls mean: h5w_select_path by path
 *   h5w_chunk(offset, mask, data, size) direct chunk write; h5w_extend(dims) changes the extent; h5w_release closes it
 *   h5w_storage(number, address)        answer: one double, where a dataset's data lie
 *   h5w_copy(from, to, skip, n)         copies a whole file; answer: doubles, pairs of addresses
 *   h5w_pipeline(number, address, ...)  another pipeline, or chunk shape, for an empty dataset
 *   h5w_references(from, to)            points what h5w_copy copied at what it copied
 *   h5w_alloc, h5w_free, h5w_result, h5w_result_size, h5w_error    as in h5c.c
 *
 * Calls return 0, or -1 with h5w_error set. */
#include "write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "H5VLnative.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

/* Runs filter `id` on `size` bytes: the address of the result, from h5w_alloc, its length in *result; 0 when it failed. */
__attribute__((import_module("h5z"), import_name("h5z_filter"))) extern void *h5z_filter(
    int32_t id, int32_t decode, const uint32_t *cd, uint32_t ncd, const void *in, uint32_t size, uint32_t *result);

#define FILES 8

static hid_t files[FILES] = {-1, -1, -1, -1, -1, -1, -1, -1};
static hid_t selected = H5I_INVALID_HID;
static int alloc_time = H5D_ALLOC_TIME_INCR; /* that of the dataset which h5w_pipeline has changed */
static const void *answer;
static size_t answer_size;

static void start(void) {
  static int started;
  h5c_problem[0] = 0;
  answer_size = 0;
  if (!started) H5open(), H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  started = 1;
  H5Eclear2(H5E_DEFAULT);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static hid_t file_of(int number) { return number >= 0 && number < FILES ? files[number] : H5I_INVALID_HID; }

int EXPORT(h5w_time)(double now) {
  h5c_time_of_day = now;
  return 0;
}

int EXPORT(h5w_open)(int number, int writable) {
  char name[16];
  start();
  if (number < 0 || number >= FILES || files[number] >= 0) return h5c_fail("no such file number");
  snprintf(name, sizeof name, "%d", number);
  hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
  /* A writer that died leaves the file marked as open; that is no reason not to read it. The property is h5clear's. */
  bool clear = true;
  if (!writable) H5Pset(fapl, "clear_status_flags", &clear);
  files[number] = H5Fopen(name, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, fapl);
  int failed = files[number] < 0 ? h5c_fail("not an HDF5 file") : 0;
  H5Pclose(fapl);
  return failed;
}

int EXPORT(h5w_create)(int number, int like) {
  char name[16];
  H5F_info2_t info;
  start();
  if (number < 0 || number >= FILES || files[number] >= 0) return h5c_fail("no such file number");
  snprintf(name, sizeof name, "%d", number);
  hid_t fcpl = H5Fget_create_plist(file_of(like)), fapl = H5Pcreate(H5P_FILE_ACCESS);
  if (fcpl >= 0 && H5Fget_info2(file_of(like), &info) >= 0) {
    H5F_libver_t low = info.super.version < 2    ? H5F_LIBVER_EARLIEST
                       : info.super.version == 2 ? H5F_LIBVER_V18
                                                 : H5F_LIBVER_V110;
    if (H5Pset_libver_bounds(fapl, low, H5F_LIBVER_LATEST) >= 0)
      files[number] = H5Fcreate(name, H5F_ACC_TRUNC, fcpl, fapl);
  }
  H5Pclose(fcpl);
  H5Pclose(fapl);
  return files[number] < 0 ? h5c_fail("the new file cannot be made") : 0;
}

static void release(void) {
  if (selected >= 0) H5Oclose(selected);
  selected = H5I_INVALID_HID;
}

int EXPORT(h5w_release)(void) {
  start();
  int good = selected < 0 || alloc_time == H5D_ALLOC_TIME_INCR || h5w_set_alloc_time(selected, alloc_time) == 0;
  if (selected >= 0) good = H5Oclose(selected) >= 0 && good;
  selected = H5I_INVALID_HID;
  alloc_time = H5D_ALLOC_TIME_INCR;
  return !good ? h5c_fail("the dataset cannot be closed") : 0;
}

int EXPORT(h5w_flush)(int number) {
  start();
  return H5Fflush(file_of(number), H5F_SCOPE_GLOBAL) < 0 ? h5c_fail("the file cannot be flushed") : 0;
}

int EXPORT(h5w_close)(int number) {
  start();
  release();
  if (file_of(number) < 0) return 0;
  herr_t closed = H5Fclose(files[number]);
  files[number] = H5I_INVALID_HID;
  return closed < 0 ? h5c_fail("the file cannot be closed") : 0;
}

/* --- filters ----------------------------------------------------------------------------------------------------- */

/* HDF5 does not tell a filter its ID, so every filter of the host's has a function of its own. */
#define SLOTS 32
static int slot_ids[SLOTS];

static size_t run(int slot, unsigned flags, size_t ncd, const unsigned cd[], size_t size, size_t *room, void **buffer) {
  uint32_t got = 0;
  void *result = h5z_filter(slot_ids[slot], (flags & H5Z_FLAG_REVERSE) != 0, cd, (uint32_t)ncd, *buffer, (uint32_t)size,
                            &got);
  if (!result) return 0;
  H5free_memory(*buffer);
  *buffer = result;
  *room = got;
  return got;
}

#define SLOT(n)                                                                                                      \
  static size_t slot_##n(unsigned flags, size_t ncd, const unsigned cd[], size_t size, size_t *room, void **buffer) { \
    return run(n, flags, ncd, cd, size, room, buffer);                                                               \
  }
#define EACH_SLOT(X)                                                                                                  \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) \
  X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
EACH_SLOT(SLOT)
#define NAME(n) slot_##n,
static const H5Z_func_t slots[SLOTS] = {EACH_SLOT(NAME)};

int EXPORT(h5w_filter_class)(int id, const char *name) {
  static int used;
  static char names[SLOTS][256];
  start();
  if (H5Zfilter_avail(id) > 0) return 0;
  if (used == SLOTS) return h5c_fail("more than 32 filters in one file");
  snprintf(names[used], sizeof names[used], "%s", name);
  H5Z_class2_t class = {.version = H5Z_CLASS_T_VERS,
                        .id = id,
                        .encoder_present = 1,
                        .decoder_present = 1,
                        .name = names[used],
                        .filter = slots[used]};
  slot_ids[used++] = id;
  return H5Zregister(&class) < 0 ? h5c_fail("the filter cannot be registered") : 0;
}

/* --- datasets ---------------------------------------------------------------------------------------------------- */

static hid_t open_at(int number, double address) {
  H5O_token_t token;
  if (!(address >= 0 && address <= 9007199254740992.0)) return H5I_INVALID_HID;
  if (H5VLnative_addr_to_token(file_of(number), (haddr_t)address, &token) < 0) return H5I_INVALID_HID;
  return H5Oopen_by_token(file_of(number), token);
}

static double address_of(hid_t object) {
  H5O_info2_t info;
  haddr_t address = HADDR_UNDEF;
  if (H5Oget_info3(object, &info, H5O_INFO_BASIC) < 0) return -1;
  if (H5VLnative_token_to_addr(object, info.token, &address) < 0 || address == HADDR_UNDEF) return -1;
  return (double)address;
}

int EXPORT(h5w_select)(int number, double address) {
  start();
  release();
  selected = open_at(number, address);
  return selected < 0 ? h5c_fail("the dataset cannot be opened") : 0;
}

int EXPORT(h5w_select_path)(int number, const char *path) {
  start();
  release();
  selected = H5Dopen2(file_of(number), path, H5P_DEFAULT);
  return selected < 0 ? h5c_fail("the dataset cannot be opened") : 0;
}

int EXPORT(h5w_chunk)(const double *offset, uint32_t rank, uint32_t mask, const void *data, uint32_t size) {
  hsize_t at[H5S_MAX_RANK];
  start();
  for (uint32_t i = 0; i < rank && i < H5S_MAX_RANK; i++) at[i] = (hsize_t)offset[i];
  return H5Dwrite_chunk(selected, H5P_DEFAULT, mask, at, size, data) < 0 ? h5c_fail("the chunk cannot be written") : 0;
}

int EXPORT(h5w_extend)(const double *dims, uint32_t rank) {
  hsize_t to[H5S_MAX_RANK];
  start();
  for (uint32_t i = 0; i < rank && i < H5S_MAX_RANK; i++) to[i] = (hsize_t)dims[i];
  return H5Dset_extent(selected, to) < 0 ? h5c_fail("the extent cannot be changed") : 0;
}

int EXPORT(h5w_storage)(int number, double address) {
  static double at;
  start();
  hid_t id = open_at(number, address);
  if (id < 0) return h5c_fail("the dataset cannot be opened");
  at = h5w_storage_of(id);
  H5Oclose(id);
  answer = &at;
  answer_size = sizeof at;
  return 0;
}

/* --- whole files ------------------------------------------------------------------------------------------------- */

int EXPORT(h5w_copy)(int from, int to, const double *skip, uint32_t count) {
  start();
  if (h5w_copy_all(file_of(from), file_of(to), skip, count) < 0) return h5c_fail("the file cannot be copied");
  size_t size;
  answer = h5w_map(&size);
  answer_size = 2 * size * sizeof(double);
  return 0;
}

/* `filters`: for each stage its ID, flags, number of stored cd_values, and these. `chunk`: NULL keeps its shape. */
int EXPORT(h5w_pipeline)(int number, double address, const uint32_t *filters, uint32_t stages, const double *chunk,
                         uint32_t rank) {
  start();
  hid_t id = open_at(number, address);
  if (id < 0) return h5c_fail("the dataset cannot be opened");
  hid_t dcpl = H5Dget_create_plist(id), type = H5Dget_type(id), space = H5Dget_space(id), plain = H5I_INVALID_HID;
  unsigned options = 0;
  H5D_alloc_time_t when = H5D_ALLOC_TIME_INCR;
  int good = dcpl >= 0 && space >= 0 && (plain = H5Tcopy(type)) >= 0;
  if (good && H5Pget_nfilters(dcpl) > 0) good = H5Premove_filter(dcpl, H5Z_FILTER_ALL) >= 0;
  if (good && H5Pget_layout(dcpl) == H5D_CHUNKED)
    good = H5Pget_chunk_opts(dcpl, &options) >= 0 && H5Pget_alloc_time(dcpl, &when) >= 0;
  if (good && chunk) {
    hsize_t dims[H5S_MAX_RANK];
    for (uint32_t i = 0; i < rank && i < H5S_MAX_RANK; i++) dims[i] = (hsize_t)chunk[i];
    good = H5Pset_chunk(dcpl, (int)rank, dims) >= 0 && H5Pset_chunk_opts(dcpl, options) >= 0;
  }
  for (uint32_t i = 0; good && i < stages; i++) {
    good = H5Pset_filter(dcpl, (H5Z_filter_t)filters[0], filters[1], filters[2], filters + 3) >= 0;
    filters += 3 + filters[2];
  }
  good = good && H5Pset_alloc_time(dcpl, H5D_ALLOC_TIME_INCR) >= 0;
  hid_t model = good ? H5Dcreate_anon(file_of(number), plain, space, dcpl, H5P_DEFAULT) : H5I_INVALID_HID;
  good = model >= 0 && h5w_transplant(id, model) == 0;
  alloc_time = when; /* h5w_release sets it: room made before the chunks come would have to go through the pipeline */
  int failed = good ? 0 : h5c_fail("the pipeline cannot be set");
  if (model >= 0) H5Dclose(model);
  if (plain >= 0) H5Tclose(plain);
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  if (dcpl >= 0) H5Pclose(dcpl);
  H5Oclose(id);
  return failed;
}

/* --- references -------------------------------------------------------------------------------------------------- */

static int source_file, target_file;

/* The copy, opened, of an object that was opened in the source. */
static hid_t copy_of(hid_t object) {
  double from = object < 0 ? -1 : address_of(object);
  double to = from < 0 ? -1 : h5w_mapped(from);
  return to < 0 ? H5I_INVALID_HID : open_at(target_file, to);
}

static int fix_reference(hid_t type, uint8_t *value) {
  static const uint8_t none[H5R_REF_BUF_SIZE];
  size_t size = H5Tget_size(type);
  if (memcmp(value, none, size < sizeof none ? size : sizeof none) == 0) return 0;
  hid_t from = file_of(source_file), object = H5I_INVALID_HID, copy = H5I_INVALID_HID, space = H5I_INVALID_HID;
  int good = 0;
  if (H5Tequal(type, H5T_STD_REF_OBJ) > 0) {
    uint64_t at = 0;
    memcpy(&at, value, 8); /* little-endian, as this processor */
    double to = h5w_mapped((double)at);
    uint64_t now = to < 0 ? 0 : (uint64_t)to; /* what nothing leads to is gone: so is the reference */
    memcpy(value, &now, 8);
    return 0;
  }
  if (H5Tequal(type, H5T_STD_REF_DSETREG) > 0) {
    object = H5Rdereference2(from, H5P_DEFAULT, H5R_DATASET_REGION, value);
    space = H5Rget_region(from, H5R_DATASET_REGION, value);
    copy = copy_of(object);
    memset(value, 0, size);
    good = copy < 0 || (space >= 0 && H5Rcreate(value, copy, ".", H5R_DATASET_REGION, space) >= 0);
  } else {
    H5R_ref_t *reference = (H5R_ref_t *)value, old;
    memcpy(&old, value, sizeof old);
    memset(value, 0, sizeof old);
    object = H5Ropen_object(&old, H5P_DEFAULT, H5P_DEFAULT);
    copy = copy_of(object);
    if (copy < 0) {
      good = 1;
    } else if (H5Rget_type(&old) == H5R_OBJECT2) {
      good = H5Rcreate_object(copy, ".", H5P_DEFAULT, reference) >= 0;
    } else if (H5Rget_type(&old) == H5R_DATASET_REGION2) {
      space = H5Ropen_region(&old, H5P_DEFAULT, H5P_DEFAULT);
      good = space >= 0 && H5Rcreate_region(copy, ".", space, H5P_DEFAULT, reference) >= 0;
    } else {
      char name[1024];
      good = H5Rget_attr_name(&old, name, sizeof name) >= 0 &&
             H5Rcreate_attr(copy, ".", name, H5P_DEFAULT, reference) >= 0;
    }
    H5Rdestroy(&old);
  }
  if (space >= 0) H5Sclose(space);
  if (copy >= 0) H5Oclose(copy);
  if (object >= 0) H5Oclose(object);
  return good ? 0 : -1;
}

/* Every reference in one value, as it lies in memory. */
static int fix_value(hid_t type, uint8_t *value, int depth) {
  H5T_class_t class = H5Tget_class(type);
  int result = 0;
  if (depth > 32) return -1;
  if (class == H5T_REFERENCE) return fix_reference(type, value);
  if (class == H5T_COMPOUND) {
    int members = H5Tget_nmembers(type);
    for (int i = 0; i < members && result == 0; i++) {
      hid_t member = H5Tget_member_type(type, (unsigned)i);
      result = member < 0 ? -1 : fix_value(member, value + H5Tget_member_offset(type, (unsigned)i), depth + 1);
      if (member >= 0) H5Tclose(member);
    }
  } else if (class == H5T_ARRAY || class == H5T_VLEN) {
    hid_t base = H5Tget_super(type);
    size_t size = base < 0 ? 0 : H5Tget_size(base), count = size ? H5Tget_size(type) / size : 0;
    if (class == H5T_VLEN) {
      hvl_t *sequence = (hvl_t *)value;
      count = sequence->len;
      value = sequence->p;
    }
    if (base >= 0 && H5Tdetect_class(base, H5T_REFERENCE) > 0)
      for (size_t i = 0; i < count && result == 0; i++) result = fix_value(base, value + i * size, depth + 1);
    if (base >= 0) H5Tclose(base);
  }
  return result;
}

/* Values of an attribute or dataset: read from the source, put right, written to the target. */
static int fix_all(hid_t from, hid_t to, int is_attribute) {
  hid_t type = is_attribute ? H5Aget_type(from) : H5Dget_type(from);
  if (type < 0) return -1;
  if (H5Tdetect_class(type, H5T_REFERENCE) <= 0) {
    H5Tclose(type);
    return 0;
  }
  hid_t space = is_attribute ? H5Aget_space(from) : H5Dget_space(from);
  hssize_t count = H5Sget_simple_extent_npoints(space);
  size_t size = H5Tget_size(type);
  int good = count >= 0 && size > 0 && (uint64_t)count <= 0x7fffffff / size;
  uint8_t *values = good && count ? calloc((size_t)count, size) : NULL;
  if (values) {
    good = (is_attribute ? H5Aread(from, type, values)
                         : H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values)) >= 0;
    for (hssize_t i = 0; good && i < count; i++) good = fix_value(type, values + (size_t)i * size, 0) == 0;
    good = good && (is_attribute ? H5Awrite(to, type, values)
                                 : H5Dwrite(to, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values)) >= 0;
    H5Treclaim(type, space, H5P_DEFAULT, values);
  } else if (count) {
    good = 0;
  }
  free(values);
  H5Sclose(space);
  H5Tclose(type);
  return good ? 0 : -1;
}

static herr_t fix_attribute(hid_t object, const char *name, const H5A_info_t *info, void *to) {
  (void)info;
  hid_t from = H5Aopen(object, name, H5P_DEFAULT), copy = H5Aopen(*(hid_t *)to, name, H5P_DEFAULT);
  int result = from < 0 || copy < 0 ? -1 : fix_all(from, copy, 1);
  if (from >= 0) H5Aclose(from);
  if (copy >= 0) H5Aclose(copy);
  return result;
}

static int has_data(hid_t dataset) {
  hid_t dcpl = H5Dget_create_plist(dataset);
  int elsewhere = dcpl < 0 || H5Pget_layout(dcpl) == H5D_VIRTUAL || H5Pget_external_count(dcpl) > 0;
  if (dcpl >= 0) H5Pclose(dcpl);
  return !elsewhere && H5Dget_storage_size(dataset) > 0;
}

int EXPORT(h5w_references)(int from, int to) {
  size_t size;
  const double *map = h5w_map(&size);
  start();
  source_file = from;
  target_file = to;
  for (size_t i = 0; i < size; i++) {
    hid_t object = open_at(from, map[2 * i]), copy = open_at(to, map[2 * i + 1]);
    int good = object >= 0 && copy >= 0 && H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, fix_attribute, &copy) >= 0;
    if (good && H5Iget_type(object) == H5I_DATASET && has_data(object)) good = fix_all(object, copy, 0) == 0;
    int failed = good ? 0 : h5c_fail("a reference cannot be put right");
    if (object >= 0) H5Oclose(object);
    if (copy >= 0) H5Oclose(copy);
    if (failed) return failed;
  }
  return 0;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

void *EXPORT(h5w_alloc)(uint32_t size) { return malloc(size ? size : 1); }
void EXPORT(h5w_free)(void *p) { free(p); }
const void *EXPORT(h5w_result)(void) { return answer; }
uint32_t EXPORT(h5w_result_size)(void) { return (uint32_t)answer_size; }
const char *EXPORT(h5w_error)(void) { return h5c_problem; }
