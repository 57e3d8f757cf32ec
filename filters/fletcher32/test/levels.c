/* The checksum at every level of instructions that this processor has, held to libhdf5's own loop. Prints the levels;
 * status 1 and a line for what is wrong. */
static int limit;
#define H5Z_CPU_LIMIT limit
#include "../src/checksum.c"

#include <stdio.h>
#include <stdlib.h>

/* Word for word as the format says: high byte first, folded every 360 words. */
static uint32_t plain(const uint8_t *p, size_t size) {
  uint32_t sum1 = 0, sum2 = 0;
  size_t left = size / 2;
  while (left > 0) {
    size_t step = left > 360 ? 360 : left;
    left -= step;
    for (; step > 0; step--, p += 2) sum1 += (uint32_t)p[0] << 8 | p[1], sum2 += sum1;
    sum1 = (sum1 & 0xffff) + (sum1 >> 16), sum2 = (sum2 & 0xffff) + (sum2 >> 16);
  }
  if (size % 2 == 1) {
    sum1 += (uint32_t)*p << 8, sum2 += sum1;
    sum1 = (sum1 & 0xffff) + (sum1 >> 16), sum2 = (sum2 & 0xffff) + (sum2 >> 16);
  }
  sum1 = (sum1 & 0xffff) + (sum1 >> 16), sum2 = (sum2 & 0xffff) + (sum2 >> 16);
  return sum2 << 16 | sum1;
}

int main(void) {
  int wrong = 0;
  limit = 9;
  const int most = h5z_cpu();
  for (limit = H5Z_CPU_BASE; limit <= most; limit++) {
    for (size_t size = 0; size < 40000; size += size < 300 ? 1 : 127) {
      for (int kind = 0; kind < 4; kind++) {
        uint8_t *data = malloc(size + 1), *copy = malloc(size + 1); /* one byte in, so that nothing is aligned */
        for (size_t i = 0; i <= size; i++) data[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 0xff : kind == 2 ? rand() >> 7 : i == size / 2 + 1);
        const uint32_t sum = fletcher32(data + 1, size, copy + 1);
        if (sum != plain(data + 1, size) || memcmp(data + 1, copy + 1, size) != 0) {
          printf("level %d, kind %d, %zu bytes: %08x\n", limit, kind, size, sum);
          wrong = 1;
        }
        free(data), free(copy);
      }
    }
    printf("level %d\n", limit);
  }
  return wrong;
}
