/* Every kernel of packages/abi/lib/transpose that this processor has, held to the plain C. Prints the levels; status 1 and a
 * line for what is wrong. */
static int limit;
#define H5Z_CPU_LIMIT limit
#include <transpose/transpose.c>

#include <stdio.h>
#include <stdlib.h>

static int wrong;

static void compare(const char *what, const uint8_t *a, const uint8_t *b, size_t n, size_t size, size_t elem) {
  if (memcmp(a, b, n) == 0) return;
  printf("%s, level %d, %zu elements of %zu bytes: other bytes\n", what, limit, size, elem);
  wrong = 1;
}

static void try_size(size_t size, size_t elem) {
  const size_t n = size * elem, whole = size / 8 * 8;
  /* exactly as large as they are said to be, for AddressSanitizer */
  uint8_t *in = malloc(n), *rows = malloc(n), *out = malloc(n), *expected = malloc(n);
  for (size_t i = 0; i < n; i++) in[i] = (uint8_t)(rand() >> 7);
  if (whole == size) {
    plain_to_rows(in, expected, size / 8, elem);
    bits_to_rows(in, rows, size, elem);
    compare("bits to rows", rows, expected, n, size, elem);
    rows_to_bits(rows, out, size, elem);
    compare("rows to bits", out, in, n, size, elem);
  }
  plain_split(in, expected, 0, size, elem);
  bytes_to_rows(in, rows, size, elem);
  compare("bytes to rows", rows, expected, n, size, elem);
  rows_to_bytes(rows, out, size, elem);
  compare("rows to bytes", out, in, n, size, elem);
  if (elem == 2 || elem == 4 || elem == 8 || elem == 16) {
    const void *apart[16];
    for (size_t j = 0; j < elem; j++) memcpy((void *)(apart[j] = malloc(size)), rows + j * size, size);
    memset(out, 0, n);
    rows_apart_to_bytes(apart, out, size, elem);
    compare("rows apart to bytes", out, in, n, size, elem);
    for (size_t j = 0; j < elem; j++) free((void *)apart[j]);
  }
  free(in), free(rows), free(out), free(expected);
}

int main(void) {
  limit = H5Z_CPU_AVX512;
  const int most = h5z_cpu();
  for (limit = H5Z_CPU_BASE; limit <= most; limit++) {
    for (size_t elem = 1; elem <= 50; elem += elem < 18 ? 1 : 5) {
      for (size_t size = 1; size <= 72; size++) try_size(size, elem);
      for (size_t size = 120; size <= 1200; size += 56) try_size(size, elem);
    }
    printf("level %d\n", limit);
  }
  return wrong;
}
