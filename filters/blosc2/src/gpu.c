/* The Blosc2 filter on a GPU: decoding of frames that hold one chunk with LZ4 or BloscLZ inside, or one of special values. Layout and
 * rules are filter.c's and frame.c's; the dialect is h5z/gpu.h's, and what is done to a chunk stands in h5z/gpu/blosc.h. The
 * blocks of an array that do not lie in it one behind the other are put together in scratch, a group's one after the other,
 * and each element is then taken to its place. Frames of several chunks, whose offsets are compressed, are H5Z_E_UNSUPPORTED, as is
 * what h5z/gpu/blosc.h leaves out. */
#include <h5z/gpu/blosc.h>

enum { NEWEST_REVISION = 2, FRAME_FORMATS = 3, HEADER_LEAST = 87, METALAYERS = 91, MOST_DIMENSIONS = 16, RANK_WORD = 7 };

typedef struct frame {
  uint64_t header, length, chunks_bytes;
  uint64_t size, chunk_bytes, chunks; /* of the data; of a decoded chunk with its padding; how many */
  uint64_t block_bytes, elem;
  uint32_t rank, nothing; /* 0: no array; 1: not even a chunk */
  uint32_t shape[MOST_DIMENSIONS], chunk[MOST_DIMENSIONS], block[MOST_DIMENSIONS];
} frame;

/* A number of `bytes` bytes, the highest first. A function, since headers are full of them and read once. */
H5Z_OUTLINE uint64_t big_endian(uint32_t bytes, H5Z_GLOBAL const uint8_t *p) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < bytes; i++) n = n << 8 | p[i];
  return n;
}

/* `n` sizes at *at, each behind a byte that says how wide it is. */
H5Z_OUTLINE int dimensions(H5Z_GLOBAL const uint8_t *p, uint64_t *at, uint64_t end, uint32_t n, int wide, uint32_t *dims) {
  if (*at >= end || p[*at] != 0x90 + n) return 0;
  *at += 1;
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t bytes = wide ? 9 : 5;
    if (end - *at < bytes || p[*at] != (wide ? 0xd3 : 0xd2)) return 0;
    const uint64_t size = big_endian(wide ? 8 : 4, p + *at + 1);
    if (size == 0 || size > INT32_MAX) return 0;
    dims[i] = (uint32_t)size;
    *at += bytes;
  }
  return 1;
}

/* The array that the header's metalayers speak of, if they do. */
H5Z_DEVICE int32_t metalayers(H5Z_GLOBAL const uint8_t *in, frame *f) {
  uint64_t at = METALAYERS;
  if (f->header < at + 3) return f->header == HEADER_LEAST ? 0 : H5Z_E_CORRUPT;
  if (in[at] != 0xde) return H5Z_E_CORRUPT;
  uint32_t layers = (uint32_t)in[at + 1] << 8 | in[at + 2];
  for (at += 3; layers > 0; layers--) {
    if (f->header - at < 1 || (in[at] & 0xe0) != 0xa0) return H5Z_E_CORRUPT;
    const uint32_t name = in[at] & 0x1f;
    at++;
    if (f->header - at < name + 5 || in[at + name] != 0xd2) return H5Z_E_CORRUPT;
    const uint64_t content = big_endian(4, in + at + name + 1);
    const int is_b2nd = name == 4 && big_endian(4, in + at) == 0x62326e64;
    const int is_caterva = name == 7 && big_endian(4, in + at) == 0x63617465 && big_endian(4, in + at + 3) == 0x65727661;
    at += name + 5;
    if ((!is_b2nd && !is_caterva) || f->rank > 0) continue;
    if (content > f->header || f->header - content < 5 || in[content] != 0xc6) return H5Z_E_CORRUPT;
    const uint64_t length = big_endian(4, in + content + 1), begin = content + 5;
    if (length > f->header - begin || length < 3) return H5Z_E_CORRUPT;
    const uint32_t rank = in[begin + 2];
    if (rank == 0 || rank > MOST_DIMENSIONS) return H5Z_E_CORRUPT;
    uint64_t next = begin + 3;
    if (!dimensions(in, &next, begin + length, rank, 1, f->shape) || !dimensions(in, &next, begin + length, rank, 0, f->chunk) ||
        !dimensions(in, &next, begin + length, rank, 0, f->block))
      return H5Z_E_CORRUPT;
    f->rank = rank;
  }
  return 0;
}

