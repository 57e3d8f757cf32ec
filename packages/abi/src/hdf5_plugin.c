/* hdf5_plugin.c: makes the native filter library a standard HDF5 plugin for h5py, h5dump, netCDF, MATLAB: put its
 * folder into HDF5_PLUGIN_PATH. It reads and writes, and links to no libhdf5.
 *
 * One process can hold several libhdf5s (h5py's wheel carries one under a private name, netCDF4's wheel another), and
 * the dynamic loader gives all of them the same image of this plugin. An object identifier means nothing to any
 * other library than the one that made it. So each callback asks who called it:
 *
 *     libhdf5-a3f1.so (h5py)    H5Z.c: set_local(dcpl, ...) --+      return address -> module -> its H5Pmodify_filter
 *     libhdf5.so.310  (h5dump)  H5Z.c: set_local(dcpl, ...) --+-->   (found once per module, then remembered)
 *
 * libhdf5 looks at the result of each callback, so these are real calls whose return address lies inside it, never
 * tail calls. Where the module that called does not show its H5 functions (a static libhdf5 with hidden symbols), the
 * only library of the process that does is taken; with none or several, creating a dataset fails and decoding works.
 */
#if !defined(_GNU_SOURCE) && !defined(_WIN32)
#  define _GNU_SOURCE /* dladdr, dl_iterate_phdr, RTLD_NOLOAD */
#endif
#if !defined(_DARWIN_C_SOURCE) && defined(__APPLE__)
#  define _DARWIN_C_SOURCE
#endif

#include "plugin.h"

#include <stdlib.h>

#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  define PSAPI_VERSION 2 /* EnumProcessModules of kernel32 */
#  include <windows.h>
#  include <psapi.h>
#else
#  include <dlfcn.h>
#  if defined(__APPLE__)
#    include <mach-o/dyld.h>
#  else
#    include <link.h>
#  endif
#endif

/* The function that a module must define to be a libhdf5 that datasets can be created with. */
#define NEEDED "H5Pmodify_filter"

/* ---- modules: `module` is what the loader calls a handle, `base` where the module lies ------------------------- */

#if defined(_WIN32)

typedef HMODULE module;

static void *symbol(module m, const char *name) {
  FARPROC f = GetProcAddress(m, name);
  void *p;
  memcpy(&p, &f, sizeof p);
  return p;
}

static const void *base_of(const void *address) {
  HMODULE m = NULL;
  DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  return GetModuleHandleExA(flags, (LPCSTR)address, &m) ? (const void *)m : NULL;
}

/* The module that holds `address`, kept loaded from now on. */
static module open_at(const void *address) {
  HMODULE m = NULL;
  return GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, (LPCSTR)address, &m) ? m : NULL;
}

static module open_only(void) {
  HMODULE all[1024], found = NULL;
  DWORD bytes = 0;
  if (!EnumProcessModules(GetCurrentProcess(), all, sizeof all, &bytes)) return NULL;
  size_t n = bytes / sizeof *all < 1024 ? bytes / sizeof *all : 1024;
  for (size_t i = 0; i < n; i++) {
    void *p = symbol(all[i], NEEDED);
    if (!p || base_of(p) != (const void *)all[i]) continue; /* absent, or forwarded to another module */
    if (found) return NULL;
    found = all[i];
  }
  return found ? open_at((const void *)found) : NULL;
}

#else

typedef void *module;

static void *symbol(module m, const char *name) { return dlsym(m, name); }

