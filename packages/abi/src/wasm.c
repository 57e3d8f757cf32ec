/* wasm.c: the exports of the standalone WebAssembly module. It has no imports at all, so that any engine can
 * instantiate it with `{}`: no JavaScript glue, no WASI, no host allocator. Contract: docs/architecture.md, "The
 * standalone WASM ABI"; the other side is packages/core/src/wasm.ts.
 *
 * Memory is one stack of blocks that grows upwards from the linker's __heap_base:
 *
 *     | data, C stack | h5z_alloc blocks: input, output, cd | malloc blocks of the running call | free ... | end
 *                     ^ __heap_base                         ^ mark                              ^ top
 *
 *   - h5z_alloc puts a block on top; h5z_reset drops everything.
 *   - Each call into the codec notes `top` first and puts it back when it returns. What the codec allocated with malloc
 *     during the call (contexts, tables) is thereby released, even on its error paths. A codec must not keep
 *     pointers from one call to the next, which filter.h forbids anyway.
 *   - free gives memory back when the block is the topmost one (codecs free in reverse order, mostly) and else waits
 *     for the end of the call. realloc extends the topmost block in place.
 *   - Linear memory never shrinks; a loader that cares drops the instance.
 */
#include <h5z/filter.h>

#include "wasi.h"

#define H5Z_WASM_EXPORT(name) __attribute__((export_name(#name), used))

/* ---- the allocator -------------------------------------------------------------------------------------------- */

#define PAGE 65536u
#define ALIGN 16u

extern unsigned char __heap_base; /* first byte after static data and stack, from wasm-ld */

static uintptr_t top_; /* 0 until first used */

static uintptr_t top(void) {
  if (top_ == 0) top_ = ((uintptr_t)&__heap_base + (ALIGN - 1)) & ~(uintptr_t)(ALIGN - 1);
  return top_;
}

/* Moves `top` to `end`, growing the memory when needed. 0 = out of memory. 64-bit, as an end may lie beyond 2^32. */
static int top_to(uint64_t end) {
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
  if (end > have) {
    if (end > (uint64_t)UINT32_MAX - PAGE) return 0;
    uint64_t need = (end - have + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, (size_t)need) == (size_t)-1) return 0;
  }
  top_ = (uintptr_t)end;
  return 1;
}

/* A block of `size` bytes whose address is a multiple of `align`, itself a power of two >= 16, with its size kept in
 * the 16 bytes before it:   | size u32 | base u32 | pad 8 | size bytes ... |     (base: `top` before the block) */
typedef struct {
  uint32_t size, base;
} header;

static header *header_of(const void *p) { return (header *)((uintptr_t)p - ALIGN); }

static void *take(size_t align, size_t size) {
  uintptr_t base = top();
  uint64_t at = ((uint64_t)base + ALIGN + (align - 1)) & ~(uint64_t)(align - 1);
  if (!top_to((at + size + (ALIGN - 1)) & ~(uint64_t)(ALIGN - 1))) return NULL;
  void *p = (void *)(uintptr_t)at;
  header_of(p)->size = (uint32_t)size;
  header_of(p)->base = (uint32_t)base;
  return p;
}

static int is_topmost(const void *p) {
  return (((uintptr_t)p + header_of(p)->size + (ALIGN - 1)) & ~(uintptr_t)(ALIGN - 1)) == top_;
}

void *malloc(size_t size) { return take(ALIGN, size); }

void free(void *p) {
  if (p && is_topmost(p)) top_ = header_of(p)->base;
}

void *calloc(size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
  void *p = malloc(bytes);
  return p ? memset(p, 0, bytes) : NULL;
}

void *realloc(void *p, size_t size) {
  if (!p) return malloc(size);
  header *h = header_of(p);
  if (is_topmost(p)) {
    if (!top_to(((uint64_t)(uintptr_t)p + size + (ALIGN - 1)) & ~(uint64_t)(ALIGN - 1))) return NULL;
    h->size = (uint32_t)size;
    return p;
  }
  if (size <= h->size) return p;
  void *q = malloc(size);
  return q ? memcpy(q, p, h->size) : NULL;
}

