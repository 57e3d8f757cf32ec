/* What libjpeg-turbo's configure step would find, for every platform: 8-bit samples, no assembler, Huffman coding alone. */
#define JPEG_LIB_VERSION 62
#define LIBJPEG_TURBO_VERSION 2.1.3
#define LIBJPEG_TURBO_VERSION_NUMBER 2001003
#define BITS_IN_JSAMPLE 8
