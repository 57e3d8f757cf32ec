/* The Blosc chunk: what filters blosc (32001) and blosc2 (32026) have in common. Format: Blosc/c-blosc and Blosc/c-blosc2,
 * README_CHUNK_FORMAT.rst; numbers little-endian. Written anew because c-blosc keeps globals, starts threads, reads the
 * environment and trusts offsets.
 *
 *     0         1           2       3        4      8       12       16
 *     +---------+-----------+-------+--------+------+-------+--------+ - - - - - +---------+- - - - -+---------+----
 *     | version | codec's   | flags | bytes  | u32  | u32   | u32    | extension | u32 x   | u32     | block 0 | ...
 *     | 1 .. 6  | version 1 |       | of an  | size | block | length | 16 bytes, | blocks: | length, |         |
 *     |         |           |       | elem.  |      | size  | of all | see flags | starts  | dictio- |         |
 *     |         |           |       |        |      |       |        |           |         | nary    |         |
 *     +---------+-----------+-------+--------+------+-------+--------+ - - - - - +---------+- - - - -+---------+----
 *
 *   flags      1 byte shuffle, 2 not compressed (the data follow the header), 4 bit shuffle, 8 delta, 16 one stream a block,
 *              from bit 5 the codec's format; 1 and 4 together, from version 3 on, announce the extension
 *   extension  u8 x 6 filters, u8 codec, u8 its parameter, u8 x 6 parameters of the filters, u8 flags2, u8 flags3
 *              flags3: 1 dictionary, 8 lazy, from bit 4 the special value: 1 zeros, 2 NaN, 3 the value that follows, 4 none
 *
 * A block is one stream, or one for each byte of an element, which after a byte shuffle means for each row:
 *
 *     +------------+---------------------+
 *     | i32 length | the codec's bytes   |   length = what it decodes to: raw. From version 3 on, 0: zeros; negative: a token
 *     +------------+---------------------+   follows whose bit 0 says that the byte -length is repeated.
 */
#ifndef H5Z_BLOSC_H
#define H5Z_BLOSC_H

#include <h5z/filter.h>

enum { BLOSC_HEADER = 16, BLOSC_EXTENDED = 32, BLOSC_FILTERS = 6, BLOSC_MAX_TYPESIZE = 255 };

/* As in cd_values; chunks hold the format instead, which LZ4 and LZ4HC share. */
enum { BLOSC_BLOSCLZ, BLOSC_LZ4, BLOSC_LZ4HC, BLOSC_SNAPPY, BLOSC_ZLIB, BLOSC_ZSTD, BLOSC_CODECS };
enum { BLOSC_NO_SHUFFLE, BLOSC_SHUFFLE, BLOSC_BITSHUFFLE, BLOSC_DELTA, BLOSC_TRUNC_PREC };
enum { BLOSC_SPECIAL_ZERO = 1, BLOSC_SPECIAL_NAN, BLOSC_SPECIAL_VALUE, BLOSC_SPECIAL_UNINIT };

typedef struct blosc_chunk {
  const uint8_t *bytes;
  size_t length;   /* of the chunk, header included */
  size_t size;     /* of the data */
  size_t block;    /* bytes of a block; the last one may be shorter */
  size_t blocks;   /* how many */
  size_t typesize; /* 1 .. 255 */
  size_t header;   /* BLOSC_HEADER or BLOSC_EXTENDED */
  unsigned version, flags, special;
  uint8_t filters[BLOSC_FILTERS], parameters[BLOSC_FILTERS]; /* in the order of encoding */
  const uint8_t *dictionary;                                 /* or NULL */
  size_t dictionary_length;
} blosc_chunk;

/* Reads and checks the header of the chunk at `in`: 0 or an error. Chunks of a format newer than `newest` are refused. */
int64_t blosc_open(const void *in, size_t nin, unsigned newest, blosc_chunk *chunk);

/* A chunk of one special value, of which no bytes exist. */
void blosc_special(unsigned special, size_t size, size_t block, size_t typesize, blosc_chunk *chunk);

/* Decodes blocks in any order. Zero the struct, begin, read, and end, whatever the outcome. */
typedef struct blosc_reader {
  const blosc_chunk *chunk;
  int filters;                 /* how many there are to undo */
  struct blosc_tools *tools;   /* decoders and memory, kept from chunk to chunk */
  uint8_t *scratch[2], *first; /* a block each; first: block 0, which the delta filter refers to */
  void *dictionary;            /* of zstd */
} blosc_reader;

/* A block of which the last step of decoding, one that moves bytes, is left to blosc_take. Lasts until the next read. */
enum { BLOSC_MOST_APART = 16 };
typedef struct blosc_block {
  const uint8_t *bytes;               /* as they are, or NULL */
  const uint8_t *with;                /* combined with these by XOR, or NULL */
  const void *rows[BLOSC_MOST_APART]; /* without `bytes`: byte j of every element */
  size_t elem;                        /* how many rows */
} blosc_block;

/* `aside`: blocks will be read with blosc_read_aside too. */
int64_t blosc_begin(blosc_reader *reader, const blosc_chunk *chunk, int aside);
int64_t blosc_read(blosc_reader *reader, size_t index, uint8_t *out); /* out has room for the block */
/* `run`: how many bytes will be taken at a time. It and the places they are taken from are multiples of the element's bytes;
 * 0 where they may not be. */
int64_t blosc_read_aside(blosc_reader *reader, size_t index, size_t run, blosc_block *block);
void blosc_take(const blosc_block *block, size_t at, uint8_t *out, size_t bytes); /* bytes [at, at + bytes) of the block */
void blosc_end(blosc_reader *reader);
size_t blosc_block_bytes(const blosc_chunk *chunk, size_t index);

/* All blocks; `out` has room for chunk->size bytes. */
int64_t blosc_decode(const blosc_chunk *chunk, uint8_t *out);

/* What the encoder is asked for. */
typedef struct blosc_settings {
  int second; /* 0: chunks of Blosc, version 2; 1: of Blosc2, version 5 */
  unsigned codec, level, shuffle;
  size_t typesize; /* more than 255 counts as 1 for everything but the block size */
  size_t block;    /* bytes; 0 chooses */
} blosc_settings;

/* The block size that Blosc or Blosc2 choose for `size` bytes. */
size_t blosc_block_size(const blosc_settings *settings, size_t size);

/* Encodes into at most `cap` bytes. Returns the length, 0 when it does not fit, or an error. */
int64_t blosc_encode(const blosc_settings *settings, const void *in, size_t nin, void *out, size_t cap);

static inline uint32_t blosc_get_u32(const void *p) {
  const uint8_t *b = (const uint8_t *)p;
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline void blosc_put_u32(void *p, uint32_t v) {
  uint8_t *b = (uint8_t *)p;
  b[0] = (uint8_t)v, b[1] = (uint8_t)(v >> 8), b[2] = (uint8_t)(v >> 16), b[3] = (uint8_t)(v >> 24);
}

#endif
