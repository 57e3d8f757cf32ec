/* h5z/gpu/host.h: kernels on the host, for tests: h5z_gpu_run(kernel, &batch, groups, lanes, seed). Every lane has a stack of
 * its own and runs up to its next h5z_sync(), in an order that `seed` changes from barrier to barrier: a lane that reads what
 * another one has not yet written, because a barrier is missing, reads something else in one order or another. Lanes that
 * part at a barrier are an abort, which on a GPU would hang or worse. Shared memory is as large as asked for, no byte more,
 * and filled with garbage for every group, so that AddressSanitizer and comparisons see what a GPU would not show. */
#ifndef H5Z_GPU_HOST_H
#define H5Z_GPU_HOST_H

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#  define H5Z_GPU_ASAN 1
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define H5Z_GPU_ASAN 1
#  endif
#endif
#if defined(H5Z_GPU_ASAN)
#  include <sanitizer/common_interface_defs.h>
#else
#  define __sanitizer_start_switch_fiber(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#  define __sanitizer_finish_switch_fiber(fake, bottom, size) ((void)(fake), (void)(bottom), (void)(size))
#endif

/* swapcontext asks the system at every switch, which is most of the time; where sanitizers do not have to follow, lanes jump.
 * (Compile with -U_FORTIFY_SOURCE: glibc's check of jumps knows one stack alone.) */
#if !defined(H5Z_GPU_ASAN)
#  include <setjmp.h>
#  define H5Z_GPU_JUMPS 1
#endif
#if defined(__GNUC__) && !defined(__clang__)
#  define H5Z_GPU_SWITCHES __attribute__((noipa))
#else
#  define H5Z_GPU_SWITCHES __attribute__((noinline))
#endif

enum { H5Z_GPU_STACK = 1 << 17, H5Z_GPU_MOST = 256, H5Z_GPU_ARRAYS = 8 };

struct h5z_gpu_batch;

static struct {
  uint32_t lane, lanes, group, seed;
  ucontext_t host, context[H5Z_GPU_MOST];
#if defined(H5Z_GPU_JUMPS)
  jmp_buf back, here[H5Z_GPU_MOST]; /* once a lane has begun */
#endif
  char *stack[H5Z_GPU_MOST];
  void *fake[H5Z_GPU_MOST], *host_fake;
  const void *host_stack;
  size_t host_size;
  int line[H5Z_GPU_MOST];         /* of the barrier that the lane waits at; 0 = it has returned */
  uint32_t arrays[H5Z_GPU_MOST]; /* shared arrays that the lane has asked for so far */
  void *shared[H5Z_GPU_ARRAYS];
  void (*call)(const void *kernel, const struct h5z_gpu_batch *batch);
  const void *kernel;
  const struct h5z_gpu_batch *batch;
} h5z_gpu_host;

static inline uint32_t h5z_lane(void) { return h5z_gpu_host.lane; }
static inline uint32_t h5z_lanes(void) { return h5z_gpu_host.lanes; }
static inline uint32_t h5z_group(void) { return h5z_gpu_host.group; }

static inline void h5z_gpu_broken(const char *why) {
  fprintf(stderr, "kernel: %s\n", why);
  abort();
}

/* From a lane to the host's loop; comes back when the loop comes by again, and never after the last time. */
H5Z_GPU_SWITCHES static void h5z_gpu_yield(int line) {
  const uint32_t i = h5z_gpu_host.lane;
  h5z_gpu_host.line[i] = line;
  __sanitizer_start_switch_fiber(line ? &h5z_gpu_host.fake[i] : NULL, h5z_gpu_host.host_stack, h5z_gpu_host.host_size);
#if defined(H5Z_GPU_JUMPS)
  if (_setjmp(h5z_gpu_host.here[i]) == 0) _longjmp(h5z_gpu_host.back, 1);
#else
  swapcontext(&h5z_gpu_host.context[i], &h5z_gpu_host.host);
#endif
  __sanitizer_finish_switch_fiber(h5z_gpu_host.fake[i], NULL, NULL);
}
#define h5z_sync() h5z_gpu_yield(__LINE__)

