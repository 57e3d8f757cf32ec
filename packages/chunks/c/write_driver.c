/* The file driver of the module that writes: several files at once, each named by a number that the host gave it, read,
 * written, cut and grown through four imported functions. */
#include "H5FDmodule.h"

#include "H5private.h"

#include "H5Eprivate.h"
#include "H5FDpkg.h"
#include "H5Fprivate.h"

#include "H5FDsec2.h"

#include "h5c.h"

#define HOST(name) __attribute__((import_module("h5z"), import_name(#name))) extern

/* Copies `size` bytes at `offset` of file `file` to `to`; 0, or anything else when the host could not. */
HOST(h5z_file_read) int32_t h5z_file_read(int32_t file, double offset, uint32_t size, void *to);
/* Writes them, past the end of the file too; 0 or a failure. */
HOST(h5z_file_write) int32_t h5z_file_write(int32_t file, double offset, uint32_t size, const void *from);
/* Makes the file `size` bytes long; new bytes are zero. */
HOST(h5z_file_truncate) int32_t h5z_file_truncate(int32_t file, double size);
/* Bytes in the file; negative when there is no such file. */
HOST(h5z_file_size) double h5z_file_size(int32_t file);

typedef struct {
  H5FD_t pub; /* must be first */
  int32_t number;
  haddr_t eoa, eof;
} host_file;

/* Largest address whose double is exact: the host counts in doubles. */
#define MAX_ADDRESS ((haddr_t)1 << 53)

static H5FD_t *host_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
  (void)fapl, (void)maxaddr;
  int32_t number = (int32_t)strtol(name, NULL, 10);
  double size = h5z_file_size(number);
  if (size < 0) return NULL;
  if ((flags & H5F_ACC_TRUNC) && size > 0) {
    if (h5z_file_truncate(number, 0) != 0) return NULL;
    size = 0;
  }
  host_file *file = calloc(1, sizeof *file);
  if (!file) return NULL;
  file->number = number;
  file->eof = (haddr_t)size;
  return (H5FD_t *)file;
}

static herr_t host_close(H5FD_t *file) {
  free(file);
  return SUCCEED;
}

static int host_compare(const H5FD_t *a, const H5FD_t *b) {
  return ((const host_file *)a)->number - ((const host_file *)b)->number;
}

static herr_t host_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  if (flags)
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return SUCCEED;
}

static haddr_t host_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const host_file *)file)->eoa;
}

static herr_t host_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((host_file *)file)->eoa = address;
  return SUCCEED;
}

static haddr_t host_get_eof(const H5FD_t *file, H5FD_mem_t type) {
  (void)type;
  return ((const host_file *)file)->eof;
}

/* HDF5's rule for every driver: bytes past the end of the file read as zero. */
static herr_t host_read(H5FD_t *of, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, void *to) {
  const host_file *file = (const host_file *)of;
  (void)type, (void)dxpl;
  if (address > MAX_ADDRESS) return FAIL;
  size_t inside =
      address >= file->eof ? 0 : (file->eof - address < size ? (size_t)(file->eof - address) : size);
  if (inside && h5z_file_read(file->number, (double)address, (uint32_t)inside, to) != 0) return FAIL;
  memset((uint8_t *)to + inside, 0, size - inside);
  return SUCCEED;
}

static herr_t host_write(H5FD_t *to, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, const void *from) {
  host_file *file = (host_file *)to;
  (void)type, (void)dxpl;
  if (address > MAX_ADDRESS - size) return FAIL;
  if (h5z_file_write(file->number, (double)address, (uint32_t)size, from) != 0) return FAIL;
  if (address + size > file->eof) file->eof = address + size;
  return SUCCEED;
}

static herr_t host_truncate(H5FD_t *of, hid_t dxpl, hbool_t closing) {
  host_file *file = (host_file *)of;
  (void)dxpl, (void)closing;
  if (file->eoa == file->eof) return SUCCEED;
  if (h5z_file_truncate(file->number, (double)file->eoa) != 0) return FAIL;
  file->eof = file->eoa;
  return SUCCEED;
}

/* There are no locks here, but a driver that has them makes libhdf5 heed and set the superblock's mark of an open file. */
static herr_t host_lock(H5FD_t *file, hbool_t exclusive) {
  (void)file, (void)exclusive;
  return SUCCEED;
}

static herr_t host_unlock(H5FD_t *file) {
  (void)file;
  return SUCCEED;
}

const H5FD_class_t h5c_driver = {.version = H5FD_CLASS_VERSION,
                                 .value = H5FD_SEC2_VALUE,
                                 .name = "host",
                                 .maxaddr = MAX_ADDRESS,
                                 .fc_degree = H5F_CLOSE_WEAK,
                                 .open = host_open,
                                 .close = host_close,
                                 .cmp = host_compare,
                                 .query = host_query,
                                 .get_eoa = host_get_eoa,
                                 .set_eoa = host_set_eoa,
                                 .get_eof = host_get_eof,
                                 .read = host_read,
                                 .write = host_write,
                                 .truncate = host_truncate,
                                 .lock = host_lock,
                                 .unlock = host_unlock,
                                 .fl_map = H5FD_FLMAP_DICHOTOMY};
