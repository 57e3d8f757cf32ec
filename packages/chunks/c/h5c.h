/* Shared by the files of both modules: the file drivers (vfd.c, write_driver.c), the questions the host asks (h5c.c, write.c),
 * why they failed (report.c), and the answers that need libhdf5's private headers (inside.c). */
#ifndef H5C_SHIM_H
#define H5C_SHIM_H

#include "hdf5.h"

#include "H5FDdevelop.h"

/* The module's file driver. */
extern const H5FD_class_t h5c_driver;

/* Milliseconds since 1970, for what is written; 0: nobody has told. */
extern double h5c_time_of_day;

/* Bytes in the file that this module instance reads. */
extern double h5c_file_size;

/* The bytes of an open compact dataset as stored; NULL for another layout. They live as long as the dataset is open. */
const void *h5c_compact_bytes(hid_t dataset, size_t *size);

/* A copy of an open dataset's datatype with the sizes that lie in the file; the caller closes it. */
hid_t h5c_stored_type(hid_t dataset);

/* Why the last question failed; empty while it has not. */
extern char h5c_problem[1024];

/* Says why: what libhdf5 has to say, else `doing`, unless something is said already. Always -1. */
int h5c_fail(const char *doing);

/* libhdf5's own filter with this ID, or NULL. */
const H5Z_class2_t *h5c_builtin_filter(int id);

#endif
