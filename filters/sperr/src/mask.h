/* mask.h: where the missing values of a chunk are, as one bit a value and as the file keeps that. */
#ifndef H5Z_SPERR_MASK_H
#define H5Z_SPERR_MASK_H

#include <h5z/filter.h>

/* Words of 32 bits for a mask of `elements` bits: an even number, since the format counts in 64. */
static inline size_t mask_words(size_t elements) { return (elements + 63) / 64 * 2; }

/* Unpacks a mask of `words` words. Bytes read, or H5Z_E_CORRUPT. */
int64_t mask_unpack(const uint8_t *in, size_t nin, uint32_t *mask, size_t words);

/* Packs a mask. Bytes written, H5Z_E_OUTPUT when `cap` is too small, or H5Z_E_NOT_APPLICABLE. */
int64_t mask_pack(const uint32_t *mask, size_t words, uint8_t *out, size_t cap);

#endif
