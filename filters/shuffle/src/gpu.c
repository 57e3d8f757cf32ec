/* The shuffle filter on a GPU: both directions, each one pass over memory. Layout and rules are filter.c's; the dialect is
 * h5z/gpu.h's.
 *
 * A launch has as many groups for each chunk as the host likes, all with the same number of lanes:
 *
 *     group   | chunk 0: 0 1 .. g-1 | chunk 1: g .. 2g-1 | ...            g = groups_per_chunk
 *
 * The lanes of a chunk's groups take four neighbouring elements at a time, so that neighbouring lanes read neighbouring
 * words of each row (decode) and write them (encode). What is left over at the end is copied byte by byte.
 */
#include <h5z/gpu.h>

enum { TOGETHER = 4 };

/* The chunk's first error, or 0. Every lane finds the same, and one of them writes it down. */
H5Z_DEVICE int32_t chunk_status(H5Z_GLOBAL const h5z_gpu_chunk *chunk, uint64_t nsrc, uint64_t ndst, uint32_t elem) {
  if (elem == 0) return H5Z_E_PARAM;
  if (!h5z_gpu_within(chunk->src, chunk->src_size, nsrc) || !h5z_gpu_within(chunk->dst, chunk->dst_size, ndst))
    return H5Z_E_PARAM;
  return chunk->src_size > chunk->dst_size ? H5Z_E_OUTPUT : 0;
}

/* Byte k of element e is at e * elem + k in elements, and at k * n + e in rows. */
H5Z_DEVICE void transpose(H5Z_GLOBAL const uint8_t *src, uint64_t nsrc, H5Z_GLOBAL uint8_t *dst, uint64_t ndst,
                          H5Z_GLOBAL const h5z_gpu_chunk *chunks, uint32_t nchunks, uint32_t groups_per_chunk,
                          uint32_t elem, H5Z_GLOBAL int32_t *status, int to_rows) {
  if (groups_per_chunk == 0) return;
  const uint32_t which = h5z_group() / groups_per_chunk;
  if (which >= nchunks) return;
  H5Z_GLOBAL const h5z_gpu_chunk *chunk = chunks + which;
  const uint64_t lanes = (uint64_t)groups_per_chunk * h5z_lanes();
  const uint64_t lane = (uint64_t)(h5z_group() % groups_per_chunk) * h5z_lanes() + h5z_lane();
  const int32_t found = chunk_status(chunk, nsrc, ndst, elem);
  if (lane == 0) status[which] = found;
  if (found != 0) return;

  H5Z_GLOBAL const uint8_t *in = src + chunk->src;
  H5Z_GLOBAL uint8_t *out = dst + chunk->dst;
  const uint64_t size = chunk->src_size, n = chunk->skip || elem == 1 ? 0 : size / elem;
  for (uint64_t e = lane * TOGETHER; e < n; e += lanes * TOGETHER) {
    const uint32_t some = n - e < TOGETHER ? (uint32_t)(n - e) : TOGETHER;
    for (uint32_t k = 0; k < elem; k++)
      for (uint32_t i = 0; i < some; i++) {
        const uint64_t element = (e + i) * elem + k, row = k * n + e + i;
        if (to_rows) out[row] = in[element];
        else out[element] = in[row];
      }
  }
  for (uint64_t i = n * elem + lane; i < size; i += lanes) out[i] = in[i];
}

/* status[i] becomes 0 or one of h5z_error for chunk i; `nsrc` and `ndst` are the buffers' sizes, `elem` the stored cd_value. */
H5Z_KERNEL void h5z_shuffle_decode(H5Z_GLOBAL const uint8_t *src, uint64_t nsrc, H5Z_GLOBAL uint8_t *dst, uint64_t ndst,
                                   H5Z_GLOBAL const h5z_gpu_chunk *chunks, uint32_t nchunks, uint32_t groups_per_chunk,
                                   uint32_t elem, H5Z_GLOBAL int32_t *status) {
  transpose(src, nsrc, dst, ndst, chunks, nchunks, groups_per_chunk, elem, status, 0);
}

H5Z_KERNEL void h5z_shuffle_encode(H5Z_GLOBAL const uint8_t *src, uint64_t nsrc, H5Z_GLOBAL uint8_t *dst, uint64_t ndst,
                                   H5Z_GLOBAL const h5z_gpu_chunk *chunks, uint32_t nchunks, uint32_t groups_per_chunk,
                                   uint32_t elem, H5Z_GLOBAL int32_t *status) {
  transpose(src, nsrc, dst, ndst, chunks, nchunks, groups_per_chunk, elem, status, 1);
}
