/* Blosc chunks to data: every offset and length is held to the chunk before it is used, and memory to twice a block (three
 * times with the delta filter). A chunk's layout is drawn in blosc.h. What only moves bytes is done once, from where the codec
 * left them (or from the chunk, where a stream is raw) to where they are wanted. */
#include "blosc.h"

#include <libdeflate.h>
#include <lz4.h>
#if !defined(__wasm__)
#  include <stdatomic.h>
#endif
#include <stdlib.h>
#include <transpose/transpose.h>
#include <zstd.h>

#include "codecs.h"

enum { BLOSC2_FIRST = 3, NEWEST = 6 };
enum { FLAG_SHUFFLE = 1, FLAG_MEMCPY = 2, FLAG_BITSHUFFLE = 4, FLAG_DELTA = 8, FLAG_WHOLE = 16 };
enum { FORMAT_BLOSCLZ, FORMAT_LZ4, FORMAT_SNAPPY, FORMAT_ZLIB, FORMAT_ZSTD, FORMAT_USER = 6, FORMAT_SCHUNK = 7 };
enum { FILTER_BYTEDELTA = 35, FILTER_INT_TRUNC = 36 };
enum { MOST_DICTIONARY = 128 << 10 };
enum { SHORTEST_RUN = 32 }; /* elements; fewer are unshuffled faster with the rest of their block */

/* Filters that leave nothing to undo. */
static int is_nothing(unsigned filter) { return filter == 0 || filter == BLOSC_TRUNC_PREC || filter == FILTER_INT_TRUNC; }

static size_t elem_of(const blosc_chunk *c, int filter) {
  return c->parameters[filter] > 0 ? c->parameters[filter] : c->typesize;
}

static int is_undone(const blosc_chunk *c, int filter) {
  const unsigned f = c->filters[filter];
  return !is_nothing(f) && !(f == BLOSC_SHUFFLE && elem_of(c, filter) == 1);
}

static int64_t read_extension(blosc_chunk *c) {
  const uint8_t *const in = c->bytes;
  const unsigned flags2 = in[30], flags3 = in[31];
  memcpy(c->filters, in + 16, BLOSC_FILTERS);
  memcpy(c->parameters, in + 24, BLOSC_FILTERS);
  if (c->version == BLOSC2_FIRST) c->filters[5] = c->parameters[5] = 0; /* left as they happened to be, then */
  if (flags2 & ~1u) return H5Z_E_VERSION;
  if (flags2 & 1) return H5Z_E_UNSUPPORTED; /* blocks of various lengths, never in an HDF5 chunk */
  if (flags3 & (8 | 128)) return H5Z_E_UNSUPPORTED; /* a stub of a chunk on disk; timings instead of data */
  c->special = flags3 >> 4 & 7;
  if (c->special > BLOSC_SPECIAL_UNINIT) return H5Z_E_VERSION;
  if (c->special == BLOSC_SPECIAL_VALUE) {
    const size_t value = c->length - BLOSC_EXTENDED;
    if (value == 0 || c->size % value != 0) return H5Z_E_CORRUPT;
  }
  if (c->special == BLOSC_SPECIAL_NAN && (c->size % c->typesize != 0 || (c->typesize != 4 && c->typesize != 8)))
    return H5Z_E_CORRUPT;
  if (c->special || c->flags & FLAG_MEMCPY) return 0;
  for (int i = 0; i < BLOSC_FILTERS; i++) {
    const unsigned f = c->filters[i];
    if (!is_nothing(f) && f > BLOSC_DELTA && f != FILTER_BYTEDELTA) return H5Z_E_UNSUPPORTED;
  }
  if (flags3 & 1) {
    const size_t at = BLOSC_EXTENDED + 4 * c->blocks;
    if (c->length < at + 4) return H5Z_E_CORRUPT;
    c->dictionary_length = blosc_get_u32(in + at);
    c->dictionary = in + at + 4;
    if (c->dictionary_length == 0 || c->dictionary_length > MOST_DICTIONARY) return H5Z_E_CORRUPT;
    if (c->dictionary_length > c->length - at - 4) return H5Z_E_CORRUPT;
  }
  return 0;
}

