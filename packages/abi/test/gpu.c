/* The kernels of one direction of a filter as a program, for gpu.ts. ENGINE is what runs them: gpu-host.h here, one lane after the
 * other under sanitizers, or gpu-opencl.h as OpenCL C. Reads launches from standard input and writes what came out, until the
 * input ends; numbers are u64, little-endian as this machine is:
 *
 *     in   chunks  parts of a chunk  lanes  seed  extra scratch (0 or 1: as large as dst)  number of cd_values  their values
 *          for each chunk: bytes  room  skip  fault  content              (fault: 1 src beyond, 2 dst beyond, 3 size wraps)
 *     out  for each chunk: status (as int64)  bytes, and the bytes
 *
 * Every chunk lies alone among bytes that AddressSanitizer knows to be nobody's, at addresses of all alignments; so does the
 * room of each result. A byte that changed outside of the rooms is an abort, and so is one of what kernels only read.
 *
 * An engine has: start(argc, argv); exactly(n), memory of n bytes 0xa5 that kernels are given, and leave(p), which says whether
 * a byte around it changed; launch(batch, groups, lanes, seed), all kernels one behind the other. */
#include ENGINE

#include <inttypes.h>
#if defined(H5Z_GPU_ASAN)
#  include <sanitizer/asan_interface.h>
#else
#  define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#  define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

static uint64_t number(void) {
  uint64_t n = 0;
  return fread(&n, 8, 1, stdin) == 1 ? n : UINT64_MAX;
}

static void say(uint64_t n) { fwrite(&n, 8, 1, stdout); }

/* What kernels only read, kept to be compared afterwards. */
typedef struct kept_bytes {
  void *of, *bytes;
  uint64_t size;
} kept_bytes;

static kept_bytes kept(void *of, uint64_t size) {
  kept_bytes c = {.of = of, .bytes = malloc(size ? size : 1), .size = size};
  if (!c.bytes) abort();
  memcpy(c.bytes, of, size);
  return c;
}

static void unchanged(kept_bytes c, const char *what) {
  if (memcmp(c.of, c.bytes, c.size) != 0) fprintf(stderr, "a kernel wrote to %s\n", what), abort();
  free(c.bytes);
  leave(c.of);
}

int main(int argc, char **argv) {
  start(argc, argv);
  for (uint64_t n; (n = number()) != UINT64_MAX;) {
    const uint64_t parts = number(), lanes = number(), seed = number(), extra = number(), ncd = number();
    uint32_t *cd = exactly(ncd * 4);
    for (uint64_t i = 0; i < ncd; i++) cd[i] = (uint32_t)number();
    h5z_gpu_chunk *table = exactly(n * sizeof *table), *chunks = calloc(n + 1, sizeof *chunks);
    h5z_gpu_state *before = exactly(n * sizeof *before), *after = exactly(n * sizeof *after);
    uint8_t **content = calloc(n + 1, sizeof *content);
    uint64_t *fault = calloc(n + 1, sizeof *fault), nsrc = 16, ndst = 16;
    if (!chunks || !content || !fault) abort();
    for (uint64_t i = 0; i < n; i++) {
      before[i] = (h5z_gpu_state){.size = number()};
      chunks[i] = (h5z_gpu_chunk){.room = number(), .skip = (uint32_t)number()};
      fault[i] = number();
      content[i] = malloc(before[i].size + 1);
      if (!content[i] || fread(content[i], 1, before[i].size, stdin) != before[i].size) abort();
      chunks[i].src = nsrc + i % 8, chunks[i].dst = ndst + i % 5;
      nsrc = (chunks[i].src + before[i].size + 32) / 16 * 16;
      ndst = (chunks[i].dst + chunks[i].room + 32) / 16 * 16;
    }
    const uint64_t scratch_size = (parts + 1) * n * H5Z_GPU_SCRATCH + (extra ? ndst : 0);
    uint8_t *src = exactly(nsrc), *dst = exactly(ndst), *scratch = exactly(scratch_size);
    for (uint64_t i = 0; i < n; i++) {
      memcpy(src + chunks[i].src, content[i], before[i].size);
      free(content[i]);
    }
    const kept_bytes sources = kept(src, nsrc);
    ASAN_POISON_MEMORY_REGION(src, nsrc);
    ASAN_POISON_MEMORY_REGION(dst, ndst);
    for (uint64_t i = 0; i < n; i++) {
      ASAN_UNPOISON_MEMORY_REGION(src + chunks[i].src, before[i].size);
      ASAN_UNPOISON_MEMORY_REGION(dst + chunks[i].dst, chunks[i].room);
    }
    memcpy(table, chunks, n * sizeof *table);
    for (uint64_t i = 0; i < n; i++) {
      if (fault[i] == 1) table[i].src = nsrc - before[i].size + 1;
      if (fault[i] == 2) table[i].dst = ndst - table[i].room + 1;
      if (fault[i] == 3) before[i].size = UINT64_MAX;
      if (fault[i] == 4) before[i].status = H5Z_E_VERSION;
    }
    const kept_bytes tables = kept(table, n * sizeof *table), states = kept(before, n * sizeof *before), values = kept(cd, ncd * 4);
    const h5z_gpu_batch batch = {
        .src = src, .nsrc = nsrc, .dst = dst, .ndst = ndst, .scratch = scratch, .nscratch = scratch_size,
        .chunks = table, .before = before, .after = after, .cd = cd, .ncd = (uint32_t)ncd, .nchunks = (uint32_t)n,
        .groups = (uint32_t)parts,
    };
    /* One group more than there is work for: what a launch of whole numbers may have. */
    launch(&batch, (uint32_t)(parts * n + 1), (uint32_t)lanes, (uint32_t)seed);

    ASAN_UNPOISON_MEMORY_REGION(dst, ndst);
    ASAN_UNPOISON_MEMORY_REGION(src, nsrc);
    uint64_t at = 0;
    for (uint64_t i = 0; i < n; i++) {
      for (; at < chunks[i].dst; at++)
        if (dst[at] != 0xa5) fprintf(stderr, "chunk %" PRIu64 ": a byte before its room changed\n", i), abort();
      at += chunks[i].room;
      if (after[i].size > chunks[i].room) fprintf(stderr, "chunk %" PRIu64 ": more than its room\n", i), abort();
      say((uint64_t)(int64_t)after[i].status);
      say(after[i].size);
      fwrite(dst + chunks[i].dst, 1, after[i].size, stdout);
    }
    for (; at < ndst; at++)
      if (dst[at] != 0xa5) fprintf(stderr, "a byte behind the last room changed\n"), abort();
    unchanged(sources, "src"), unchanged(tables, "the table"), unchanged(states, "before"), unchanged(values, "cd");
    leave(after), leave(dst), leave(scratch);
    free(chunks), free(content), free(fault);
  }
  return 0;
}
