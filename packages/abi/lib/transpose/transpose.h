/* The bit transpose of bitshuffle and the byte transpose of shuffle, for every filter that has one of them inside:
 * h5z_add_filter(... LIB transpose). Instruction sets are chosen inside, at run time on x86. */
#ifndef H5Z_TRANSPOSE_H
#define H5Z_TRANSPOSE_H

#include <stddef.h>

/* Both take `size` elements (a multiple of 8) of `elem` bytes (not 0) and write size * elem bytes; the buffers do not
 * overlap and need no alignment.
 *
 *   elements  in[size][elem]             byte j of element i; its bit k is worth 1 << k
 *   rows      out[elem][8][size / 8]     row (j, k) holds bit k of byte j of every element, 8 elements a byte, lowest first
 */
void bits_to_rows(const void *elements, void *rows, size_t size, size_t elem);
void rows_to_bits(const void *rows, void *elements, size_t size, size_t elem);

/* The same for bytes and any `size`: rows out[elem][size], row j holds byte j of every element. */
void bytes_to_rows(const void *elements, void *rows, size_t size, size_t elem);
void rows_to_bytes(const void *rows, void *elements, size_t size, size_t elem);

/* rows_to_bytes for elements of 2, 4, 8 or 16 bytes whose rows lie anywhere: row j is the `size` bytes at rows[j]. */
void rows_apart_to_bytes(const void *const *rows, void *elements, size_t size, size_t elem);

#endif
