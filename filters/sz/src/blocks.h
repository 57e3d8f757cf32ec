/* The blocked streams of SZ 2.1 for REAL = float or double; NAME(x) makes names. The elements are split into blocks of
 * about `side` elements a side; each block's elements follow one another in the bit stream. What lies in the stream:
 *
 *     u32 side | REAL precision | u32 radius x 2 | u32 bytes of the tree | u32 nodes, tree | u8 use mean | REAL mean, native
 *     1 bit a block: predicted by neighbours (1) or by regression (0)
 *     if a block is by regression, for each coefficient (one a dimension, and the constant):
 *         REAL precision | u32 radius | u32 bytes of the tree | u32 nodes, tree | size of bits | bits | u32 n | n REAL, native
 *     size, native: n | n REAL, native: the unpredictable elements | bits of all elements
 */

/* A coefficient's codes, and what they could not say. */
typedef struct NAME(coefficient) {
  sz_tree tree;
  sz_source types;
  REAL precision, last;
  uint32_t radius;
  const uint8_t *exact, *exact_end;
} NAME(coefficient);

typedef struct NAME(blocks) {
  sz_source types;
  REAL precision, mean;
  int use_mean, big, bad;
  int32_t radius;
  const uint8_t *exact, *exact_end;
  NAME(coefficient) coefficient[4];
} NAME(blocks);

