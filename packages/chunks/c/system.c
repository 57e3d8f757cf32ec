/* What Emscripten's libc would ask an operating system for, answered inside the module, so that it imports only what the
 * other files here ask of the host: no files, no environment, output that goes nowhere, the time of day that the host has
 * told, and else a clock that leaps a second whenever it is read: libhdf5 sleeps before it reads damaged metadata again, and
 * a sleep without a system is a loop that asks for the time. */
#include <stddef.h>
#include <stdint.h>

enum { WASI_OK = 0, WASI_BADF = 8, WASI_REALTIME = 0 };

double h5c_time_of_day; /* h5c.h, whose headers declare the functions below in their own way */

struct wasi_slice {
  const uint8_t *data;
  uint32_t size;
};

uint32_t __wasi_fd_close(uint32_t fd) {
  (void)fd;
  return WASI_BADF;
}
uint32_t __wasi_fd_seek(uint32_t fd, int64_t offset, uint32_t whence, uint64_t *at) {
  (void)fd, (void)offset, (void)whence, (void)at;
  return WASI_BADF;
}
uint32_t __wasi_fd_read(uint32_t fd, const struct wasi_slice *to, uint32_t count, uint32_t *got) {
  (void)fd, (void)to, (void)count, (void)got;
  return WASI_BADF;
}
uint32_t __wasi_fd_write(uint32_t fd, const struct wasi_slice *from, uint32_t count, uint32_t *written) {
  (void)fd;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) sum += from[i].size;
  *written = sum;
  return WASI_OK;
}
uint32_t __wasi_fd_fdstat_get(uint32_t fd, void *stat) {
  (void)fd, (void)stat;
  return WASI_BADF;
}
uint32_t __wasi_fd_sync(uint32_t fd) {
  (void)fd;
  return WASI_BADF;
}
uint32_t __wasi_environ_sizes_get(uint32_t *count, uint32_t *size) {
  *count = *size = 0;
  return WASI_OK;
}
uint32_t __wasi_environ_get(uint8_t **environment, uint8_t *buffer) {
  (void)environment, (void)buffer;
  return WASI_OK;
}
uint32_t __wasi_args_sizes_get(uint32_t *count, uint32_t *size) {
  *count = *size = 0;
  return WASI_OK;
}
uint32_t __wasi_args_get(uint8_t **arguments, uint8_t *buffer) {
  (void)arguments, (void)buffer;
  return WASI_OK;
}
uint32_t __wasi_clock_time_get(uint32_t clock, uint64_t precision, uint64_t *time) {
  static uint64_t now;
  (void)precision;
  now += 1000000000;
  *time = clock == WASI_REALTIME && h5c_time_of_day > 0 ? (uint64_t)(h5c_time_of_day * 1e6) : now;
  return WASI_OK;
}
uint32_t __wasi_clock_res_get(uint32_t clock, uint64_t *resolution) {
  (void)clock;
  *resolution = 1;
  return WASI_OK;
}
_Noreturn void __wasi_proc_exit(uint32_t code) {
  (void)code;
  __builtin_trap();
}

/* musl's wrappers call these with Linux's convention: a negative errno. 44 is ENOENT to this libc. */
int __syscall_faccessat(int folder, intptr_t path, int mode, int flags) {
  (void)folder, (void)path, (void)mode, (void)flags;
  return -44;
}
int __syscall_getcwd(intptr_t to, size_t size) {
  (void)to, (void)size;
  return -44;
}
int __syscall_getdents64(int folder, intptr_t to, size_t size) {
  (void)folder, (void)to, (void)size;
  return -44;
}

void emscripten_notify_memory_growth(size_t index) { (void)index; }
