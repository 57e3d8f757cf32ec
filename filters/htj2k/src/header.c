/* header.c: the headers of a JPEG 2000 codestream (ISO/IEC 15444-1 annex A, 15444-15), read before OpenJPH sees it.
 *
 *     +-----+-----------+-----+------+----  ----+-----+---------  -----+-----+
 *     | SOC | SIZ       | CAP | COD  | others   | SOT | tile part      | EOC |      all numbers big-endian
 *     +-----+-----------+-----+------+----  ----+-----+---------  -----+-----+
 *       marker FF xx, then (but SOC, SOD, EOC) u16 length of the segment with these two bytes
 *
 *   SIZ  u16 capabilities, u32 X Y XO YO (image), XT YT XTO YTO (tiles), u16 components, each u8 depth-1 | sign << 7, XR, YR
 *   COD  u8 style, u8 order, u16 layers, u8 colour transform; then as COC
 *   COC  u8 or u16 component, u8 style; u8 levels, u8 log2 width - 2 and height - 2 of a code block, u8 block style,
 *        u8 wavelet, and with style bit 0 for each level u8 log2 sizes of a precinct
 *   SOT  u16 tile, u32 length of the tile part from its SOT on (0: to the end), u8 part, u8 parts
 *
 * A few bytes here can ask a decoder for gigabytes: 65535 tiles of 33 levels with their precincts and code blocks. What
 * OpenJPH will allocate is reckoned first and held to a multiple of the chunk.
 */
#include "htj2k.h"

enum {
  SOC = 0xff4f, CAP = 0xff50, SIZ = 0xff51, COD = 0xff52, COC = 0xff53, TLM = 0xff55, PLM = 0xff57, QCD = 0xff5c,
  QCC = 0xff5d, CPF = 0xff59, PRF = 0xff56, CRG = 0xff63, COM = 0xff64, NLT = 0xff76, SOT = 0xff90, EOC = 0xffd9
};

enum { MOST_LEVELS = 32, TILES = 65535, MOST_COMPONENTS = 16384 };

