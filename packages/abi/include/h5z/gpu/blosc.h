/* h5z/gpu/blosc.h: the Blosc chunk on a GPU, for blosc (32001) and blosc2 (32026). Layout, rules and words are those of
 * packages/abi/lib/blosc/blosc.h and decode.c. Every block begins at an offset that the chunk names, so that each is decoded by a
 * group of its own, whatever became of the others: streams of LZ4 and BloscLZ, raw ones and runs of a byte, then byte shuffle or
 * bit shuffle. Blocks that are shuffled go through scratch beyond H5Z_GPU_SCRATCH's, laid out as dst is: where the caller gave
 * none, the chunk is H5Z_E_MEMORY. The other codecs, more than one filter, delta and dictionaries are H5Z_E_UNSUPPORTED.
 */
#ifndef H5Z_GPU_BLOSC_H
#define H5Z_GPU_BLOSC_H

#include <h5z/gpu/blosclz.h>
#include <h5z/gpu/transpose.h>

#define H5Z_LZ4_DECODE h5z_gpu_blosc_lz4
#define H5Z_LZ4_MEMORY H5Z_GLOBAL
#include <h5z/gpu/lz4.h>

enum { H5Z_BLOSC_HEADER = 16, H5Z_BLOSC_EXTENDED = 32, H5Z_BLOSC_FILTERS = 6, H5Z_BLOSC_SECOND = 3, H5Z_BLOSC_NEWEST = 6 };
enum { H5Z_BLOSC_F_SHUFFLE = 1, H5Z_BLOSC_F_MEMCPY = 2, H5Z_BLOSC_F_BITS = 4, H5Z_BLOSC_F_DELTA = 8, H5Z_BLOSC_F_WHOLE = 16 };
enum { H5Z_BLOSC_BLOSCLZ, H5Z_BLOSC_LZ4, H5Z_BLOSC_SNAPPY, H5Z_BLOSC_ZLIB, H5Z_BLOSC_ZSTD, H5Z_BLOSC_NOBODYS };
enum { H5Z_BLOSC_NONE, H5Z_BLOSC_SHUFFLE, H5Z_BLOSC_BITSHUFFLE, H5Z_BLOSC_DELTA, H5Z_BLOSC_TRUNC, H5Z_BLOSC_INT_TRUNC = 36 };
enum { H5Z_BLOSC_BYTEDELTA = 35 };
enum { H5Z_BLOSC_ZERO = 1, H5Z_BLOSC_NAN, H5Z_BLOSC_VALUE, H5Z_BLOSC_UNINIT };

typedef struct h5z_gpu_blosc {
  H5Z_GLOBAL const uint8_t *in;
  uint32_t length, size, block, blocks; /* bytes of the chunk, of the data, of a block; how many blocks   */
  uint32_t typesize, header;
  uint32_t version, flags, special;
  uint32_t filter, elem; /* what is to be undone, and the bytes of its elements */
} h5z_gpu_blosc;

