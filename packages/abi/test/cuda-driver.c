/* A stand-in for NVIDIA's driver, for tests where there is none: a libcuda whose GPU is this processor. Modules are the real PTX
 * text, read for the names of its kernels and the size of their parameter; what runs is the same gpu.c, compiled for the host
 * (cuda-kernels.c, h5z/gpu/host.h). Declared from the driver API's published reference
 * (https://docs.nvidia.com/cuda/cuda-driver-api/), independently of packages/native.
 *
 * It is meant to be hard to please. Nothing that was put on a stream happens before somebody waits for it, so that whoever
 * touches memory too early gets what was there before. Every address must lie in a live allocation, or the context is lost,
 * as on a GPU. Calls without a current context fail. Bytes around every allocation are looked at when it is freed.
 *
 * A file beside the library, its name and `.settings`, is read at every call, one setting in a line:
 *
 *     version 8000                 cuDriverGetVersion says so
 *     devices 0
 *     memory 1000000               bytes of the device; also of pinned memory
 *     order copies                 what is no launch happens at once where nothing before it on its stream waits
 *     fail cuMemAlloc_v2 2 3       that call returns 2 from the fourth time on
 *     fault 700 2                  the third launch that the device runs loses the context with 700
 *
 * -DcuLaunchKernel=left_out (any function) makes a library without it; -DFILTERS="X(table) ..." names cuda-kernels.c's tables.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuda-driver.h"

#define X(table) extern const standin_kernel table[];
FILTERS
#undef X
#define X(table) table,
static const standin_kernel *const TABLES[] = {FILTERS NULL};
#undef X

#define API __attribute__((visibility("default"))) int

enum {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
  INVALID_CONTEXT = 201, INVALID_PTX = 218, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
  LAUNCH_FAILED = 719,
};
enum { GUARD = 256, GUARD_BYTE = 0xcd, FRESH_BYTE = 0xa5, PARAMETER = 256 };

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialized, lost, launches, retained;

/* How often each call was made; the names are literals of this file. */
static struct {
  const char *name;
  int count;
} counts[64];

static int calls(const char *name) {
  size_t i = 0;
  while (counts[i].name && strcmp(counts[i].name, name) != 0) i++;
  counts[i].name = name;
  return counts[i].count++;
}

