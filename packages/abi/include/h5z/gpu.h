/* h5z/gpu.h: what a kernel is written in, so that one C source is both a kernel and an ordinary function: clang makes PTX of
 * it (toolchains/ptx; every CUDA driver compiles that text for its GPU, and no CUDA toolkit takes part), and the host's
 * compiler makes what tests, sanitizers and fuzzers run. filters/shuffle/src/gpu.c is an example.
 *
 *     H5Z_KERNEL void my_decode(H5Z_GLOBAL const uint8_t *in, uint64_t nin, H5Z_GLOBAL uint8_t *out, uint32_t n) {
 *       for (uint64_t i = (uint64_t)h5z_group() * h5z_lanes() + h5z_lane(); i < n; i += (uint64_t)h5z_groups() * h5z_lanes())
 *         out[i] = in[i];
 *     }
 *
 * Words: a launch has groups of lanes (CUDA: blocks of threads). All lanes of a launch run the kernel once each.
 *
 * Rules of kernels:
 *   - A kernel takes many chunks, in a table of h5z_gpu_chunk, and answers with a status for each. One damaged chunk never spoils
 *     another, and nothing is read or written outside of what the table, held to the buffers' sizes, allows: on a GPU
 *     nobody catches it.
 *   - All memory is the caller's. H5Z_GLOBAL stands before every pointer to it; addresses may have any alignment.
 *   - Fixed-width integers, no recursion, no libc, no static data.
 */
#ifndef H5Z_GPU_H
#define H5Z_GPU_H

#include <h5z/filter.h> /* the codes of `status`; its functions are the host's */

/* One chunk of a launch. Offsets and sizes are in bytes, from the start of the launch's buffers. */
typedef struct h5z_gpu_chunk {
  uint64_t src, src_size; /* what there is                                                                            */
  uint64_t dst, dst_size; /* where the result goes, and the room there                                                */
  uint32_t skip;          /* 1: the chunk's filter mask says that this filter was skipped, so bytes are copied        */
  uint32_t reserved;      /* 0                                                                                        */
} h5z_gpu_chunk;

#if defined(__NVPTX__)

#  define H5Z_KERNEL __attribute__((nvptx_kernel))
#  define H5Z_GLOBAL __attribute__((address_space(1)))
#  define H5Z_DEVICE static inline __attribute__((always_inline))

H5Z_DEVICE uint32_t h5z_lane(void) { return (uint32_t)__nvvm_read_ptx_sreg_tid_x(); }
H5Z_DEVICE uint32_t h5z_lanes(void) { return (uint32_t)__nvvm_read_ptx_sreg_ntid_x(); }
H5Z_DEVICE uint32_t h5z_group(void) { return (uint32_t)__nvvm_read_ptx_sreg_ctaid_x(); }
H5Z_DEVICE uint32_t h5z_groups(void) { return (uint32_t)__nvvm_read_ptx_sreg_nctaid_x(); }

#else

#  define H5Z_KERNEL static
#  define H5Z_GLOBAL
#  define H5Z_DEVICE static inline

/* Which lane this call of the kernel is. H5Z_GPU_RUN sets it. */
static _Thread_local struct {
  uint32_t lane, lanes, group, groups;
} h5z_gpu_here;

H5Z_DEVICE uint32_t h5z_lane(void) { return h5z_gpu_here.lane; }
H5Z_DEVICE uint32_t h5z_lanes(void) { return h5z_gpu_here.lanes; }
H5Z_DEVICE uint32_t h5z_group(void) { return h5z_gpu_here.group; }
H5Z_DEVICE uint32_t h5z_groups(void) { return h5z_gpu_here.groups; }

/* Runs a kernel on the host, one lane after another: H5Z_GPU_RUN(4, 32, my_decode(in, nin, out, n)); */
#  define H5Z_GPU_RUN(groups_, lanes_, call)                                                                    \
    for (h5z_gpu_here.groups = (groups_), h5z_gpu_here.lanes = (lanes_), h5z_gpu_here.group = 0;               \
         h5z_gpu_here.group < h5z_gpu_here.groups; h5z_gpu_here.group++)                                       \
      for (h5z_gpu_here.lane = 0; h5z_gpu_here.lane < h5z_gpu_here.lanes; h5z_gpu_here.lane++) call

#endif

/* Where in `size` bytes a chunk may have `length` bytes from `at` on: sums of 64 bits could wrap. */
H5Z_DEVICE int h5z_gpu_within(uint64_t at, uint64_t length, uint64_t size) { return at <= size && length <= size - at; }

#endif
