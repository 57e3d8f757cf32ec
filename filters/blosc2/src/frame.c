/* Frames of Blosc2: reading what any version of c-blosc2 put into an HDF5 chunk, writing what hdf5plugin's filter writes. The
 * layout is drawn in frame.h. */
#include "frame.h"

#include <stdlib.h>

enum { FRAME_FORMATS = 3, CHUNK_FORMATS = 6, HEADER_LEAST = 87, SCRATCH_FREE = 16 << 20 };

static size_t min_size(size_t a, size_t b) { return a < b ? a : b; }

/* ------------------------------------------------------------------------------------------------------------- reading */

/* `n` sizes from `p`, each behind a byte that says how wide it is (d3: int64, d2: int32). NULL when one is out of range. */
static const uint8_t *read_dimensions(const uint8_t *p, const uint8_t *end, int n, int wide, uint64_t *dims) {
  if (p >= end || *p++ != (uint8_t)(0x90 + n)) return NULL;
  for (int i = 0; i < n; i++, p += wide ? 9 : 5) {
    if (end - p < (wide ? 9 : 5) || *p != (wide ? 0xd3 : 0xd2)) return NULL;
    dims[i] = wide ? h5z_get_u64be(p + 1) : h5z_get_u32be(p + 1);
    if (dims[i] == 0 || dims[i] > INT32_MAX) return NULL;
  }
  return p;
}

/* [version, rank, shape, shape of a chunk, shape of a block, and in newer ones the datatype] */
static int64_t read_array(const uint8_t *p, size_t n, array *a) {
  const uint8_t *const end = p + n;
  if (n < 3 || p[2] > MOST_DIMENSIONS || p[2] == 0) return H5Z_E_CORRUPT;
  a->rank = p[2];
  p = read_dimensions(p + 3, end, a->rank, 1, a->shape);
  if (p) p = read_dimensions(p, end, a->rank, 0, a->chunk);
  if (p) p = read_dimensions(p, end, a->rank, 0, a->block);
  return p ? 0 : H5Z_E_CORRUPT;
}

/* The header's index of metalayers: [u16 length, map of name -> offset in the header, array of the contents] */
static int64_t read_metalayers(const uint8_t *in, size_t header, array *a) {
  size_t at = 89 + 2;
  if (header < at + 3) return header == HEADER_LEAST ? 0 : H5Z_E_CORRUPT;
  if (in[at] != 0xde) return H5Z_E_CORRUPT;
  unsigned layers = (unsigned)in[at + 1] << 8 | in[at + 2];
  for (at += 3; layers > 0; layers--) {
    if (header - at < 1 || (in[at] & 0xe0) != 0xa0) return H5Z_E_CORRUPT;
    const size_t name = in[at] & 0x1f;
    at++;
    if (header - at < name + 5 || in[at + name] != 0xd2) return H5Z_E_CORRUPT;
    const size_t content = h5z_get_u32be(in + at + name + 1);
    const int is_array = (name == 4 && memcmp(in + at, "b2nd", 4) == 0) || (name == 7 && memcmp(in + at, "caterva", 7) == 0);
    at += name + 5;
    if (!is_array || a->rank > 0) continue;
    if (content > header || header - content < 5 || in[content] != 0xc6) return H5Z_E_CORRUPT;
    const size_t length = h5z_get_u32be(in + content + 1);
    if (length > header - content - 5) return H5Z_E_CORRUPT;
    const int64_t error = read_array(in + content + 5, length, a);
    if (error < 0) return error;
  }
  return 0;
}

static uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

static int multiply(uint64_t *product, uint64_t by) {
  if (by > INT32_MAX) return 0;
  *product *= by;
  return *product <= INT32_MAX;
}

size_t array_padded_bytes(const array *a) {
  uint64_t bytes = a->elem;
  for (int i = 0; i < a->rank; i++) {
    if (!multiply(&bytes, round_up(a->chunk[i], a->block[i]))) return 0;
  }
  return (size_t)bytes;
}

