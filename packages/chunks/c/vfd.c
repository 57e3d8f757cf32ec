/* The only file driver in the module: HDF5's default driver, with its reads answered by the host.
 *
 * HDF5 asks a virtual file driver for "size bytes at addr"; ours passes the question to the imported function
 * h5z_read, so that Node answers from a file descriptor, a browser from bytes in memory, and no file system is
 * involved. drivers.c puts it in the place of the default driver.
 *
 * One module instance reads one file: its size is set by h5c_open before HDF5 opens it.
 */
#include "driver.h"

/* Copies `size` bytes at `offset` of the file to `to`; 0, or anything else when the host could not. */
__attribute__((import_module("h5z"), import_name("h5z_read"))) extern int32_t h5z_read(double offset, uint32_t size,
                                                                                         void *to);

double h5c_file_size = 0;

static int32_t host_fetch(const host_file *file, double offset, uint32_t size, void *to) {
  (void)file;
  return h5z_read(offset, size, to);
}

/* There is one file. libhdf5 opens others while it reads, by names that lie in the file (sources of virtual datasets):
 * they are not there. */
static int is_open = 0;

static H5FD_t *host_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
  (void)name, (void)fapl, (void)maxaddr;
  if (is_open || flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT)) return NULL;
  host_file *file = calloc(1, sizeof *file);
  if (!file) return NULL;
  file->eof = (haddr_t)h5c_file_size;
  is_open = 1;
  return (H5FD_t *)file;
}

static herr_t host_close(H5FD_t *file) {
  is_open = 0;
  free(file);
  return SUCCEED;
}

static herr_t host_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  if (flags) *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
  return SUCCEED;
}

static herr_t host_write(H5FD_t *file, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t size, const void *from) {
  (void)file, (void)type, (void)dxpl, (void)address, (void)size, (void)from;
  return FAIL;
}

const H5FD_class_t h5c_driver = {HOST_DRIVER};
