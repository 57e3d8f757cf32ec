/* The kernels of src/gpu.c as a program: `gpu decode|encode ELEM FILE...` takes the files as the chunks of one launch and
 * writes what came out to standard output, one chunk behind the other. Then the same chunks once more with a table that is
 * wrong in every way, where each answers with its own code and the others come out as before. Status 1: they did not. */
#include "../src/gpu.c"

#include <stdio.h>
#include <stdlib.h>

static void run(int decode, uint32_t groups, uint32_t lanes, uint32_t n, const uint8_t *src, uint64_t nsrc, uint8_t *dst,
                uint64_t ndst, const h5z_gpu_chunk *chunks, uint32_t elem, int32_t *status) {
  if (decode) H5Z_GPU_RUN(groups * n, lanes, h5z_shuffle_decode(src, nsrc, dst, ndst, chunks, n, groups, elem, status));
  else H5Z_GPU_RUN(groups * n, lanes, h5z_shuffle_encode(src, nsrc, dst, ndst, chunks, n, groups, elem, status));
}

static void *exactly(size_t n) { /* as large as it is said to be, for AddressSanitizer */
  void *p = malloc(n ? n : 1);
  if (!p) exit(2);
  return p;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const int decode = strcmp(argv[1], "decode") == 0;
  const uint32_t elem = (uint32_t)strtoul(argv[2], NULL, 10), n = (uint32_t)argc - 3;
  h5z_gpu_chunk *chunks = exactly(n * sizeof *chunks), *bad = exactly(n * sizeof *bad);
  int32_t *status = exactly(n * sizeof *status);
  uint8_t *src = NULL;
  uint64_t size = 0;
  for (uint32_t pass = 0; pass < 2; pass++) { /* sizes, then content */
    if (pass == 1) src = exactly(size);
    uint64_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
      FILE *f = fopen(argv[3 + i], "rb");
      if (!f) return 2;
      fseek(f, 0, SEEK_END);
      const uint64_t length = (uint64_t)ftell(f);
      rewind(f);
      chunks[i] = (h5z_gpu_chunk){at, length, at, length, 0, 0};
      if (pass == 1 && fread(src + at, 1, length, f) != length) return 2;
      fclose(f);
      at += length;
    }
    size = at;
    if (pass == 0) continue;

    uint8_t *dst = exactly(size), *again = exactly(size);
    const uint32_t shapes[][2] = {{1, 1}, {1, 32}, {3, 7}, {5, 64}}; /* groups for a chunk, lanes */
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
      memset(again, 0xa5, size);
      run(decode, shapes[s][0], shapes[s][1], n, src, size, again, size, chunks, elem, status);
      for (uint32_t i = 0; i < n; i++)
        if (status[i] != 0) return fprintf(stderr, "chunk %u: status %d\n", i, status[i]), 1;
      if (s == 0) memcpy(dst, again, size);
      else if (memcmp(dst, again, size) != 0) return fprintf(stderr, "other bytes with %u lanes\n", shapes[s][1]), 1;
    }
    fwrite(dst, 1, size, stdout);

    /* A table that lies: chunk i gets fault i % 6; what is no fault must come out as before, and nothing else be written. */
    memcpy(bad, chunks, n * sizeof *bad);
    for (uint32_t i = 0; i < n; i++) {
      h5z_gpu_chunk *c = bad + i;
      if (i % 6 == 1) c->src = size - c->src_size + 1;
      if (i % 6 == 2) c->src_size = UINT64_MAX;
      if (i % 6 == 3) c->dst = UINT64_MAX;
      if (i % 6 == 4) c->dst_size--;
      if (i % 6 == 5) c->skip = 1;
    }
    memset(again, 0xa5, size);
    run(decode, 2, 16, n, src, size, again, size, bad, elem, status);
    static const int32_t expected[] = {0, H5Z_E_PARAM, H5Z_E_PARAM, H5Z_E_PARAM, H5Z_E_OUTPUT, 0};
    for (uint32_t i = 0; i < n; i++) {
      if (status[i] != expected[i % 6]) return fprintf(stderr, "fault %u: status %d\n", i % 6, status[i]), 1;
      const uint8_t *out = again + chunks[i].dst, *want = i % 6 == 5 ? src + chunks[i].src : dst + chunks[i].dst;
      for (uint64_t k = 0; k < chunks[i].src_size; k++)
        if (out[k] != (expected[i % 6] == 0 ? want[k] : 0xa5)) return fprintf(stderr, "fault %u: wrong byte\n", i % 6), 1;
    }
    run(decode, 1, 1, n, src, size, again, size, chunks, 0, status);
    for (uint32_t i = 0; i < n; i++)
      if (status[i] != H5Z_E_PARAM) return fprintf(stderr, "elements of no bytes: status %d\n", status[i]), 1;
    run(decode, 0, 1, n, src, size, again, size, chunks, elem, status);
    free(src), free(dst), free(again);
  }
  free(chunks), free(bad), free(status);
  return 0;
}
