/* The checksum of filter 3, for filter.c. Instruction sets are chosen inside, at run time on x86. */
#ifndef H5Z_FLETCHER32_CHECKSUM_H
#define H5Z_FLETCHER32_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Fletcher-32 of the bytes as libhdf5 computes it (H5_checksum_fletcher32): the 16-bit words have their high byte first, an
 * odd last byte is a high byte. Copies the bytes to `copy` on the way when that is not NULL. */
uint32_t fletcher32(const void *data, size_t size, void *copy);

#endif
