/* config.c: SZ3's Config as bytes: in every chunk, and from 3.2 on in the cd_values too.
 *
 *   3.1    | rank u8 | dims u64 each | num u64 | algorithm u8 | mode u8 | abs f64 | rel f64 | lorenzo, lorenzo2, regression,
 *          | regression2 u8 | interpolator u8 | direction u8 | block of interpolation i32 | lossless u8 | encoder u8 |
 *          | quantization bins i32 | block i32 | stride i32 | prediction dims i32 | openmp u8 (since 3.1.3) |
 *   later  | from 3.3.1 on: bytes u8, itself included | up to 3.3.1: magic u32, version u32 | rank u8 | w u8 | dims, w bits each, first bit
 *          | lowest, filled up to a byte | num u64 | algorithm u8 | mode u8 | abs, rel, psnr or norm f64, or abs and rel |
 *          | bits u8: lorenzo, lorenzo2, regression, regression2, openmp from the highest down | type u8 |
 *          | quantization bins i32 | block i32 | prediction dims u8 |
 */
#include "sz3.h"

uint32_t sz3_chunk_version(const uint8_t *in, size_t nin) {
  sz3_reader r = {in, nin, 0};
  uint32_t version;
  if (nin >= 8 && sz3_get_u32(&r) == SZ3_MAGIC) {
    version = sz3_get_u32(&r) >> 8;
    return version == SZ3_V331 || version == SZ3_V31 ? UINT32_MAX : version; /* no file says so */
  }
  r = (sz3_reader){in, nin, 0};
  sz3_take(&r, 1);
  if (nin >= 9 && sz3_get_u32(&r) == SZ3_MAGIC) {
    version = sz3_get_u32(&r) >> 8;
    return version == SZ3_V330 ? SZ3_V331 : version == SZ3_V31 || version == SZ3_V332 ? UINT32_MAX : version;
  }
  return SZ3_V31;
}

/* Rank, dims and num must agree, and be of a size that arithmetic on them cannot overflow. */
static int plausible(const sz3_config *c) {
  uint64_t num = 1;
  if (c->rank < 1 || c->rank > SZ3_MAX_RANK) return 0;
  for (unsigned d = 0; d < c->rank; d++) {
    if (c->dims[d] == 0 || c->dims[d] > ((uint64_t)1 << 40) / num) return 0;
    num *= c->dims[d];
  }
  return c->num == num;
}

static void load_bounds(sz3_reader *r, sz3_config *c) {
  c->mode = sz3_get_u8(r);
  switch (c->mode) {
    case SZ3_ABS: c->abs = sz3_get_f64(r); break;
    case SZ3_REL: c->rel = sz3_get_f64(r); break;
    case SZ3_PSNR: c->psnr = sz3_get_f64(r); break;
    case SZ3_NORM: c->norm = sz3_get_f64(r); break;
    case SZ3_ABS_AND_REL:
    case SZ3_ABS_OR_REL: c->abs = sz3_get_f64(r), c->rel = sz3_get_f64(r); break;
    default: r->failed = 1;
  }
}

int sz3_config_load(sz3_reader *r, uint32_t version, sz3_config *c) {
  memset(c, 0, sizeof *c);
  c->version = version;
  if (version == SZ3_V31) {
    c->rank = sz3_get_u8(r);
    for (unsigned d = 0; d < c->rank; d++) {
      const uint64_t length = sz3_get_u64(r);
      if (d < SZ3_MAX_RANK) c->dims[d] = length;
    }
    c->num = sz3_get_u64(r);
    c->algorithm = sz3_get_u8(r);
    c->mode = sz3_get_u8(r);
    c->abs = sz3_get_f64(r);
    c->rel = sz3_get_f64(r);
    c->lorenzo = sz3_get_u8(r), c->lorenzo2 = sz3_get_u8(r);
    c->regression = sz3_get_u8(r), c->regression2 = sz3_get_u8(r);
    sz3_take(r, 1 + 1 + 4 + 1 + 1);
    c->quantbins = sz3_get_i32(r);
    c->block = sz3_get_i32(r);
    sz3_take(r, 4 + 4);
    if (r->left > 0) c->openmp = sz3_get_u8(r);
    return r->failed || !plausible(c) ? H5Z_E_CORRUPT : 0;
  }

  sz3_reader in = *r;
  if (version >= SZ3_V331) {
    const uint8_t size = sz3_get_u8(r);
    in = (sz3_reader){sz3_take(r, size > 0 ? size - 1u : 0), size > 0 ? size - 1u : 0, r->failed || size == 0};
    if (in.failed) return H5Z_E_CORRUPT;
  }
  if (version < SZ3_V332) sz3_take(&in, 8);
  c->rank = sz3_get_u8(&in);
  const unsigned width = sz3_get_u8(&in);
  if (c->rank > SZ3_MAX_RANK || width > 64) return H5Z_E_CORRUPT;
  const uint8_t *bits = sz3_take(&in, ((uint64_t)c->rank * width + 7) / 8);
  for (unsigned i = 0; bits && i < c->rank * width; i++) c->dims[i / width] |= (uint64_t)(bits[i / 8] >> i % 8 & 1) << i % width;
  c->num = sz3_get_u64(&in);
  c->algorithm = sz3_get_u8(&in);
  load_bounds(&in, c);
  /* Left out when they are as usual; 3.3 writes them all. */
  c->lorenzo = c->regression = 1;
  c->quantbins = 65536;
  if (in.left > 0) {
    const uint8_t flags = sz3_get_u8(&in);
    c->lorenzo = flags >> 7 & 1, c->lorenzo2 = flags >> 6 & 1, c->regression = flags >> 5 & 1, c->regression2 = flags >> 4 & 1;
    c->openmp = flags >> 3 & 1;
  }
  if (in.left > 0) c->type = sz3_get_u8(&in);
  if (in.left > 0) c->quantbins = sz3_get_i32(&in);
  if (in.left > 0) c->block = sz3_get_i32(&in);
  if (in.left > 0) sz3_take(&in, 1);
  if (version == SZ3_V330) *r = in;
  return in.failed || !plausible(c) || c->type >= SZ3_TYPES ? H5Z_E_CORRUPT : 0;
}

