/* The only file driver in the module: HDF5's default driver, with its reads answered by the host.
 *
 * HDF5 asks a virtual file driver for "size bytes at addr"; ours passes the question to the imported function
 * h5z_read, so that Node answers from a file descriptor, a browser from bytes in memory, and no file system is
 * involved. drivers.c puts it in the place of the default driver.
 *
 * One module instance reads one file: its size is set by h5c_open before HDF5 opens it.
 */
#include "H5FDmodule.h"

#include "H5private.h"

#include "H5Eprivate.h"
#include "H5FDpkg.h"
#include "H5Fprivate.h"
#include "H5Iprivate.h"
#include "H5VLprivate.h"

#include "H5FDsec2.h"

#include "h5c.h"

/* Copies `size` bytes at `offset` of the file to `to`; 0, or anything else when the host could not. */
__attribute__((import_module("h5z"), import_name("h5z_read"))) extern int32_t h5z_read(double offset, uint32_t size,
                                                                                         void *to);

double h5c_file_size = 0;

typedef struct {
  H5FD_t pub; /* must be first */
  haddr_t eoa;
} host_file;

/* Largest address whose double is exact: the host counts in doubles. */
#define MAX_ADDRESS ((haddr_t)1 << 53)

/* There is one file. libhdf5 opens others while it reads, by names that lie in the file (sources of virtual datasets):
 * they are not there. */
static int is_open = 0;

static H5FD_t *host_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
  (void)name, (void)fapl, (void)maxaddr;
  if (is_open || flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT)) return NULL;
  host_file *file = calloc(1, sizeof(host_file));
  is_open = file != NULL;
  return (H5FD_t *)file;
}

static herr_t host_close(H5FD_t *file) {
  is_open = 0;
  free(file);
  return SUCCEED;
}

static int host_compare(const H5FD_t *a, const H5FD_t *b) {
  return a < b ? -1 : a > b;
}

static herr_t host_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  if (flags) *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
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
  (void)file, (void)type;
  return (haddr_t)h5c_file_size;
}

/* HDF5's rule for every driver: bytes past the end of the file read as zero. */
static herr_t host_read(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, void *to) {
  (void)file, (void)type, (void)dxpl;
  haddr_t end = (haddr_t)h5c_file_size;
  if (address > MAX_ADDRESS) return FAIL;
  size_t inside = address >= end ? 0 : (end - address < size ? (size_t)(end - address) : size);
  if (inside && h5z_read((double)address, (uint32_t)inside, to) != 0) return FAIL;
  memset((uint8_t *)to + inside, 0, size - inside);
  return SUCCEED;
}

static herr_t host_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, const void *from) {
  (void)file, (void)type, (void)dxpl, (void)address, (void)size, (void)from;
  return FAIL;
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
                                        .fl_map = H5FD_FLMAP_DICHOTOMY};
