/* huffman.c: SZ3's Huffman stage. A tree of `nodes` nodes, numbered in preorder, then one code per element:
 *
 *   | offset i32 | nodes u32 be | states u32 be | 0 | left[nodes] | right[nodes] | symbol[nodes] i32 | leaf[nodes] u8 |
 *
 * left and right are bytes up to 256 nodes, u16 up to 65536, else u32. Then, apart (3.2 and later put a count between):
 *
 *   | bytes u64 | codes, first bit highest |
 *
 * Upstream walks the tree bit by bit; here the first BITS bits are looked up. The tree must be numbered as upstream numbers
 * it, which makes one pass over the nodes a proof that it is a tree, however deep it claims to be. */
#include "huffman.h"

#include <stdlib.h>

enum { BITS = SZ3_HUFFMAN_BITS };

static uint32_t child_at(const uint8_t *p, unsigned width, uint32_t i) {
  p += (size_t)i * width;
  return width == 1 ? p[0] : width == 2 ? p[0] | (uint32_t)p[1] << 8
                           : p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int32_t symbol_at(const sz3_tree *t, uint32_t i) {
  return (int32_t)(child_at(t->symbols, 4, i) + (uint32_t)t->offset);
}

int sz3_tree_load(sz3_reader *r, sz3_tree *t) {
  t->table = NULL;
  t->offset = sz3_get_i32(r);
  const uint8_t *sizes = sz3_take(r, 8);
  if (!sizes) return H5Z_E_CORRUPT;
  const uint32_t n = h5z_get_u32be(sizes);
  t->width = n <= 256 ? 1 : n <= 65536 ? 2 : 4;
  const uint8_t *order = sz3_take(r, 1); /* 0: little-endian */
  t->left = sz3_take(r, (uint64_t)n * t->width);
  t->right = sz3_take(r, (uint64_t)n * t->width);
  t->symbols = sz3_take(r, (uint64_t)n * 4);
  t->leaves = sz3_take(r, n);
  if (r->failed || n == 0 || n % 2 == 0 || n > INT32_MAX) return H5Z_E_CORRUPT;
  if (*order != 0) return H5Z_E_UNSUPPORTED;
  if (n == 1) return t->leaves[0] ? (t->single = 1, 0) : H5Z_E_CORRUPT;
  t->single = t->common = 0;

  t->table = malloc(sizeof *t->table << BITS);
  /* Inner nodes whose right half is still to come. */
  typedef struct {
    uint32_t node, depth, code;
  } waiting;
  waiting *stack = malloc(((size_t)n / 2 + 1) * sizeof *stack);
  int result = t->table && stack ? H5Z_E_CORRUPT : H5Z_E_MEMORY;
  if (result == H5Z_E_MEMORY) goto done;

  size_t top = 0;
  uint32_t depth = 0, code = 0, i = 0;
  for (; i < n; i++) {
    if (t->leaves[i]) {
      if (depth == 1) t->common = code ? 2 : 1, t->common_symbol = symbol_at(t, i);
      if (depth <= BITS) {
        sz3_entry *e = t->table + ((size_t)code << (BITS - depth));
        for (size_t k = (size_t)1 << (BITS - depth); k-- > 0; e++) e->value = symbol_at(t, i), e->bits = depth;
      }
      if (top == 0) break; /* complete; right only at the last node */
      const waiting w = stack[--top];
      if (child_at(t->right, t->width, w.node) != i + 1) goto done;
      depth = w.depth + 1;
      code = depth <= BITS ? w.code << 1 | 1 : 0;
    } else {
      if (child_at(t->left, t->width, i) != i + 1 || top > n / 2) goto done;
      if (depth == BITS) t->table[code].value = (int32_t)i, t->table[code].bits = 0;
      stack[top++] = (waiting){i, depth, code};
      depth++;
      code = depth <= BITS ? code << 1 : 0;
    }
  }
  if (i == n - 1 && top == 0) result = 0;
done:
  free(stack);
  if (result < 0) sz3_tree_free(t);
  return result;
}

void sz3_tree_free(sz3_tree *t) {
  free(t->table);
  t->table = NULL;
}

/* The bits of `acc` from the highest down are next; `bits` of them are filled, the last `beyond` with zeros of our own. */
typedef struct {
  uint64_t acc;
  unsigned bits, beyond;
  const uint8_t *at, *end;
} bit_reader;

static inline void refill(bit_reader *b) {
  if (b->end - b->at >= 8) {
    b->acc |= h5z_get_u64be(b->at) >> b->bits;
    b->at += (63 - b->bits) >> 3;
    b->bits |= 56;
    return;
  }
  for (; b->bits <= 56; b->bits += 8) {
    if (b->at < b->end) {
      b->acc |= (uint64_t)*b->at++ << (56 - b->bits);
    } else {
      b->beyond += 8;
    }
  }
}

/* A code longer than the table's: on from the node that the table led to. */
static int walk(const sz3_tree *t, bit_reader *b, uint32_t node, int32_t *out) {
  b->acc <<= BITS, b->bits -= BITS;
  do {
    if (b->bits == 0) refill(b);
    if (b->bits <= b->beyond) return H5Z_E_CORRUPT;
    node = child_at(b->acc >> 63 ? t->right : t->left, t->width, node); /* nodes in the tree were all checked */
    b->acc <<= 1, b->bits--;
  } while (!t->leaves[node]);
  *out = symbol_at(t, node);
  return 0;
}

int sz3_tree_decode(const sz3_tree *t, sz3_reader *r, int32_t *out, uint64_t n) {
  const uint64_t length = sz3_get_u64(r);
  if (r->failed) return H5Z_E_CORRUPT;
  if (t->single) {
    const int32_t symbol = symbol_at(t, 0);
    for (uint64_t i = 0; i < n; i++) out[i] = symbol;
    return 0;
  }
  const uint8_t *p = sz3_take(r, length);
  /* No code is shorter than a bit. */
  if (!p || (n + 7) / 8 > length) return H5Z_E_CORRUPT;
  bit_reader b = {0, 0, 0, p, p + length};
  const sz3_entry *table = t->table;
  uint64_t i = 0;
#define NEXT                                                         \
  do {                                                               \
    const sz3_entry e = table[b.acc >> (64 - BITS)];                 \
    if (e.bits == 0) {                                               \
      if (walk(t, &b, (uint32_t)e.value, out + i) < 0) return H5Z_E_CORRUPT; \
      refill(&b);                                                    \
    } else {                                                         \
      out[i] = e.value;                                              \
      b.acc <<= e.bits, b.bits -= e.bits;                            \
    }                                                                \
    i++;                                                             \
  } while (0)
  while (n - i >= 4 && b.end - b.at >= 8) {
    refill(&b); /* 56 bits or more: four short codes */
    if (t->common) {
      const uint64_t other = (t->common == 1 ? b.acc : ~b.acc) | 0xff; /* its highest bit ends the run */
      unsigned run = (unsigned)__builtin_clzll(other);
      if (run >= 8 && run <= n - i) {
        b.acc <<= run, b.bits -= run;
        for (; run > 0; run--) out[i++] = t->common_symbol;
        continue;
      }
    }
    NEXT;
    NEXT;
    NEXT;
    NEXT;
  }
  while (i < n) {
    refill(&b);
    NEXT;
    if (b.bits < b.beyond) return H5Z_E_CORRUPT; /* else damage could keep us here for n steps of zeros */
  }
#undef NEXT
  return b.bits < b.beyond ? H5Z_E_CORRUPT : 0;
}

#if !defined(H5Z_DECODE_ONLY)

void sz3_coder_free(sz3_coder *c) {
  free(c->symbols);
  free(c->right);
  free(c->left);
  free(c->codes);
  free(c->lengths);
  memset(c, 0, sizeof *c);
}

typedef struct {
  uint32_t count, symbol;
} occurrence;

static int by_count(const void *a, const void *b) {
  const occurrence *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? -1 : 1;
  return x->symbol < y->symbol ? -1 : x->symbol > y->symbol; /* the same order with every qsort */
}

enum { LONGEST = 56 };

int sz3_coder_build(const uint32_t *counts, uint32_t symbols, sz3_coder *c) {
  memset(c, 0, sizeof *c);
  uint32_t leaves = 0;
  for (uint32_t i = 0; i < symbols; i++) {
    if (counts[i] == 0) continue;
    if (leaves++ == 0) c->least = i;
    c->most = i;
  }
  if (leaves == 0) return H5Z_E_INTERNAL;
  const uint32_t n = c->nodes = 2 * leaves - 1;
  c->lengths = calloc(symbols, 1);
  c->codes = malloc(symbols * sizeof *c->codes);
  c->left = calloc(n, sizeof *c->left);
  c->right = calloc(n, sizeof *c->right);
  c->symbols = calloc(n, sizeof *c->symbols);
  occurrence *sorted = malloc(leaves * sizeof *sorted);
  /* The tree while it is built: leaves in order, then inner nodes, which come in order of weight too. */
  uint64_t *weight = malloc(n * sizeof *weight);
  uint32_t *child = malloc(2 * (size_t)leaves * sizeof *child);
  typedef struct {
    uint32_t node, number, depth;
    uint64_t code;
  } visit;
  visit *stack = malloc(((size_t)leaves + 1) * sizeof *stack);
  int result = H5Z_E_MEMORY;
  if (!c->lengths || !c->codes || !c->left || !c->right || !c->symbols || !sorted || !weight || !child || !stack) goto done;

  for (uint32_t i = 0, k = 0; i < symbols; i++) {
    if (counts[i] > 0) sorted[k].count = counts[i], sorted[k++].symbol = i;
  }
  qsort(sorted, leaves, sizeof *sorted, by_count);
  for (uint32_t i = 0; i < leaves; i++) weight[i] = sorted[i].count;
  uint32_t leaf = 0, inner = leaves;
  for (uint32_t made = leaves; made < n; made++) {
    weight[made] = 0;
    for (int side = 0; side < 2; side++) {
      const uint32_t lighter = leaf < leaves && (inner == made || weight[leaf] <= weight[inner]) ? leaf++ : inner++;
      child[2 * (made - leaves) + (unsigned)side] = lighter;
      weight[made] += weight[lighter];
    }
  }

  /* Number the nodes in preorder: a node, all to the left of it, all to the right of it. */
  size_t top = 0;
  uint32_t number = 0;
  stack[top++] = (visit){n - 1, UINT32_MAX, 0, 0};
  while (top > 0) {
    const visit v = stack[--top];
    const uint32_t mine = number++;
    if (v.number != UINT32_MAX) c->right[v.number] = mine; /* it waited to be the right child */
    if (v.node < leaves) {
      if (v.depth > LONGEST) {
        result = H5Z_E_UNSUPPORTED;
        goto done;
      }
      const uint32_t symbol = sorted[v.node].symbol;
      c->symbols[mine] = symbol - c->least;
      c->lengths[symbol] = (uint8_t)v.depth;
      c->codes[symbol] = v.code;
      c->bits += (uint64_t)v.depth * sorted[v.node].count;
    } else {
      const uint32_t *two = child + 2 * (size_t)(v.node - leaves);
      c->left[mine] = mine + 1;
      stack[top++] = (visit){two[1], mine, v.depth + 1, v.code << 1 | 1};
      stack[top++] = (visit){two[0], UINT32_MAX, v.depth + 1, v.code << 1};
    }
  }
  result = 0;
done:
  free(stack);
  free(child);
  free(weight);
  free(sorted);
  return result;
}

static unsigned width_of(const sz3_coder *c) { return c->nodes <= 256 ? 1 : c->nodes <= 65536 ? 2 : 4; }

uint64_t sz3_coder_size(const sz3_coder *c) {
  return 4 + 8 + 1 + (uint64_t)c->nodes * (2 * width_of(c) + 4 + 1) + 8 + (c->bits + 7) / 8;
}

void sz3_coder_save(const sz3_coder *c, sz3_writer *w) {
  const unsigned width = width_of(c);
  sz3_put(w, c->least, 4);
  uint8_t *sizes = sz3_give(w, 8);
  if (!sizes) return;
  h5z_put_u32be(sizes, c->nodes);
  h5z_put_u32be(sizes + 4, (c->most - c->least + 2) / 2);
  sz3_put(w, 0, 1);
  for (uint32_t i = 0; i < c->nodes; i++) sz3_put(w, c->left[i], width);
  for (uint32_t i = 0; i < c->nodes; i++) sz3_put(w, c->right[i], width);
  for (uint32_t i = 0; i < c->nodes; i++) sz3_put(w, c->symbols[i], 4);
  for (uint32_t i = 0; i < c->nodes; i++) sz3_put(w, c->left[i] == 0, 1);
}

void sz3_coder_encode(const sz3_coder *c, const int32_t *symbols, uint64_t n, sz3_writer *w) {
  const uint64_t bytes = (c->bits + 7) / 8;
  sz3_put(w, bytes, 8);
  uint8_t *p = sz3_give(w, bytes);
  if (!p || bytes == 0) return;
  uint8_t *const end = p + bytes;
  uint64_t acc = 0; /* `filled` bits from the highest down */
  unsigned filled = 0;
  for (uint64_t i = 0; i < n; i++) {
    const uint32_t symbol = (uint32_t)symbols[i];
    const unsigned length = c->lengths[symbol];
    if (length == 0) continue;
    acc |= c->codes[symbol] << (64 - length) >> filled;
    filled += length; /* at most 7 + 56 */
    if (filled >= 8) {
      if (end - p >= 8) {
        h5z_put_u64be(p, acc);
        p += filled / 8;
        acc = filled / 8 < 8 ? acc << (filled & ~7u) : 0;
        filled &= 7;
      } else {
        for (; filled >= 8; filled -= 8) *p++ = (uint8_t)(acc >> 56), acc <<= 8;
      }
    }
  }
  if (filled > 0) *p = (uint8_t)(acc >> 56);
}
#endif
