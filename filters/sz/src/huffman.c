/* SZ's Huffman trees and the bits coded by them. A tree of `count` nodes lies in the stream as
 *
 *     +--------+-----------------+-----------------+----------------+---------------+
 *     | u8     | count x left    | count x right   | count x symbol | count x u8    |   w = 1 byte up to 256 nodes,
 *     | endian | child, w bytes  | child, w bytes  | u32            | 1: it is leaf |       2 up to 65536, else 4
 *     +--------+-----------------+-----------------+----------------+---------------+   endian: 0 little, 1 big
 *
 * in depth-first order, the root first: a child lies behind its parent, which makes walks end on damaged trees, too.
 * A tree of one leaf takes no bits at all. Codes are read from the top bit of each byte.
 */
#include "sz.h"

#include <stdlib.h>

enum { TABLE_BITS = 12 };

static uint32_t get(const uint8_t *p, unsigned width, int big) {
  if (width == 1) return p[0];
  if (width == 2) return big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
  return big ? h5z_get_u32be(p) : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Fills the table by a walk no deeper than the table's bits. The stack holds right children on the way down. */
static void fill_table(sz_tree *tree) {
  struct { uint32_t node, prefix; unsigned depth; } stack[32];
  unsigned top = 0;
  stack[top].node = 0, stack[top].prefix = 0, stack[top].depth = 0, top++;
  while (top > 0) {
    top--;
    const uint32_t node = stack[top].node, prefix = stack[top].prefix;
    const unsigned depth = stack[top].depth, rest = tree->bits - depth;
    const uint32_t *child = tree->node[node];
    if (child[0] != 0 && rest > 0) {
      stack[top].node = child[1], stack[top].prefix = prefix | 1u << (rest - 1), stack[top].depth = depth + 1, top++;
      stack[top].node = child[0], stack[top].prefix = prefix, stack[top].depth = depth + 1, top++;
    } else {
      const uint32_t entry = node << 6 | (child[0] != 0 ? 0 : depth);
      for (uint32_t i = 0; i < 1u << rest; i++) tree->table[prefix + i] = entry;
    }
  }
}

/* Reads a tree of `count` nodes for about `symbols` symbols. Bytes read, or a negative code. */
int64_t sz_tree_read(sz_tree *tree, const uint8_t *p, size_t size, uint32_t count, uint64_t symbols) {
  const unsigned width = count <= 256 ? 1 : count <= 65536 ? 2 : 4;
  tree->node = NULL;
  const uint64_t need = 1 + (uint64_t)count * (2 * width + 5);
  if (count == 0 || count % 2 == 0 || need > size || p[0] > 1) return H5Z_E_CORRUPT;
  if (count > SZ_MOST_TYPES) return H5Z_E_UNSUPPORTED;
  const int big = p[0];
  const uint8_t *left = p + 1, *right = left + (size_t)count * width, *symbol = right + (size_t)count * width;
  const uint8_t *leaf = symbol + (size_t)count * 4;

  /* A code is no longer than there are inner nodes; few symbols are not worth a large table. */
  tree->bits = symbols >= 16384 ? TABLE_BITS : symbols >= 2048 ? 10 : 8;
  if (tree->bits > count / 2) tree->bits = count / 2 > 0 ? count / 2 : 1;
  tree->count = count;
  tree->node = malloc((size_t)count * sizeof *tree->node + (sizeof *tree->table << tree->bits));
  if (!tree->node) return H5Z_E_MEMORY;
  tree->table = (uint32_t *)(tree->node + count);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t value = get(symbol + 4 * (size_t)i, 4, big);
    uint32_t l = 0, r = value;
    if (!leaf[i]) {
      l = get(left + (size_t)i * width, width, big), r = get(right + (size_t)i * width, width, big);
      if (l <= i || r <= i || l >= count || r >= count) return H5Z_E_CORRUPT;
    } else if (value >= SZ_MOST_TYPES) {
      return H5Z_E_CORRUPT;
    }
    tree->node[i][0] = l, tree->node[i][1] = r;
  }
  if (count > 1 && leaf[0]) return H5Z_E_CORRUPT;
  fill_table(tree);
  return (int64_t)need;
}

void sz_tree_free(sz_tree *tree) {
  free(tree->node);
  tree->node = NULL;
}

void sz_source_start(sz_source *s, const sz_tree *tree, const uint8_t *p, const uint8_t *end, uint64_t symbols) {
  s->tree = tree, s->p = p, s->end = end;
  s->bits = 0, s->have = 0, s->bad = 0, s->left = symbols, s->next = s->filled = 0;
}

/* The bits of a code that is longer than the table's, from `node` on; 0 at the end of the stream. */
static uint32_t walk(sz_source *s, uint32_t node) {
  while (s->tree->node[node][0] != 0) {
    if (s->have == 0) {
      if (s->p == s->end) {
        s->bad = 1;
        return 0;
      }
      s->bits = (uint64_t)*s->p++ << 56, s->have = 8;
    }
    node = s->tree->node[node][s->bits >> 63];
    s->bits <<= 1, s->have--;
  }
  return s->tree->node[node][1];
}

void sz_source_fill(sz_source *s) {
  const sz_tree *tree = s->tree;
  const unsigned wanted = s->left < SZ_AHEAD ? (unsigned)s->left : SZ_AHEAD, bits = tree->bits;
  unsigned i = 0;
  s->next = 0, s->filled = SZ_AHEAD, s->left -= wanted;
  if (tree->count == 1) {
    for (; i < wanted; i++) s->symbol[i] = tree->node[0][1];
  }
  uint64_t next = s->bits;
  unsigned have = s->have;
  while (i < wanted) {
    if (have < TABLE_BITS) {
      if (s->end - s->p >= 8) {
        next |= h5z_get_u64be(s->p) >> have;
        s->p += (63 - have) >> 3, have |= 56;
      } else {
        while (have <= 56 && s->p < s->end) next |= (uint64_t)*s->p++ << (56 - have), have += 8;
      }
    }
    const uint32_t entry = tree->table[next >> (64 - bits)];
    const unsigned length = (entry & 63) != 0 ? entry & 63 : bits;
    if (length > have) break; /* less than TABLE_BITS: the stream has no more */
    next <<= length, have -= length;
    if ((entry & 63) != 0) {
      s->symbol[i++] = tree->node[entry >> 6][1];
    } else {
      s->bits = next, s->have = have;
      s->symbol[i++] = walk(s, entry >> 6);
      next = s->bits, have = s->have;
      if (s->bad) break;
    }
  }
  s->bits = next, s->have = have;
  if (i < SZ_AHEAD) {
    if (i < wanted || wanted == 0) s->bad = 1;
    memset(s->symbol + i, 0, (SZ_AHEAD - i) * sizeof *s->symbol);
  }
}
