/* cuda-driver.h: what cuda-driver.c knows of a kernel that was compiled for the host (cuda-kernels.c). */
#ifndef STANDIN_CUDA_DRIVER_H
#define STANDIN_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct standin_kernel {
  const char *name; /* NULL ends a table */
  size_t parameter; /* bytes of its one parameter */
  void (*run)(const void *parameter, uint32_t groups, uint32_t lanes, uint32_t seed);
  /* Calls `range` for all memory that the parameter names. */
  void (*ranges)(const void *parameter, void (*range)(const void *start, uint64_t size));
} standin_kernel;

#endif