H5Z_DEVICE uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

H5Z_DEVICE int multiply(uint64_t *product, uint64_t by) {
  if (by > INT32_MAX) return 0;
  *product *= by;
  return *product <= INT32_MAX;
}

/* Bytes of a chunk with its padding; 0: too many. */
H5Z_OUTLINE uint64_t padded_bytes(const frame *f) {
  uint64_t bytes = f->elem;
  for (uint32_t i = 0; i < f->rank; i++)
    if (!multiply(&bytes, round_up(f->chunk[i], f->block[i]))) return 0;
  return bytes;
}

H5Z_DEVICE int32_t check_array(frame *f) {
  if (f->elem == 1) {
    const uint64_t elements = padded_bytes(f);
    if (elements > 0 && f->chunk_bytes % elements == 0 && f->chunk_bytes / elements > 255) f->elem = f->chunk_bytes / elements;
  }
  uint64_t size = f->elem, block = f->elem, chunks = 1;
  for (uint32_t i = 0; i < f->rank; i++) {
    if (!multiply(&size, f->shape[i]) || !multiply(&block, f->block[i])) return H5Z_E_CORRUPT;
    if (!multiply(&chunks, round_up(f->shape[i], f->chunk[i]) / f->chunk[i])) return H5Z_E_CORRUPT;
  }
  if (padded_bytes(f) != f->chunk_bytes || chunks != f->chunks) return H5Z_E_CORRUPT;
  f->size = size, f->block_bytes = block;
  return 0;
}

H5Z_DEVICE int32_t open_frame(H5Z_GLOBAL const uint8_t *p, uint64_t nin, frame *f) {
  if (nin < HEADER_LEAST) return H5Z_E_CORRUPT;
  if ((p[0] & 0xf0) != 0x90 || p[1] != 0xa8 || big_endian(8, p + 2) != UINT64_C(0x62326672616d6500) || p[10] != 0xd2 ||
      p[15] != 0xcf || p[24] != 0xa4)
    return H5Z_E_CORRUPT;
  const uint32_t format = p[25] & 15, offsets = p[25] >> 4 & 3;
  if (format == 0 || format > FRAME_FORMATS) return H5Z_E_VERSION;
  if (offsets != 1 || p[25] & 0xc0 || p[26] != 0) return H5Z_E_UNSUPPORTED;
  const uint64_t size = big_endian(8, p + 30);
  f->header = big_endian(4, p + 11), f->length = big_endian(8, p + 16), f->chunks_bytes = big_endian(8, p + 39);
  f->chunk_bytes = big_endian(4, p + 58), f->size = size;
  if (f->header < HEADER_LEAST || f->length > nin || f->header > f->length || f->chunks_bytes > f->length - f->header)
    return H5Z_E_CORRUPT;
  if (size > INT32_MAX || f->chunk_bytes > INT32_MAX || (size > 0 && f->chunk_bytes == 0)) return H5Z_E_CORRUPT;
  f->chunks = size > 0 ? size / f->chunk_bytes + (size % f->chunk_bytes != 0) : 0;
  f->block_bytes = big_endian(4, p + 53), f->elem = big_endian(4, p + 48), f->rank = 0;
  if (f->elem == 0 || f->elem > INT32_MAX) return H5Z_E_CORRUPT;
  const int32_t status = metalayers(p, f);
  return status != 0 || f->rank == 0 ? status : check_array(f);
}

