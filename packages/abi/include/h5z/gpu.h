/* h5z/gpu.h: what a kernel is written in, so that one C source is both a kernel and an ordinary function: clang makes PTX of
 * it (toolchains/ptx; every CUDA driver compiles that text for its GPU, and no CUDA toolkit takes part), the host's
 * compiler makes what tests and sanitizers run (h5z/gpu/host.h), and tests run it as OpenCL C too, with the barriers of
 * another compiler (h5z/gpu/opencl.h). filters/shuffle/src/gpu.c is an example.
 *
 *     H5Z_KERNEL void h5z_mine_decode(h5z_gpu_batch b) {
 *       h5z_gpu_part p;
 *       if (!h5z_gpu_begin(&b, &p)) return;                             not for this filter: already answered
 *       if (p.size > p.room) { h5z_gpu_answer(&b, &p, 0, H5Z_E_OUTPUT); return; }
 *       for (uint64_t i = p.lane; i < p.size; i += p.lanes) p.out[i] = p.in[i];
 *       h5z_gpu_answer(&b, &p, p.size, 0);
 *     }
 *
 * Words: a launch has groups of lanes (CUDA: blocks of threads). All lanes of a launch run the kernel once each. The lanes
 * of a group share H5Z_SHARED memory and wait for each other at h5z_sync(); groups know nothing of each other.
 *
 *     group | chunk 0: part 0 1 .. g-1 | chunk 1: g .. 2g-1 | ...         g = batch.groups, the parts of a chunk
 *
 * A direction is one kernel, h5z_NAME_decode, or several that are launched one behind the other, all with the same batch
 * and as many groups: h5z_NAME_decode_0, h5z_NAME_decode_1. They hand on what they found in `scratch`.
 *
 * Rules of kernels:
 *   - Every chunk has its own answer. One damaged chunk never spoils another, and nothing is read or written outside of what
 *     the table, held to the buffers' sizes, allows: on a GPU nobody catches it. Writes stay in the chunk's own room,
 *     whose content is unspecified after an error.
 *   - What lanes decide before a barrier they decide from memory that no kernel of the launch writes, or from H5Z_SHARED
 *     memory after a barrier, so that all lanes of a group decide the same.
 *   - All memory is the caller's. H5Z_GLOBAL stands before every pointer to it; addresses of bytes may have any alignment.
 *   - Fixed-width integers, no recursion, no libc, no static data.
 *   - The first line of a kernel is as above, up to its brace: h5z/gpu/opencl.h wants it anew. Pointers without H5Z_GLOBAL or
 *     H5Z_LOCAL are a lane's own, and H5Z_SHARED arrays are a kernel's: OpenCL C knows no others.
 *   - Functions are H5Z_DEVICE, and H5Z_OUTLINE where they are long and run once for a chunk: a call there costs nothing, and
 *     the text has them once. The compiler is asked for short text; H5Z_UNROLL stands before the few loops, of a number of
 *     turns that it knows, that are to be written out: hot ones, and those over an array that is to stay in registers.
 */
#ifndef H5Z_GPU_H
#define H5Z_GPU_H

#if defined(__OPENCL_C_VERSION__)
#  include <h5z/gpu/opencl.h>
#else
#  include <h5z/filter.h> /* the codes of `status`; its functions are the host's */
#endif

/* Most lanes of a group, and bytes of H5Z_SHARED memory that a kernel may have: what every GPU has. */
#define H5Z_GPU_LANES 128u
#define H5Z_GPU_SHARED 16384u

/* Scratch that every launch has for each part of each chunk, and once more for each chunk. */
#define H5Z_GPU_SCRATCH 16u

#if defined(__NVPTX__)

#  define H5Z_KERNEL __attribute__((nvptx_kernel))
#  define H5Z_GLOBAL __attribute__((address_space(1)))
#  define H5Z_LOCAL __attribute__((address_space(3)))
#  define H5Z_SHARED(type, name, count) static H5Z_LOCAL type name[count] __attribute__((aligned(16)))
#  define H5Z_DEVICE static inline __attribute__((always_inline))
#  define H5Z_OUTLINE static __attribute__((noinline))

