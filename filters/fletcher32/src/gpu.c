/* The fletcher32 filter on a GPU: data with their checksum, or without it and whether it was right. Layout and rules are filter.c's;
 * the dialect is h5z/gpu.h's.
 *
 * Of n words w[0] .. w[n - 1] of 16 bits, sum1 is w[0] + w[1] + ..., and sum2 is n * w[0] + (n - 1) * w[1] + ... + w[n - 1], both
 * modulo 65535: every lane adds its words with their weights, the parts' sums are put into the scratch, and the next
 * kernel adds those. What is a multiple of 65535 is kept as 65535, unless all words are 0.
 */
#include <h5z/gpu.h>

enum { CHECKSUM = 4, MODULUS = 65535 };

H5Z_DEVICE int32_t status_of(const h5z_gpu_part *p) {
  return p->size < CHECKSUM ? H5Z_E_CORRUPT : p->size - CHECKSUM > p->room ? H5Z_E_OUTPUT : 0;
}

/* A sum, smaller, with what tells 0 from a multiple of 65535. */
H5Z_DEVICE uint64_t reduced(uint64_t sum) { return sum == 0 ? 0 : (sum - 1) % MODULUS + 1; }

/* Copies the lane's words of `size` bytes, and leaves the part's sums in scratch. */
H5Z_DEVICE void copied(const h5z_gpu_batch *b, const h5z_gpu_part *p, uint64_t size, H5Z_LOCAL uint64_t *sums) {
  const uint64_t words = size / 2 + size % 2;
  uint64_t sum1 = 0, sum2 = 0;
  for (uint64_t i = p->lane; i < words; i += p->lanes) {
    const uint32_t high = p->in[2 * i], low = 2 * i + 1 < size ? p->in[2 * i + 1] : 0, word = high << 8 | low;
    p->out[2 * i] = (uint8_t)high;
    if (2 * i + 1 < size) p->out[2 * i + 1] = (uint8_t)low;
    sum1 += word;
    sum2 = reduced(sum2 + reduced((words - i) % MODULUS * word + (word > 0 ? MODULUS : 0)));
  }
  sums[2 * h5z_lane()] = reduced(sum1), sums[2 * h5z_lane() + 1] = sum2;
  h5z_sync();
  if (h5z_lane() != 0) return;
  for (uint32_t i = 1; i < h5z_lanes(); i++) sums[0] += sums[2 * i], sums[1] += sums[2 * i + 1];
  H5Z_GLOBAL uint64_t *mine = h5z_gpu_scratch(b, p) + 2 * p->part;
  mine[0] = reduced(sums[0]), mine[1] = reduced(sums[1]);
}

/* The checksum, of the parts' sums. */
H5Z_DEVICE uint32_t added(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  H5Z_GLOBAL const uint64_t *parts = h5z_gpu_scratch(b, p);
  uint64_t sum1 = 0, sum2 = 0;
  for (uint32_t i = 0; i < b->groups; i++) sum1 += parts[2 * i], sum2 += parts[2 * i + 1];
  return (uint32_t)(reduced(sum2) << 16 | reduced(sum1));
}

H5Z_KERNEL void h5z_fletcher32_decode_0(h5z_gpu_batch b) {
  H5Z_SHARED(uint64_t, sums, 2 * H5Z_GPU_LANES);
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = h5z_lanes() > H5Z_GPU_LANES ? H5Z_E_PARAM : status_of(&p);
  h5z_gpu_answer(&b, &p, status == 0 ? p.size - CHECKSUM : 0, status);
  if (status == 0) copied(&b, &p, p.size - CHECKSUM, sums);
}

H5Z_KERNEL void h5z_fletcher32_decode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  if (!h5z_gpu_next(&b, &p) || h5z_lanes() > H5Z_GPU_LANES || status_of(&p) != 0 || p.lane != 0) return;
  const uint32_t sum = added(&b, &p);
  H5Z_GLOBAL const uint8_t *at = p.in + p.size - CHECKSUM;
  const uint32_t stored = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  const uint32_t old = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff); /* HDF5 1.6.2 and before, little-endian */
  if (stored != sum && stored != old) h5z_gpu_fail(&b, &p, H5Z_E_CORRUPT);
}

H5Z_DEVICE int32_t status_for(const h5z_gpu_part *p) {
  return h5z_lanes() > H5Z_GPU_LANES ? H5Z_E_PARAM : p->room < CHECKSUM || p->size > p->room - CHECKSUM ? H5Z_E_OUTPUT : 0;
}

H5Z_KERNEL void h5z_fletcher32_encode_0(h5z_gpu_batch b) {
  H5Z_SHARED(uint64_t, sums, 2 * H5Z_GPU_LANES);
  h5z_gpu_part p;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = status_for(&p);
  h5z_gpu_answer(&b, &p, p.size + CHECKSUM, status);
  if (status == 0) copied(&b, &p, p.size, sums);
}

H5Z_KERNEL void h5z_fletcher32_encode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  if (!h5z_gpu_next(&b, &p) || status_for(&p) != 0 || p.lane != 0) return;
  const uint32_t sum = added(&b, &p);
  for (uint32_t i = 0; i < CHECKSUM; i++) p.out[p.size + i] = (uint8_t)(sum >> 8 * i);
}