/* The value of a setting of one number, or `otherwise`; with `name`, of the line for that call once it was made often enough. */
static long long setting(const char *key, const char *name, int count, long long otherwise) {
  static char path[4096];
  if (!*path) {
    Dl_info self;
    if (dladdr(&lock, &self)) snprintf(path, sizeof path, "%s.settings", self.dli_fname);
  }
  FILE *file = fopen(path, "r");
  if (!file) return otherwise;
  char line[256], word[64], call[64], rest[64];
  while (fgets(line, sizeof line, file)) {
    long long number;
    int after = 0;
    if (sscanf(line, "%63s %63s", word, rest) != 2 || strcmp(word, key) != 0) continue;
    if (strcmp(key, "fail") == 0) {
      if (sscanf(line, "fail %63s %lld %d", call, &number, &after) < 2 || strcmp(call, name) != 0 || count < after) continue;
    } else if (strcmp(key, "fault") == 0) {
      if (sscanf(line, "fault %lld %d", &number, &after) < 1 || count != after) continue;
    } else if (strcmp(key, "order") == 0) {
      number = strcmp(rest, "copies") == 0;
    } else {
      number = atoll(rest);
    }
    otherwise = number;
    break;
  }
  fclose(file);
  return otherwise;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

typedef struct block {
  uint8_t *at;
  size_t size;
  int pinned;
  struct block *next;
} block;
static block *blocks;

static block *block_of(const void *at, uint64_t size, int pinned) {
  for (block *b = blocks; b; b = b->next)
    if (b->pinned == pinned && (const uint8_t *)at >= b->at && (const uint8_t *)at <= b->at + b->size &&
        size <= (uint64_t)(b->at + b->size - (const uint8_t *)at))
      return b;
  return NULL;
}

static int allocate(void **out, size_t size, int pinned) {
  size_t used = 0;
  for (block *b = blocks; b; b = b->next) used += b->pinned == pinned ? b->size : 0;
  if (size == 0) return INVALID_VALUE;
  if (size > (size_t)setting("memory", NULL, 0, 1ll << 30) - used) return OUT_OF_MEMORY;
  block *b = malloc(sizeof *b);
  /* At an address that 256 divides, as the driver's are. */
  uint8_t *all = aligned_alloc(256, (size + 2 * GUARD + 255) / 256 * 256);
  if (!b || !all) abort();
  memset(all, GUARD_BYTE, size + 2 * GUARD);
  memset(all + GUARD, FRESH_BYTE, size);
  *b = (block){all + GUARD, size, pinned, blocks};
  blocks = b, *out = b->at;
  return SUCCESS;
}

static int release(void *at, int pinned) {
  for (block **link = &blocks; *link; link = &(*link)->next) {
    block *b = *link;
    if (b->at != at || b->pinned != pinned) continue;
    for (int i = 0; i < GUARD; i++)
      if (b->at[-1 - i] != GUARD_BYTE || b->at[b->size + (size_t)i] != GUARD_BYTE) {
        fprintf(stderr, "stand-in: bytes beside an allocation of %zu were written\n", b->size);
        abort();
      }
    *link = b->next;
    memset(b->at, 0xdd, b->size);
    free(b->at - GUARD), free(b);
    return SUCCESS;
  }
  return INVALID_VALUE;
}

/* ---- streams and events ------------------------------------------------------------------------------------------ */

typedef enum { COPY, FILL, LAUNCH, WAIT, RECORD } what;

typedef struct stream stream;
typedef struct event {
  stream *on; /* where it was recorded last */
  uint64_t place;
  double seconds;
  int destroyed;
} event;

typedef struct work {
  what kind;
  void *to;
  const void *from;
  size_t size;
  int byte;
  const standin_kernel *kernel;
  uint8_t parameter[PARAMETER];
  uint32_t groups, lanes;
  stream *other;
  uint64_t place;
  event *mark;
  struct work *next;
} work;

struct stream {
  work *first, **last;
  uint64_t asked, done;
  stream *next;
};
static stream standard = {NULL, &standard.first, 0, 0, NULL};
static stream *streams = &standard;

static stream *stream_of(void *handle) {
  if (!handle) return &standard;
  for (stream *s = streams; s; s = s->next)
    if (s == handle) return s;
  return NULL;
}

static int illegal;
static void look(const void *start, uint64_t size) {
  if (size > 0 && !block_of(start, size, 0)) illegal = 1;
}

static void run_until(stream *s, uint64_t place);

static void run(work *w) {
  if (w->kind == WAIT) run_until(w->other, w->place);
  if (lost) return;
  if (w->kind == COPY) {
    memmove(w->to, w->from, w->size);
  } else if (w->kind == FILL) {
    memset(w->to, w->byte, w->size);
  } else if (w->kind == RECORD) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    w->mark->seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
  } else if (w->kind == LAUNCH) {
    lost = (int)setting("fault", NULL, launches, 0);
    launches++;
    if (lost) return;
    illegal = 0;
    w->kernel->ranges(w->parameter, look);
    if (illegal) lost = ILLEGAL_ADDRESS;
    else w->kernel->run(w->parameter, w->groups, w->lanes, (uint32_t)launches);
  }
}

static void run_until(stream *s, uint64_t place) {
  while (s->first && s->done < place) {
    work *w = s->first;
    run(w);
    s->first = w->next;
    if (!s->first) s->last = &s->first;
    s->done++;
    free(w);
  }
}

static void run_all(void) {
  for (stream *s = streams; s; s = s->next) run_until(s, s->asked);
}

static int put(stream *s, work one) {
  if (!s) return INVALID_HANDLE;
  work *w = malloc(sizeof *w);
  if (!w) abort();
  *w = one, w->next = NULL;
  *s->last = w, s->last = &w->next;
  s->asked++;
  if (setting("order", NULL, 0, 0))
    while (s->first && s->first->kind != LAUNCH && (s->first->kind != WAIT || s->first->other->done >= s->first->place))
      run_until(s, s->done + 1);
  return SUCCESS;
}

/* ---- the driver's functions -------------------------------------------------------------------------------------- */

static char context;
static __thread void *stack[16];
static __thread int depth;