#if !defined(H5Z_DECODE_ONLY)
void sz3_config_save(sz3_writer *w, const sz3_config *c) {
  if (c->version == SZ3_V31) {
    sz3_put(w, c->rank, 1);
    for (unsigned d = 0; d < c->rank; d++) sz3_put(w, c->dims[d], 8);
    sz3_put(w, c->num, 8);
    sz3_put(w, c->algorithm, 1);
    sz3_put(w, c->mode, 1);
    sz3_put_f64(w, c->abs);
    sz3_put_f64(w, c->rel);
    sz3_put(w, c->lorenzo, 1), sz3_put(w, c->lorenzo2, 1), sz3_put(w, c->regression, 1), sz3_put(w, c->regression2, 1);
    sz3_put(w, 1, 1), sz3_put(w, 0, 1), sz3_put(w, 32, 4); /* interpolator, direction, block: the payload has the true ones */
    sz3_put(w, 1, 1), sz3_put(w, 1, 1);                    /* zstd, Huffman */
    sz3_put(w, (uint32_t)c->quantbins, 4);
    sz3_put(w, (uint32_t)c->block, 4);
    sz3_put(w, (uint32_t)c->block, 4);
    sz3_put(w, c->rank, 4);
    sz3_put(w, c->openmp, 1);
    return;
  }
  uint8_t *const size = sz3_give(w, 1);
  const size_t before = w->left;
  unsigned width = 0;
  for (unsigned d = 0; d < c->rank; d++) {
    while (width < 64 && c->dims[d] >> width > 0) width++;
  }
  sz3_put(w, c->rank, 1);
  sz3_put(w, width, 1);
  const size_t packed = (c->rank * width + 7) / 8;
  uint8_t *const bits = sz3_give(w, packed);
  if (bits) memset(bits, 0, packed);
  for (unsigned i = 0; bits && i < c->rank * width; i++) bits[i / 8] |= (uint8_t)((c->dims[i / width] >> i % width & 1) << i % 8);
  sz3_put(w, c->num, 8);
  sz3_put(w, c->algorithm, 1);
  sz3_put(w, c->mode, 1);
  switch (c->mode) {
    case SZ3_REL: sz3_put_f64(w, c->rel); break;
    case SZ3_PSNR: sz3_put_f64(w, c->psnr); break;
    case SZ3_NORM: sz3_put_f64(w, c->norm); break;
    case SZ3_ABS_AND_REL:
    case SZ3_ABS_OR_REL: sz3_put_f64(w, c->abs), sz3_put_f64(w, c->rel); break;
    default: sz3_put_f64(w, c->abs);
  }
  sz3_put(w, (uint64_t)(c->lorenzo << 7 | c->lorenzo2 << 6 | c->regression << 5 | c->regression2 << 4 | c->openmp << 3), 1);
  sz3_put(w, c->type, 1);
  sz3_put(w, (uint32_t)c->quantbins, 4);
  sz3_put(w, (uint32_t)c->block, 4);
  sz3_put(w, c->rank, 1);
  if (!w->failed) *size = (uint8_t)(before - w->left + 1);
}
#endif