/* Where the one chunk begins, or what it is: the decoded chunk of offsets, of a single one. */
H5Z_DEVICE int32_t offset_of(H5Z_GLOBAL const uint8_t *in, const frame *f, uint64_t *offset) {
  h5z_gpu_blosc c;
  const uint64_t at = f->header + f->chunks_bytes;
  const int32_t status = h5z_gpu_blosc_open(in + at, f->length - at, H5Z_BLOSC_NEWEST, &c);
  if (status != 0) return status;
  if (c.size != 8) return H5Z_E_CORRUPT;
  *offset = 0;
  if (!c.special && !(c.flags & H5Z_BLOSC_F_MEMCPY)) return H5Z_E_UNSUPPORTED;
  for (uint32_t i = 0; i < 8; i++) *offset |= (uint64_t)h5z_gpu_blosc_plain_byte(&c, i) << 8 * i;
  return 0;
}

/* The chunk of the frame: 0, or an error or `nothing`. */
H5Z_DEVICE int32_t chunk_of(const h5z_gpu_batch *b, const h5z_gpu_part *p, frame *f, h5z_gpu_blosc *c) {
  if (b->ncd > 0 && b->cd[0] > NEWEST_REVISION) return H5Z_E_VERSION;
  int32_t status = open_frame(p->in, p->size, f);
  if (status != 0) return status;
  const uint32_t rank = b->ncd > RANK_WORD ? b->cd[RANK_WORD] : 0;
  if (rank > MOST_DIMENSIONS || b->ncd < (rank > 0 ? RANK_WORD + 1 + rank : 0)) return H5Z_E_PARAM;
  if (rank > 0 && f->rank > 0) {
    if (rank != f->rank) return H5Z_E_CORRUPT;
    for (uint32_t i = 0; i < rank; i++)
      if (f->shape[i] != b->cd[RANK_WORD + 1 + i]) return H5Z_E_CORRUPT;
  }
  if (f->size > p->room) return H5Z_E_OUTPUT;
  f->nothing = f->chunks == 0;
  if (f->nothing) return 0;
  if (f->chunks > 1) return H5Z_E_UNSUPPORTED;

  uint64_t offset;
  const uint64_t want = f->rank > 0 ? f->chunk_bytes : f->size;
  status = offset_of(p->in, f, &offset);
  if (status != 0) return status;
  if (offset >> 63) {
    const uint32_t elem = f->elem > 255 ? 1 : (uint32_t)f->elem;
    c->special = (uint32_t)(offset >> 56) & 7;
    if (c->special != H5Z_BLOSC_ZERO && c->special != H5Z_BLOSC_NAN && c->special != H5Z_BLOSC_UNINIT) return H5Z_E_CORRUPT;
    if (c->special == H5Z_BLOSC_NAN && elem != 4 && elem != 8) return H5Z_E_CORRUPT;
    c->in = p->in, c->length = 0, c->header = 0, c->version = H5Z_BLOSC_SECOND, c->flags = 0, c->typesize = c->elem = elem;
    c->filter = H5Z_BLOSC_NONE, c->size = (uint32_t)want;
    c->block = f->block_bytes > 0 && f->block_bytes < want ? (uint32_t)f->block_bytes : (uint32_t)want;
    c->blocks = c->size / c->block + (c->size % c->block != 0);
    return 0;
  }
  if (offset > f->chunks_bytes) return H5Z_E_CORRUPT;
  status = h5z_gpu_blosc_open(p->in + f->header + offset, f->chunks_bytes - offset, H5Z_BLOSC_NEWEST, c);
  return status != 0 ? status : c->size != want ? H5Z_E_CORRUPT : 0;
}

/* Do the blocks lie in the array one behind the other? */
H5Z_DEVICE int is_contiguous(const frame *f) {
  int d = (int)f->rank - 1;
  for (uint32_t i = 0; i < f->rank; i++)
    if (f->chunk[i] % f->block[i] != 0 || f->shape[i] != f->chunk[i]) return 0;
  while (d >= 0 && f->block[d] == f->chunk[d]) d--;
  for (d--; d >= 0; d--)
    if (f->block[d] != 1) return 0;
  return 1;
}