static REAL NAME(native)(const uint8_t *p, int big) {
  BITS bits;
  memcpy(&bits, p, sizeof bits);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  big = !big;
#endif
  if (big) bits = SWAP(bits);
  REAL value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The next element stored by itself. */
static REAL NAME(unpredictable)(NAME(blocks) * b) {
  if (b->exact == b->exact_end) {
    b->bad = 1;
    return 0;
  }
  b->exact += sizeof(REAL);
  return NAME(native)(b->exact - sizeof(REAL), b->big);
}

static inline REAL NAME(by_neighbours)(NAME(blocks) * b, REAL prediction, int use_mean) {
  int32_t t = (int32_t)sz_next(&b->types);
  if (t == 0) return NAME(unpredictable)(b);
  if (use_mean) {
    if (t == b->radius) return b->mean;
    if (t < b->radius) t++;
  }
  return prediction + (REAL)(2 * (t - b->radius)) * b->precision;
}

/* One row of a block. `across` and `behind` are NULL outside of the data, where everything is 0; so are the elements
 * before a row that begins at the edge. */
static inline void NAME(row)(NAME(blocks) * b, STORED *out, const STORED *across, const STORED *behind, const STORED *both,
                             size_t count, int at_edge, int use_mean) {
  REAL a = at_edge ? 0 : out[-1];
  if (!across && !behind) {
    for (size_t k = 0; k < count; k++) out[k] = a = NAME(by_neighbours)(b, a, use_mean);
  } else if (!across || !behind) {
    const STORED *other = across ? across : behind;
    REAL ab = at_edge ? 0 : other[-1];
    for (size_t k = 0; k < count; k++) {
      const REAL o = other[k];
      out[k] = a = NAME(by_neighbours)(b, a + o - ab, use_mean);
      ab = o;
    }
  } else {
    REAL ab = at_edge ? 0 : across[-1], ac = at_edge ? 0 : behind[-1], abc = at_edge ? 0 : both[-1];
    for (size_t k = 0; k < count; k++) {
      const REAL o = across[k], c = behind[k], bc = both[k];
      out[k] = a = NAME(by_neighbours)(b, a + o + c - ab - ac - bc + abc, use_mean);
      ab = o, ac = c, abc = bc;
    }
  }
}

static void NAME(regression_block)(NAME(blocks) * b, STORED *out, const uint64_t *at, const uint64_t *size,
                                   const uint64_t *step, unsigned rank) {
  (void)at;
  REAL c[4];
  for (unsigned e = 0; e <= rank; e++) {
    NAME(coefficient) *k = &b->coefficient[e];
    const uint32_t t = sz_next(&k->types);
    if (t != 0) {
      k->last = k->last + (REAL)(2 * ((int32_t)t - (int32_t)k->radius)) * k->precision;
    } else if (k->exact != k->exact_end) {
      k->last = NAME(native)(k->exact, b->big), k->exact += sizeof(REAL);
    } else {
      b->bad = 1;
    }
    c[e] = k->last;
    b->bad |= k->types.bad;
  }
  for (uint64_t i = 0; i < size[0]; i++) {
    for (uint64_t j = 0; j < size[1]; j++) {
      STORED *row = out + i * step[0] + j * step[1];
      const REAL base = rank == 3 ? c[0] * (REAL)i + c[1] * (REAL)j : c[0] * (REAL)j;
      const REAL slope = c[rank - 1], constant = c[rank];
      for (uint64_t k = 0; k < size[2]; k++) {
        const int32_t t = (int32_t)sz_next(&b->types);
        row[k] = t == 0 ? NAME(unpredictable)(b)
                        : base + slope * (REAL)k + constant + (REAL)(2 * (t - b->radius)) * b->precision;
      }
    }
  }
}

static void NAME(neighbour_block)(NAME(blocks) * b, STORED *out, const uint64_t *at, const uint64_t *size,
                                  const uint64_t *step, unsigned rank) {
  (void)rank;
  for (uint64_t i = 0; i < size[0]; i++) {
    for (uint64_t j = 0; j < size[1]; j++) {
      STORED *row = out + i * step[0] + j * step[1];
      const STORED *across = at[1] + j > 0 ? row - step[1] : NULL, *behind = at[0] + i > 0 ? row - step[0] : NULL;
      const STORED *both = across && behind ? behind - step[1] : NULL;
      if (b->use_mean) NAME(row)(b, row, across, behind, both, size[2], at[2] == 0, 1);
      else NAME(row)(b, row, across, behind, both, size[2], at[2] == 0, 0);
    }
  }
}

/* dim: 3, the slowest 1 for rank 2. */
static int64_t NAME(walk_blocks)(NAME(blocks) * b, STORED *out, const uint64_t *dim, unsigned rank, uint64_t side,
                                 const uint8_t *by_neighbours) {
  uint64_t blocks[3], at[3], size[3];
  const uint64_t step[3] = {dim[1] * dim[2], dim[2], 1};
  for (unsigned d = 0; d < 3; d++) blocks[d] = blocks_along(dim[d], side);
  uint64_t index = 0;
  for (uint64_t i = 0; i < blocks[0]; i++) {
    block_of(dim[0], blocks[0], i, &at[0], &size[0]);
    for (uint64_t j = 0; j < blocks[1]; j++) {
      block_of(dim[1], blocks[1], j, &at[1], &size[1]);
      for (uint64_t k = 0; k < blocks[2]; k++, index++) {
        block_of(dim[2], blocks[2], k, &at[2], &size[2]);
        STORED *block = out + at[0] * step[0] + at[1] * step[1] + at[2];
        if (by_neighbours[index >> 3] >> (7 - (index & 7)) & 1) NAME(neighbour_block)(b, block, at, size, step, rank);
        else NAME(regression_block)(b, block, at, size, step, rank);
        if (b->bad || b->types.bad) return H5Z_E_CORRUPT;
      }
    }
  }
  return 0;
}

static int64_t NAME(decode_blocks)(sz_cursor in, const sz_shape *shape, unsigned size_bytes, STORED *out) {
  uint64_t dim[3] = {1, 1, 1};
  unsigned rank = 2;
  if (shape->rank == 2) {
    dim[1] = shape->dim[0], dim[2] = shape->dim[1];
  } else if (shape->rank == 3 || shape->rank == 4) {
    rank = 3;
    dim[0] = shape->rank == 4 ? shape->dim[0] * shape->dim[1] : shape->dim[0];
    dim[1] = shape->dim[shape->rank - 2], dim[2] = shape->dim[shape->rank - 1];
  } else {
    return H5Z_E_CORRUPT; /* no writer makes blocks of one dimension */
  }

  NAME(blocks) *b = calloc(1, sizeof *b);
  if (!b) return H5Z_E_MEMORY;
  sz_tree tree = {0};
  int64_t status = H5Z_E_CORRUPT;

  const uint64_t side = take_u32(&in);
  const uint8_t *precision = take(&in, sizeof(REAL));
  const uint64_t intervals = take_u32(&in);
  const uint64_t tree_bytes = take_u32(&in), nodes = take_u32(&in);
  sz_cursor tree_in = take_cursor(&in, tree_bytes);
  const uint8_t *mean = take(&in, 1 + sizeof(REAL));
  if (in.bad || side == 0 || intervals >= SZ_MOST_TYPES) goto done;
  status = sz_tree_read(&tree, tree_in.p, (size_t)(tree_in.end - tree_in.p), (uint32_t)nodes, shape->count);
  if (status < 0) goto done;
  status = H5Z_E_CORRUPT;
  b->big = tree_in.p[0] == 1;
  b->precision = NAME(native)(precision, 1), b->radius = (int32_t)(intervals / 2);
  b->use_mean = mean[0] != 0, b->mean = NAME(native)(mean + 1, b->big);

  const uint64_t blocks = blocks_along(dim[0], side) * blocks_along(dim[1], side) * blocks_along(dim[2], side);
  const uint8_t *by_neighbours = take(&in, (blocks - 1) / 8 + 1);
  if (in.bad) goto done;
  uint64_t regressions = blocks;
  for (uint64_t i = 0; i < blocks; i++) regressions -= by_neighbours[i >> 3] >> (7 - (i & 7)) & 1;
  for (unsigned e = 0; regressions > 0 && e <= rank; e++) {
    NAME(coefficient) *k = &b->coefficient[e];
    const uint8_t *exactness = take(&in, sizeof(REAL));
    k->radius = (uint32_t)take_u32(&in);
    const uint64_t bytes = take_u32(&in), count = take_u32(&in);
    const sz_cursor coded = take_cursor(&in, bytes);
    const sz_cursor bits = take_cursor(&in, take_size(&in, size_bytes));
    const uint64_t exact = take_u32(&in);
    k->exact = take(&in, exact * sizeof(REAL)), k->exact_end = in.p;
    if (in.bad || k->radius >= SZ_MOST_TYPES) goto done;
    k->precision = NAME(native)(exactness, 1);
    status = sz_tree_read(&k->tree, coded.p, (size_t)(coded.end - coded.p), (uint32_t)count, regressions);
    if (status < 0) goto done;
    status = H5Z_E_CORRUPT;
    sz_source_start(&k->types, &k->tree, bits.p, bits.end, regressions);
  }
  const uint8_t *total = take(&in, size_bytes);
  if (in.bad) goto done;
  const uint64_t exact = native_size(total, size_bytes, b->big);
  if (exact > (uint64_t)(in.end - in.p) / sizeof(REAL)) goto done;
  b->exact = take(&in, exact * sizeof(REAL)), b->exact_end = in.p;
  sz_source_start(&b->types, &tree, in.p, in.end, shape->count);
  status = NAME(walk_blocks)(b, out, dim, rank, side, by_neighbours);

done:
  for (unsigned e = 0; e < 4; e++) sz_tree_free(&b->coefficient[e].tree);
  sz_tree_free(&tree);
  free(b);
  return status;
}
