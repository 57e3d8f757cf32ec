/* wasi.h: what Emscripten's libc would ask of a host, answered inside the module, so that it needs no import; the linker
 * drops what nothing calls. There is nothing to write to, no clock and nowhere to exit to. Included once per module. */
#ifndef H5Z_WASI_H
#define H5Z_WASI_H

#include <stddef.h>
#include <stdint.h>

/* Side modules hide it from the main module, which has functions of these names too. */
#if !defined(HIDDEN)
#  define HIDDEN
#endif

#define WASI_BADF 8
#define WASI_NOSYS 52

HIDDEN void emscripten_notify_memory_growth(size_t index) { (void)index; }

/* A module ends with its instance: nobody runs the destructors of its static objects. */
HIDDEN int __cxa_atexit(void (*destroy)(void *), void *object, void *module) {
  (void)destroy, (void)object, (void)module;
  return 0;
}

HIDDEN _Noreturn void abort(void) { __builtin_trap(); }
HIDDEN _Noreturn void __assert_fail(const char *expr, const char *file, int line, const char *func) {
  (void)expr, (void)file, (void)line, (void)func;
  __builtin_trap();
}
HIDDEN _Noreturn void __wasi_proc_exit(uint32_t status) {
  (void)status;
  __builtin_trap();
}
HIDDEN uint16_t __wasi_fd_close(int fd) {
  (void)fd;
  return WASI_BADF;
}
HIDDEN uint16_t __wasi_fd_write(int fd, const void *iov, size_t n, size_t *written) {
  (void)fd, (void)iov, (void)n, (void)written;
  return WASI_BADF;
}
HIDDEN uint16_t __wasi_fd_read(int fd, const void *iov, size_t n, size_t *read) {
  (void)fd, (void)iov, (void)n, (void)read;
  return WASI_BADF;
}
HIDDEN uint16_t __wasi_fd_seek(int fd, int64_t offset, uint8_t whence, uint64_t *at) {
  (void)fd, (void)offset, (void)whence, (void)at;
  return WASI_BADF;
}
HIDDEN uint16_t __wasi_environ_sizes_get(size_t *count, size_t *bytes) {
  *count = 0, *bytes = 0;
  return 0;
}
HIDDEN uint16_t __wasi_environ_get(uint8_t **list, uint8_t *bytes) {
  (void)list, (void)bytes;
  return 0;
}
HIDDEN uint16_t __wasi_clock_time_get(uint32_t clock, uint64_t precision, uint64_t *time) {
  (void)clock, (void)precision, (void)time;
  return WASI_NOSYS;
}
#endif