int64_t blosc_open(const void *in, size_t nin, unsigned newest, blosc_chunk *c) {
  const uint8_t *const p = (const uint8_t *)in;
  memset(c, 0, sizeof *c);
  if (nin < BLOSC_HEADER) return H5Z_E_CORRUPT;
  c->bytes = p;
  c->version = p[0], c->flags = p[2], c->typesize = p[3];
  c->size = blosc_get_u32(p + 4), c->block = blosc_get_u32(p + 8), c->length = blosc_get_u32(p + 12);
  if (c->version == 0) return H5Z_E_CORRUPT;
  if (c->version > newest || c->version > NEWEST) return H5Z_E_VERSION;
  if (c->typesize == 0 || c->block == 0 || c->size > INT32_MAX || c->block > INT32_MAX) return H5Z_E_CORRUPT;
  const int second = c->version >= BLOSC2_FIRST;
  const int extended = second && (c->flags & (FLAG_SHUFFLE | FLAG_BITSHUFFLE)) == (FLAG_SHUFFLE | FLAG_BITSHUFFLE);
  c->header = extended ? BLOSC_EXTENDED : BLOSC_HEADER;
  if (c->length < c->header || c->length > nin) return H5Z_E_CORRUPT;
  if (c->block > c->size && c->size > 0) c->block = c->size;
  c->blocks = c->size / c->block + (c->size % c->block != 0);
  const int compressed = !(c->flags & FLAG_MEMCPY) && !(extended && p[31] >> 4 & 7);
  if (compressed && c->blocks > (c->length - c->header) / 4) return H5Z_E_CORRUPT;

  if (extended) {
    const int64_t error = read_extension(c);
    if (error < 0) return error;
  } else {
    if (!second && c->flags & FLAG_DELTA) return H5Z_E_VERSION;
    if (c->flags & FLAG_SHUFFLE && (second || c->typesize > 1)) c->filters[5] = BLOSC_SHUFFLE;
    else if (c->flags & FLAG_BITSHUFFLE) c->filters[5] = BLOSC_BITSHUFFLE;
    if (c->flags & FLAG_DELTA) c->filters[4] = BLOSC_DELTA;
  }
  if (c->special) return 0;
  if (c->flags & FLAG_MEMCPY) return c->length == c->header + c->size ? 0 : H5Z_E_CORRUPT;
  const unsigned format = c->flags >> 5;
  if (format == 5) return H5Z_E_VERSION;
  if (format == FORMAT_USER || format == FORMAT_SCHUNK || (second && format == FORMAT_SNAPPY)) return H5Z_E_UNSUPPORTED;
  if (!second && p[1] != 1) return H5Z_E_VERSION;
  if (c->dictionary && format != FORMAT_ZSTD && format != FORMAT_LZ4) return H5Z_E_CORRUPT;
  return 0;
}

void blosc_special(unsigned special, size_t size, size_t block, size_t typesize, blosc_chunk *c) {
  memset(c, 0, sizeof *c);
  c->version = BLOSC2_FIRST, c->special = special;
  c->size = size, c->block = block > 0 && block < size ? block : size, c->typesize = typesize;
  c->blocks = c->block > 0 ? c->size / c->block + (c->size % c->block != 0) : 0;
}

size_t blosc_block_bytes(const blosc_chunk *c, size_t index) {
  const size_t begin = index * c->block;
  return c->size - begin < c->block ? c->size - begin : c->block;
}

/* -------------------------------------------------------------------------------------------------------------- tools */

/* What decoding a chunk takes. To fetch it from the system for every chunk, page by page, is two thirds of the time of a chunk
 * of 8 KB in zstd, and a tenth of one of 1.5 MB. */
struct blosc_tools {
  uint8_t *memory;
  size_t room;
  ZSTD_DCtx *zstd;
  struct libdeflate_decompressor *inflate;
};

static void free_tools(struct blosc_tools *t) {
  if (!t) return;
  free(t->memory);
  ZSTD_freeDCtx(t->zstd);
  libdeflate_free_decompressor(t->inflate);
  free(t);
}

static struct blosc_tools *new_tools(void) { return calloc(1, sizeof(struct blosc_tools)); }

/* So a few idle ones are kept, for whichever thread comes next; they carry nothing from chunk to chunk. Threads that find none
 * make their own. (Not in WebAssembly, whose allocator forgets everything after a call.) */