static int64_t check_array(frame *f) {
  array *const a = &f->array;
  if (a->elem == 1) { /* what c-blosc2 writes for elements of more than 255 bytes, and then cannot read */
    const size_t elements = array_padded_bytes(a);
    if (elements > 0 && f->chunk_bytes % elements == 0 && f->chunk_bytes / elements > BLOSC_MAX_TYPESIZE)
      a->elem = f->chunk_bytes / elements;
  }
  uint64_t size = a->elem, block = a->elem, chunks = 1;
  for (int i = 0; i < a->rank; i++) {
    if (!multiply(&size, a->shape[i]) || !multiply(&block, a->block[i])) return H5Z_E_CORRUPT;
    if (!multiply(&chunks, round_up(a->shape[i], a->chunk[i]) / a->chunk[i])) return H5Z_E_CORRUPT;
  }
  if (array_padded_bytes(a) != f->chunk_bytes || chunks != f->chunks) return H5Z_E_CORRUPT;
  f->size = (size_t)size, f->block_bytes = (size_t)block;
  return 0;
}

int64_t frame_open(const void *in, size_t nin, frame *f) {
  const uint8_t *const p = (const uint8_t *)in;
  memset(f, 0, sizeof *f);
  if (nin < HEADER_LEAST) return H5Z_E_CORRUPT;
  if ((p[0] & 0xf0) != 0x90 || memcmp(p + 1, "\xa8" "b2frame\0\xd2", 10) != 0 || p[15] != 0xcf || p[24] != 0xa4)
    return H5Z_E_CORRUPT;
  const unsigned format = p[25] & 15, offsets = p[25] >> 4 & 3;
  if (format == 0 || format > FRAME_FORMATS) return H5Z_E_VERSION;
  if (offsets != 1 || p[25] & 0xc0 || p[26] != 0) return H5Z_E_UNSUPPORTED; /* other offsets, various lengths, a folder */
  const uint64_t header = h5z_get_u32be(p + 11), length = h5z_get_u64be(p + 16), size = h5z_get_u64be(p + 30);
  const uint64_t chunks_bytes = h5z_get_u64be(p + 39), chunk = h5z_get_u32be(p + 58);
  if (header < HEADER_LEAST || length > nin || header > length || chunks_bytes > length - header) return H5Z_E_CORRUPT;
  if (size > INT32_MAX || chunk > INT32_MAX || (size > 0 && chunk == 0)) return H5Z_E_CORRUPT;
  f->bytes = p;
  f->header = (size_t)header, f->length = (size_t)length, f->chunks_bytes = (size_t)chunks_bytes;
  f->index_at = f->header + f->chunks_bytes;
  f->size = (size_t)size, f->chunk_bytes = (size_t)chunk;
  f->chunks = size > 0 ? f->size / f->chunk_bytes + (f->size % f->chunk_bytes != 0) : 0;
  f->block_bytes = h5z_get_u32be(p + 53);
  f->array.elem = h5z_get_u32be(p + 48);
  if (f->array.elem == 0 || f->array.elem > INT32_MAX) return H5Z_E_CORRUPT;
  const int64_t error = read_metalayers(p, f->header, &f->array);
  if (error < 0) return error;
  return f->array.rank > 0 ? check_array(f) : 0;
}

/* The chunk of offsets, decoded. */
static int64_t read_index(const frame *f, uint8_t **index) {
  blosc_chunk c;
  int64_t error = blosc_open(f->bytes + f->index_at, f->length - f->index_at, CHUNK_FORMATS, &c);
  if (error < 0) return error;
  if (c.size % 8 != 0 || c.size / 8 != f->chunks) return H5Z_E_CORRUPT;
  /* Chunks of less than their offset's 8 bytes make no sense; memory stays in proportion to the data. */
  if (c.size > 64 && c.size > f->size) return H5Z_E_UNSUPPORTED;
  *index = malloc(c.size);
  if (!*index) return H5Z_E_MEMORY;
  error = blosc_decode(&c, *index);
  if (error < 0) free(*index);
  return error < 0 ? error : 0;
}

