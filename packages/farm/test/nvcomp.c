/* nvcomp.c: a stand-in for NVIDIA's libnvcomp.so.6 (its nvcomp/lz4.h), for gpu-test.test.ts: decodes LZ4 blocks on the processor, whose
 * memory is the stand-in driver's GPU (packages/abi/test/cuda-driver.c). With bitshuffle it leaves the rows as they are. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  int backend, sort, type, bitshuffle;
  char reserved[48];
} options;

int nvcompBatchedLZ4DecompressGetTempSize(size_t n, size_t largest, options o, size_t *room, size_t total, void *stream) {
  (void)stream;
  for (size_t i = 0; i < sizeof o.reserved; i++)
    if (o.reserved[i]) return 10;
  *room = 1024;
  return n == 0 || largest > total ? 10 : 0;
}

/* A block that is known to be sound. */
static size_t block(const uint8_t *in, size_t size, uint8_t *out) {
  const uint8_t *end = in + size;
  uint8_t *at = out;
  for (;;) {
    const unsigned token = *in++;
    size_t n = token >> 4;
    if (n == 15)
      do n += *in;
      while (*in++ == 255);
    memcpy(at, in, n), at += n, in += n;
    if (in >= end) return (size_t)(at - out);
    const size_t offset = in[0] | (size_t)in[1] << 8;
    in += 2, n = (token & 15) + 4;
    if (n == 19)
      do n += *in;
      while (*in++ == 255);
    for (; n > 0; n--, at++) *at = at[-(ptrdiff_t)offset];
  }
}

int nvcompBatchedLZ4DecompressAsync(const void *const *in, const size_t *sizes, const size_t *rooms, size_t *decoded, size_t n,
                                    void *temporary, size_t room, void *const *out, options o, int *status, void *stream) {
  (void)stream;
  if (!temporary || room != 1024 || o.backend) return 10;
  for (size_t i = 0; i < n; i++) {
    decoded[i] = block(in[i], sizes[i], out[i]);
    status[i] = decoded[i] == rooms[i] ? 0 : 12;
  }
  return 0;
}
