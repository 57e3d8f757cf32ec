/* h5z/gpu/lz4.h: one LZ4 block, decoded by the lanes of one group together. Included once for each kind of memory that it
 * is decoded to, with H5Z_LZ4_DECODE the function's name and H5Z_LZ4_MEMORY its address space:
 *
 *     int H5Z_LZ4_DECODE(H5Z_GLOBAL const uint8_t *in, uint32_t nin, H5Z_LZ4_MEMORY uint8_t *out, uint32_t size)
 *
 * 1 = the block is well formed and exactly `size` bytes long. Every lane reads the tokens, and they share the copying. It takes
 * and refuses the same blocks as LZ4_decompress_safe: the last five bytes are literals, and no match begins in the last
 * twelve. All lanes of the group call it; what the group wrote to `out` before is not looked at, and afterwards all lanes see
 * all bytes.
 *
 *     token  literals' length - 15, as bytes of 255 and a rest  literals  offset u16 le  match's length - 19, likewise
 */
#ifndef H5Z_GPU_LZ4_LENGTH
#define H5Z_GPU_LZ4_LENGTH
#include <h5z/gpu/lz4_rules.h>
#include <h5z/gpu/match.h>

/* Adds the bytes of a length to *length, from in[*at] on; 0 when they are not there or make it longer than `most`. */
H5Z_DEVICE int h5z_lz4_length(H5Z_GLOBAL const uint8_t *in, uint32_t nin, uint32_t *at, uint32_t *length, uint32_t most) {
  uint32_t byte;
  do {
    if (*at >= nin || *length > most) return 0;
    byte = in[(*at)++];
    *length += byte;
  } while (byte == 255);
  return 1;
}
#endif

H5Z_DEVICE int H5Z_LZ4_DECODE(H5Z_GLOBAL const uint8_t *in, uint32_t nin, H5Z_LZ4_MEMORY uint8_t *out, uint32_t size) {
  const uint32_t lane = h5z_lane(), lanes = h5z_lanes();
  uint32_t ip = 0, op = 0;
  h5z_sync();
  for (;;) {
    if (ip >= nin) return 0;
    const uint32_t token = in[ip++];
    uint32_t literals = token >> 4;
    if (literals == 15 && !h5z_lz4_length(in, nin, &ip, &literals, size)) return 0;
    if (literals > nin - ip || literals > size - op) return 0;
    for (uint32_t i = lane; i < literals; i += lanes) out[op + i] = in[ip + i];
    ip += literals, op += literals;
    if (size - op < H5Z_LZ4_NO_MATCH || nin - ip < H5Z_LZ4_NO_SEQUENCE) break;

    const uint32_t offset = in[ip] | (uint32_t)in[ip + 1] << 8;
    ip += 2;
    uint32_t match = (token & 15) + 4;
    if (match == 19 && !h5z_lz4_length(in, nin, &ip, &match, size)) return 0;
    if (offset == 0 || offset > op || match > size - op || size - op - match < H5Z_LZ4_LAST) return 0;
    h5z_sync();
    H5Z_GPU_COPY_MATCH(out, op, offset, match);
    op += match;
    h5z_sync();
  }
  h5z_sync();
  return ip == nin && op == size;
}
#undef H5Z_LZ4_DECODE
#undef H5Z_LZ4_MEMORY