/* Chunk `number`, which has to have `want` bytes decoded. */
static int64_t open_chunk(const frame *f, const uint8_t *index, size_t number, size_t want, blosc_chunk *c) {
  const uint8_t *const p = index + 8 * number;
  const uint64_t offset = blosc_get_u32(p) | (uint64_t)blosc_get_u32(p + 4) << 32;
  if (offset >> 63) {
    const unsigned special = (unsigned)(offset >> 56) & 7;
    const size_t elem = f->array.elem > BLOSC_MAX_TYPESIZE ? 1 : f->array.elem;
    if (special != BLOSC_SPECIAL_ZERO && special != BLOSC_SPECIAL_NAN && special != BLOSC_SPECIAL_UNINIT) return H5Z_E_CORRUPT;
    if (special == BLOSC_SPECIAL_NAN && elem != 4 && elem != 8) return H5Z_E_CORRUPT;
    blosc_special(special, want, f->block_bytes, elem, c);
    return 0;
  }
  if (offset > f->chunks_bytes) return H5Z_E_CORRUPT;
  const int64_t error = blosc_open(f->bytes + f->header + offset, f->chunks_bytes - (size_t)offset, CHUNK_FORMATS, c);
  return error < 0 ? error : c->size == want ? 0 : H5Z_E_CORRUPT;
}

/* Rows of a size that the compiler knows become one load and one store of each. */
static inline void copy_rows(uint8_t *to, size_t to_step, const uint8_t *from, size_t from_step, uint64_t n, size_t row) {
  for (uint64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, row);
}

static void copy_any_rows(uint8_t *to, size_t to_step, const uint8_t *from, size_t from_step, uint64_t n, size_t row) {
  switch (row) {
    case 2: copy_rows(to, to_step, from, from_step, n, 2); return;
    case 4: copy_rows(to, to_step, from, from_step, n, 4); return;
    case 8: copy_rows(to, to_step, from, from_step, n, 8); return;
    case 16: copy_rows(to, to_step, from, from_step, n, 16); return;
    case 32: copy_rows(to, to_step, from, from_step, n, 32); return;
    case 64: copy_rows(to, to_step, from, from_step, n, 64); return;
    default: copy_rows(to, to_step, from, from_step, n, row);
  }
}

/* The elements of a block that lie within the array, as rows of bytes. */
typedef struct {
  int outer;       /* dimensions of which there are many rows, rows of rows, and so on */
  size_t begin;    /* of the first row in the array; in the block it is 0 */
  size_t row;      /* bytes of a row: of as many inner dimensions as are whole in array and block alike */
  uint64_t count[MOST_DIMENSIONS];                                 /* per outer dimension; without any, [0] is 1 */
  size_t array_step[MOST_DIMENSIONS], block_step[MOST_DIMENSIONS]; /* bytes */
} rows;

/* 0 when the block is padding alone. */
static int block_rows(const array *a, const uint64_t *at, size_t index, rows *r) {
  uint64_t steps = a->elem, block_steps = a->elem;
  int whole = 1;
  r->outer = 0, r->begin = 0, r->row = a->elem;
  r->count[0] = 1, r->array_step[0] = r->block_step[0] = 0;
  for (int d = a->rank - 1; d >= 0; d--) {
    const uint64_t blocks = round_up(a->chunk[d], a->block[d]) / a->block[d], n = index % blocks * a->block[d];
    index /= (size_t)blocks;
    const uint64_t end = at[d] * a->chunk[d] + a->chunk[d] < a->shape[d] ? at[d] * a->chunk[d] + a->chunk[d] : a->shape[d];
    const uint64_t origin = at[d] * a->chunk[d] + n;
    if (origin >= end) return 0;
    const uint64_t count = end - origin < a->block[d] ? end - origin : a->block[d];
    r->begin += (size_t)(origin * steps);
    if (whole) {
      r->row *= (size_t)count;
    } else if (count > 1) { /* innermost first */
      r->count[r->outer] = count;
      r->array_step[r->outer] = (size_t)steps, r->block_step[r->outer++] = (size_t)block_steps;
    }
    whole &= count == a->shape[d] && count == a->block[d];
    steps *= a->shape[d], block_steps *= a->block[d];
  }
  return 1;
}

/* Where in array and block a walk over the rows has come: to the first of the innermost outer dimension's. */
typedef struct {
  size_t array, block;
  uint64_t i[MOST_DIMENSIONS];
} place;

static int next_place(const rows *r, place *p) {
  for (int d = 1; d < r->outer; d++) {
    p->array += r->array_step[d], p->block += r->block_step[d];
    if (++p->i[d] < r->count[d]) return 1;
    p->array -= (size_t)p->i[d] * r->array_step[d], p->block -= (size_t)p->i[d] * r->block_step[d], p->i[d] = 0;
  }
  return 0;
}

