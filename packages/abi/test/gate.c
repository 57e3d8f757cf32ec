/* gate.c: a filter that copies, whose decode waits until somebody encodes. Test-only: it shows that two calls run at the
 * same time, on different threads, without measuring time. cd[0] = 1: wait; else do not. Gives up after 20 seconds. */
#include <h5z/filter.h>
#include <stdatomic.h>
#include <time.h>

static atomic_int waiting, open_;

static int64_t copy(const void *in, size_t nin, void *out, size_t cap) {
  if (nin > cap) return H5Z_E_OUTPUT;
  if (nin) memcpy(out, in, nin);
  return (int64_t)nin;
}

static int64_t gate_decode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (ncd && cd[0] == 1) {
    time_t end = time(NULL) + 20;
    atomic_store(&waiting, 1);
    while (!atomic_load(&open_))
      if (time(NULL) > end) return H5Z_E_INTERNAL;
    atomic_store(&open_, 0);
  }
  return copy(in, nin, out, cap);
}

/* Opens the gate for one decode, once that decode has begun. */
static int64_t gate_encode(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  if (ncd && cd[0] == 1) {
    time_t end = time(NULL) + 20;
    while (!atomic_load(&waiting))
      if (time(NULL) > end) return H5Z_E_INTERNAL;
    atomic_store(&waiting, 0);
    atomic_store(&open_, 1);
  }
  return copy(in, nin, out, cap);
}

static int64_t gate_bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin;
}

static int64_t gate_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)cd, (void)ncd, (void)in;
  return (int64_t)nin;
}

H5Z_FILTER(.encode_bound = gate_bound, .decoded_size = gate_size, .encode = gate_encode, .decode = gate_decode)
