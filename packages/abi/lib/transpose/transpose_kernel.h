/* The vector kernels of transpose.c, for bits and for bytes, written once for every instruction set and included once for each.
 *
 * A group is 8 elements: 8 * elem bytes at the side of the elements, 1 byte in each of the 8 * elem rows. A kernel moves
 * W groups at a time, W being the bytes of a vector, in two steps that meet in `lines`:
 *
 *   elements: W groups,                    lines: 8 vectors for each byte j,         rows: W bytes of each
 *   8 * elem bytes each                    one for each element i of the group
 *
 *   g0 [e0 e1 e2 ... e7]  transpose bytes  i=0 [byte j of element 0 of g0 g1 g2 ..]  transpose bits   k=0 [bit 0 ...]
 *   g1 [e0 e1 e2 ... e7]  <------------->  i=1 [byte j of element 1 of g0 g1 g2 ..]  <------------->  k=1 [bit 1 ...]
 *   ...                   in 16 x 16 tiles ...                                       across vectors   ...
 *
 * The byte transpose never crosses 16-byte lanes: a wider vector holds one tile in each lane, whose groups lie 16 apart.
 *
 * Wanted from the includer: NAME(x) for the functions' names, TARGET for their attributes, W, vec, and the operations
 * LOAD(p), STORE(p, v), LOAD16(p, step), STORE16(p, step, v), LOAD8, STORE8 alike (lane n at p + n * step),
 * ZIPLO(a, b), ZIPHI(a, b) (interleave bytes within lanes), AND, XOR, SHL(v, n), SHR(v, n) (64-bit lanes), SPLAT(byte).
 */

/* Swaps a's bits `mask` << n with b's bits `mask`, in every byte. */
#define SWAP_BITS(a, b, n, mask)                   \
  do {                                             \
    const vec t_ = AND(XOR(SHR(a, n), b), mask);   \
    (b) = XOR(b, t_), (a) = XOR(a, SHL(t_, n));    \
  } while (0)

/* At every byte position, an 8 x 8 bit matrix stands upright in v[0..7]: transposes it. Its own inverse. */
#define TRANSPOSE_BITS(v)                                                              \
  do {                                                                                 \
    const vec m4_ = SPLAT(0x0f), m2_ = SPLAT(0x33), m1_ = SPLAT(0x55);                 \
    for (int r_ = 0; r_ < 4; r_++) SWAP_BITS((v)[r_], (v)[r_ + 4], 4, m4_);            \
    for (int r_ = 0; r_ < 4; r_++) SWAP_BITS((v)[r_ + (r_ & 2)], (v)[r_ + (r_ & 2) + 2], 2, m2_); \
    for (int r_ = 0; r_ < 8; r_ += 2) SWAP_BITS((v)[r_], (v)[r_ + 1], 1, m1_);         \
  } while (0)

/* One perfect shuffle of n vectors, a to b: the top bit of a byte's address becomes its lowest. */
#define SHUFFLE(n, a, b)                                                                       \
  for (int r_ = 0; r_ < (n) / 2; r_++)                                                         \
    (b)[2 * r_] = ZIPLO((a)[r_], (a)[r_ + (n) / 2]), (b)[2 * r_ + 1] = ZIPHI((a)[r_], (a)[r_ + (n) / 2])

/* Four of them turn the 8-bit address of a 16 x 16 tile by half: a transpose, its own inverse. */
#define TRANSPOSE_BYTES(v)  \
  do {                      \
    vec u_[16];             \
    SHUFFLE(16, v, u_);     \
    SHUFFLE(16, u_, v);     \
    SHUFFLE(16, v, u_);     \
    SHUFFLE(16, u_, v);     \
  } while (0)

/* Elements (W groups, `group` bytes apart) to lines, for 16 (or 8) consecutive bytes of the groups. */
TARGET static inline void NAME(load_tile)(const uint8_t *in, size_t group, vec *lines) {
  vec v[16];
  for (int r = 0; r < 16; r++) v[r] = LOAD16(in + (size_t)r * group, 16 * group);
  TRANSPOSE_BYTES(v);
  for (int r = 0; r < 16; r++) lines[r] = v[r];
}