static void copy_block(const rows *r, uint8_t *elements, const uint8_t *block) {
  place p = {.array = r->begin};
  do copy_any_rows(elements + p.array, r->array_step[0], block + p.block, r->block_step[0], r->count[0], r->row);
  while (next_place(r, &p));
}

/* The same for a block that is still to be put together. */
static void take_block(const rows *r, uint8_t *elements, const blosc_block *block) {
  place p = {.array = r->begin};
  if (block->bytes && !block->with) {
    copy_block(r, elements, block->bytes);
    return;
  }
  do {
    for (uint64_t i = 0; i < r->count[0]; i++)
      blosc_take(block, p.block + i * r->block_step[0], elements + p.array + i * r->array_step[0], r->row);
  } while (next_place(r, &p));
}

/* Do a chunk's blocks lie in the array one behind the other, so that nothing has to be moved? */
static int is_contiguous(const array *a) {
  int d = a->rank - 1;
  for (int i = 0; i < a->rank; i++) {
    if (a->chunk[i] % a->block[i] != 0 || a->shape[i] != a->chunk[i]) return 0;
  }
  while (d >= 0 && a->block[d] == a->chunk[d]) d--;
  for (d--; d >= 0; d--) {
    if (a->block[d] != 1) return 0;
  }
  return 1;
}

static size_t array_blocks(const array *a) {
  uint64_t n = 1;
  for (int d = 0; d < a->rank; d++) n *= round_up(a->chunk[d], a->block[d]) / a->block[d];
  return (size_t)n;
}

/* Is any of the block inside of the array? */
static int is_needed(const array *a, const uint64_t *at, size_t index) {
  for (int d = a->rank - 1; d >= 0; d--) {
    const uint64_t blocks = round_up(a->chunk[d], a->block[d]) / a->block[d];
    if (at[d] * a->chunk[d] + index % blocks * a->block[d] >= a->shape[d]) return 0;
    index /= (size_t)blocks;
  }
  return 1;
}

/* The next block that holds elements, from `index` on: whole rows of blocks behind the array's end are stepped over. */
static size_t next_needed(const array *a, const uint64_t *at, size_t index, size_t blocks) {
  while (index < blocks && !is_needed(a, at, index)) {
    size_t step = 1, rest = index, to = index + 1;
    for (int d = a->rank - 1; d >= 0; d--) {
      const uint64_t n = round_up(a->chunk[d], a->block[d]) / a->block[d], i = rest % n;
      if (at[d] * a->chunk[d] + i * a->block[d] >= a->shape[d]) to = index + (size_t)(n - i) * step - index % step;
      rest /= (size_t)n, step *= (size_t)n;
    }
    index = to;
  }
  return index;
}

static int64_t decode_chunk(const frame *f, const blosc_chunk *c, const uint64_t *at, uint8_t *out) {
  const array *const a = &f->array;
  blosc_reader reader = {0};
  rows r;
  /* A chunk may be cut otherwise than the array says: then it is decoded whole. */
  const int whole = c->block != f->block_bytes;
  const size_t room = whole ? c->size : f->block_bytes;
  if (room > SCRATCH_FREE && room / 4 > f->size) return H5Z_E_UNSUPPORTED; /* nearly all of it padding */
  const size_t blocks = array_blocks(a);
  uint8_t *const data = whole ? malloc(room) : NULL;
  int64_t error = whole && !data ? H5Z_E_MEMORY : blosc_begin(&reader, c, !whole);
  for (size_t i = 0; whole && error >= 0 && i < c->blocks; i++) error = blosc_read(&reader, i, data + i * c->block);
  for (size_t i = next_needed(a, at, 0, blocks); error >= 0 && i < blocks; i = next_needed(a, at, i + 1, blocks)) {
    if (!block_rows(a, at, i, &r)) continue;
    if (whole) {
      copy_block(&r, out, data + i * f->block_bytes);
    } else if (r.outer == 0 && r.row == f->block_bytes) {
      error = blosc_read(&reader, i, out + r.begin);
    } else {
      blosc_block block;
      error = blosc_read_aside(&reader, i, a->elem % c->typesize == 0 ? r.row : 0, &block);
      if (error >= 0) take_block(&r, out, &block);
    }
  }
  blosc_end(&reader);
  free(data);
  return error < 0 ? error : 0;
}