/* What every call begins with: no matter what it is, it can be told to fail, and after a fault it does. */
static int begin(const char *name, int needs_context) {
  pthread_mutex_lock(&lock);
  const int told = (int)setting("fail", name, calls(name), 0);
  if (told) return told;
  if (needs_context && !initialized) return NOT_INITIALIZED;
  if (needs_context && (retained <= 0 || depth == 0 || stack[depth - 1] != &context)) return INVALID_CONTEXT;
  return needs_context ? lost : SUCCESS;
}

static int end(int result) {
  pthread_mutex_unlock(&lock);
  return result;
}
#define BEGIN(needs_context)                            \
  const int begun = begin(__func__, needs_context);     \
  if (begun) return end(begun)
#define WITH_CONTEXT BEGIN(1)

/* Under the names of the source, whatever -D made of them. */
API cuDriverGetVersion(int *version) {
  BEGIN(0);
  *version = (int)setting("version", NULL, 0, 12040);
  return end(SUCCESS);
}

API cuInit(unsigned flags) {
  BEGIN(0);
  initialized = flags == 0;
  return end(flags == 0 ? SUCCESS : INVALID_VALUE);
}

static const struct {
  int code;
  const char *name, *text;
} ERRORS[] = {
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

API cuGetErrorName(int code, const char **name) {
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].code == code) return *name = ERRORS[i].name, SUCCESS;
  return *name = NULL, INVALID_VALUE;
}

API cuGetErrorString(int code, const char **text) {
  for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
    if (ERRORS[i].code == code) return *text = ERRORS[i].text, SUCCESS;
  return *text = NULL, INVALID_VALUE;
}

API cuDeviceGetCount(int *count) {
  BEGIN(0);
  *count = (int)setting("devices", NULL, 0, 1);
  return end(initialized ? SUCCESS : NOT_INITIALIZED);
}

API cuDeviceGet(int *device, int ordinal) {
  BEGIN(0);
  if (ordinal < 0 || ordinal >= setting("devices", NULL, 0, 1)) return end(INVALID_DEVICE);
  *device = ordinal + 7; /* no ordinal */
  return end(SUCCESS);
}

API cuDeviceGetName(char *name, int room, int device) {
  BEGIN(0);
  if (device < 7) return end(INVALID_DEVICE);
  snprintf(name, (size_t)room, "Stand-in %d", device - 7);
  return end(SUCCESS);
}

API cuDeviceTotalMem_v2(size_t *bytes, int device) {
  BEGIN(0);
  *bytes = (size_t)setting("memory", NULL, 0, 1ll << 30);
  return end(device < 7 ? INVALID_DEVICE : SUCCESS);
}

API cuDeviceGetAttribute(int *value, int attribute, int device) {
  BEGIN(0);
  *value = attribute == 16 ? 4 : attribute == 75 ? 7 : attribute == 76 ? 0 : -1;
  return end(device < 7 || *value < 0 ? INVALID_VALUE : SUCCESS);
}

API cuDevicePrimaryCtxRetain(void **out, int device) {
  BEGIN(0);
  if (!initialized) return end(NOT_INITIALIZED);
  if (device < 7) return end(INVALID_DEVICE);
  retained++, *out = &context;
  return end(SUCCESS);
}

API cuDevicePrimaryCtxRelease(int device) {
  BEGIN(0);
  if (device < 7 || retained <= 0) return end(INVALID_CONTEXT);
  retained--;
  return end(SUCCESS);
}

API cuCtxPushCurrent_v2(void *pushed) {
  BEGIN(0);
  if (pushed != &context || depth == 16) return end(INVALID_CONTEXT);
  stack[depth++] = pushed;
  return end(SUCCESS);
}

API cuCtxPopCurrent_v2(void **popped) {
  BEGIN(0);
  if (depth == 0) return end(INVALID_CONTEXT);
  *popped = stack[--depth];
  return end(SUCCESS);
}

API cuCtxSetCurrent(void *current) {
  BEGIN(0);
  if (depth == 0) depth = 1;
  stack[depth - 1] = current;
  return end(SUCCESS);
}

API cuCtxSynchronize(void) {
  WITH_CONTEXT;
  run_all();
  return end(lost);
}

