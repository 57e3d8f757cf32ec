/* Three things of libhdf5 that its public functions do not give out as they lie: the bytes of a compact dataset
 * (H5Dread would convert references and variable-length data), the datatype as stored (H5Dget_type's variable-length
 * parts have the size they would have in memory), and the built-in filters as plain functions. */
#define H5D_FRIEND
#define H5Z_FRIEND

#include "H5private.h"

#include "H5Dpkg.h"
#include "H5Iprivate.h"
#include "H5Tprivate.h"
#include "H5VLprivate.h"
#include "H5Zpkg.h"

#include "h5c.h"

const void *h5c_compact_bytes(hid_t dataset, size_t *size) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  if (!d || d->shared->layout.type != H5D_COMPACT) return NULL;
  *size = d->shared->layout.storage.u.compact.size;
  return d->shared->layout.storage.u.compact.buf;
}

hid_t h5c_stored_type(hid_t dataset) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  H5T_t *type = d ? H5T_copy(d->shared->type, H5T_COPY_ALL) : NULL;
  if (!type) return H5I_INVALID_HID;
  hid_t id = H5I_register(H5I_DATATYPE, type, true);
  if (id < 0) H5T_close(type);
  return id;
}

const H5Z_class2_t *h5c_builtin_filter(int id) {
  switch (id) {
    case H5Z_FILTER_DEFLATE: return H5Z_DEFLATE;
    case H5Z_FILTER_SHUFFLE: return H5Z_SHUFFLE;
    case H5Z_FILTER_FLETCHER32: return H5Z_FLETCHER32;
    case H5Z_FILTER_NBIT: return H5Z_NBIT;
    case H5Z_FILTER_SCALEOFFSET: return H5Z_SCALEOFFSET;
    default: return NULL;
  }
}
