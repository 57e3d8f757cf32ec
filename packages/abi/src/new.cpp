// new.cpp: operator new and delete of a native library on macOS, hidden. The C++ library's own are visible whatever the flags,
// since a program may replace them, and there is no version script on macOS to hide them after the fact.
#include <cstdlib>
#include <new>

#define HIDDEN __attribute__((visibility("hidden")))

static void *try_get(std::size_t size) noexcept { return std::malloc(size > 0 ? size : 1); }

static void *try_get(std::size_t size, std::align_val_t align) noexcept {
  std::size_t boundary = static_cast<std::size_t>(align);
  void *p = nullptr;
  return posix_memalign(&p, boundary < sizeof p ? sizeof p : boundary, size > 0 ? size : 1) == 0 ? p : nullptr;
}

static void *or_throw(void *p) {
  if (!p) throw std::bad_alloc();
  return p;
}

using std::align_val_t;
using std::nothrow_t;
using std::size_t;

HIDDEN void *operator new(size_t size) { return or_throw(try_get(size)); }
HIDDEN void *operator new[](size_t size) { return or_throw(try_get(size)); }
HIDDEN void *operator new(size_t size, align_val_t align) { return or_throw(try_get(size, align)); }
HIDDEN void *operator new[](size_t size, align_val_t align) { return or_throw(try_get(size, align)); }
HIDDEN void *operator new(size_t size, const nothrow_t &) noexcept { return try_get(size); }
HIDDEN void *operator new[](size_t size, const nothrow_t &) noexcept { return try_get(size); }
HIDDEN void *operator new(size_t size, align_val_t align, const nothrow_t &) noexcept { return try_get(size, align); }
HIDDEN void *operator new[](size_t size, align_val_t align, const nothrow_t &) noexcept { return try_get(size, align); }
HIDDEN void operator delete(void *p) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p) noexcept { std::free(p); }
HIDDEN void operator delete(void *p, size_t) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p, size_t) noexcept { std::free(p); }
HIDDEN void operator delete(void *p, align_val_t) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p, align_val_t) noexcept { std::free(p); }
HIDDEN void operator delete(void *p, size_t, align_val_t) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p, size_t, align_val_t) noexcept { std::free(p); }
HIDDEN void operator delete(void *p, const nothrow_t &) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p, const nothrow_t &) noexcept { std::free(p); }
HIDDEN void operator delete(void *p, align_val_t, const nothrow_t &) noexcept { std::free(p); }
HIDDEN void operator delete[](void *p, align_val_t, const nothrow_t &) noexcept { std::free(p); }