#if !defined(__wasm__)
enum { MOST_IDLE = 8, MOST_ROOM = 4 << 20 };
static _Atomic(struct blosc_tools *) idle[MOST_IDLE];

static struct blosc_tools *take_tools(void) {
  for (int i = 0; i < MOST_IDLE; i++) {
    struct blosc_tools *const kept = atomic_load_explicit(&idle[i], memory_order_relaxed) ? atomic_exchange(&idle[i], NULL) : NULL;
    if (kept) return kept;
  }
  return new_tools();
}

static void give_back_tools(struct blosc_tools *t) {
  if (!t) return;
  if (t->room > MOST_ROOM) {
    free(t->memory);
    t->memory = NULL, t->room = 0;
  }
  for (int i = 0; i < MOST_IDLE; i++) {
    struct blosc_tools *none = NULL;
    if (atomic_compare_exchange_strong(&idle[i], &none, t)) return;
  }
  free_tools(t);
}

#  if !defined(_WIN32) /* where other threads have been stopped by now, maybe within malloc */
__attribute__((destructor)) static void free_idle(void) {
  for (int i = 0; i < MOST_IDLE; i++) free_tools(atomic_exchange(&idle[i], NULL));
}
#  endif
#else
#  define take_tools new_tools
#  define give_back_tools free_tools
#endif

/* ------------------------------------------------------------------------------------------------------------ streams */

static int64_t inflate_stream(blosc_reader *r, const uint8_t *in, size_t nin, uint8_t *out, size_t nout) {
  struct blosc_tools *const t = r->tools;
  if (!t->inflate) t->inflate = libdeflate_alloc_decompressor();
  if (!t->inflate) return H5Z_E_MEMORY;
  return libdeflate_zlib_decompress(t->inflate, in, nin, out, nout, NULL) == LIBDEFLATE_SUCCESS ? 0 : H5Z_E_CORRUPT;
}

static int64_t zstd_stream(blosc_reader *r, const uint8_t *in, size_t nin, uint8_t *out, size_t nout) {
  const blosc_chunk *c = r->chunk;
  struct blosc_tools *const t = r->tools;
  if (!t->zstd) t->zstd = ZSTD_createDCtx();
  if (!t->zstd) return H5Z_E_MEMORY;
  if (c->dictionary && !r->dictionary) r->dictionary = ZSTD_createDDict(c->dictionary, c->dictionary_length);
  if (c->dictionary && !r->dictionary) return H5Z_E_CORRUPT;
  const size_t got = c->dictionary ? ZSTD_decompress_usingDDict(t->zstd, out, nout, in, nin, (ZSTD_DDict *)r->dictionary)
                                   : ZSTD_decompressDCtx(t->zstd, out, nout, in, nin);
  return got == nout ? 0 : H5Z_E_CORRUPT;
}

static int64_t decode_stream(blosc_reader *r, const uint8_t *in, size_t nin, uint8_t *out, size_t nout) {
  const blosc_chunk *c = r->chunk;
  int got;
  switch (c->flags >> 5) {
    case FORMAT_BLOSCLZ: return blosclz_decode(in, nin, out, nout) == 0 ? 0 : H5Z_E_CORRUPT;
    case FORMAT_SNAPPY: return snappy_decode(in, nin, out, nout) == 0 ? 0 : H5Z_E_CORRUPT;
    case FORMAT_ZLIB: return inflate_stream(r, in, nin, out, nout);
    case FORMAT_ZSTD: return zstd_stream(r, in, nin, out, nout);
    default:
      got = c->dictionary ? LZ4_decompress_safe_usingDict((const char *)in, (char *)out, (int)nin, (int)nout,
                                                          (const char *)c->dictionary, (int)c->dictionary_length)
                          : LZ4_decompress_safe((const char *)in, (char *)out, (int)nin, (int)nout);
      return got >= 0 && (size_t)got == nout ? 0 : H5Z_E_CORRUPT;
  }
}

/* How many streams a block of so many bytes has. */
static size_t streams_of(const blosc_chunk *c, size_t bytes) {
  /* Before it had a flag, Blosc split by this rule alone. */
  const int small = c->version < BLOSC2_FIRST && (c->typesize > 16 || c->block / c->typesize < 128);
  return c->flags & FLAG_WHOLE || bytes != c->block || small ? 1 : c->typesize;
}

