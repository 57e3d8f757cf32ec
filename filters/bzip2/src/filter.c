/* HDF5 filter 307: bzip2.
 *
 * A chunk is one bzip2 stream, and nothing around it; parallel compressors write several, one after the other:
 *
 *     +-----------------------------------+------+------+--   +----------------------------+--
 *     | 'B' 'Z' 'h' '1'..'9' (x 100 kB)   | block| block| ... | end mark, CRC of the blocks| ignored
 *     +-----------------------------------+------+------+--   +----------------------------+--
 *
 * The size of the content stands nowhere. What follows the last stream is ignored, as PyTables' filter does (which stops
 * after the first one).
 *
 * cd_values: [0] block size in 100 kB, 1 to 9, optional: default 9. Only the encoder looks at it.
 */
#include <h5z/filter.h>

#include <bzlib.h>
#include <limits.h>

/* libbzip2 calls this when an assertion of its own fails, which no input has ever made it do. It must not return, and not
 * end the process: back to the filter it goes, which answers H5Z_E_INTERNAL. (In WebAssembly a trap ends the call alone.) */
#if defined(__wasm__)
#  define GUARDED(call, failed) (call)
void bz_internal_error(int number);
void bz_internal_error(int number) {
  (void)number;
  __builtin_trap();
}
#else
#  include <setjmp.h>
static _Thread_local jmp_buf *escape;
#  define GUARDED(call, failed)             \
    __extension__({                         \
      jmp_buf here_;                        \
      int result_ = (failed);               \
      escape = &here_;                      \
      if (setjmp(here_) == 0) result_ = (call); \
      result_;                              \
    })
void bz_internal_error(int number);
void bz_internal_error(int number) {
  (void)number;
  longjmp(*escape, 1);
}
#endif

enum { FAILED_ASSERTION = -100 };

static int64_t error_of(int result) {
  switch (result) {
    case BZ_MEM_ERROR: return H5Z_E_MEMORY;
    case BZ_OUTBUFF_FULL: return H5Z_E_OUTPUT;
    case BZ_DATA_ERROR:
    case BZ_DATA_ERROR_MAGIC: return H5Z_E_CORRUPT;
    default: return H5Z_E_INTERNAL;
  }
}

static int64_t bzip2_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return nin == 0 ? H5Z_E_CORRUPT : H5Z_SIZE_UNKNOWN;
}

static int is_stream(const uint8_t *p, size_t n) {
  return n >= 4 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9';
}

/* One part of what is left, in the 32 bits that libbzip2 counts with. */
static unsigned part_of(size_t left) { return left < UINT_MAX ? (unsigned)left : UINT_MAX; }

/* Decodes the stream at *in into *out and moves all four over what was used. BZ_STREAM_END when it is whole. */
static int decode_stream(const uint8_t **in, size_t *nin, uint8_t **out, size_t *cap) {
  bz_stream s = {0};
  int result = BZ2_bzDecompressInit(&s, 0, 0);
  if (result != BZ_OK) return result;
  for (;;) {
    const unsigned given = part_of(*nin), room = part_of(*cap);
    char beyond; /* for a stream that goes on when the output is full: does it hold more, or is it cut short? */
    s.next_in = (char *)(uintptr_t)*in, s.avail_in = given;
    s.next_out = room > 0 ? (char *)*out : &beyond, s.avail_out = room > 0 ? room : 1;
    result = GUARDED(BZ2_bzDecompress(&s), FAILED_ASSERTION);
    *in += given - s.avail_in, *nin -= given - s.avail_in;
    if (room == 0) {
      if (s.avail_out == 0) result = BZ_OUTBUFF_FULL;
    } else {
      *out += room - s.avail_out, *cap -= room - s.avail_out;
    }
    if (result == BZ_OK && s.avail_in == 0 && *nin == 0 && s.avail_out > 0) result = BZ_DATA_ERROR; /* cut short */
    if (result != BZ_OK) break;
  }
  BZ2_bzDecompressEnd(&s);
  return result;
}

static int64_t bzip2_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  const uint8_t *from = in;
  uint8_t *to = out;
  size_t room = cap;
  do { /* a chunk has one stream at least; every stream takes bytes of the chunk, so this ends */
    const int result = decode_stream(&from, &nin, &to, &room);
    if (result != BZ_STREAM_END) return error_of(result);
  } while (is_stream(from, nin));
  return (int64_t)(cap - room);
}

/* libbzip2's manual: 1 % and 600 bytes more. */
static int64_t bzip2_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return nin > UINT32_MAX ? H5Z_E_NOT_APPLICABLE : (int64_t)nin + (int64_t)(nin / 100) + 600;
}

#if !defined(H5Z_DECODE_ONLY)
static int64_t bzip2_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  (void)ds;
  if (nclient > cap) return H5Z_E_OUTPUT;
  if (nclient > 0 && (client[0] < 1 || client[0] > 9)) return H5Z_E_PARAM;
  if (nclient > 0) memcpy(stored, client, 4 * nclient);
  return (int64_t)nclient;
}

static int64_t bzip2_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const uint32_t block = ncd > 0 ? cd[0] : 9;
  if (block < 1 || block > 9) return H5Z_E_PARAM;
  if (nin > UINT32_MAX) return H5Z_E_NOT_APPLICABLE;
  unsigned length = part_of(cap);
  char none = 0;
  const int result = GUARDED(BZ2_bzBuffToBuffCompress(length > 0 ? (char *)out : &none, &length,
                                                      nin > 0 ? (char *)(uintptr_t)in : &none, (unsigned)nin, (int)block, 0, 0),
                             FAILED_ASSERTION);
  return result == BZ_OK ? (int64_t)length : error_of(result);
}
#endif

H5Z_FILTER(.decoded_size = bzip2_decoded_size, .decode = bzip2_decode,
           .encode_bound = bzip2_encode_bound, H5Z_ENCODER(.derive = bzip2_derive, .encode = bzip2_encode))
