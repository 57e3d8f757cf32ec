/* The drivers that libhdf5 finds in a module of ours: h5c_driver (vfd.c, or write_driver.c in the module that writes) in
 * the place of the one called "sec2" (POSIX files), which is HDF5's default. The other built-in drivers are left out of
 * the build, and the stubs below let the library start without them.
 */
#include "H5FDmodule.h"

#include "H5private.h"

#include "H5Eprivate.h"
#include "H5FDpkg.h"
#include "H5Fprivate.h"
#include "H5Iprivate.h"
#include "H5VLprivate.h"

#include "H5FDcore.h"
#include "H5FDfamily.h"
#include "H5FDlog.h"
#include "H5FDmulti.h"
#include "H5FDonion.h"
#include "H5FDsec2.h"
#include "H5FDsplitter.h"
#include "H5FDstdio.h"

#include "h5c.h"

hid_t H5FD_SEC2_id_g = H5I_INVALID_HID;

herr_t H5FD__sec2_register(void) {
  if (H5I_VFL != H5I_get_type(H5FD_SEC2_id_g)) H5FD_SEC2_id_g = H5FD_register(&h5c_driver, sizeof h5c_driver, false);
  return H5FD_SEC2_id_g < 0 ? FAIL : SUCCEED;
}

herr_t H5FD__sec2_unregister(void) {
  H5FD_SEC2_id_g = H5I_INVALID_HID;
  return SUCCEED;
}

/* A driver that is not in the build: nothing to register, no ID. */
#define ABSENT(lower, UPPER)                                 \
  hid_t H5FD_##UPPER##_id_g = H5I_INVALID_HID;               \
  herr_t H5FD__##lower##_register(void) { return SUCCEED; }  \
  herr_t H5FD__##lower##_unregister(void) { return SUCCEED; }
ABSENT(core, CORE)
ABSENT(family, FAMILY)
ABSENT(log, LOG)
ABSENT(multi, MULTI)
ABSENT(onion, ONION)
ABSENT(splitter, SPLITTER)
ABSENT(stdio, STDIO)

/* Called when a property list or a superblock names such a driver: refuse. */
herr_t H5Pset_fapl_family(hid_t fapl, hsize_t size, hid_t member) {
  (void)fapl, (void)size, (void)member;
  return FAIL;
}
herr_t H5Pset_fapl_multi(hid_t fapl, const H5FD_mem_t *map, const hid_t *fapls, const char *const *names,
                         const haddr_t *addresses, hbool_t relax) {
  (void)fapl, (void)map, (void)fapls, (void)names, (void)addresses, (void)relax;
  return FAIL;
}

/* The sample connector that passes calls through is not in the build either. */
H5VL_connector_t *H5VL_PASSTHRU_conn_g = NULL;
herr_t H5VL__passthru_register(void) { return SUCCEED; }
herr_t H5VL__passthru_unregister(void) { return SUCCEED; }