H5Z_DEVICE uint32_t h5z_gpu_u32le(H5Z_GLOBAL const uint8_t *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

H5Z_DEVICE int h5z_gpu_blosc_nothing(uint32_t filter) {
  return filter == H5Z_BLOSC_NONE || filter == H5Z_BLOSC_TRUNC || filter == H5Z_BLOSC_INT_TRUNC;
}

/* What the 16 bytes behind the header say. */
H5Z_DEVICE int32_t h5z_gpu_blosc_extension(h5z_gpu_blosc *c) {
  const uint32_t flags2 = c->in[30], flags3 = c->in[31];
  if (flags2 & ~1u) return H5Z_E_VERSION;
  if (flags2 & 1 || flags3 & (8 | 128)) return H5Z_E_UNSUPPORTED;
  c->special = flags3 >> 4 & 7;
  if (c->special > H5Z_BLOSC_UNINIT) return H5Z_E_VERSION;
  if (c->special == H5Z_BLOSC_VALUE) {
    const uint32_t value = c->length - H5Z_BLOSC_EXTENDED;
    if (value == 0 || c->size % value != 0) return H5Z_E_CORRUPT;
  }
  if (c->special == H5Z_BLOSC_NAN && (c->size % c->typesize != 0 || (c->typesize != 4 && c->typesize != 8)))
    return H5Z_E_CORRUPT;
  if (c->special || c->flags & H5Z_BLOSC_F_MEMCPY) return 0;
  if (flags3 & 1) return H5Z_E_UNSUPPORTED; /* a dictionary */
  for (uint32_t i = 0; i < H5Z_BLOSC_FILTERS; i++) {
    /* The last one was left as it happened to be when blosc2 was young. */
    const uint32_t filter = c->version == H5Z_BLOSC_SECOND && i == 5 ? H5Z_BLOSC_NONE : c->in[16 + i];
    const uint32_t elem = c->in[24 + i] > 0 ? c->in[24 + i] : c->typesize;
    if (h5z_gpu_blosc_nothing(filter) || (filter == H5Z_BLOSC_SHUFFLE && elem == 1)) continue;
    if (c->filter != H5Z_BLOSC_NONE || filter > H5Z_BLOSC_BITSHUFFLE) return H5Z_E_UNSUPPORTED;
    c->filter = filter;
    c->elem = filter == H5Z_BLOSC_SHUFFLE ? elem : c->typesize;
  }
  return 0;
}

/* Reads and checks the header of the chunk at `in`: 0 or an error, the same for all lanes. Chunks of a format newer than `newest` are
 * refused. */
H5Z_OUTLINE int32_t h5z_gpu_blosc_open(H5Z_GLOBAL const uint8_t *in, uint64_t nin, uint32_t newest, h5z_gpu_blosc *c) {
  if (nin < H5Z_BLOSC_HEADER) return H5Z_E_CORRUPT;
  c->in = in, c->version = in[0], c->flags = in[2], c->typesize = in[3];
  c->size = h5z_gpu_u32le(in + 4), c->block = h5z_gpu_u32le(in + 8), c->length = h5z_gpu_u32le(in + 12);
  c->special = 0, c->filter = H5Z_BLOSC_NONE, c->elem = c->typesize;
  if (c->version == 0) return H5Z_E_CORRUPT;
  if (c->version > newest || c->version > H5Z_BLOSC_NEWEST) return H5Z_E_VERSION;
  if (c->typesize == 0 || c->block == 0 || c->size > INT32_MAX || c->block > INT32_MAX) return H5Z_E_CORRUPT;
  const int second = c->version >= H5Z_BLOSC_SECOND;
  const uint32_t both = H5Z_BLOSC_F_SHUFFLE | H5Z_BLOSC_F_BITS;
  const int extended = second && (c->flags & both) == both;
  c->header = extended ? H5Z_BLOSC_EXTENDED : H5Z_BLOSC_HEADER;
  if (c->length < c->header || c->length > nin) return H5Z_E_CORRUPT;
  if (c->block > c->size && c->size > 0) c->block = c->size;
  c->blocks = c->size / c->block + (c->size % c->block != 0);
  const int coded = !(c->flags & H5Z_BLOSC_F_MEMCPY) && !(extended && in[31] >> 4 & 7);
  if (coded && c->blocks > (c->length - c->header) / 4) return H5Z_E_CORRUPT;
  if (extended) {
    const int32_t status = h5z_gpu_blosc_extension(c);
    if (status != 0) return status;
  } else {
    if (c->flags & H5Z_BLOSC_F_DELTA) return second ? H5Z_E_UNSUPPORTED : H5Z_E_VERSION;
    if (c->flags & H5Z_BLOSC_F_SHUFFLE && c->typesize > 1) c->filter = H5Z_BLOSC_SHUFFLE;
    else if (c->flags & H5Z_BLOSC_F_BITS) c->filter = H5Z_BLOSC_BITSHUFFLE;
  }
  if (c->special) return 0;
  if (c->flags & H5Z_BLOSC_F_MEMCPY) return c->length == c->header + (uint64_t)c->size ? 0 : H5Z_E_CORRUPT;
  const uint32_t format = c->flags >> 5;
  if (format == H5Z_BLOSC_NOBODYS) return H5Z_E_VERSION;
  if (format > H5Z_BLOSC_LZ4) return H5Z_E_UNSUPPORTED;
  return !second && in[1] != 1 ? H5Z_E_VERSION : 0;
}

/* Whether there is room for the data at all, and for a second copy of them where that is needed. */
H5Z_DEVICE int32_t h5z_gpu_blosc_room(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blosc *c) {
  if (c->size > p->room) return H5Z_E_OUTPUT;
  const int through = c->filter != H5Z_BLOSC_NONE && !c->special && !(c->flags & H5Z_BLOSC_F_MEMCPY);
  return through && c->size > 0 && !h5z_gpu_space(b) ? H5Z_E_MEMORY : 0;
}

/* Byte `i` of a chunk of one value, or of one that is stored as it is. */
H5Z_DEVICE uint8_t h5z_gpu_blosc_plain_byte(const h5z_gpu_blosc *c, uint32_t i) {
  const uint64_t nan = c->typesize == 8 ? UINT64_C(0x7ff8000000000000) : UINT64_C(0x7fc00000);
  if (!c->special) return c->in[c->header + (uint64_t)i];
  if (c->special == H5Z_BLOSC_VALUE) return c->in[H5Z_BLOSC_EXTENDED + i % (c->length - H5Z_BLOSC_EXTENDED)];
  return c->special == H5Z_BLOSC_NAN ? (uint8_t)(nan >> 8 * (i % c->typesize)) : 0;
}

/* The streams of block `i` of `bytes`, one behind the other, by one group; 0 = they are damaged. */
H5Z_OUTLINE int h5z_gpu_blosc_streams(const h5z_gpu_blosc *c, uint32_t i, uint32_t bytes, H5Z_GLOBAL uint8_t *out) {
  const int second = c->version >= H5Z_BLOSC_SECOND;
  /* Before it had a flag, Blosc split by this rule alone. */
  const int small = !second && (c->typesize > 16 || c->block / c->typesize < 128);
  const uint32_t streams = c->flags & H5Z_BLOSC_F_WHOLE || bytes != c->block || small ? 1 : c->typesize, each = bytes / streams;
  if (each == 0 || each * streams != bytes) return 0;
  uint32_t at = h5z_gpu_u32le(c->in + c->header + 4 * (uint64_t)i);
  if (at < c->header + 4 * (uint64_t)c->blocks || at > c->length) return 0;
  for (uint32_t k = 0; k < streams; k++, out += each) {
    if (c->length - at < 4) return 0;
    const uint32_t n = h5z_gpu_u32le(c->in + at);
    at += 4;
    if (second && (n == 0 || n > INT32_MAX)) { /* a run */
      const uint32_t byte = 0u - n;
      if (n != 0 && (c->length == at || !(c->in[at++] & 1) || byte > 255)) return 0;
      for (uint32_t m = h5z_lane(); m < each; m += h5z_lanes()) out[m] = (uint8_t)byte;
      continue;
    }
    if (n > c->length - at) return 0;
    if (n == each) {
      for (uint32_t m = h5z_lane(); m < each; m += h5z_lanes()) out[m] = c->in[at + m];
    } else if (c->flags >> 5 == H5Z_BLOSC_LZ4) {
      if (n > INT32_MAX || !h5z_gpu_blosc_lz4(c->in + at, n, out, each)) return 0;
    } else if (!h5z_blosclz_decode(c->in + at, n, out, each)) {
      return 0;
    }
    at += n;
  }
  return 1;
}

/* Undoes the filter on a block of `bytes`, by one group. */
H5Z_DEVICE void h5z_gpu_blosc_undo(const h5z_gpu_blosc *c, H5Z_GLOBAL const uint8_t *in, H5Z_GLOBAL uint8_t *out, uint32_t bytes) {
  const uint32_t lane = h5z_lane(), lanes = h5z_lanes(), elem = c->elem;
  uint32_t n = bytes / elem;
  if (c->filter == H5Z_BLOSC_SHUFFLE) {
    for (uint32_t i = lane; i < n; i += lanes)
      for (uint32_t k = 0; k < elem; k++) out[i * elem + k] = in[k * n + i];
  } else {
    /* Blosc 1 leaves blocks alone that are no multiple of 8 elements, Blosc2 the elements behind that. */
    n = c->version >= H5Z_BLOSC_SECOND ? n / 8 * 8 : n % 8 == 0 ? n : 0;
    const uint32_t items = n / 8 * elem;
    for (uint32_t i = lane; i < items; i += lanes) H5Z_GPU_ROWS_TO_BITS(in, out, n, elem, i);
  }
  for (uint32_t i = n * elem + lane; i < bytes; i += lanes) out[i] = in[i];
}

/* Byte `i` of a block of `bytes` whose streams were decoded to `in`, where the filter is undone for what is wanted alone. */
H5Z_DEVICE uint8_t h5z_gpu_blosc_byte(const h5z_gpu_blosc *c, H5Z_GLOBAL const uint8_t *in, uint32_t bytes, uint32_t i) {
  const uint32_t elem = c->elem, k = i % elem, e = i / elem;
  uint32_t n = bytes / elem;
  if (c->filter == H5Z_BLOSC_BITSHUFFLE) n = c->version >= H5Z_BLOSC_SECOND ? n / 8 * 8 : n % 8 == 0 ? n : 0;
  if (c->filter == H5Z_BLOSC_NONE || e >= n) return in[i];
  if (c->filter == H5Z_BLOSC_SHUFFLE) return in[k * n + e];
  uint32_t byte = 0;
  for (uint32_t bit = 0; bit < 8; bit++) byte |= (uint32_t)(in[(k * 8 + bit) * (n / 8) + e / 8] >> e % 8 & 1) << bit;
  return (uint8_t)byte;
}

/* Decodes an opened chunk that has its answer; every part takes every so many blocks. */
H5Z_DEVICE void h5z_gpu_blosc_decode(const h5z_gpu_batch *b, const h5z_gpu_part *p, const h5z_gpu_blosc *c) {
  if (c->special || c->flags & H5Z_BLOSC_F_MEMCPY) {
    for (uint64_t i = p->lane; i < c->size; i += p->lanes) p->out[i] = h5z_gpu_blosc_plain_byte(c, (uint32_t)i);
    return;
  }
  H5Z_GLOBAL uint8_t *aside = h5z_gpu_aside(b, p);
  for (uint64_t i = p->part; i < c->blocks; i += b->groups) {
    const uint64_t at = i * c->block;
    const uint32_t bytes = c->size - at < c->block ? (uint32_t)(c->size - at) : c->block;
    H5Z_GLOBAL uint8_t *to = (c->filter == H5Z_BLOSC_NONE ? p->out : aside) + at;
    if (!h5z_gpu_blosc_streams(c, (uint32_t)i, bytes, to)) {
      h5z_gpu_fail(b, p, H5Z_E_CORRUPT);
      return;
    }
    h5z_sync();
    if (c->filter != H5Z_BLOSC_NONE) h5z_gpu_blosc_undo(c, to, p->out + at, bytes);
  }
}

#endif
