/* What runs kernels for gpu.c by h5z/gpu/host.h: -DKERNELS is the path of a filter's gpu.c in quotes, -DLAUNCHES the names of the kernels
 * of one direction with commas between. Memory that was left is AddressSanitizer's to watch. */
#include KERNELS

typedef void (*kernel)(h5z_gpu_batch);
static const kernel KERNELS_IN_ORDER[] = {LAUNCHES};

static void call(const void *which, const struct h5z_gpu_batch *batch) { (*(const kernel *)which)(*batch); }

static void start(int argc, char **argv) { (void)argc, (void)argv; }

static void *exactly(uint64_t n) {
  void *p = malloc(n ? n : 1);
  if (!p) abort();
  memset(p, 0xa5, n);
  return p;
}

static void leave(void *p) { free(p); }

static void launch(const h5z_gpu_batch *batch, uint32_t groups, uint32_t lanes, uint32_t seed) {
  for (size_t k = 0; k < sizeof KERNELS_IN_ORDER / sizeof *KERNELS_IN_ORDER; k++)
    h5z_gpu_run_groups(call, &KERNELS_IN_ORDER[k], batch, groups, lanes, seed);
}
