/* The file driver of the module that writes: several files at once, each named by a number that the host gave it, read,
 * written, cut and grown through four imported functions. */
#include "driver.h"

#define HOST(name) __attribute__((import_module("h5z"), import_name(#name))) extern

/* Copies `size` bytes at `offset` of file `file` to `to`; 0, or anything else when the host could not. */
HOST(h5z_file_read) int32_t h5z_file_read(int32_t file, double offset, uint32_t size, void *to);
/* Writes them, past the end of the file too; 0 or a failure. */
HOST(h5z_file_write) int32_t h5z_file_write(int32_t file, double offset, uint32_t size, const void *from);
/* Makes the file `size` bytes long; new bytes are zero. */
HOST(h5z_file_truncate) int32_t h5z_file_truncate(int32_t file, double size);
/* Bytes in the file; negative when there is no such file. */
HOST(h5z_file_size) double h5z_file_size(int32_t file);

static int32_t host_fetch(const host_file *file, double offset, uint32_t size, void *to) {
  return h5z_file_read(file->number, offset, size, to);
}

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

static herr_t host_query(const H5FD_t *file, unsigned long *flags) {
  (void)file;
  if (flags)
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
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

const H5FD_class_t h5c_driver = {
    HOST_DRIVER, .truncate = host_truncate, .lock = host_lock, .unlock = host_unlock};
