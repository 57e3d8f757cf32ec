/* h5z/gpu/lz4_rules.h: what LZ4's block format asks of its end, for the decoder and the encoder: the last H5Z_LZ4_LAST bytes are
 * literals, no match begins in the last H5Z_LZ4_NO_MATCH, and fewer than H5Z_LZ4_NO_SEQUENCE stored bytes hold none. */
#ifndef H5Z_GPU_LZ4_RULES_H
#define H5Z_GPU_LZ4_RULES_H

enum { H5Z_LZ4_LAST = 5, H5Z_LZ4_NO_MATCH = 12, H5Z_LZ4_NO_SEQUENCE = 8 };

#endif