void *memalign(size_t align, size_t size) {
  if (align & (align - 1)) return NULL;
  return take(align < ALIGN ? ALIGN : align, size);
}
void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
int posix_memalign(void **out, size_t align, size_t size) {
  void *p = memalign(align, size);
  if (p) *out = p;
  return p ? 0 : 12; /* ENOMEM */
}
size_t malloc_usable_size(void *p) { return p ? header_of(p)->size : 0; }

static uintptr_t floor_; /* what constructors of static C++ objects allocated lies below, and stays */

static void note_floor(void) {
  if (floor_ == 0) floor_ = top();
}

H5Z_WASM_EXPORT(h5z_alloc) void *h5z_wasm_alloc(size_t size) {
  note_floor();
  return malloc(size);
}
H5Z_WASM_EXPORT(h5z_reset) void h5z_wasm_reset(void) {
  note_floor();
  top_ = floor_;
}

/* ---- the filter ----------------------------------------------------------------------------------------------- */

#define UNKNOWN (-100.0)

H5Z_WASM_EXPORT(h5z_info) const uint32_t *h5z_wasm_info(void) {
  static uint32_t info[6];
  const h5z_filter *f = h5z_filter_v1();
  info[0] = f->abi_version;
  info[1] = f->id;
  info[2] = f->flags;
  info[3] = (uint32_t)(uintptr_t)f->name;
  info[4] = (uint32_t)(uintptr_t)f->title;
  info[5] = (uint32_t)(uintptr_t)f->version;
  return info;
}

/* Ends a call into the codec that began at `mark`. */
static double done(uintptr_t mark, int64_t result) {
  top_ = mark;
  return (double)result;
}

H5Z_WASM_EXPORT(h5z_decode)
double h5z_wasm_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  uintptr_t mark = top();
  return done(mark, h5z_filter_v1()->decode(cd, ncd, in, nin, out, cap));
}

H5Z_WASM_EXPORT(h5z_decoded_size)
double h5z_wasm_decoded_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  uintptr_t mark = top();
  int64_t n = h5z_filter_v1()->decoded_size(cd, ncd, in, nin);
  return n == H5Z_SIZE_UNKNOWN ? done(mark, 0), UNKNOWN : done(mark, n);
}

H5Z_WASM_EXPORT(h5z_restore)
double h5z_wasm_restore(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap) {
  const h5z_filter *f = h5z_filter_v1();
  if (f->restore) {
    uintptr_t mark = top();
    return done(mark, f->restore(stored, nstored, client, cap));
  }
  if (nstored > cap) return H5Z_E_OUTPUT;
  for (size_t i = 0; i < nstored; i++) client[i] = stored[i];
  return (double)nstored;
}

H5Z_WASM_EXPORT(h5z_explain)
double h5z_wasm_explain(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap) {
  const h5z_filter *f = h5z_filter_v1();
  uintptr_t mark = top();
  return done(mark, f->explain ? f->explain(cd, ncd, in, nin, text, cap) : 0);
}

/* In decode-only modules too: how much this stage's output may hold bounds what the stages after it may decode to. */
H5Z_WASM_EXPORT(h5z_encode_bound)
double h5z_wasm_encode_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  const h5z_filter *f = h5z_filter_v1();
  uintptr_t mark = top();
  return done(mark, f->encode_bound ? f->encode_bound(cd, ncd, nin) : H5Z_E_UNSUPPORTED);
}

#if !defined(H5Z_DECODE_ONLY)
H5Z_WASM_EXPORT(h5z_encode)
double h5z_wasm_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  const h5z_filter *f = h5z_filter_v1();
  uintptr_t mark = top();
  return done(mark, f->encode ? f->encode(cd, ncd, in, nin, out, cap) : H5Z_E_UNSUPPORTED);
}

H5Z_WASM_EXPORT(h5z_derive)
double h5z_wasm_derive(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap) {
  const h5z_filter *f = h5z_filter_v1();
  if (f->derive) {
    uintptr_t mark = top();
    return done(mark, f->derive(client, nclient, ds, stored, cap));
  }
  if (nclient > cap) return H5Z_E_OUTPUT;
  for (size_t i = 0; i < nclient; i++) stored[i] = client[i];
  return (double)nclient;
}
#endif