H5Z_DEVICE uint32_t h5z_lane(void) { return (uint32_t)__nvvm_read_ptx_sreg_tid_x(); }
H5Z_DEVICE uint32_t h5z_lanes(void) { return (uint32_t)__nvvm_read_ptx_sreg_ntid_x(); }
H5Z_DEVICE uint32_t h5z_group(void) { return (uint32_t)__nvvm_read_ptx_sreg_ctaid_x(); }
#  define h5z_sync() __syncthreads()

#elif !defined(__OPENCL_C_VERSION__)

#  define H5Z_KERNEL static
#  define H5Z_GLOBAL
#  define H5Z_LOCAL
#  define H5Z_DEVICE static inline
#  define H5Z_OUTLINE static
#  include <h5z/gpu/host.h>

#endif

#if defined(__clang__) && !defined(H5Z_GPU_HOST_H)
#  define H5Z_UNROLL _Pragma("clang loop unroll(full)")
#else
#  define H5Z_UNROLL
#endif

/* Where a chunk lies. Offsets and sizes are in bytes, from the start of the launch's buffers. */
typedef struct h5z_gpu_chunk {
  uint64_t src;      /* its bytes, as many as state.size before the launch says                                */
  uint64_t dst, room; /* where the result goes, and the room there                                              */
  uint32_t skip;     /* 1: the chunk's filter mask says that this filter was skipped, so bytes are copied      */
  uint32_t reserved; /* 0                                                                                      */
} h5z_gpu_chunk;

/* What is known of a chunk before and behind a filter: a pipeline's launches hand it on, and errors with it. */
typedef struct h5z_gpu_state {
  uint64_t size;     /* bytes of the chunk; 0 after an error                                                   */
  int32_t status;    /* 0 or one of h5z_error                                                                  */
  uint32_t reserved; /* 0                                                                                      */
} h5z_gpu_state;

/* The one argument of every kernel. */
typedef struct h5z_gpu_batch {
  H5Z_GLOBAL const uint8_t *src;
  uint64_t nsrc;
  H5Z_GLOBAL uint8_t *dst;
  uint64_t ndst;
  H5Z_GLOBAL uint8_t *scratch; /* at an address that 16 divides: (groups + 1) * nchunks * H5Z_GPU_SCRATCH bytes, then */
  uint64_t nscratch;           /* what the filter wants beyond: it says so                                             */
  H5Z_GLOBAL const h5z_gpu_chunk *chunks;
  H5Z_GLOBAL const h5z_gpu_state *before;
  H5Z_GLOBAL h5z_gpu_state *after;
  H5Z_GLOBAL const uint32_t *cd; /* the stored cd_values */
  uint32_t ncd, nchunks, groups, reserved;
} h5z_gpu_batch;

/* What a lane works on: chunk `which`, with `lanes` lanes in all its parts, of which this one is number `lane`. */
typedef struct h5z_gpu_part {
  H5Z_GLOBAL const uint8_t *in;
  H5Z_GLOBAL uint8_t *out;
  uint64_t size, room, lane, lanes;
  uint32_t which, part;
} h5z_gpu_part;

/* Where in `size` bytes a chunk may have `length` bytes from `at` on: sums of 64 bits could wrap. */
H5Z_DEVICE int h5z_gpu_within(uint64_t at, uint64_t length, uint64_t size) { return at <= size && length <= size - at; }

/* The chunk's answer. Every lane may call it; one of them writes it down. */
H5Z_DEVICE void h5z_gpu_answer(const h5z_gpu_batch *b, const h5z_gpu_part *p, uint64_t size, int32_t status) {
  if (p->lane != 0) return;
  H5Z_GLOBAL h5z_gpu_state *state = b->after + p->which;
  state->size = status == 0 ? size : 0, state->status = status, state->reserved = 0;
}