int64_t frame_decode(const frame *f, uint8_t *out) {
  const array *const a = &f->array;
  uint64_t at[MOST_DIMENSIONS] = {0};
  uint8_t *index = NULL;
  if (f->chunks == 0) return 0;
  int64_t error = read_index(f, &index);
  if (error < 0) return error;
  for (size_t i = 0; error >= 0 && i < f->chunks; i++) {
    const size_t begin = a->rank > 0 ? 0 : i * f->chunk_bytes;
    const size_t want = a->rank > 0 ? f->chunk_bytes : min_size(f->chunk_bytes, f->size - begin);
    blosc_chunk c;
    error = open_chunk(f, index, i, want, &c);
    if (error < 0) break;
    if (a->rank == 0 || is_contiguous(a)) {
      error = blosc_decode(&c, out + begin);
      continue;
    }
    error = decode_chunk(f, &c, at, out);
    for (int d = a->rank - 1; d >= 0; at[d--] = 0) {
      if (++at[d] * a->chunk[d] < a->shape[d]) break;
    }
  }
  free(index);
  return error < 0 ? error : (int64_t)f->size;
}

/* ------------------------------------------------------------------------------------------------------------- writing */

#if !defined(H5Z_DECODE_ONLY)
static uint8_t *put(uint8_t *p, unsigned marker, uint64_t value, int bytes) {
  *p++ = (uint8_t)marker;
  for (int i = bytes - 1; i >= 0; i--) *p++ = (uint8_t)(value >> 8 * i);
  return p;
}

static uint8_t *put_dimensions(uint8_t *p, const uint64_t *dims, int n, int wide) {
  *p++ = (uint8_t)(0x90 + n);
  for (int i = 0; i < n; i++) p = wide ? put(p, 0xd3, dims[i], 8) : put(p, 0xd2, dims[i], 4);
  return p;
}

static uint8_t *put_array(uint8_t *p, const array *a) {
  char type[16] = "|V"; /* NumPy's word for bytes of no type */
  size_t n = 2, digits = 1;
  for (size_t k = a->elem; k >= 10; k /= 10) digits++;
  for (size_t k = a->elem, i = digits; i > 0; k /= 10) type[n + --i] = (char)('0' + k % 10);
  n += digits;
  *p++ = 0x97, *p++ = 0, *p++ = (uint8_t)a->rank;
  p = put_dimensions(p, a->shape, a->rank, 1);
  p = put_dimensions(p, a->chunk, a->rank, 0);
  p = put_dimensions(p, a->block, a->rank, 0);
  *p++ = 0;
  p = put(p, 0xdb, n, 4);
  memcpy(p, type, n);
  return p + n;
}

/* [u16 length of the index, map of name -> offset, array of contents], in the trailer (frame_begin NULL) always empty. The
 * header's length counts the marker of the whole, the trailer's does not. */
static uint8_t *put_metalayers(uint8_t *p, uint8_t *frame_begin, const array *a) {
  *p++ = 0x93;
  uint8_t *const begin = p;
  p = put(p, 0xcd, 0, 2);
  p = put(p, 0xde, a ? 1 : 0, 2);
  uint8_t *offset = NULL;
  if (a) {
    memcpy(p, "\xa4" "b2nd", 5);
    offset = p + 5;
    p = put(offset, 0xd2, 0, 4);
  }
  begin[2] = (uint8_t)(p - begin + (frame_begin ? 1 : 0));
  p = put(p, 0xdc, a ? 1 : 0, 2);
  if (a) {
    put(offset, 0xd2, (uint64_t)(p - frame_begin), 4);
    uint8_t *const content = p + 5, *const end = put_array(content, a);
    put(p, 0xc6, (uint64_t)(end - content), 4);
    p = end;
  }
  return p;
}

enum { HEADER_MOST = 512, INDEX_BYTES = BLOSC_EXTENDED + 8 };

size_t frame_bound(const array *a, size_t nin) {
  const size_t padded = a ? array_padded_bytes(a) : nin;
  if (padded == 0 || padded > INT32_MAX - BLOSC_EXTENDED) return 0;
  return HEADER_MOST + BLOSC_EXTENDED + padded + INDEX_BYTES + FRAME_TRAILER;
}

