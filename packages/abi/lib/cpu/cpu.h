/* Which of the processor's instruction sets may be used, asked at run time on x86-64: for kernels that are compiled for
 * several (`__attribute__((target("avx2")))`). Header only: #include <cpu/cpu.h>. (__builtin_cpu_supports needs a run-time
 * library that zig lacks.)
 *
 * A test may define H5Z_CPU_LIMIT, an expression, before including a kernel's source: no higher level is then answered. */
#ifndef H5Z_CPU_H
#define H5Z_CPU_H

/* Each level includes those below. */
enum {
  H5Z_CPU_BASE = 1, /* what the compiler was told: SSE2 on x86-64, NEON on arm64 */
  H5Z_CPU_AVX2 = 2,
  H5Z_CPU_AVX512 = 3, /* F, BW and VL: meant for 256-bit vectors, at which no processor lowers its clock */
};

#if defined(__x86_64__)
#  include <cpuid.h>
#  include <stdatomic.h>

static inline int h5z_ask_cpu(void) {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return H5Z_CPU_BASE;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0)); /* which registers the system saves: 2 SSE, 4 AVX */
  if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return H5Z_CPU_BASE;
  /* 0xe6: SSE, AVX, mask registers, and the upper halves and upper sixteen of the 512-bit registers. */
  const unsigned wanted = bit_AVX512F | bit_AVX512BW | (unsigned)bit_AVX512VL;
  return (low & 0xe6) == 0xe6 && (b & wanted) == wanted ? H5Z_CPU_AVX512 : H5Z_CPU_AVX2;
}

/* Asked once: CPUID is slow in virtual machines. Threads that meet here find the same answer. */
static inline int h5z_cpu(void) {
  static _Atomic int answer;
  int known = atomic_load_explicit(&answer, memory_order_relaxed);
  if (known == 0) {
    known = h5z_ask_cpu();
    atomic_store_explicit(&answer, known, memory_order_relaxed);
  }
#  if defined(H5Z_CPU_LIMIT)
  if (known > (H5Z_CPU_LIMIT)) known = (H5Z_CPU_LIMIT);
#  endif
  return known;
}
#else
static inline int h5z_cpu(void) { return H5Z_CPU_BASE; }
#endif

#endif