/* An error that a part found after the chunk had its answer. Parts find the same chunk damaged, each for itself. */
H5Z_DEVICE void h5z_gpu_fail(const h5z_gpu_batch *b, const h5z_gpu_part *p, int32_t status) {
  b->after[p->which].size = 0, b->after[p->which].status = status;
}

/* For h5z_gpu_begin and h5z_gpu_next. */
H5Z_DEVICE int h5z_gpu_enter(const h5z_gpu_batch *b, h5z_gpu_part *p, int first) {
  if (b->groups == 0 || h5z_group() / b->groups >= b->nchunks) return 0;
  p->which = h5z_group() / b->groups, p->part = h5z_group() % b->groups;
  p->lanes = (uint64_t)b->groups * h5z_lanes(), p->lane = (uint64_t)p->part * h5z_lanes() + h5z_lane();
  H5Z_GLOBAL const h5z_gpu_chunk *chunk = b->chunks + p->which;
  int32_t status = b->before[p->which].status;
  p->size = b->before[p->which].size, p->room = chunk->room;
  const int inside = h5z_gpu_within(chunk->src, p->size, b->nsrc) & h5z_gpu_within(chunk->dst, p->room, b->ndst) &
                     (b->nscratch / H5Z_GPU_SCRATCH >= ((uint64_t)b->groups + 1) * b->nchunks);
  if (status == 0 && !inside) status = H5Z_E_PARAM;
  if (status == 0) {
    p->in = b->src + chunk->src, p->out = b->dst + chunk->dst;
    if (!chunk->skip) return 1;
    if (p->size > p->room) status = H5Z_E_OUTPUT;
    for (uint64_t i = p->lane; first && status == 0 && i < p->size; i += p->lanes) p->out[i] = p->in[i];
  }
  if (first) h5z_gpu_answer(b, p, p->size, status);
  return 0;
}

/* Which chunk, and whether the filter has anything to do: not after an error, not with a table that lies, and not where
 * the filter was skipped; those are answered here. All lanes of a group get the same. */
H5Z_DEVICE int h5z_gpu_begin(const h5z_gpu_batch *b, h5z_gpu_part *p) { return h5z_gpu_enter(b, p, 1); }

/* The same in a direction's second kernel and those behind it: what the first one answered stays. */
H5Z_DEVICE int h5z_gpu_next(const h5z_gpu_batch *b, h5z_gpu_part *p) { return h5z_gpu_enter(b, p, 0); }

/* The chunk's own words of scratch, two for each part and two more. */
H5Z_DEVICE H5Z_GLOBAL uint64_t *h5z_gpu_scratch(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  return (H5Z_GLOBAL uint64_t *)b->scratch + ((uint64_t)b->groups + 1) * p->which * 2;
}

/* Scratch beyond that: whether the caller gave as much as dst has, laid out as dst is, and where in it the chunk's room is. */
H5Z_DEVICE uint64_t h5z_gpu_words(const h5z_gpu_batch *b) {
  return ((uint64_t)b->groups + 1) * b->nchunks * H5Z_GPU_SCRATCH;
}

H5Z_DEVICE int h5z_gpu_space(const h5z_gpu_batch *b) { return b->nscratch - h5z_gpu_words(b) >= b->ndst; }

H5Z_DEVICE H5Z_GLOBAL uint8_t *h5z_gpu_aside(const h5z_gpu_batch *b, const h5z_gpu_part *p) {
  return b->scratch + h5z_gpu_words(b) + b->chunks[p->which].dst;
}

H5Z_DEVICE uint32_t h5z_gpu_u32be(H5Z_GLOBAL const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

H5Z_DEVICE uint64_t h5z_gpu_u64be(H5Z_GLOBAL const uint8_t *p) {
  return (uint64_t)h5z_gpu_u32be(p) << 32 | h5z_gpu_u32be(p + 4);
}

#endif
