/* h5wasm_plugin.c: makes a filter a side module that h5wasm's libhdf5 loads from its virtual plugin folder.
 *
 * A side module shares the main module's memory and may import its exports, and h5wasm exports little: a function it
 * lacks becomes a stub that aborts when called. So this file imports malloc, calloc, realloc and free (buffers are
 * freed by the main module's libhdf5), declares every H5 function weak, which leaves 0 where this h5wasm has none,
 * and brings the memory functions of libc itself; what else of libc a codec calls comes from Emscripten's archive, inside
 * the module as well (cmake/H5wasmRuntime.cmake). Everything but the two H5PL symbols is hidden: Emscripten puts the
 * exports of all side modules into one table, and two that share a name would meet.
 *
 *     h5wasm 0.8 and 0.10 export of H5_SYMBOLS: H5Pget_filter_by_id2 H5Pmodify_filter H5Pget_chunk H5Pfill_value_defined
 *     H5Tget_class H5Tget_size H5Tget_order H5Sget_simple_extent_dims H5allocate_memory H5free_memory H5Epush2 H5E_*_g.
 *     Unknown to derive there: sign, precision, offset, the base of an array, a fill value that is not the default.
 */
#include "plugin.h"

#include <stdlib.h>

#define F(result, name, arguments) extern __attribute__((weak)) result name arguments;
#define V(name) extern __attribute__((weak)) const hid_t name;
H5_SYMBOLS(F, V)
#undef F
#undef V

static const h5_library *library_of(const void *caller) {
  (void)caller; /* there is one libhdf5 in an h5wasm */
  static h5_library h5;
#define F(result, name, arguments) h5.name = name;
#define V(name) h5.name = &name;
  H5_SYMBOLS(F, V)
#undef F
#undef V
  return is_enough(&h5) ? &h5 : NULL;
}

static void *buffer_new(const void *caller, size_t size) {
  (void)caller;
  return malloc(size);
}

static void buffer_free(const void *caller, void *buffer) {
  (void)caller;
  free(buffer);
}

/* ---- libc, inside and hidden ------------------------------------------------------------------------------------ */
/* Short blocks byte by byte or word by word, where a call out to the engine costs more than the copy; long ones with
 * the engine's memory.copy and memory.fill, which is what the builtins become with bulk memory. */

#if !defined(__wasm_bulk_memory__)
#  error "build side modules with -mbulk-memory: without it these builtins would call themselves"
#endif
#define HIDDEN __attribute__((visibility("hidden")))
#define SHORT 64

typedef uint64_t __attribute__((aligned(1), may_alias)) word;

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  if (n > SHORT) return __builtin_memcpy(to, from, n);
  char *t = to;
  const char *f = from;
  for (; n >= sizeof(word); n -= sizeof(word), t += sizeof(word), f += sizeof(word))
    *(word *)(void *)t = *(const word *)(const void *)f;
#pragma clang loop vectorize(disable) unroll(disable)
  while (n--) *t++ = *f++;
  return to;
}

HIDDEN void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
HIDDEN void *memset(void *to, int value, size_t n) { return __builtin_memset(to, value, n); }

HIDDEN int memcmp(const void *a, const void *b, size_t n) {
  const unsigned char *x = a, *y = b;
  for (; n; n--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

HIDDEN void *memchr(const void *from, int value, size_t n) {
  const unsigned char *p = from;
  for (; n; n--, p++)
    if (*p == (unsigned char)value) return (void *)(uintptr_t)p;
  return NULL;
}

HIDDEN size_t strlen(const char *s) {
  const char *p = s;
  while (*p) p++;
  return (size_t)(p - s);
}

HIDDEN int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

/* musl's own name for it. */
HIDDEN void *__libc_calloc(size_t n, size_t size) { return calloc(n, size); }

/* WebAssembly loads and stores at any address: malloc's 16 bytes do for every alignment, and its free frees them. */
HIDDEN void *aligned_alloc(size_t align, size_t size) { return (void)align, malloc(size); }
HIDDEN void *memalign(size_t align, size_t size) { return (void)align, malloc(size); }
HIDDEN int posix_memalign(void **out, size_t align, size_t size) {
  void *p = ((void)align, malloc(size));
  if (p) *out = p;
  return p ? 0 : 12; /* ENOMEM */
}

#include "wasi.h"