static uint32_t u16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static uint32_t u32(const uint8_t *p) { return h5z_get_u32be(p); }
static uint64_t ceil_div(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/* The codestream's position: one marker segment after the other. */
typedef struct {
  const uint8_t *next, *end; /* next segment */
  const uint8_t *body;       /* of the segment read */
  size_t size;               /* of the body */
} segments;

/* The marker of the next segment, or a negative error. SOT's body is not read over: the tile part follows it. */
static int64_t next_segment(segments *s) {
  if (s->end - s->next < 4) return H5Z_E_CORRUPT;
  const uint32_t marker = u16(s->next), length = u16(s->next + 2);
  if (marker < 0xff00 || length < 2 || length > (size_t)(s->end - s->next) - 2) return H5Z_E_CORRUPT;
  s->body = s->next + 4, s->size = length - 2;
  s->next += 2 + length;
  return marker;
}

typedef struct {
  uint64_t x, y, xo, yo, xt, yt, xto, yto; /* as SIZ has them */
  uint32_t components, xr, yr;
  uint64_t tiles;
} geometry;

static int64_t read_siz(const uint8_t *p, size_t size, geometry *g, htj2k_image *image) {
  if (size < 36) return H5Z_E_CORRUPT;
  g->x = u32(p + 2), g->y = u32(p + 6), g->xo = u32(p + 10), g->yo = u32(p + 14);
  g->xt = u32(p + 18), g->yt = u32(p + 22), g->xto = u32(p + 26), g->yto = u32(p + 30);
  g->components = u16(p + 34);
  if (g->components == 0 || g->components > MOST_COMPONENTS || size != 36 + 3 * (size_t)g->components) return H5Z_E_CORRUPT;
  if (g->xo >= g->x || g->yo >= g->y || g->xt == 0 || g->yt == 0) return H5Z_E_CORRUPT;
  if (g->xto > g->xo || g->yto > g->yo || g->xto + g->xt <= g->xo || g->yto + g->yt <= g->yo) return H5Z_E_CORRUPT;
  const uint64_t across = ceil_div(g->x - g->xto, g->xt), down = ceil_div(g->y - g->yto, g->yt);
  if (across > TILES || down > TILES || across * down > TILES) return H5Z_E_CORRUPT;
  /* Coordinates are 32-bit in OpenJPH, the far side of the last tile included. */
  if (g->xto + across * g->xt > UINT32_MAX || g->yto + down * g->yt > UINT32_MAX) return H5Z_E_UNSUPPORTED;
  g->tiles = across * down;

  const uint8_t *c = p + 36;
  g->xr = c[1], g->yr = c[2];
  if (g->xr == 0 || g->yr == 0) return H5Z_E_CORRUPT;
  for (uint32_t i = 1; i < g->components; i++) /* a chunk has one datatype and one shape */
    if (memcmp(c, c + 3 * (size_t)i, 3) != 0) return H5Z_E_UNSUPPORTED;
  image->width = (uint32_t)(ceil_div(g->x, g->xr) - ceil_div(g->xo, g->xr));
  image->height = (uint32_t)(ceil_div(g->y, g->yr) - ceil_div(g->yo, g->yr));
  image->components = g->components;
  image->depth = (c[0] & 0x7fu) + 1, image->is_signed = c[0] >> 7;
  if (image->width == 0 || image->height == 0) return H5Z_E_CORRUPT;
  return image->depth > 16 ? H5Z_E_UNSUPPORTED : 0;
}

static int64_t begin(segments *s, const uint8_t *in, size_t nin, geometry *g, htj2k_image *image) {
  if (nin < 2 || u16(in) != SOC) return H5Z_E_CORRUPT;
  *s = (segments){.next = in + 2, .end = in + nin};
  const int64_t marker = next_segment(s);
  if (marker < 0) return marker;
  return marker == SIZ ? read_siz(s->body, s->size, g, image) : H5Z_E_CORRUPT;
}

int64_t htj2k_read_header(const uint8_t *in, size_t nin, htj2k_image *image) {
  segments s;
  geometry g;
  return begin(&s, in, nin, &g, image);
}

/* ---- what decoding costs --------------------------------------------------------------------------------------- */

/* Bytes that OpenJPH keeps for one tile of one component coded as `p` says (from the levels on), a little more than true;
 * an error code for what is no such coding. */
static int64_t tile_cost(const uint8_t *p, size_t size, bool has_precincts, const geometry *g, uint64_t *cost) {
  enum { OF_LEVEL = 2048, OF_BLOCK = 256, OF_HEADER = 48, OF_PRECINCT = 256, OF_SAMPLE = 8, LINES = 8 };
  if (size < 5) return H5Z_E_CORRUPT;
  const unsigned levels = p[0], xcb = p[1] + 2u, ycb = p[2] + 2u;
  if (levels > MOST_LEVELS) return levels & 0x80 ? H5Z_E_UNSUPPORTED : H5Z_E_CORRUPT; /* 0x80: part 2's decompositions */
  if (xcb > 10 || ycb > 10 || xcb + ycb > 12) return H5Z_E_CORRUPT;
  if (!(p[3] & 0x40)) return H5Z_E_UNSUPPORTED; /* blocks coded as in part 1, which are not high-throughput */
  if (p[4] > 1) return H5Z_E_UNSUPPORTED;       /* a wavelet of part 2 */
  if (has_precincts && size < 5 + (size_t)levels + 1) return H5Z_E_CORRUPT;
  const uint64_t width = (g->xt < g->x ? g->xt : g->x) / g->xr + 2, height = (g->yt < g->y ? g->yt : g->y) / g->yr + 2;
  uint64_t bytes = LINES * OF_SAMPLE * width;
  for (unsigned r = 0; r <= levels; r++) {
    const unsigned ppx = has_precincts ? p[5 + r] & 15u : 15, ppy = has_precincts ? p[5 + r] >> 4 : 15;
    if (r > 0 && (ppx == 0 || ppy == 0)) return H5Z_E_CORRUPT;
    const unsigned half = r > 0;
    const unsigned bx = xcb < ppx - half ? xcb : ppx - half, by = ycb < ppy - half ? ycb : ppy - half;
    const uint64_t w = (width >> (levels - r)) + 2, h = (height >> (levels - r)) + 2; /* of the level */
    const uint64_t across = (((w >> half) + 1) >> bx) + 2, down = (((h >> half) + 1) >> by) + 2; /* blocks of a band */
    const uint64_t lines = (h >> half) + 4 < UINT64_C(1) << by ? (h >> half) + 4 : UINT64_C(1) << by; /* of a block */
    const uint64_t samples = (bx < 4 ? 16u : UINT64_C(1) << bx) * lines;
    const uint64_t band = across * (OF_BLOCK + OF_SAMPLE * samples) + across * down * OF_HEADER + OF_SAMPLE * w;
    bytes += OF_LEVEL + (half ? 3 : 1) * band + LINES * OF_SAMPLE * w;
    bytes += ((w >> ppx) + 2) * ((h >> ppy) + 2) * OF_PRECINCT;
  }
  *cost = bytes;
  return 0;
}

/* Walks the tile parts from the first SOT on: each tile is there, and EOC ends the last. */
static int64_t check_tiles(const uint8_t *p, const uint8_t *end, uint64_t tiles) {
  uint8_t seen[(TILES + 7) / 8] = {0};
  uint64_t missing = tiles;
  for (;;) {
    if (end - p < 2) return H5Z_E_CORRUPT;
    if (u16(p) == EOC) return missing == 0 ? 0 : H5Z_E_CORRUPT;
    if (end - p < 14 || u16(p) != SOT || u16(p + 2) != 10) return H5Z_E_CORRUPT;
    const uint32_t tile = u16(p + 4);
    uint64_t length = u32(p + 6);
    if (length == 0) { /* to the end, less EOC */
      length = (uint64_t)(end - p) - 2;
      if (u16(p + length) != EOC) return H5Z_E_CORRUPT;
    }
    if (tile >= tiles || length < 14 || length > (uint64_t)(end - p) - 2) return H5Z_E_CORRUPT;
    if (!(seen[tile / 8] >> tile % 8 & 1)) seen[tile / 8] |= (uint8_t)(1u << tile % 8), missing--;
    p += length;
  }
}

int64_t htj2k_check(const uint8_t *in, size_t nin, uint64_t size) {
  segments s;
  geometry g;
  htj2k_image image;
  int64_t error = begin(&s, in, nin, &g, &image);
  if (error) return error;
  bool has_cap = false, has_cod = false, has_qcd = false;
  uint64_t common = 0, largest = 0, cost = 0; /* of one tile-component: by COD, by the dearest COC */
  for (;;) {
    if (s.end - s.next >= 2 && u16(s.next) == SOT) break;
    const int64_t marker = next_segment(&s);
    if (marker < 0) return marker;
    const uint8_t *p = s.body;
    error = 0;
    switch (marker) {
      case CAP:
        if (s.size < 4) return H5Z_E_CORRUPT;
        has_cap = u32(p) >> 17 & 1; /* Pcap15: high throughput */
        break;
      case COD:
        if (has_cod || s.size < 5) return H5Z_E_CORRUPT;
        has_cod = true;
        error = tile_cost(p + 5, s.size - 5, p[0] & 1, &g, &common);
        break;
      case COC: {
        const size_t skip = g.components < 257 ? 1 : 2;
        if (!has_cod || s.size < skip + 1) return H5Z_E_CORRUPT;
        if ((skip == 1 ? p[0] : u16(p)) >= g.components) return H5Z_E_CORRUPT;
        error = tile_cost(p + skip + 1, s.size - skip - 1, p[skip] & 1, &g, &cost);
        if (cost > largest) largest = cost;
        break;
      }
      case QCD:
        if (has_qcd) return H5Z_E_CORRUPT;
        has_qcd = true;
        break;
      case QCC: case NLT: case TLM: case PLM: case CRG: case COM: case PRF: case CPF: break;
      default: return H5Z_E_UNSUPPORTED; /* regions, changes of order, packed headers, part 2 */
    }
    if (error) return error;
  }
  if (!has_cod || !has_qcd) return H5Z_E_CORRUPT;
  if (!has_cap) return H5Z_E_UNSUPPORTED;
  if (common > largest) largest = common;
  const uint64_t allowed = (UINT64_C(128) << 20) + 256 * size; /* an image of one line is the dearest */
  if (largest > allowed / g.tiles / g.components) return H5Z_E_UNSUPPORTED;
  return check_tiles(s.next, s.end, g.tiles);
}
