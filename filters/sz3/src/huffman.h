/* huffman.h: the Huffman stage of huffman.c. */
#ifndef H5Z_SZ3_HUFFMAN_H
#define H5Z_SZ3_HUFFMAN_H

#include "sz3.h"

enum { SZ3_HUFFMAN_BITS = 12 };

/* What the next SZ3_HUFFMAN_BITS bits begin with: a symbol of `bits` bits, or (0) the node they lead to. */
typedef struct {
  int32_t value;
  uint32_t bits;
} sz3_entry;

typedef struct {
  int32_t offset;
  unsigned width;
  int single; /* one symbol, which takes no bits */
  const uint8_t *left, *right, *symbols, *leaves;
  sz3_entry *table;
  int common; /* 1, 2: a code of one bit, 0 or 1; smooth data are runs of it */
  int32_t common_symbol;
} sz3_tree;

/* Reads a tree, whose arrays stay where they are. */
int sz3_tree_load(sz3_reader *r, sz3_tree *t);
void sz3_tree_free(sz3_tree *t);
/* Reads `n` codes with it. */
int sz3_tree_decode(const sz3_tree *t, sz3_reader *r, int32_t *out, uint64_t n);

#if !defined(H5Z_DECODE_ONLY)
/* Codes of 0 .. symbols - 1 by how often each occurs. */
typedef struct {
  uint32_t nodes, least, most; /* symbols that occur lie in least .. most */
  uint64_t bits;               /* of all codes together */
  uint8_t *lengths;            /* per symbol */
  uint64_t *codes;
  uint32_t *left, *right, *symbols; /* per node, in preorder; left 0: a leaf */
} sz3_coder;

/* Builds a coder; free it even after an error. H5Z_E_UNSUPPORTED: a code would be longer than 56 bits. */
int sz3_coder_build(const uint32_t *counts, uint32_t symbols, sz3_coder *c);
void sz3_coder_free(sz3_coder *c);
/* Bytes that a tree takes, and that n codes take. */
uint64_t sz3_coder_size(const sz3_coder *c);
void sz3_coder_save(const sz3_coder *c, sz3_writer *w);
void sz3_coder_encode(const sz3_coder *c, const int32_t *symbols, uint64_t n, sz3_writer *w);
#endif

#endif