/* The array's elements to block `index` of the chunk `at` (in chunks); padding is left as it is. */
static void gather_block(const array *a, const uint64_t *at, size_t index, const uint8_t *elements, uint8_t *block) {
  rows r;
  if (!block_rows(a, at, index, &r)) return;
  place p = {.array = r.begin};
  do copy_any_rows(block + p.block, r.block_step[0], elements + p.array, r.array_step[0], r.count[0], r.row);
  while (next_place(&r, &p));
}

int64_t frame_encode(const blosc_settings *s, const array *a, const void *in, size_t nin, void *out, size_t cap) {
  uint8_t header[HEADER_MOST], *const to = (uint8_t *)out;
  uint8_t *padded = NULL;
  size_t size = nin;
  memset(header, 0, sizeof header);
  uint8_t *const end = put_metalayers(header + HEADER_LEAST, header, a);
  const size_t length = (size_t)(end - header);
  if (cap < length) return H5Z_E_OUTPUT;

  if (a && !is_contiguous(a)) {
    const uint64_t at[MOST_DIMENSIONS] = {0};
    const size_t blocks = array_blocks(a);
    size = array_padded_bytes(a);
    padded = calloc(1, size);
    if (!padded) return H5Z_E_MEMORY;
    const size_t block = size / blocks;
    for (size_t i = 0; i < blocks; i++) gather_block(a, at, i, (const uint8_t *)in, padded + i * block);
  }
  /* A header more than the data always suffices, and is all that c-blosc2 gives itself. */
  const size_t room = min_size(cap - length, size + BLOSC_EXTENDED);
  int64_t chunk = blosc_encode(s, padded ? padded : in, size, to + length, room);
  free(padded);
  if (chunk < 0) return chunk;
  const size_t tail = INDEX_BYTES + FRAME_TRAILER;
  if (chunk == 0 || cap - length - (size_t)chunk < tail) return H5Z_E_OUTPUT;

  const uint32_t block_bytes = blosc_get_u32(to + length + 8);
  uint8_t first[8] = {0}; /* the chunk's offset; zeros alone are no chunk but a special value */
  if (to[length + 31] >> 4 == BLOSC_SPECIAL_ZERO) first[7] = 0x80 | BLOSC_SPECIAL_ZERO, chunk = 0;
  uint8_t *p = to + length + chunk;
  const blosc_settings index = {.second = 1, .codec = BLOSC_BLOSCLZ, .level = 5, .shuffle = BLOSC_SHUFFLE, .typesize = 8};
  blosc_encode(&index, first, 8, p, INDEX_BYTES);
  p += INDEX_BYTES;
  memset(p, 0, FRAME_TRAILER);
  *p++ = 0x94, *p++ = 1;
  p = put_metalayers(p, NULL, NULL);
  p = put(p, 0xce, FRAME_TRAILER, 4);
  p = put(p, 0xd8, 0, 1); /* no fingerprint */
  p += 16;

  uint8_t *h = header;
  memcpy(h, "\x9e\xa8" "b2frame", 10);
  h = put(h + 10, 0xd2, length, 4);
  h = put(h, 0xcf, (uint64_t)(p - to), 8);
  *h++ = 0xa4, *h++ = 0x12, *h++ = 0;
  *h++ = (uint8_t)(s->codec | s->level << 4), *h++ = 3;
  h = put(h, 0xd3, size, 8);
  h = put(h, 0xd3, (uint64_t)chunk, 8);
  h = put(h, 0xd2, !a && s->typesize > BLOSC_MAX_TYPESIZE ? 1 : s->typesize, 4);
  h = put(h, 0xd2, block_bytes, 4);
  h = put(h, 0xd2, size, 4);
  h = put(h, 0xd1, 0, 2); /* threads, as the filter sets them */
  h = put(h, 0xd1, 1, 2);
  *h++ = 0xc2, *h++ = 0xd8, *h++ = BLOSC_FILTERS;
  h[BLOSC_FILTERS - 1] = (uint8_t)s->shuffle;
  h[BLOSC_FILTERS] = (uint8_t)s->codec;
  memcpy(to, header, length);
  return p - to;
}
#endif