TARGET static inline void NAME(store_tile)(const vec *lines, uint8_t *out, size_t group) {
  vec v[16];
  for (int r = 0; r < 16; r++) v[r] = lines[r];
  TRANSPOSE_BYTES(v);
  for (int r = 0; r < 16; r++) STORE16(out + (size_t)r * group, 16 * group, v[r]);
}

TARGET static inline void NAME(load_half_tile)(const uint8_t *in, size_t group, vec *lines) {
  vec v[16];
  for (int r = 0; r < 16; r++) v[r] = LOAD8(in + (size_t)r * group, 16 * group);
  TRANSPOSE_BYTES(v);
  for (int r = 0; r < 8; r++) lines[r] = v[r];
}

TARGET static inline void NAME(store_half_tile)(const vec *lines, uint8_t *out, size_t group) {
  vec v[16];
  for (int r = 0; r < 16; r++) v[r] = lines[r % 8];
  TRANSPOSE_BYTES(v);
  for (int r = 0; r < 16; r++) STORE8(out + (size_t)r * group, 16 * group, v[r]);
}

/* The 8 lines of one byte column, `step` apart, to its 8 rows, and back. */
TARGET static inline void NAME(store_rows)(const vec *lines, size_t step, uint8_t *rows, size_t row) {
  vec v[8];
  for (int i = 0; i < 8; i++) v[i] = lines[(size_t)i * step];
  TRANSPOSE_BITS(v);
  for (int k = 0; k < 8; k++) STORE(rows + (size_t)k * row, v[k]);
}

TARGET static inline void NAME(load_rows)(const uint8_t *rows, size_t row, vec *lines, size_t step) {
  vec v[8];
  for (int k = 0; k < 8; k++) v[k] = LOAD(rows + (size_t)k * row);
  TRANSPOSE_BITS(v);
  for (int i = 0; i < 8; i++) lines[(size_t)i * step] = v[i];
}

/* One byte an element: 128 bytes a lane are 8 whole vectors, turned by 4 (and back by 3) of their 7 address bits. */
TARGET static inline void NAME(bytes_to_rows)(const uint8_t *in, uint8_t *rows, size_t row) {
  vec v[8], u[8];
  for (int r = 0; r < 8; r++) v[r] = LOAD16(in + 16 * r, 128);
  SHUFFLE(8, v, u);
  SHUFFLE(8, u, v);
  SHUFFLE(8, v, u);
  SHUFFLE(8, u, v);
  NAME(store_rows)(v, 1, rows, row);
}

TARGET static inline void NAME(rows_to_bytes)(const uint8_t *rows, uint8_t *out, size_t row) {
  vec v[8], u[8];
  NAME(load_rows)(rows, row, v, 1);
  SHUFFLE(8, v, u);
  SHUFFLE(8, u, v);
  SHUFFLE(8, v, u);
  for (int r = 0; r < 8; r++) STORE16(out + 16 * r, 128, u[r]);
}

/* W groups from byte g of the rows on. Elements of 16 bytes and more are taken 16 bytes at a time; where their size is no
 * multiple of 16 the last step overlaps the one before and does some bytes twice. */
TARGET static void NAME(forward)(const uint8_t *in, uint8_t *rows, size_t row, size_t elem) {
  vec lines[128];
  if (elem == 1) {
    NAME(bytes_to_rows)(in, rows, row);
  } else if (elem < 16) {
    size_t q = 0;
    for (; q + 16 <= 8 * elem; q += 16) NAME(load_tile)(in + q, 8 * elem, lines + q);
    if (q < 8 * elem) NAME(load_half_tile)(in + q, 8 * elem, lines + q);
    for (size_t j = 0; j < elem; j++) NAME(store_rows)(lines + j, elem, rows + 8 * j * row, row);
  } else {
    for (size_t j = 0;; j = j + 32 <= elem ? j + 16 : elem - 16) {
      for (size_t i = 0; i < 8; i++) NAME(load_tile)(in + i * elem + j, 8 * elem, lines + 16 * i);
      for (size_t n = 0; n < 16; n++) NAME(store_rows)(lines + n, 16, rows + 8 * (j + n) * row, row);
      if (j + 16 == elem) break;
    }
  }
}

