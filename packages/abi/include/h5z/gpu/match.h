/* h5z/gpu/match.h: bytes that were decoded before, once more: what LZ4 and BloscLZ call a match. */
#ifndef H5Z_GPU_MATCH_H
#define H5Z_GPU_MATCH_H

#include <h5z/gpu.h>

/* `length` bytes to out[at] from `distance` before it, by all lanes of a group. A match may reach into itself: its bytes repeat every
 * `distance`, and those before it are all there. A macro, since `out` may be in any memory. */
#define H5Z_GPU_COPY_MATCH(out, at, distance, length)                        \
  do {                                                                       \
    uint32_t from_ = h5z_lane() % (distance);                                \
    const uint32_t step_ = h5z_lanes() % (distance);                         \
    for (uint32_t i_ = h5z_lane(); i_ < (length); i_ += h5z_lanes()) {       \
      (out)[(at) + i_] = (out)[(at) - (distance) + from_];                   \
      from_ += step_;                                                        \
      if (from_ >= (distance)) from_ -= (distance);                          \
    }                                                                        \
  } while (0)

#endif