/* The streams of a block, one behind the other. Where `place` is not NULL it gets where each is (BLOSC_MOST_APART at most),
 * and those that are raw stay in the chunk. */
static int64_t decode_streams(blosc_reader *r, size_t index, uint8_t *out, size_t bytes, const void **place) {
  const blosc_chunk *const c = r->chunk;
  const int second = c->version >= BLOSC2_FIRST;
  const size_t streams = streams_of(c, bytes), each = bytes / streams;
  if (each == 0 || each * streams != bytes) return H5Z_E_CORRUPT;

  size_t at = blosc_get_u32(c->bytes + c->header + 4 * index);
  if (at < c->header + 4 * c->blocks || at > c->length) return H5Z_E_CORRUPT;
  for (size_t i = 0; i < streams; i++, out += each) {
    if (place) place[i] = out;
    if (c->length - at < 4) return H5Z_E_CORRUPT;
    const uint32_t n = blosc_get_u32(c->bytes + at);
    at += 4;
    if (second && (n == 0 || n > INT32_MAX)) { /* a run */
      const uint32_t byte = 0u - n;
      if (n != 0 && (c->length == at || !(c->bytes[at++] & 1) || byte > 255)) return H5Z_E_CORRUPT;
      memset(out, (int)byte, each);
      continue;
    }
    if (n > c->length - at) return H5Z_E_CORRUPT;
    if (n == each && place) {
      place[i] = c->bytes + at;
    } else if (n == each) {
      memcpy(out, c->bytes + at, each);
    } else {
      const int64_t error = decode_stream(r, c->bytes + at, n, out, each);
      if (error < 0) return error;
    }
    at += n;
  }
  return 0;
}

/* ------------------------------------------------------------------------------------------------------------ filters */

static void undo_shuffle(const uint8_t *in, uint8_t *out, size_t bytes, size_t elem) {
  const size_t n = bytes / elem;
  rows_to_bytes(in, out, n, elem);
  memcpy(out + n * elem, in + n * elem, bytes - n * elem);
}

static void undo_bitshuffle(const uint8_t *in, uint8_t *out, size_t bytes, size_t elem, int second) {
  size_t n = bytes / elem;
  if (second) n -= n % 8;
  else if (n % 8 != 0) n = 0; /* Blosc 1 leaves such blocks alone */
  if (n > 0) rows_to_bits(in, out, n, elem);
  memcpy(out + n * elem, in + n * elem, bytes - n * elem);
}

/* Words are combined 8 bytes at a time: within the word by doubling steps, then with the last unit of the word before. */
static void undo_own_delta(const uint8_t *in, uint8_t *out, size_t bytes, size_t unit) {
  size_t i = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  const unsigned last = 64 - 8 * (unsigned)unit;
  const uint64_t repeat = unit == 1 ? 0x0101010101010101 : unit == 2 ? 0x0001000100010001 : unit == 4 ? 0x0000000100000001 : 1;
  for (uint64_t before = 0; i + 8 <= bytes; i += 8) {
    uint64_t x = load64(in + i);
    for (unsigned step = 8 * (unsigned)unit; step < 64; step *= 2) x ^= x << step;
    x ^= before;
    before = (x >> last) * repeat;
    memcpy(out + i, &x, 8);
  }
#endif
  for (; i < bytes; i++) out[i] = i < unit ? in[i] : in[i] ^ out[i - unit];
}

static size_t delta_unit(size_t typesize) {
  return typesize == 1 || typesize == 2 || typesize == 4 || typesize == 8 ? typesize : typesize % 8 == 0 ? 8 : 1;
}

static void combine(const uint8_t *restrict a, const uint8_t *restrict b, uint8_t *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = a[i] ^ b[i];
}

/* Block 0 was combined with itself one element later, the others with block 0. */
static void undo_delta(const uint8_t *in, uint8_t *out, size_t bytes, size_t typesize, const uint8_t *first) {
  const size_t unit = delta_unit(typesize), whole = bytes - bytes % unit;
  if (first) {
    combine(in, first, out, whole);
  } else {
    undo_own_delta(in, out, whole, unit);
  }
  memcpy(out + whole, in + whole, bytes - whole);
}