TARGET static void NAME(backward)(const uint8_t *rows, uint8_t *out, size_t row, size_t elem) {
  vec lines[128];
  if (elem == 1) {
    NAME(rows_to_bytes)(rows, out, row);
  } else if (elem < 16) {
    for (size_t j = 0; j < elem; j++) NAME(load_rows)(rows + 8 * j * row, row, lines + j, elem);
    size_t q = 0;
    for (; q + 16 <= 8 * elem; q += 16) NAME(store_tile)(lines + q, out + q, 8 * elem);
    if (q < 8 * elem) NAME(store_half_tile)(lines + q, out + q, 8 * elem);
  } else {
    for (size_t j = 0;; j = j + 32 <= elem ? j + 16 : elem - 16) {
      for (size_t n = 0; n < 16; n++) NAME(load_rows)(rows + 8 * (j + n) * row, row, lines + n, 16);
      for (size_t i = 0; i < 8; i++) NAME(store_tile)(lines + 16 * i, out + i * elem + j, 8 * elem);
      if (j + 16 == elem) break;
    }
  }
}

/* Whole blocks of at least W groups; the last W overlap the ones before where W does not divide. */
TARGET static void NAME(to_rows)(const uint8_t *in, uint8_t *rows, size_t groups, size_t elem) {
  for (size_t g = 0;; g = g + 2 * W <= groups ? g + W : groups - W) {
    NAME(forward)(in + g * 8 * elem, rows + g, groups, elem);
    if (g + W == groups) return;
  }
}

TARGET static void NAME(to_bits)(const uint8_t *rows, uint8_t *out, size_t groups, size_t elem) {
  for (size_t g = 0;; g = g + 2 * W <= groups ? g + W : groups - W) {
    NAME(backward)(rows + g, out + g * 8 * elem, groups, elem);
    if (g + W == groups) return;
  }
}

/* The byte transpose alone: n elements of elem bytes, in elem rows of n bytes. n is at least W, the last W elements overlap
 * the ones before where W does not divide n.
 *
 * 2, 4, 8 or 16 bytes an element: 16 elements are elem vectors in a lane. Their bytes' addresses have 4 bits of the element
 * above log2(elem) bits of the byte; the two change places when the address is turned by 4 bits, or back by the others. */
TARGET ALWAYS_INLINE void NAME(split_words)(const uint8_t *in, uint8_t *rows, size_t n, const int elem) {
  for (size_t e = 0;; e = e + 2 * W <= n ? e + W : n - W) {
    vec v[16], u[16];
    for (int r = 0; r < elem; r++) v[r] = LOAD16(in + e * (size_t)elem + 16 * r, 16 * elem);
    SHUFFLE(elem, v, u);
    SHUFFLE(elem, u, v);
    SHUFFLE(elem, v, u);
    SHUFFLE(elem, u, v);
    for (int r = 0; r < elem; r++) STORE(rows + (size_t)r * n + e, v[r]);
    if (e + W == n) return;
  }
}

TARGET ALWAYS_INLINE void NAME(join_words)(const uint8_t *const *rows, uint8_t *out, size_t n, const int elem) {
  const uint8_t *row[16]; /* in registers: what is stored at `out` might be `rows`, for all that the compiler knows */
  for (int r = 0; r < elem; r++) row[r] = rows[r];
  for (size_t e = 0;; e = e + 2 * W <= n ? e + W : n - W) {
    vec v[16], u[16];
    for (int r = 0; r < elem; r++) v[r] = LOAD(row[r] + e);
    for (int turned = 2; turned < elem; turned *= 4) {
      SHUFFLE(elem, v, u);
      SHUFFLE(elem, u, v);
    }
    if (elem == 2 || elem == 8) {
      SHUFFLE(elem, v, u);
      for (int r = 0; r < elem; r++) v[r] = u[r];
    }
    for (int r = 0; r < elem; r++) STORE16(out + e * (size_t)elem + 16 * r, 16 * elem, v[r]);
    if (e + W == n) return;
  }
}

