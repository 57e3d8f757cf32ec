/* The Blosc filter on a GPU: decoding of chunks with LZ4 or BloscLZ inside. Layout and rules are filter.c's; the dialect is h5z/gpu.h's,
 * and what is done to a chunk stands in h5z/gpu/blosc.h. */
#include <h5z/gpu/blosc.h>

enum { FORMAT = 2 };

H5Z_DEVICE int32_t chunk_of(const h5z_gpu_batch *b, const h5z_gpu_part *p, h5z_gpu_blosc *chunk) {
  const int32_t status = h5z_gpu_blosc_open(p->in, p->size, FORMAT, chunk);
  return status != 0 ? status : h5z_gpu_blosc_room(b, p, chunk);
}

H5Z_KERNEL void h5z_blosc_decode_0(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blosc chunk;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = chunk_of(&b, &p, &chunk);
  h5z_gpu_answer(&b, &p, status == 0 ? chunk.size : 0, status);
}

H5Z_KERNEL void h5z_blosc_decode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  h5z_gpu_blosc chunk;
  if (h5z_gpu_next(&b, &p) && chunk_of(&b, &p, &chunk) == 0) h5z_gpu_blosc_decode(&b, &p, &chunk);
}
