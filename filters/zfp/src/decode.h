/* decode.h: decoders of one block. */
#ifndef H5Z_ZFP_DECODE_H
#define H5Z_ZFP_DECODE_H

#include "header.h"
#include "reader.h"

/* The most bytes a decoder reads from the reader's position on: 2^15 bits to skip, or a block's planes and head (no more than
 * 17000 bits), and the word that a fill looks ahead. */
enum { MOST_BLOCK_BYTES = 8192 };

/* Decodes a block of 4^rank values into `block`, aligned for them. */
typedef void (*block_decoder)(reader *r, const limits *l, void *block);

block_decoder decoder_of(const header *h);

#endif