static const void *base_of(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/* The module that holds `address`, kept loaded from now on. */
static module open_at(const void *address) {
  Dl_info info;
  if (!dladdr(address, &info)) return NULL;
  module m = info.dli_fname && *info.dli_fname ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (m) return m;
  m = dlopen(NULL, RTLD_LAZY); /* the program itself, whose name need not be a path? */
  if (m && base_of(dlsym(m, NEEDED)) == info.dli_fbase) return m;
  if (m) dlclose(m);
  return NULL;
}

/* Names of the loaded modules, copied, since the loader may not be called while it lists them. */
typedef struct {
  char **name;
  size_t n;
} names;

static int add_name(names *list, const char *name) {
  char **longer = realloc(list->name, (list->n + 1) * sizeof *longer);
  if (!longer) return 1;
  list->name = longer;
  size_t size = strlen(name) + 1;
  char *copy = malloc(size);
  if (!copy) return 1;
  list->name[list->n++] = memcpy(copy, name, size);
  return 0;
}

#  if defined(__APPLE__)
static void list_modules(names *list) {
  uint32_t n = _dyld_image_count();
  for (uint32_t i = 0; i < n; i++) {
    const char *name = _dyld_get_image_name(i);
    if (name && add_name(list, name)) return;
  }
}
#  else
static int visit(struct dl_phdr_info *info, size_t size, void *list) {
  (void)size;
  return add_name(list, info->dlpi_name ? info->dlpi_name : "");
}
static void list_modules(names *list) { dl_iterate_phdr(visit, list); }
#  endif

/* The one module of the process that defines NEEDED; NULL when there is none, or more than one. */
static module open_only(void) {
  names list = {NULL, 0};
  list_modules(&list);
  const void *found = NULL;
  bool several = false;
  for (size_t i = 0; i < list.n; i++) {
    module m = dlopen(*list.name[i] ? list.name[i] : NULL, RTLD_LAZY | RTLD_NOLOAD);
    void *p = m ? dlsym(m, NEEDED) : NULL; /* of m or of what m depends on */
    if (p) several |= found && base_of(found) != base_of(p), found = p;
    if (m) dlclose(m);
    free(list.name[i]);
  }
  free(list.name);
  return found && !several ? open_at(found) : NULL;
}

#endif

/* ---- libraries ------------------------------------------------------------------------------------------------- */

/* A library found earlier. Entries are added at the front and live as long as the process: their number is the
 * number of libhdf5s, and each is kept loaded, so that neither `base` nor the functions can become another's. */
typedef struct known {
  struct known *next;
  const void *base; /* of the module that called */
  h5_library library;
} known;

static _Atomic(known *) first_known;

static bool look_up(module m, h5_library *h5) {
  static const struct {
    const char *name;
    size_t at;
  } symbols[] = {
#define F(result, name, arguments) {#name, offsetof(h5_library, name)},
#define V(name) {#name, offsetof(h5_library, name)},
      H5_SYMBOLS(F, V)
#undef F
#undef V
  };
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *p = symbol(m, symbols[i].name);
    memcpy((char *)h5 + symbols[i].at, &p, sizeof p);
  }
  return is_enough(h5);
}

static void close_module(module m) {
#if defined(_WIN32)
  FreeLibrary(m);
#else
  dlclose(m);
#endif
}

static const h5_library *library_of(const void *caller) {
  const void *base = base_of(caller);
  if (!base) return NULL;
  for (known *k = atomic_load(&first_known); k; k = k->next)
    if (k->base == base) return &k->library;

  known *k = calloc(1, sizeof *k);
  if (!k) return NULL;
  k->base = base;
  module m = open_at(caller);
  if (!m || !look_up(m, &k->library)) {
    if (m) close_module(m);
    m = open_only();
    if (!m || !look_up(m, &k->library)) {
      if (m) close_module(m);
      free(k);
      return NULL;
    }
  }
  k->next = atomic_load(&first_known);
  while (!atomic_compare_exchange_weak(&first_known, &k->next, k)) continue;
  return &k->library; /* two threads may each add an entry: both are right */
}

/* libhdf5 frees with its C runtime's free. That is ours too, but on Windows, where each DLL may have a runtime of its own. */
static void *buffer_new(const void *caller, size_t size) {
#if defined(_WIN32)
  const h5_library *h5 = library_of(caller);
  if (h5 && h5->H5allocate_memory && h5->H5free_memory) return h5->H5allocate_memory(size, false);
#endif
  (void)caller;
  return malloc(size);
}

static void buffer_free(const void *caller, void *buffer) {
#if defined(_WIN32)
  const h5_library *h5 = library_of(caller);
  if (h5 && h5->H5allocate_memory && h5->H5free_memory) {
    h5->H5free_memory(buffer);
    return;
  }
#endif
  (void)caller;
  free(buffer);
}

#if defined(H5Z_FILTER_ZARR_ID)
#  include "nczarr.h"
#endif
