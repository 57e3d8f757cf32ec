/* The kernels of a filter as a program, for gpu.ts: -DKERNELS is the path of its gpu.c in quotes, -DLAUNCHES the names of the
 * kernels of one direction with commas between. Reads launches from standard input and writes what came out, until the input
 * ends; numbers are u64, little-endian as this machine is:
 *
 *     in   chunks  parts of a chunk  lanes  seed  extra scratch (0 or 1: as large as dst)  number of cd_values  their values
 *          for each chunk: bytes  room  skip  fault  content              (fault: 1 src beyond, 2 dst beyond, 3 size wraps)
 *     out  for each chunk: status (as int64)  bytes, and the bytes
 *
 * Every chunk lies alone among bytes that AddressSanitizer knows to be nobody's, at addresses of all alignments; so does the
 * room of each result. A byte that changed outside of the rooms is an abort. */
#include KERNELS

#include <inttypes.h>
#if defined(H5Z_GPU_ASAN)
#  include <sanitizer/asan_interface.h>
#else
#  define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#  define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

typedef void (*kernel)(h5z_gpu_batch);
static const kernel KERNELS_IN_ORDER[] = {LAUNCHES};

static void call(const void *which, const struct h5z_gpu_batch *batch) { (*(const kernel *)which)(*batch); }

static void *exactly(uint64_t n) {
  void *p = malloc(n ? n : 1);
  if (!p) abort();
  memset(p, 0xa5, n);
  return p;
}

static uint64_t number(void) {
  uint64_t n = 0;
  return fread(&n, 8, 1, stdin) == 1 ? n : UINT64_MAX;
}

static void say(uint64_t n) { fwrite(&n, 8, 1, stdout); }

int main(void) {
  for (uint64_t n; (n = number()) != UINT64_MAX;) {
    const uint64_t parts = number(), lanes = number(), seed = number(), extra = number(), ncd = number();
    uint32_t *cd = exactly(ncd * 4);
    for (uint64_t i = 0; i < ncd; i++) cd[i] = (uint32_t)number();
    h5z_gpu_chunk *chunks = exactly(n * sizeof *chunks);
    h5z_gpu_state *before = exactly(n * sizeof *before), *after = exactly(n * sizeof *after);
    uint8_t **content = exactly(n * sizeof *content);
    uint64_t *fault = exactly(n * 8), nsrc = 16, ndst = 16;
    for (uint64_t i = 0; i < n; i++) {
      before[i] = (h5z_gpu_state){.size = number()};
      chunks[i] = (h5z_gpu_chunk){.room = number(), .skip = (uint32_t)number()};
      fault[i] = number();
      content[i] = exactly(before[i].size);
      if (fread(content[i], 1, before[i].size, stdin) != before[i].size) abort();
      chunks[i].src = nsrc + i % 8, chunks[i].dst = ndst + i % 5;
      nsrc = (chunks[i].src + before[i].size + 32) / 16 * 16;
      ndst = (chunks[i].dst + chunks[i].room + 32) / 16 * 16;
    }
    const uint64_t scratch_size = (parts + 1) * n * H5Z_GPU_SCRATCH + (extra ? ndst : 0);
    uint8_t *src = exactly(nsrc), *dst = exactly(ndst), *scratch = exactly(scratch_size);
    ASAN_POISON_MEMORY_REGION(src, nsrc);
    ASAN_POISON_MEMORY_REGION(dst, ndst);
    for (uint64_t i = 0; i < n; i++) {
      ASAN_UNPOISON_MEMORY_REGION(src + chunks[i].src, before[i].size);
      memcpy(src + chunks[i].src, content[i], before[i].size);
      free(content[i]);
      ASAN_UNPOISON_MEMORY_REGION(dst + chunks[i].dst, chunks[i].room);
    }
    h5z_gpu_chunk *table = exactly(n * sizeof *table);
    memcpy(table, chunks, n * sizeof *table);
    for (uint64_t i = 0; i < n; i++) {
      if (fault[i] == 1) table[i].src = nsrc - before[i].size + 1;
      if (fault[i] == 2) table[i].dst = ndst - table[i].room + 1;
      if (fault[i] == 3) before[i].size = UINT64_MAX;
      if (fault[i] == 4) before[i].status = H5Z_E_VERSION;
    }
    const h5z_gpu_batch batch = {
        .src = src, .nsrc = nsrc, .dst = dst, .ndst = ndst, .scratch = scratch, .nscratch = scratch_size,
        .chunks = table, .before = before, .after = after, .cd = cd, .ncd = (uint32_t)ncd, .nchunks = (uint32_t)n,
        .groups = (uint32_t)parts,
    };
    for (size_t k = 0; k < sizeof KERNELS_IN_ORDER / sizeof *KERNELS_IN_ORDER; k++)
      /* One group more than there is work for: what a launch of whole numbers may have. */
      h5z_gpu_run_groups(call, &KERNELS_IN_ORDER[k], &batch, (uint32_t)(parts * n + 1), (uint32_t)lanes, (uint32_t)seed);

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
    free(cd), free(chunks), free(table), free(before), free(after), free(content), free(fault);
    free(src), free(dst), free(scratch);
  }
  return 0;
}