/* More than 16 bytes an element: in tiles of 16 bytes, the last one overlapping. */
TARGET static void NAME(split_long)(const uint8_t *in, uint8_t *rows, size_t n, size_t elem) {
  for (size_t e = 0;; e = e + 2 * W <= n ? e + W : n - W) {
    for (size_t j = 0;; j = j + 32 <= elem ? j + 16 : elem - 16) {
      vec v[16];
      NAME(load_tile)(in + e * elem + j, elem, v);
      for (int r = 0; r < 16; r++) STORE(rows + (j + (size_t)r) * n + e, v[r]);
      if (j + 16 == elem) break;
    }
    if (e + W == n) return;
  }
}

TARGET static void NAME(join_long)(const uint8_t *rows, uint8_t *out, size_t n, size_t elem) {
  for (size_t e = 0;; e = e + 2 * W <= n ? e + W : n - W) {
    for (size_t j = 0;; j = j + 32 <= elem ? j + 16 : elem - 16) {
      vec v[16];
      for (int r = 0; r < 16; r++) v[r] = LOAD(rows + (j + (size_t)r) * n + e);
      NAME(store_tile)(v, out + e * elem + j, elem);
      if (j + 16 == elem) break;
    }
    if (e + W == n) return;
  }
}

TARGET static void NAME(split)(const uint8_t *in, uint8_t *rows, size_t n, size_t elem) {
  switch (elem) {
    case 2: NAME(split_words)(in, rows, n, 2); return;
    case 4: NAME(split_words)(in, rows, n, 4); return;
    case 8: NAME(split_words)(in, rows, n, 8); return;
    case 16: NAME(split_words)(in, rows, n, 16); return;
    default: NAME(split_long)(in, rows, n, elem);
  }
}

/* 2, 4, 8 or 16 bytes an element, row j at rows[j]. */
TARGET static void NAME(join_apart)(const uint8_t *const *rows, uint8_t *out, size_t n, size_t elem) {
  switch (elem) {
    case 2: NAME(join_words)(rows, out, n, 2); return;
    case 4: NAME(join_words)(rows, out, n, 4); return;
    case 8: NAME(join_words)(rows, out, n, 8); return;
    default: NAME(join_words)(rows, out, n, 16);
  }
}

#if W == 16
/* Other sizes below 16: loads and stores of 16 bytes reach into the next elements, so the last ones are left to the caller.
 * Both return how many elements they did. */
TARGET static size_t NAME(split_short)(const uint8_t *in, uint8_t *rows, size_t n, size_t elem) {
  size_t e = 0;
  for (; e + 16 + 16 / elem < n; e += 16) {
    vec v[16];
    NAME(load_tile)(in + e * elem, elem, v);
    for (size_t r = 0; r < elem; r++) STORE(rows + r * n + e, v[r]);
  }
  return e;
}

TARGET static size_t NAME(join_short)(const uint8_t *rows, uint8_t *out, size_t n, size_t elem) {
  size_t e = 0;
  for (; e + 16 + 16 / elem < n; e += 16) {
    vec v[16];
    for (size_t r = 0; r < 16; r++) v[r] = LOAD(rows + (r < elem ? r : 0) * n + e);
    NAME(store_tile)(v, out + e * elem, elem); /* in ascending order: each element repairs what the one before spilled */
  }
  return e;
}
#endif

#undef SWAP_BITS
#undef TRANSPOSE_BITS
#undef SHUFFLE
#undef TRANSPOSE_BYTES
#undef NAME
#undef TARGET
#undef W
#undef vec
#undef LOAD
#undef STORE
#undef LOAD16
#undef STORE16
#undef LOAD8
#undef STORE8
#undef ZIPLO
#undef ZIPHI
#undef AND
#undef XOR
#undef SHL
#undef SHR
#undef SPLAT