/* As chunk_of, and whether there is room for what the chunk has to go through. */
H5Z_OUTLINE int32_t plan(const h5z_gpu_batch *b, const h5z_gpu_part *p, frame *f, h5z_gpu_blosc *c) {
  const int32_t status = chunk_of(b, p, f, c);
  if (status != 0 || f->nothing) return status;
  if (f->rank == 0 || is_contiguous(f)) return h5z_gpu_blosc_room(b, p, c);
  /* Cut otherwise than the array says, or a block larger than all that is wanted of it. */
  if (c->block != f->block_bytes || c->block > p->room) return H5Z_E_UNSUPPORTED;
  return h5z_gpu_space(b) ? 0 : H5Z_E_MEMORY;
}

H5Z_KERNEL void h5z_blosc2_decode_0(h5z_gpu_batch b) {
  h5z_gpu_part p;
  frame f;
  h5z_gpu_blosc c;
  if (!h5z_gpu_begin(&b, &p)) return;
  const int32_t status = plan(&b, &p, &f, &c);
  h5z_gpu_answer(&b, &p, status == 0 ? f.size : 0, status);
}

/* The elements of block `index` to their places, from where its streams were decoded to. */
H5Z_OUTLINE void take(const frame *f, const h5z_gpu_blosc *c, uint32_t index, H5Z_GLOBAL const uint8_t *in,
                     H5Z_GLOBAL uint8_t *out) {
  const uint32_t elem = (uint32_t)f->elem, elements = c->block / elem;
  const int plain = c->special || c->flags & H5Z_BLOSC_F_MEMCPY;
  for (uint32_t e = h5z_lane(); e < elements; e += h5z_lanes()) {
    uint64_t to = 0, step = 1;
    uint32_t rest = e, block = index;
    int inside = 1;
    for (uint32_t d = f->rank; d-- > 0;) {
      const uint32_t blocks = (uint32_t)(round_up(f->chunk[d], f->block[d]) / f->block[d]);
      const uint64_t x = (uint64_t)(block % blocks) * f->block[d] + rest % f->block[d];
      inside &= x < f->shape[d];
      to += x * step, step *= f->shape[d];
      block /= blocks, rest /= f->block[d];
    }
    if (!inside) continue;
    for (uint32_t k = 0; k < elem; k++)
      out[to * elem + k] = plain ? h5z_gpu_blosc_plain_byte(c, index * c->block + e * elem + k)
                                 : h5z_gpu_blosc_byte(c, in, c->block, e * elem + k);
  }
}

/* Is any of the block inside of the array? */
H5Z_DEVICE int is_needed(const frame *f, uint32_t block) {
  for (uint32_t d = f->rank; d-- > 0;) {
    const uint32_t blocks = (uint32_t)(round_up(f->chunk[d], f->block[d]) / f->block[d]);
    if ((uint64_t)(block % blocks) * f->block[d] >= f->shape[d]) return 0;
    block /= blocks;
  }
  return 1;
}

H5Z_KERNEL void h5z_blosc2_decode_1(h5z_gpu_batch b) {
  h5z_gpu_part p;
  frame f;
  h5z_gpu_blosc c;
  if (!h5z_gpu_next(&b, &p) || plan(&b, &p, &f, &c) != 0 || f.nothing) return;
  if (f.rank == 0 || is_contiguous(&f)) {
    h5z_gpu_blosc_decode(&b, &p, &c);
    return;
  }
  /* As many parts take blocks as have room for one in the chunk's scratch. */
  const uint64_t rooms = p.room / c.block, parts = rooms < b.groups ? rooms : b.groups;
  H5Z_GLOBAL uint8_t *aside = h5z_gpu_aside(&b, &p) + (uint64_t)p.part * c.block;
  const int plain = c.special || c.flags & H5Z_BLOSC_F_MEMCPY;
  for (uint64_t i = p.part; p.part < parts && i < c.blocks; i += parts) {
    if (!is_needed(&f, (uint32_t)i)) continue;
    if (!plain && !h5z_gpu_blosc_streams(&c, (uint32_t)i, c.block, aside)) {
      h5z_gpu_fail(&b, &p, H5Z_E_CORRUPT);
      return;
    }
    h5z_sync();
    take(&f, &c, (uint32_t)i, aside, p.out);
    h5z_sync();
  }
}