API cuMemGetInfo_v2(size_t *left, size_t *all) {
  WITH_CONTEXT;
  *left = *all = (size_t)setting("memory", NULL, 0, 1ll << 30);
  for (block *b = blocks; b; b = b->next) *left -= b->pinned ? 0 : b->size;
  return end(SUCCESS);
}

API cuMemAlloc_v2(uint64_t *address, size_t size) {
  WITH_CONTEXT;
  void *at = NULL;
  const int result = allocate(&at, size, 0);
  *address = (uintptr_t)at;
  return end(result);
}

API cuMemFree_v2(uint64_t address) {
  WITH_CONTEXT;
  run_all();
  return end(release((void *)(uintptr_t)address, 0));
}

API cuMemHostAlloc(void **host, size_t size, unsigned flags) {
  WITH_CONTEXT;
  return end(flags > 7 ? INVALID_VALUE : allocate(host, size, 1));
}

API cuMemFreeHost(void *host) {
  WITH_CONTEXT;
  run_all();
  return end(release(host, 1));
}

/* A copy between the device and memory that is not pinned is done before the call returns. */
static int copy(stream *s, void *to, int to_device, const void *from, int from_device, size_t size) {
  if (!s) return INVALID_HANDLE;
  if ((to_device && !block_of(to, size, 0)) || (from_device && !block_of(from, size, 0))) return INVALID_VALUE;
  const void *host = to_device ? from : to;
  const int result = put(s, (work){.kind = COPY, .to = to, .from = from, .size = size});
  if (to_device != from_device && !block_of(host, size, 1)) run_until(s, s->asked);
  return result ? result : lost;
}

API cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *on) {
  WITH_CONTEXT;
  return end(copy(stream_of(on), (void *)(uintptr_t)to, 1, from, 0, size));
}

API cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *on) {
  WITH_CONTEXT;
  return end(copy(stream_of(on), to, 0, (void *)(uintptr_t)from, 1, size));
}

API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *on) {
  WITH_CONTEXT;
  return end(copy(stream_of(on), (void *)(uintptr_t)to, 1, (void *)(uintptr_t)from, 1, size));
}

API cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) {
  WITH_CONTEXT;
  const int result = copy(&standard, (void *)(uintptr_t)to, 1, from, 0, size);
  run_until(&standard, standard.asked);
  return end(result ? result : lost);
}

API cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) {
  WITH_CONTEXT;
  const int result = copy(&standard, to, 0, (void *)(uintptr_t)from, 1, size);
  run_until(&standard, standard.asked);
  return end(result ? result : lost);
}

API cuMemsetD8Async(uint64_t to, unsigned char byte, size_t size, void *on) {
  WITH_CONTEXT;
  void *at = (void *)(uintptr_t)to;
  if (!block_of(at, size, 0)) return end(INVALID_VALUE);
  return end(put(stream_of(on), (work){.kind = FILL, .to = at, .size = size, .byte = byte}));
}

API cuStreamCreate(void **out, unsigned flags) {
  WITH_CONTEXT;
  if (flags > 1) return end(INVALID_VALUE);
  stream *s = calloc(1, sizeof *s);
  if (!s) abort();
  s->last = &s->first, s->next = streams->next, streams->next = s;
  *out = s;
  return end(SUCCESS);
}

API cuStreamDestroy_v2(void *handle) {
  WITH_CONTEXT;
  stream *s = stream_of(handle);
  if (!s || s == &standard) return end(INVALID_HANDLE);
  /* Marks on it are reached then: events keep its address, so that it stays. */
  run_until(s, s->asked);
  return end(SUCCESS);
}

API cuStreamSynchronize(void *handle) {
  WITH_CONTEXT;
  stream *s = stream_of(handle);
  if (!s) return end(INVALID_HANDLE);
  run_until(s, s->asked);
  return end(lost);
}

API cuStreamWaitEvent(void *handle, void *mark, unsigned flags) {
  WITH_CONTEXT;
  const event *e = mark;
  if (flags) return end(INVALID_VALUE);
  if (!e->on) return end(SUCCESS);
  return end(put(stream_of(handle), (work){.kind = WAIT, .other = e->on, .place = e->place}));
}

