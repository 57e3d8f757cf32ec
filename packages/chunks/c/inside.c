/* Two things of libhdf5 that its public functions do not give out as they lie: the bytes of a compact dataset
 * (H5Dread would convert references and variable-length data), and the built-in filters as plain functions. */
#define H5D_FRIEND
#define H5Z_FRIEND

#include "H5private.h"

#include "H5Dpkg.h"
#include "H5Iprivate.h"
#include "H5VLprivate.h"
#include "H5Zpkg.h"

#include "h5c.h"

const void *h5c_compact_bytes(hid_t dataset, size_t *size) {
  H5D_t *d = (H5D_t *)H5VL_object_verify(dataset, H5I_DATASET);
  if (!d || d->shared->layout.type != H5D_COMPACT) return NULL;
  *size = d->shared->layout.storage.u.compact.size;
  return d->shared->layout.storage.u.compact.buf;
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