static inline void *h5z_gpu_shared(size_t size) {
  const uint32_t i = h5z_gpu_host.arrays[h5z_gpu_host.lane]++;
  if (i >= H5Z_GPU_ARRAYS) h5z_gpu_broken("too many shared arrays");
  if (h5z_gpu_host.shared[i] == NULL) {
    h5z_gpu_host.shared[i] = malloc(size);
    if (h5z_gpu_host.shared[i] == NULL) h5z_gpu_broken("out of memory");
    memset(h5z_gpu_host.shared[i], 0xa5, size);
  }
  return h5z_gpu_host.shared[i];
}
#define H5Z_SHARED(type, name, count) type *const name = h5z_gpu_shared(sizeof(type) * (count))

static inline void h5z_gpu_entry(void) {
  __sanitizer_finish_switch_fiber(NULL, &h5z_gpu_host.host_stack, &h5z_gpu_host.host_size);
  h5z_gpu_host.call(h5z_gpu_host.kernel, h5z_gpu_host.batch);
  h5z_gpu_yield(0);
}

H5Z_GPU_SWITCHES static void h5z_gpu_resume(uint32_t i) {
  h5z_gpu_host.lane = i;
  __sanitizer_start_switch_fiber(&h5z_gpu_host.host_fake, h5z_gpu_host.stack[i], H5Z_GPU_STACK);
#if defined(H5Z_GPU_JUMPS)
  if (_setjmp(h5z_gpu_host.back) == 0) {
    if (h5z_gpu_host.line[i] == 0) setcontext(&h5z_gpu_host.context[i]);
    _longjmp(h5z_gpu_host.here[i], 1);
  }
#else
  swapcontext(&h5z_gpu_host.host, &h5z_gpu_host.context[i]);
#endif
  __sanitizer_finish_switch_fiber(h5z_gpu_host.host_fake, NULL, NULL);
}

/* One group after another, each with its lanes in turns. `call` calls `kernel` with the batch. */
static inline void h5z_gpu_run_groups(void (*call)(const void *, const struct h5z_gpu_batch *), const void *kernel,
                                      const struct h5z_gpu_batch *batch, uint32_t groups, uint32_t lanes, uint32_t seed) {
  if (lanes == 0 || lanes > H5Z_GPU_MOST) h5z_gpu_broken("no such number of lanes");
  h5z_gpu_host.call = call, h5z_gpu_host.kernel = kernel, h5z_gpu_host.batch = batch;
  h5z_gpu_host.lanes = lanes, h5z_gpu_host.seed = seed;
  for (h5z_gpu_host.group = 0; h5z_gpu_host.group < groups; h5z_gpu_host.group++) {
    for (uint32_t i = 0; i < lanes; i++) {
      if (h5z_gpu_host.stack[i] == NULL) h5z_gpu_host.stack[i] = malloc(H5Z_GPU_STACK);
      if (h5z_gpu_host.stack[i] == NULL) h5z_gpu_broken("out of memory");
      getcontext(&h5z_gpu_host.context[i]);
      h5z_gpu_host.context[i].uc_stack.ss_sp = h5z_gpu_host.stack[i];
      h5z_gpu_host.context[i].uc_stack.ss_size = H5Z_GPU_STACK;
      h5z_gpu_host.context[i].uc_link = NULL;
      makecontext(&h5z_gpu_host.context[i], h5z_gpu_entry, 0);
      h5z_gpu_host.arrays[i] = 0, h5z_gpu_host.line[i] = 0;
    }
    for (int line = 1; line != 0; line = h5z_gpu_host.line[0]) {
      /* All lanes once, from another one on and in another direction each time. */
      h5z_gpu_host.seed = h5z_gpu_host.seed * 1664525u + 1013904223u;
      const uint32_t from = (h5z_gpu_host.seed >> 8) % lanes, down = h5z_gpu_host.seed >> 31;
      for (uint32_t i = 0; i < lanes; i++) h5z_gpu_resume((from + (down ? lanes - i : i)) % lanes);
      for (uint32_t i = 1; i < lanes; i++)
        if (h5z_gpu_host.line[i] != h5z_gpu_host.line[0]) h5z_gpu_broken("the lanes of a group part at a barrier");
    }
    for (uint32_t i = 0; i < H5Z_GPU_ARRAYS; i++) free(h5z_gpu_host.shared[i]), h5z_gpu_host.shared[i] = NULL;
  }
}

#endif