API cuEventCreate(void **out, unsigned flags) {
  WITH_CONTEXT;
  (void)flags;
  *out = calloc(1, sizeof(event));
  return end(*out ? SUCCESS : OUT_OF_MEMORY);
}

API cuEventDestroy_v2(void *mark) {
  WITH_CONTEXT;
  event *e = mark;
  if (e->on) run_until(e->on, e->place);
  e->destroyed = 1; /* and stays, so that who uses it still is told */
  return end(SUCCESS);
}

API cuEventRecord(void *mark, void *handle) {
  WITH_CONTEXT;
  event *e = mark;
  stream *s = stream_of(handle);
  if (!s) return end(INVALID_HANDLE);
  e->on = s, e->place = s->asked + 1;
  return end(put(s, (work){.kind = RECORD, .mark = e}));
}

API cuEventSynchronize(void *mark) {
  WITH_CONTEXT;
  const event *e = mark;
  if (e->destroyed) return end(INVALID_HANDLE);
  if (e->on) run_until(e->on, e->place);
  return end(lost);
}

API cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  WITH_CONTEXT;
  const event *a = from, *b = to;
  if (!a->on || !b->on) return end(INVALID_HANDLE);
  if (a->on->done < a->place || b->on->done < b->place) return end(NOT_READY);
  *milliseconds = (float)((b->seconds - a->seconds) * 1e3);
  return end(lost);
}

/* ---- modules: the PTX's text, and kernels of it that were compiled for the host ------------------------------------ */

typedef struct module {
  char *text;
} module;

typedef struct function {
  const standin_kernel *kernel;
} function;

API cuModuleLoadDataEx(void **out, const void *image, unsigned n, int *options, void **values) {
  WITH_CONTEXT;
  const char *text = image, *const head = ".version 6.0\n.target sm_70\n";
  if (strncmp(text, head, strlen(head)) != 0) {
    for (unsigned i = 0; i < n; i++)
      if (options[i] == 5) strcpy(values[i], "stand-in: the text is no PTX 6.0 for sm_70");
    return end(INVALID_PTX);
  }
  module *m = malloc(sizeof *m);
  if (!m || !(m->text = strdup(text))) abort();
  *out = m;
  return end(SUCCESS);
}

API cuModuleUnload(void *handle) {
  WITH_CONTEXT;
  module *m = handle;
  free(m->text), free(m);
  return end(SUCCESS);
}

API cuModuleGetFunction(void **out, void *handle, const char *name) {
  WITH_CONTEXT;
  const module *m = handle;
  char line[128], parameter[256];
  snprintf(line, sizeof line, ".visible .entry %s(", name);
  const char *at = strstr(m->text, line);
  for (size_t t = 0; at && TABLES[t]; t++)
    for (const standin_kernel *k = TABLES[t]; k->name; k++) {
      if (strcmp(k->name, name) != 0) continue;
      snprintf(parameter, sizeof parameter, "%s_param_0[%zu]", name, k->parameter);
      if (!strstr(at, parameter)) continue; /* compiled from another header than the text */
      function *f = malloc(sizeof *f);
      if (!f) abort();
      f->kernel = k, *out = f;
      return end(SUCCESS);
    }
  return end(NOT_FOUND);
}

API cuLaunchKernel(void *handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *on, void **parameters, void **extra) {
  WITH_CONTEXT;
  const function *f = handle;
  work w = {.kind = LAUNCH, .kernel = f->kernel, .groups = gx, .lanes = bx};
  if (gx == 0 || gy != 1 || gz != 1 || bx == 0 || bx > 1024 || by != 1 || bz != 1 || shared) return end(INVALID_VALUE);
  if (parameters) {
    memcpy(w.parameter, parameters[0], f->kernel->parameter);
  } else {
    const void *bytes = NULL;
    size_t size = 0;
    for (; extra && *extra; extra += 2) {
      if (*extra == (void *)1) bytes = extra[1];
      else if (*extra == (void *)2) size = *(size_t *)extra[1];
      else return end(INVALID_VALUE);
    }
    if (!bytes || size != f->kernel->parameter) return end(INVALID_VALUE);
    memcpy(w.parameter, bytes, size);
  }
  return end(put(stream_of(on), w));
}
