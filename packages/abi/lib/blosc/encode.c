/* Data to Blosc chunks, with the bytes that c-blosc 1.21 and c-blosc2 3.3 write (Snappy's matches are our own). The choices of
 * block size and of splitting follow theirs. */
#if !defined(H5Z_DECODE_ONLY)
#include "blosc.h"

#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <transpose/transpose.h>
#include <zlib.h>
#include <zstd.h>

#include "codecs.h"

enum { MOST_STREAMS = 16, L1 = 32 << 10 };

typedef struct encoder {
  const blosc_settings *s;
  size_t typesize, block, header;
  int split;
  uint8_t *filtered;  /* a block */
  uint32_t *table;    /* of BloscLZ and Snappy */
  void *lz4, *zstd;
  z_stream *zlib;
} encoder;

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

/* Less is not worth compressing, nor a stream of its own. */
static size_t smallest(const blosc_settings *s) { return s->second ? 32 : 128; }

static int is_slow(unsigned codec) { return codec == BLOSC_LZ4HC || codec == BLOSC_ZLIB || codec == BLOSC_ZSTD; }

static int splits(const blosc_settings *s, size_t typesize, size_t block) {
  if (typesize > MOST_STREAMS || block / typesize < smallest(s)) return 0;
  if (!s->second) return s->codec != BLOSC_ZSTD;
  return s->shuffle == BLOSC_SHUFFLE && (s->codec == BLOSC_BLOSCLZ || s->codec == BLOSC_LZ4 ||
                                         (s->codec == BLOSC_ZSTD && s->level <= 5));
}

size_t blosc_block_size(const blosc_settings *s, size_t size) {
  static const uint8_t quarters[10] = {1, 2, 4, 8, 16, 16, 32, 32, 32, 32}; /* of L1, by level */
  static const uint16_t split_kib[10] = {0, 32, 32, 32, 64, 64, 64, 128, 256, 512};
  const size_t typesize = !s->second && s->typesize > BLOSC_MAX_TYPESIZE ? 1 : s->typesize;
  size_t block = size;
  if (size < typesize) return 1;
  if (s->block > 0) {
    block = s->block;
  } else {
    if (size >= L1) {
      block = (size_t)L1 / 4 * quarters[s->level];
      if (is_slow(s->codec)) block *= s->level == 9 ? 4 : 2;
    }
    if (s->level > 0 && s->second && splits(s, typesize, size)) {
      block = max_size(min_size(((size_t)split_kib[s->level] << 10) * typesize, 4 << 20), 32 << 10);
    } else if (s->level > 0 && !s->second && splits(s, typesize, block)) {
      block = min_size(max_size(min_size(block, 1 << 18) * typesize, 1 << 16), 1 << 20);
    }
  }
  block = min_size(block, size);
  if (block > typesize) block = block / typesize * typesize;
  return block;
}

/* One stream of n bytes into at most cap: its length, or 0 when it gains nothing or does not fit. */
static size_t encode_stream(encoder *e, const uint8_t *in, size_t n, uint8_t *out, size_t cap) {
  const blosc_settings *const s = e->s;
  size_t got = 0;
  switch (s->codec) {
    case BLOSC_BLOSCLZ: return blosclz_encode(in, n, out, cap, s->level, s->second, e->split, e->table);
    case BLOSC_SNAPPY: return snappy_encode(in, n, out, cap, e->table);
    case BLOSC_LZ4:
      got = (size_t)LZ4_compress_fast_extState(e->lz4, (const char *)in, (char *)out, (int)n, (int)cap, 10 - (int)s->level);
      return got;
    case BLOSC_LZ4HC:
      got = (size_t)LZ4_compress_HC_extStateHC(e->lz4, (const char *)in, (char *)out, (int)n, (int)cap, (int)s->level);
      return got;
    case BLOSC_ZLIB:
      if (deflateReset(e->zlib) != Z_OK) return 0;
      e->zlib->next_in = (Bytef *)in, e->zlib->avail_in = (uInt)n;
      e->zlib->next_out = out, e->zlib->avail_out = (uInt)cap;
      return deflate(e->zlib, Z_FINISH) == Z_STREAM_END ? cap - e->zlib->avail_out : 0;
    default:
      got = ZSTD_compressCCtx((ZSTD_CCtx *)e->zstd, out, cap, in, n, s->level < 9 ? (int)s->level * 2 - 1 : ZSTD_maxCLevel());
      return ZSTD_isError(got) ? 0 : got;
  }
}