/* Each row holds the differences of its bytes. */
static void undo_bytedelta(const uint8_t *in, uint8_t *out, size_t bytes, size_t elem) {
  const size_t n = bytes / elem;
  for (size_t j = 0; j < elem; j++) {
    uint8_t sum = 0;
    for (size_t i = 0; i < n; i++) out[j * n + i] = sum = (uint8_t)(sum + in[j * n + i]);
  }
  memcpy(out + n * elem, in + n * elem, bytes - n * elem);
}

static void undo(const blosc_reader *r, int filter, size_t index, const uint8_t *in, uint8_t *out, size_t bytes) {
  const blosc_chunk *const c = r->chunk;
  const size_t elem = elem_of(c, filter);
  switch (c->filters[filter]) {
    case BLOSC_SHUFFLE: undo_shuffle(in, out, bytes, elem); return;
    case BLOSC_BITSHUFFLE: undo_bitshuffle(in, out, bytes, c->typesize, c->version >= BLOSC2_FIRST); return;
    case BLOSC_DELTA: undo_delta(in, out, bytes, c->typesize, index > 0 ? r->first : NULL); return;
    default: undo_bytedelta(in, out, bytes, elem);
  }
}

/* ------------------------------------------------------------------------------------------------------------- blocks */

static void fill_special(const blosc_chunk *c, size_t index, uint8_t *out, size_t bytes) {
  static const uint8_t nan4[4] = {0, 0, 0xc0, 0x7f}, nan8[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
  const uint8_t *value = c->typesize == 8 ? nan8 : nan4;
  size_t n = c->typesize == 8 ? 8 : 4;
  if (c->special == BLOSC_SPECIAL_ZERO || c->special == BLOSC_SPECIAL_UNINIT) {
    memset(out, 0, bytes); /* of no value are all values: the same at every reading, then */
    return;
  }
  if (c->special == BLOSC_SPECIAL_VALUE) value = c->bytes + BLOSC_EXTENDED, n = c->length - BLOSC_EXTENDED;
  size_t phase = index * c->block % n;
  size_t done = bytes < n ? bytes : n;
  for (size_t i = 0; i < done; i++, phase = phase + 1 == n ? 0 : phase + 1) out[i] = value[phase];
  for (; done < bytes; done += n) { /* doubling */
    n = done < bytes - done ? done : bytes - done;
    memcpy(out + done, out, n);
  }
}

int64_t blosc_begin(blosc_reader *r, const blosc_chunk *c, int aside) {
  r->chunk = c;
  const int coded = !c->special && !(c->flags & FLAG_MEMCPY);
  if (c->size == 0 || (!coded && !(c->special && aside))) return 0;
  int delta = 0;
  for (int i = 0; coded && i < BLOSC_FILTERS; i++) {
    r->filters += is_undone(c, i);
    delta |= c->filters[i] == BLOSC_DELTA;
  }
  struct blosc_tools *const t = r->tools = take_tools();
  if (!t) return H5Z_E_MEMORY;
  const int buffers = r->filters == 0 ? aside : r->filters > 1 || aside ? 2 : 1;
  const uint64_t room = (uint64_t)c->block * (unsigned)(buffers + delta);
  if (room > t->room) {
    free(t->memory);
    t->room = 0;
    t->memory = room <= SIZE_MAX ? malloc((size_t)room) : NULL;
    if (!t->memory) return H5Z_E_MEMORY;
    t->room = (size_t)room;
  }
  for (int i = 0; i < buffers; i++) r->scratch[i] = t->memory + (size_t)i * c->block;
  if (delta) {
    uint8_t *const first = t->memory + (size_t)buffers * c->block;
    const int64_t error = blosc_read(r, 0, first);
    r->first = first;
    return error;
  }
  return 0;
}

/* Bytes that need no decoding: where they are, or NULL. */
static const uint8_t *plain(const blosc_reader *r, size_t index) {
  const blosc_chunk *const c = r->chunk;
  if (index == 0 && r->first) return r->first;
  return !c->special && c->flags & FLAG_MEMCPY ? c->bytes + c->header + index * c->block : NULL;
}

/* Decodes a coded block, all but what blosc_take can do; where bytes have to be put, they are put to `out`. */
static int64_t decode_block(blosc_reader *r, size_t index, size_t run, uint8_t *out, blosc_block *b) {
  const blosc_chunk *const c = r->chunk;
  const size_t bytes = blosc_block_bytes(c, index), streams = streams_of(c, bytes);
  int last = 0;
  while (r->filters > 0 && !is_undone(c, last)) last++;
  const size_t elem = elem_of(c, last);
  memset(b, 0, sizeof *b);
  if (r->filters == 1 && c->filters[last] == BLOSC_SHUFFLE && (streams == 1 || streams == elem) && bytes % elem == 0 &&
      (elem == 2 || elem == 4 || elem == 8 || elem == 16) && run % elem == 0 && run / elem >= SHORTEST_RUN) {
    const int64_t error = decode_streams(r, index, r->scratch[0], bytes, b->rows);
    if (error < 0) return error;
    for (size_t i = streams; i < elem; i++) b->rows[i] = (const uint8_t *)b->rows[0] + i * (bytes / elem);
    b->elem = elem;
    return 0;
  }
  uint8_t *from = r->filters > 0 ? r->scratch[0] : out;
  const void *place;
  const int64_t error = decode_streams(r, index, from, bytes, streams == 1 ? &place : NULL);
  if (error < 0) return error;
  const uint8_t *in = streams == 1 ? (const uint8_t *)place : from;
  if (r->filters == 1 && c->filters[last] == BLOSC_DELTA && index > 0 && bytes % delta_unit(c->typesize) == 0) {
    b->bytes = in, b->with = r->first;
    return 0;
  }
  for (int i = BLOSC_FILTERS - 1, left = r->filters; left > 0; i--) {
    if (!is_undone(c, i)) continue;
    uint8_t *const to = --left == 0 ? out : from == r->scratch[0] ? r->scratch[1] : r->scratch[0];
    undo(r, i, index, in, to, bytes);
    in = from = to;
  }
  b->bytes = in;
  return 0;
}

int64_t blosc_read(blosc_reader *r, size_t index, uint8_t *out) {
  const size_t bytes = blosc_block_bytes(r->chunk, index);
  const uint8_t *const there = plain(r, index);
  if (there) {
    memcpy(out, there, bytes);
  } else if (r->chunk->special) {
    fill_special(r->chunk, index, out, bytes);
  } else {
    blosc_block b;
    const int64_t error = decode_block(r, index, bytes, out, &b);
    if (error < 0) return error;
    if (b.bytes != out) blosc_take(&b, 0, out, bytes);
  }
  return 0;
}

int64_t blosc_read_aside(blosc_reader *r, size_t index, size_t run, blosc_block *b) {
  const blosc_chunk *const c = r->chunk;
  *b = (blosc_block){.bytes = plain(r, index)};
  if (b->bytes) return 0;
  if (!c->special) {
    /* The last filter's output, where it has to be put somewhere: the codec's, or that of the filter before, is in the other. */
    return decode_block(r, index, run, r->scratch[r->filters % 2], b);
  }
  fill_special(c, index, r->scratch[0], blosc_block_bytes(c, index));
  b->bytes = r->scratch[0];
  return 0;
}

void blosc_take(const blosc_block *b, size_t at, uint8_t *out, size_t bytes) {
  if (b->with) {
    combine(b->bytes + at, b->with + at, out, bytes);
  } else if (b->bytes) {
    memcpy(out, b->bytes + at, bytes);
  } else {
    const void *rows[BLOSC_MOST_APART];
    for (size_t i = 0; i < b->elem; i++) rows[i] = (const uint8_t *)b->rows[i] + at / b->elem;
    rows_apart_to_bytes(rows, out, bytes / b->elem, b->elem);
  }
}

void blosc_end(blosc_reader *r) {
  ZSTD_freeDDict((ZSTD_DDict *)r->dictionary);
  give_back_tools(r->tools);
}

int64_t blosc_decode(const blosc_chunk *c, uint8_t *out) {
  blosc_reader reader = {0};
  int64_t error = blosc_begin(&reader, c, 0);
  for (size_t i = 0; error >= 0 && i < c->blocks; i++) error = blosc_read(&reader, i, out + i * c->block);
  blosc_end(&reader);
  return error < 0 ? error : (int64_t)c->size;
}
