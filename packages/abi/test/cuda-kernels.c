/* The kernels of one filter for cuda-driver.c: -DKERNELS is the path of its gpu.c in quotes, -DNAMES the kernels' names as
 * X(name) X(name) ..., -DTABLE the name of what cuda-driver.c finds them by. */
#include KERNELS

#include "cuda-driver.h"

typedef void (*kernel)(h5z_gpu_batch);

static void call(const void *which, const struct h5z_gpu_batch *batch) { (*(const kernel *)which)(*batch); }

#define X(name)                                                                                          \
  static void run_##name(const void *parameter, uint32_t groups, uint32_t lanes, uint32_t seed) {       \
    const kernel which = name;                                                                           \
    h5z_gpu_run_groups(call, &which, (const h5z_gpu_batch *)parameter, groups, lanes, seed);             \
  }
NAMES
#undef X

static void ranges(const void *parameter, void (*range)(const void *, uint64_t)) {
  const h5z_gpu_batch *b = parameter;
  range(b->src, b->nsrc), range(b->dst, b->ndst), range(b->scratch, b->nscratch);
  range(b->chunks, b->nchunks * sizeof *b->chunks), range(b->before, b->nchunks * sizeof *b->before);
  range(b->after, b->nchunks * sizeof *b->after), range(b->cd, b->ncd * sizeof *b->cd);
}

#define X(name) {#name, sizeof(h5z_gpu_batch), run_##name, ranges},
const standin_kernel TABLE[] = {NAMES{NULL, 0, NULL, NULL}};