static void delta(const uint8_t *first, size_t index, const uint8_t *in, uint8_t *out, size_t bytes, size_t typesize) {
  const size_t unit = typesize == 1 || typesize == 2 || typesize == 4 || typesize == 8 ? typesize : typesize % 8 == 0 ? 8 : 1;
  const size_t whole = bytes - bytes % unit;
  const size_t begin = index > 0 ? 0 : min_size(unit, whole);
  memcpy(out, in, begin);
  for (size_t i = begin; i < whole; i++) out[i] = in[i] ^ (index > 0 ? first[i] : in[i - unit]);
  memcpy(out + whole, in + whole, bytes - whole);
}

/* The block as the codec gets it: where it lies, or filtered. */
static const uint8_t *filter_block(encoder *e, const uint8_t *data, size_t index, size_t bytes) {
  const uint8_t *const in = data + index * e->block;
  size_t n = bytes / e->typesize;
  switch (e->s->shuffle) {
    case BLOSC_SHUFFLE:
      if (e->typesize == 1) return in;
      bytes_to_rows(in, e->filtered, n, e->typesize);
      break;
    case BLOSC_BITSHUFFLE:
      if (e->s->second) n -= n % 8;
      else if (n % 8 != 0) return in;
      if (n > 0) bits_to_rows(in, e->filtered, n, e->typesize);
      break;
    case BLOSC_DELTA: delta(data, index, in, e->filtered, bytes, e->typesize); return e->filtered;
    default: return in;
  }
  memcpy(e->filtered + n * e->typesize, in + n * e->typesize, bytes - n * e->typesize);
  return e->filtered;
}

/* The streams of a block at out[at]; returns where they end, or 0 when they do not fit. */
static size_t encode_block(encoder *e, const uint8_t *in, size_t bytes, uint8_t *out, size_t at, size_t cap) {
  const size_t streams = e->split && bytes == e->block ? e->typesize : 1, each = bytes / streams;
  for (size_t i = 0; i < streams; i++, in += each) {
    uint8_t *const length = out + at;
    at += 4;
    if (e->s->second && equal_bytes(in, in + 1, each - 1) == each - 1) { /* a run */
      if (at > cap) return 0;
      blosc_put_u32(length, 0u - in[0]);
      if (in[0] != 0) {
        if (at + 1 > cap) return 0;
        out[at++] = 1;
      }
      continue;
    }
    size_t room = each;
    if (e->s->codec == BLOSC_SNAPPY) room = each - 1; /* what gains nothing is kept raw */
    if (at >= cap) return 0;
    room = min_size(room, cap - at);
    size_t n = encode_stream(e, in, each, out + at, room);
    if (n == 0 || n == each) {
      if (each > cap - at) return 0;
      memcpy(out + at, in, each);
      n = each;
    }
    blosc_put_u32(length, (uint32_t)n);
    at += n;
  }
  return at;
}

static int64_t open_encoder(encoder *e) {
  const unsigned codec = e->s->codec;
  if (e->s->shuffle != BLOSC_NO_SHUFFLE) {
    e->filtered = malloc(e->block);
    if (!e->filtered) return H5Z_E_MEMORY;
  }
  void *needed = NULL;
  if (codec == BLOSC_BLOSCLZ || codec == BLOSC_SNAPPY) needed = e->table = malloc(sizeof *e->table * BLOSC_TABLE);
  if (codec == BLOSC_LZ4) needed = e->lz4 = malloc((size_t)LZ4_sizeofState());
  if (codec == BLOSC_LZ4HC) needed = e->lz4 = malloc((size_t)LZ4_sizeofStateHC());
  if (codec == BLOSC_ZSTD) needed = e->zstd = ZSTD_createCCtx();
  if (codec == BLOSC_ZLIB) {
    needed = e->zlib = calloc(1, sizeof *e->zlib);
    if (needed && deflateInit(e->zlib, (int)e->s->level) != Z_OK) {
      free(e->zlib);
      needed = e->zlib = NULL;
    }
  }
  return needed ? 0 : H5Z_E_MEMORY;
}

