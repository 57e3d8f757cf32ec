/* What the two file drivers have in common: vfd.c reads one file, write_driver.c reads and writes several. Each says how bytes
 * come (host_fetch) and adds what is its own to HOST_DRIVER. */
#ifndef H5C_DRIVER_H
#define H5C_DRIVER_H

#include "H5FDmodule.h"

#include "H5private.h"

#include "H5Eprivate.h"
#include "H5FDpkg.h"
#include "H5Fprivate.h"

#include "H5FDsec2.h"

#include "h5c.h"

/* Largest address whose double is exact: the host counts in doubles. */
#define MAX_ADDRESS ((haddr_t)1 << 53)

typedef struct {
  H5FD_t pub; /* must be first */
  int32_t number;
  haddr_t eoa, eof;
} host_file;

/* Copies `size` bytes at `offset` of the file to `to`, all of them in it; 0, or anything else when the host could not. */
static int32_t host_fetch(const host_file *file, double offset, uint32_t size, void *to);

static int host_compare(const H5FD_t *a, const H5FD_t *b) {
  return ((const host_file *)a)->number - ((const host_file *)b)->number;
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
  const haddr_t left = address >= file->eof ? 0 : file->eof - address;
  const size_t inside = left < size ? (size_t)left : size;
  if (inside && host_fetch(file, (double)address, (uint32_t)inside, to) != 0) return FAIL;
  memset((uint8_t *)to + inside, 0, size - inside);
  return SUCCEED;
}

#define HOST_DRIVER                                                                                                      \
  .version = H5FD_CLASS_VERSION, .value = H5FD_SEC2_VALUE, .name = "host", .maxaddr = MAX_ADDRESS,                       \
  .fc_degree = H5F_CLOSE_WEAK, .open = host_open, .close = host_close, .cmp = host_compare, .query = host_query,         \
  .get_eoa = host_get_eoa, .set_eoa = host_set_eoa, .get_eof = host_get_eof, .read = host_read, .write = host_write,     \
  .fl_map = H5FD_FLMAP_DICHOTOMY

#endif
