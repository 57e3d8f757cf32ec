/* h5z/gpu/lz4_encode.h: one LZ4 block, encoded by the lanes of one group together. Included once for each kind of memory that the
 * bytes lie in, with H5Z_LZ4_ENCODE the function's name and H5Z_LZ4_MEMORY their address space:
 *
 *     uint32_t H5Z_LZ4_ENCODE(H5Z_LZ4_MEMORY const uint8_t *in, uint32_t size, H5Z_GLOBAL uint8_t *out, uint32_t room,
 *                             H5Z_LOCAL h5z_lz4_search *s)
 *
 * Bytes written, 0 = they would be more than `room`; at most H5Z_GPU_LZ4_MOST bytes in. All lanes of the group call it and get
 * the same; `in` may be written again afterwards, and `*s` is the function's meanwhile.
 *
 * Every lane looks up the four bytes at its own place of a window as wide as the group; the first one that finds them
 * earlier has the next match, whose length the lanes find together. A table holds the last place of every hash, of which two
 * lanes may write the same entry at once: which one stays is the GPU's choice, so that the bytes may differ from one GPU to
 * another. What they decode to does not: no entry is believed before the bytes were compared.
 */
#ifndef H5Z_GPU_LZ4_SEARCH
#define H5Z_GPU_LZ4_SEARCH
#include <h5z/gpu/blocks.h>
#include <h5z/gpu/lz4_rules.h>

#ifndef H5Z_LZ4_TABLE_BITS
#  define H5Z_LZ4_TABLE_BITS 11 /* of shared memory 4 KiB and a bit; 12 where a kernel has room for them */
#endif
enum { H5Z_LZ4_LEAST = 4, H5Z_LZ4_STEP = 8, H5Z_LZ4_REACH = 65535 };

typedef struct h5z_lz4_search {
  uint16_t place[1 << H5Z_LZ4_TABLE_BITS];   /* the lowest bits of where a hash was last                    */
  uint16_t back[H5Z_GPU_LANES];              /* how far before a lane's place the same four bytes are        */
  uint64_t found[H5Z_GPU_LANES / 8];         /* a byte for each lane: 0 = nothing                            */
} h5z_lz4_search;

/* The first lane that found something; as many as there are lanes if none did. */
H5Z_DEVICE uint32_t h5z_lz4_first(H5Z_LOCAL const h5z_lz4_search *s, uint32_t lanes) {
  for (uint32_t i = 0; i * 8 < lanes; i++)
    if (s->found[i] != 0) return i * 8 + (uint32_t)__builtin_ctzll(s->found[i]) / 8;
  return lanes;
}

/* Bytes that follow a token for a length of which the token holds up to 14. */
H5Z_DEVICE uint32_t h5z_lz4_more(uint32_t length) { return length < 15 ? 0 : (length - 15) / 255 + 1; }

H5Z_OUTLINE void h5z_lz4_put_length(H5Z_GLOBAL uint8_t *out, uint32_t length) {
  const uint32_t more = h5z_lz4_more(length);
  for (uint32_t i = h5z_lane(); i < more; i += h5z_lanes()) out[i] = i + 1 < more ? 255 : (uint8_t)((length - 15) % 255);
}

/* LZ4_compressBound */
H5Z_DEVICE uint64_t h5z_lz4_bound(uint64_t size) { return size + size / 255 + 16; }
#endif

#define H5Z_LZ4_FOUR(at) \
  (in[at] | (uint32_t)in[(at) + 1] << 8 | (uint32_t)in[(at) + 2] << 16 | (uint32_t)in[(at) + 3] << 24)
#define H5Z_LZ4_HASH(four) ((four)*2654435761u >> (32 - H5Z_LZ4_TABLE_BITS))

