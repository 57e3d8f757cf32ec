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
#include "bunzip2.h"

#include <h5z/filter.h>

#include <limits.h>

static int64_t bzip2_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return nin == 0 ? H5Z_E_CORRUPT : H5Z_SIZE_UNKNOWN;
}

static int is_stream(const uint8_t *p, size_t n) {
  return n >= 4 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9';
}

static int64_t bzip2_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  const uint8_t *from = in;
  uint8_t none;
  size_t written = 0;
  do { /* a chunk has one stream at least; every stream takes bytes of the chunk, so this ends */
    size_t used = 0;
    const int64_t n = bunzip2(from, nin, cap > 0 ? (uint8_t *)out + written : &none, cap - written, &used);
    if (n < 0) return n;
    written += (size_t)n, from += used, nin -= used;
  } while (is_stream(from, nin));
  return (int64_t)written;
}

/* libbzip2's manual: 1 % and 600 bytes more. */
static int64_t bzip2_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return nin > UINT32_MAX ? H5Z_E_NOT_APPLICABLE : (int64_t)nin + (int64_t)(nin / 100) + 600;
}

#if !defined(H5Z_DECODE_ONLY)
#  include <bzlib.h>

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
    default: return H5Z_E_INTERNAL;
  }
}

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
  unsigned length = cap < UINT_MAX ? (unsigned)cap : UINT_MAX;
  char none = 0;
  const int result = GUARDED(BZ2_bzBuffToBuffCompress(length > 0 ? (char *)out : &none, &length,
                                                      nin > 0 ? (char *)(uintptr_t)in : &none, (unsigned)nin, (int)block, 0, 0),
                             FAILED_ASSERTION);
  return result == BZ_OK ? (int64_t)length : error_of(result);
}
#endif

H5Z_FILTER(.decoded_size = bzip2_decoded_size, .decode = bzip2_decode,
           .encode_bound = bzip2_encode_bound, H5Z_ENCODER(.derive = bzip2_derive, .encode = bzip2_encode))
