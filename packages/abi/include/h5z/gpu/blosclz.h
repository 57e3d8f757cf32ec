/* h5z/gpu/blosclz.h: one stream of BloscLZ, decoded by the lanes of one group together. The format is drawn in
 * packages/abi/lib/blosc/blosclz.c, and what that takes and refuses this does. */
#ifndef H5Z_GPU_BLOSCLZ_H
#define H5Z_GPU_BLOSCLZ_H

#include <h5z/gpu.h>
#include <h5z/gpu/match.h>

/* 1 = the stream is well formed and exactly `size` bytes long. Every lane reads the instructions, and they share the copying. All
 * lanes of the group call it; afterwards all of them see all bytes. */
H5Z_DEVICE int h5z_blosclz_decode(H5Z_GLOBAL const uint8_t *in, uint32_t nin, H5Z_GLOBAL uint8_t *out, uint32_t size) {
  enum { FAR = 8192, FARTHEST = 31u << 8 };
  const uint32_t lane = h5z_lane(), lanes = h5z_lanes();
  uint32_t ip = 0, op = 0;
  h5z_sync();
  while (ip < nin) {
    const uint32_t control = ip == 0 ? in[ip] & 31u : in[ip];
    ip++;
    if (control < 32) {
      const uint32_t n = control + 1;
      if (n > nin - ip || n > size - op) return 0;
      for (uint32_t i = lane; i < n; i += lanes) out[op + i] = in[ip + i];
      ip += n, op += n;
      continue;
    }
    uint32_t length = (control >> 5) + 2, distance = (control & 31) << 8, code = 255;
    if (control >> 5 == 7) {
      while (code == 255) {
        if (ip >= nin || length > size) return 0;
        code = in[ip++];
        length += code;
      }
    }
    if (ip >= nin) return 0;
    code = in[ip++];
    if (code == 255 && distance == FARTHEST) {
      if (nin - ip < 2) return 0;
      distance = ((uint32_t)in[ip] << 8 | in[ip + 1]) + FAR;
      ip += 2;
    } else {
      distance += code + 1;
    }
    if (distance > op || length > size - op) return 0;
    h5z_sync();
    H5Z_GPU_COPY_MATCH(out, op, distance, length);
    op += length;
    h5z_sync();
  }
  h5z_sync();
  return nin > 0 && op == size;
}

#endif
