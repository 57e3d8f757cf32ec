/* The shuffle filter on a GPU: both directions, each one pass over memory. Layout and rules are filter.c's; the dialect is
 * h5z/gpu.h's.
 *
 * The lanes of a chunk's parts take four neighbouring elements at a time, so that neighbouring lanes read neighbouring
 * words of each row (decode) and write them (encode). What is left over at the end is copied byte by byte.
 */
#include <h5z/gpu.h>

enum { TOGETHER = 4 };

/* Byte k of element e is at e * elem + k in elements, and at k * n + e in rows. */
H5Z_DEVICE void transpose(const h5z_gpu_batch *b, int to_rows) {
  h5z_gpu_part p;
  if (!h5z_gpu_begin(b, &p)) return;
  const uint32_t elem = b->ncd == 1 ? b->cd[0] : 0;
  const int32_t status = elem == 0 ? H5Z_E_PARAM : p.size > p.room ? H5Z_E_OUTPUT : 0;
  h5z_gpu_answer(b, &p, p.size, status);
  if (status != 0) return;

  const uint64_t n = elem == 1 ? 0 : p.size / elem;
  for (uint64_t e = p.lane * TOGETHER; e < n; e += p.lanes * TOGETHER) {
    const uint32_t some = n - e < TOGETHER ? (uint32_t)(n - e) : TOGETHER;
    for (uint32_t k = 0; k < elem; k++)
      for (uint32_t i = 0; i < some; i++) {
        const uint64_t element = (e + i) * elem + k, row = k * n + e + i;
        if (to_rows) p.out[row] = p.in[element];
        else p.out[element] = p.in[row];
      }
  }
  for (uint64_t i = n * elem + p.lane; i < p.size; i += p.lanes) p.out[i] = p.in[i];
}

H5Z_KERNEL void h5z_shuffle_decode(h5z_gpu_batch b) { transpose(&b, 0); }
H5Z_KERNEL void h5z_shuffle_encode(h5z_gpu_batch b) { transpose(&b, 1); }