H5Z_DEVICE uint32_t H5Z_LZ4_ENCODE(H5Z_LZ4_MEMORY const uint8_t *in, uint32_t size, H5Z_GLOBAL uint8_t *out, uint32_t room,
                                   H5Z_LOCAL h5z_lz4_search *s) {
  const uint32_t lane = h5z_lane(), lanes = h5z_lanes();
  H5Z_LOCAL uint8_t *const found = (H5Z_LOCAL uint8_t *)s->found;
  uint32_t ip = 0, anchor = 0, op = 0;
  for (uint32_t i = lane; i < 1u << H5Z_LZ4_TABLE_BITS; i += lanes) s->place[i] = 0;
  for (uint32_t i = lane; i < H5Z_GPU_LANES / 8; i += lanes) s->found[i] = 0;
  h5z_sync();
  while (size > H5Z_LZ4_NO_MATCH && ip <= size - H5Z_LZ4_NO_MATCH) {
    const uint32_t at = ip + lane;
    const int here = at >= ip && at <= size - H5Z_LZ4_NO_MATCH;
    uint32_t hash = 0, back = 0;
    if (here) {
      const uint32_t four = H5Z_LZ4_FOUR(at);
      hash = H5Z_LZ4_HASH(four);
      back = (at - s->place[hash]) & H5Z_LZ4_REACH;
      if (back > at || (back != 0 && H5Z_LZ4_FOUR(at - back) != four)) back = 0;
    }
    found[lane] = back != 0, s->back[lane] = (uint16_t)back;
    h5z_sync();
    const uint32_t first = h5z_lz4_first(s, lanes);
    const uint32_t distance = first < lanes ? s->back[first] : 0;
    if (here && lane <= first) s->place[hash] = (uint16_t)at;
    h5z_sync();
    if (first == lanes) {
      ip += lanes;
      continue;
    }

    uint32_t start = ip + first, match = H5Z_LZ4_LEAST;
    for (;;) {
      uint32_t same = 0;
      const uint32_t from = start + match + lane * H5Z_LZ4_STEP;
      while (same < H5Z_LZ4_STEP && from + same < size - H5Z_LZ4_LAST && in[from + same] == in[from + same - distance]) same++;
      found[lane] = same < H5Z_LZ4_STEP ? (uint8_t)(same + 1) : 0;
      h5z_sync();
      const uint32_t end = h5z_lz4_first(s, lanes);
      const uint32_t rest = end < lanes ? found[end] - 1u : 0;
      h5z_sync();
      match += end * H5Z_LZ4_STEP + rest;
      if (end < lanes) break;
    }
    for (; start > anchor && start > distance && in[start - 1] == in[start - 1 - distance]; start--) match++;

    const uint32_t literals = start - anchor, code = match - H5Z_LZ4_LEAST;
    const uint64_t bytes = 3 + (uint64_t)literals + h5z_lz4_more(literals) + h5z_lz4_more(code);
    if (bytes > room - op) {
      h5z_sync();
      return 0;
    }
    H5Z_GLOBAL uint8_t *put = out + op;
    if (lane == 0) *put = (uint8_t)((literals < 15 ? literals : 15) << 4 | (code < 15 ? code : 15));
    put += 1;
    h5z_lz4_put_length(put, literals);
    put += h5z_lz4_more(literals);
    for (uint32_t i = lane; i < literals; i += lanes) put[i] = in[anchor + i];
    put += literals;
    if (lane == 0) put[0] = (uint8_t)distance, put[1] = (uint8_t)(distance >> 8);
    h5z_lz4_put_length(put + 2, code);
    op += (uint32_t)bytes;
    /* What comes next may be like the end of this one. */
    anchor = ip = start + match;
    if (lane < match - 1) s->place[H5Z_LZ4_HASH(H5Z_LZ4_FOUR(ip - 1 - lane))] = (uint16_t)(ip - 1 - lane);
    h5z_sync();
  }

  const uint32_t literals = size - anchor;
  const uint64_t bytes = 1 + (uint64_t)literals + h5z_lz4_more(literals);
  const int fits = bytes <= room - op;
  if (fits) {
    if (lane == 0) out[op] = (uint8_t)((literals < 15 ? literals : 15) << 4);
    h5z_lz4_put_length(out + op + 1, literals);
    for (uint32_t i = lane; i < literals; i += lanes) out[op + 1 + h5z_lz4_more(literals) + i] = in[anchor + i];
  }
  h5z_sync();
  return fits ? op + (uint32_t)bytes : 0;
}
#undef H5Z_LZ4_FOUR
#undef H5Z_LZ4_HASH
#undef H5Z_LZ4_ENCODE
#undef H5Z_LZ4_MEMORY
