/* Shared by the files of the module that writes: write.c (what the host may do) and rewrite.c (libhdf5's insides). */
#ifndef H5W_H
#define H5W_H

#include "h5c.h"

/* Where an open dataset's chunk index or contiguous data lie, or -1. */
double h5w_storage_of(hid_t dataset);

/* Copies all of a file into another, new one, the data of datasets whose storage is in `skip` left out, and makes the copy
 * of the root group its root group. 0 or -1. The target must be closed and opened again. */
int h5w_copy_all(hid_t source, hid_t target, const double *skip, uint32_t count);

/* Where the copy of the object at an address of the source lies, or -1; and all such pairs. */
double h5w_mapped(double from);
const double *h5w_map(size_t *size);

/* Gives an empty dataset the pipeline, layout and allocation time of another empty one. 0 or -1. */
int h5w_transplant(hid_t dataset, hid_t model);

/* When libhdf5 makes room for an open dataset's chunks (H5D_alloc_time_t). 0 or -1. */
int h5w_set_alloc_time(hid_t dataset, int time);

#endif