static void close_encoder(encoder *e) {
  free(e->filtered);
  free(e->table);
  free(e->lz4);
  ZSTD_freeCCtx((ZSTD_CCtx *)e->zstd);
  if (e->zlib) deflateEnd(e->zlib);
  free(e->zlib);
}

static void put_header(const encoder *e, size_t nin, unsigned flags, uint8_t *out) {
  const blosc_settings *const s = e->s;
  memset(out, 0, e->header);
  out[0] = s->second ? 5 : 2;
  out[1] = 1;
  out[2] = (uint8_t)flags;
  out[3] = (uint8_t)e->typesize;
  blosc_put_u32(out + 4, (uint32_t)nin);
  blosc_put_u32(out + 8, (uint32_t)e->block);
  if (s->second) {
    out[16 + BLOSC_FILTERS - 1] = (uint8_t)s->shuffle;
    out[22] = (uint8_t)s->codec;
  }
}

int64_t blosc_encode(const blosc_settings *s, const void *in, size_t nin, void *out, size_t cap) {
  static const uint8_t formats[BLOSC_CODECS] = {0, 1, 1, 2, 3, 4};
  encoder e = {.s = s};
  e.header = s->second ? BLOSC_EXTENDED : BLOSC_HEADER;
  e.typesize = s->typesize > BLOSC_MAX_TYPESIZE ? 1 : s->typesize;
  e.block = blosc_block_size(s, nin);
  if (cap < e.header) return 0;
  const uint8_t *const data = (const uint8_t *)in;
  uint8_t *const to = (uint8_t *)out;
  const size_t blocks = nin / e.block + (nin % e.block != 0);
  size_t end = 0;

  e.split = splits(s, e.typesize, e.block);
  unsigned flags = (e.split ? 0u : 16u) | (unsigned)formats[s->codec] << 5;
  if (s->second) flags |= 5u | (s->shuffle == BLOSC_DELTA ? 8u : 0u);
  else flags |= s->shuffle == BLOSC_SHUFFLE ? 1u : s->shuffle == BLOSC_BITSHUFFLE ? 4u : 0u;
  const int copy = s->level == 0 || nin < smallest(s);
  if (copy) flags = s->second ? 5u : flags; /* Blosc2 says nothing of what it did not do */
  put_header(&e, nin, flags, to);

  if (!copy && blocks <= (cap - e.header) / 4) {
    const int64_t error = open_encoder(&e);
    if (error < 0) {
      close_encoder(&e);
      return error;
    }
    size_t streams = 0;
    end = e.header + 4 * blocks;
    for (size_t i = 0; i < blocks && end > 0; i++) {
      const size_t bytes = min_size(e.block, nin - i * e.block);
      blosc_put_u32(to + e.header + 4 * i, (uint32_t)end);
      end = encode_block(&e, filter_block(&e, data, i, bytes), bytes, to, end, cap);
      streams += e.split && bytes == e.block ? e.typesize : 1;
    }
    close_encoder(&e);
    if (s->second && end == e.header + 4 * blocks + 4 * streams) { /* nothing but runs of zeros */
      to[31] |= BLOSC_SPECIAL_ZERO << 4;
      end = e.header;
    }
  } else if (!copy && s->second) {
    put_header(&e, nin, flags = 5u, to);
  }
  if (end == 0) {
    if (nin > cap - e.header) return 0;
    to[2] = (uint8_t)(flags | 2u);
    memcpy(to + e.header, data, nin);
    end = e.header + nin;
  }
  blosc_put_u32(to + 12, (uint32_t)end);
  return (int64_t)end;
}
#endif
