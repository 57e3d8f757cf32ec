/* plugin.h: the face that HDF5's plugin interface wants, made from the h5z_filter table: everything that the native
 * plugin (hdf5_plugin.c) and the h5wasm side module (h5wasm_plugin.c) have in common. Internal: included once by each.
 *
 *     libhdf5                                            this file                          the filter
 *     H5Dcreate -> H5Z_can_apply -> can_apply(dcpl, ...) -> dataset description -> derive   "is it for this dataset?"
 *               -> H5Z_set_local -> set_local(dcpl, ...) -> dataset description -> derive -> H5Pmodify_filter
 *     H5Dwrite  -> H5Z_pipeline  -> filter(0, ...)       -> encode_bound, encode
 *     H5Dread   -> H5Z_pipeline  -> filter(REVERSE, ...) -> decoded_size, decode
 *
 * Nothing links to libhdf5: an adaptor finds the functions of the library that called, and says which allocator that
 * library frees buffers with. Decoding needs no function of libhdf5 but that allocator, on Windows.
 *
 * Rules of HDF5 2.2 that older releases did not check: the input is nbytes long (*buf_size may be larger), *buf_size
 * is set to the capacity of the new buffer, and the count returned is at most that. 0 means failure.
 */
#ifndef H5Z_PLUGIN_H
#define H5Z_PLUGIN_H

#include <h5z/filter.h>
#include <stdatomic.h>
#include <stdbool.h>

/* ---- what we need of HDF5's own headers, as of 1.10 and later -------------------------------------------------- */

typedef int64_t hid_t;
typedef uint64_t hsize_t;
typedef int herr_t;
typedef int htri_t;

enum { H5Z_FLAG_OPTIONAL = 0x0001, H5Z_FLAG_REVERSE = 0x0100 };
enum { H5D_FILL_VALUE_DEFAULT = 1, H5D_FILL_VALUE_USER_DEFINED = 2 };
enum { H5T_ORDER_BE = 1, H5T_SGN_2 = 1 };
enum { H5P_CD_MAX = 256 }; /* H5Pget_filter_by_id2 takes a larger array for a forgotten initialisation */

typedef htri_t (*can_apply_fn)(hid_t dcpl, hid_t type, hid_t space);
typedef herr_t (*set_local_fn)(hid_t dcpl, hid_t type, hid_t space);
typedef size_t (*filter_fn)(unsigned flags, size_t ncd, const unsigned *cd, size_t nbytes, size_t *buf_size, void **buf);

/* H5Z_class2_t. H5Z_class3_t only where the build says H5Z_CLASS3: a library that does not know it takes its filter, which
 * has more arguments, for that of H5Z_class2_t. */
typedef struct {
  int version; /* 1 = H5Z_CLASS_T_VERS */
  int id;
  unsigned encoder_present, decoder_present;
  const char *name;
  can_apply_fn can_apply;
  set_local_fn set_local;
  filter_fn filter;
} H5Z_class2_t;

#if defined(H5Z_CLASS3)
typedef size_t (*filter2_fn)(unsigned flags, size_t ncd, const unsigned *cd, hid_t dxpl, const hsize_t *scaled, size_t rank,
                             void *state, size_t nbytes, size_t *buf_size, void **buf);
typedef herr_t (*set_config_fn)(const char *text, unsigned *flags, size_t *ncd, unsigned *cd, size_t cap);
typedef herr_t (*get_config_fn)(unsigned flags, size_t ncd, const unsigned *cd, char *text, size_t *size);

/* As RFC-HDFG-2026-001 has it in H5Zdevelop.h of the development branch that is to become HDF5 3.0. It is no release yet:
 * names and order of the members are to be compared again before this becomes the default. */
typedef struct {
  int version; /* 2 = H5Z_CLASS3_T_VERS */
  int id;
  unsigned encoder_present, decoder_present;
  const char *name; /* canonical */
  can_apply_fn can_apply;
  set_local_fn set_local;
  filter2_fn filter;
  set_config_fn set_config;
  get_config_fn get_config;
  const char *description;
} H5Z_class3_t;
#endif

/* Functions F(result, name, arguments) and variables V(name) of one libhdf5. Without the first three,
 * H5Tget_class and H5Tget_size no dataset can be created; any other may be missing (h5wasm exports few): then
 * less is known of the dataset. */
#define H5_SYMBOLS(F, V)                                                                                         \
  F(herr_t, H5Pget_filter_by_id2, (hid_t, int, unsigned *, size_t *, unsigned *, size_t, char *, unsigned *))   \
  F(herr_t, H5Pmodify_filter, (hid_t, int, unsigned, size_t, const unsigned *))                                 \
  F(int, H5Pget_chunk, (hid_t, int, hsize_t *))                                                                 \
  F(herr_t, H5Pfill_value_defined, (hid_t, int *))                                                              \
  F(herr_t, H5Pget_fill_value, (hid_t, hid_t, void *))                                                          \
  F(int, H5Tget_class, (hid_t))                                                                                 \
  F(size_t, H5Tget_size, (hid_t))                                                                               \
  F(int, H5Tget_order, (hid_t))                                                                                 \
  F(int, H5Tget_sign, (hid_t))                                                                                  \
  F(size_t, H5Tget_precision, (hid_t))                                                                          \
  F(int, H5Tget_offset, (hid_t))                                                                                \
  F(hid_t, H5Tget_super, (hid_t))                                                                               \
  F(herr_t, H5Tclose, (hid_t))                                                                                  \
  F(int, H5Sget_simple_extent_dims, (hid_t, hsize_t *, hsize_t *))                                              \
  F(void *, H5allocate_memory, (size_t, bool))                                                                  \
  F(herr_t, H5free_memory, (void *))                                                                            \
  F(herr_t, H5Epush2, (hid_t, const char *, const char *, unsigned, hid_t, hid_t, hid_t, const char *, ...))    \
  F(herr_t, H5Eis_paused, (hid_t, bool *))                                                                      \
  F(hid_t, H5Ecreate_stack, (void))                                                                             \
  F(herr_t, H5Eset_current_stack, (hid_t))                                                                      \
  V(H5E_ERR_CLS_g)                                                                                              \
  V(H5E_PLINE_g)                                                                                                \
  V(H5E_CANTFILTER_g)

typedef struct {
#define F(result, name, arguments) result(*name) arguments;
#define V(name) const hid_t *name;
  H5_SYMBOLS(F, V)
#undef F
#undef V
} h5_library;

/* Whether datasets can be created with this library. */
static bool is_enough(const h5_library *h5) {
  return h5->H5Pget_filter_by_id2 && h5->H5Pmodify_filter && h5->H5Pget_chunk && h5->H5Tget_class && h5->H5Tget_size;
}

/* ---- what each adaptor provides -------------------------------------------------------------------------------- */

/* The libhdf5 that holds the code at `caller`, or NULL when there is none to be found. Valid for ever. */
static const h5_library *library_of(const void *caller);

/* Buffers that the libhdf5 that holds `caller` can free, and that free what it allocated. */
static void *buffer_new(const void *caller, size_t size);
static void buffer_free(const void *caller, void *buffer);

/* Where the running function returns to: inside the libhdf5 that called it. For use in HDF5's callbacks only. */
#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

/* ---- errors ---------------------------------------------------------------------------------------------------- */

/* Puts one sentence on the error stack of the library that called: filter, what failed, why. HDF5 prints or throws it.
 * `nbytes` is the length of the chunk, 0 where there is none. No H5 function may follow: most clear the stack.
 * HDF5 2 pauses its stack during a filter's callback and drops what is pushed onto it: there, a new stack with the
 * sentence becomes the current one, which was empty but for what earlier filters of the pipeline had to say. */
static void push_error(const h5_library *h5, const char *function, const char *what, size_t nbytes, const char *why) {
  if (!h5 || !h5->H5Epush2 || !h5->H5E_ERR_CLS_g || !h5->H5E_PLINE_g || !h5->H5E_CANTFILTER_g) return;
  const h5z_filter *f = h5z_filter_v1();
  hid_t stack = 0; /* H5E_DEFAULT, the current one */
  bool paused = false;
  if (h5->H5Eis_paused && h5->H5Ecreate_stack && h5->H5Eset_current_stack) h5->H5Eis_paused(stack, &paused);
  if (paused) stack = h5->H5Ecreate_stack();
  if (stack < 0) return;
  const hid_t cls = *h5->H5E_ERR_CLS_g, major = *h5->H5E_PLINE_g, minor = *h5->H5E_CANTFILTER_g;
  if (nbytes) {
    h5->H5Epush2(stack, "h5z", function, 0, cls, major, minor, "h5z filter %s (ID %u, %s) cannot %s of %llu bytes: %s",
                 f->name, (unsigned)f->id, f->version, what, (unsigned long long)nbytes, why);
  } else {
    h5->H5Epush2(stack, "h5z", function, 0, cls, major, minor, "h5z filter %s (ID %u, %s) cannot %s: %s", f->name,
                 (unsigned)f->id, f->version, what, why);
  }
  if (paused) h5->H5Eset_current_stack(stack); /* and closes it */
}

/* ---- creating a dataset ---------------------------------------------------------------------------------------- */

static bool has_fixed_content(int class) { /* fill values of these own no memory */
  return class == H5Z_CLASS_INTEGER || class == H5Z_CLASS_FLOAT || class == H5Z_CLASS_TIME ||
         class == H5Z_CLASS_BITFIELD || class == H5Z_CLASS_OPAQUE || class == H5Z_CLASS_ENUM;
}
static bool has_bits(int class) { /* has an order, a precision and an offset */
  return class == H5Z_CLASS_INTEGER || class == H5Z_CLASS_FLOAT || class == H5Z_CLASS_TIME ||
         class == H5Z_CLASS_BITFIELD || class == H5Z_CLASS_ENUM;
}

/* Class, size, base, sign, order, precision, offset. Only calls that succeed for the class are made, since a failing
 * one would print HDF5's error stack. */
static bool describe_type(const h5_library *h5, hid_t type, h5z_dataset *ds) {
  int class = h5->H5Tget_class(type);
  size_t size = h5->H5Tget_size(type);
  if (class < 0 || size == 0 || size > UINT32_MAX) return false;
  ds->type_class = (uint32_t)class;
  ds->type_size = (uint32_t)size;

  hid_t base = type;
  while (class == H5Z_CLASS_ARRAY && h5->H5Tget_super && h5->H5Tclose) {
    hid_t next = h5->H5Tget_super(base);
    if (base != type) h5->H5Tclose(base);
    if (next < 0) return false;
    base = next;
    class = h5->H5Tget_class(base);
    size = h5->H5Tget_size(base);
  }
  ds->base_class = (uint32_t)class;
  ds->base_size = (uint32_t)size;
  if (h5->H5Tget_order && (has_bits(class) || class == H5Z_CLASS_ARRAY))
    ds->big_endian = h5->H5Tget_order(base) == H5T_ORDER_BE;
  if (has_bits(class)) {
    if (h5->H5Tget_sign && (class == H5Z_CLASS_INTEGER || class == H5Z_CLASS_ENUM))
      ds->is_signed = h5->H5Tget_sign(base) == H5T_SGN_2;
    if (h5->H5Tget_precision) ds->precision = (uint32_t)h5->H5Tget_precision(base);
    int offset = h5->H5Tget_offset ? h5->H5Tget_offset(base) : 0;
    ds->bit_offset = offset > 0 ? (uint32_t)offset : 0;
  }
  if (base != type) h5->H5Tclose(base);
  return class >= 0 && size > 0;
}

static bool describe(const h5_library *h5, hid_t dcpl, hid_t type, hid_t space, h5z_dataset *ds) {
  memset(ds, 0, sizeof *ds);
  ds->struct_size = (uint32_t)sizeof *ds;
  if (!describe_type(h5, type, ds)) return false;

  hsize_t dims[H5Z_MAX_RANK];
  int rank = h5->H5Pget_chunk(dcpl, H5Z_MAX_RANK, dims);
  if (rank < 0 || rank > H5Z_MAX_RANK) return false;
  ds->rank = (uint32_t)rank;
  for (int i = 0; i < rank; i++) ds->chunk_dims[i] = dims[i];
  if (h5->H5Sget_simple_extent_dims && h5->H5Sget_simple_extent_dims(space, dims, NULL) == rank)
    for (int i = 0; i < rank; i++) ds->dims[i] = dims[i];

  int status = 0;
  if (h5->H5Pfill_value_defined && h5->H5Pfill_value_defined(dcpl, &status) >= 0) {
    ds->fill_defined = status == H5D_FILL_VALUE_DEFAULT || status == H5D_FILL_VALUE_USER_DEFINED;
    if (status == H5D_FILL_VALUE_DEFAULT && ds->type_size <= sizeof ds->fill) ds->fill_size = ds->type_size;
    if (status == H5D_FILL_VALUE_USER_DEFINED && ds->type_size <= sizeof ds->fill && h5->H5Pget_fill_value &&
        has_fixed_content((int)ds->base_class) && h5->H5Pget_fill_value(dcpl, type, ds->fill) >= 0)
      ds->fill_size = ds->type_size;
  }
  return true;
}

/* Runs the filter's derive on what dcpl holds. Returns the number of stored words, or a negative code with *why set. */
static int64_t derive(const h5_library *h5, hid_t dcpl, hid_t type, hid_t space, unsigned *flags, uint32_t *stored,
                      const char **why) {
  const h5z_filter *f = h5z_filter_v1();
  uint32_t client[H5P_CD_MAX];
  size_t nclient = H5P_CD_MAX;
  if (h5->H5Pget_filter_by_id2(dcpl, (int)f->id, flags, &nclient, client, 0, NULL, NULL) < 0) {
    *why = "HDF5 does not tell the filter's parameters";
    return H5Z_E_INTERNAL;
  }
  int64_t n;
  h5z_dataset ds;
  if (nclient > H5P_CD_MAX) {
    n = H5Z_E_PARAM;
  } else if (!f->derive) {
    memcpy(stored, client, nclient * sizeof *client);
    n = (int64_t)nclient;
  } else if (!describe(h5, dcpl, type, space, &ds)) {
    *why = "HDF5 does not tell the dataset's type or chunk";
    return H5Z_E_INTERNAL;
  } else {
    n = f->derive(client, nclient, &ds, stored, H5Z_CD_MAX);
  }
  *why = h5z_strerror(n);
  return n;
}

static htri_t can_apply(hid_t dcpl, hid_t type, hid_t space) {
  const h5_library *h5 = library_of(CALLER);
  if (!h5) return 1; /* set_local fails next */
  unsigned flags = 0;
  uint32_t stored[H5Z_CD_MAX];
  const char *why = NULL;
  int64_t n = derive(h5, dcpl, type, space, &flags, stored, &why);
  if (n >= 0) return 1;
  push_error(h5, "can_apply", "be applied to this dataset", 0, why);
  return n == H5Z_E_NOT_APPLICABLE ? 0 : -1;
}

static herr_t set_local(hid_t dcpl, hid_t type, hid_t space) {
  const h5_library *h5 = library_of(CALLER);
  if (!h5) return -1; /* no library, so nobody to tell why; HDF5 adds "error during user callback" */
  const h5z_filter *f = h5z_filter_v1();
  unsigned flags = 0;
  uint32_t stored[H5Z_CD_MAX];
  const char *why = NULL;
  int64_t n = derive(h5, dcpl, type, space, &flags, stored, &why);
  if (f->flags & H5Z_ONLY_OPTIONAL) flags |= H5Z_FLAG_OPTIONAL;
  if (n == H5Z_E_NOT_APPLICABLE && (flags & H5Z_FLAG_OPTIONAL)) return 0; /* encode will refuse: mask bit */
  if (n < 0) {
    push_error(h5, "set_local", "be set up for this dataset", 0, why);
    return -1;
  }
  return h5->H5Pmodify_filter(dcpl, (int)f->id, flags, (size_t)n, stored) < 0 ? -1 : 0;
}

/* ---- chunks ---------------------------------------------------------------------------------------------------- */

/* Most bytes a chunk may decode to. HDF5 chunks are smaller than 4 GiB; the rest is for what an earlier filter
 * of the pipeline may have added to an incompressible one. On 32-bit machines, half the address space. */
#define DECODED_MAX (SIZE_MAX > UINT32_MAX ? (size_t)((UINT64_C(1) << 32) + (UINT64_C(1) << 25)) : SIZE_MAX / 2)

/* Where a chunk does not say what it decodes to, the chunks before it do: those of a dataset are alike. The longest that
 * was decoded, less a sixteenth of what each since was shorter by. A guess for all threads, which changes no result. */
static atomic_size_t guess;

static size_t least_guess(size_t nin, size_t hint) {
  const size_t cap = nin < DECODED_MAX / 4 ? nin * 4 : DECODED_MAX;
  return cap > hint ? (cap > 4096 ? cap : 4096) : (hint > 4096 ? hint : 4096);
}

static void learn(size_t n) {
  const size_t before = atomic_load_explicit(&guess, memory_order_relaxed);
  atomic_store_explicit(&guess, n >= before ? n : before - (before - n) / 16, memory_order_relaxed);
}

/* Decodes into a new buffer. Returns its length and sets *out and *capacity, or a negative code. */
static int64_t decode_chunk(const void *caller, const uint32_t *cd, size_t ncd, const void *in, size_t nin,
                            size_t hint, void **out, size_t *capacity) {
  const h5z_filter *f = h5z_filter_v1();
  int64_t size = f->decoded_size(cd, ncd, in, nin);
  if (size < 0) return size;
  bool known = size != H5Z_SIZE_UNKNOWN;
  if (known && (uint64_t)size > DECODED_MAX) return H5Z_E_CORRUPT;
  if (known && size == 0) return H5Z_E_CORRUPT; /* no chunk is empty */

  const size_t least = known ? (size_t)size : least_guess(nin, hint);
  const size_t before = known ? 0 : atomic_load_explicit(&guess, memory_order_relaxed);
  size_t cap = before > least ? before : least;
  for (;;) {
    void *buffer = buffer_new(caller, cap);
    if (!buffer && cap == before) buffer = buffer_new(caller, cap = least);
    if (!buffer) return H5Z_E_MEMORY;
    int64_t n = f->decode(cd, ncd, in, nin, buffer, cap);
    if (n > 0 && (uint64_t)n <= cap) {
      if (!known) learn((size_t)n);
      void *fitting = cap > least && cap / 2 > (size_t)n ? buffer_new(caller, (size_t)n) : NULL;
      if (fitting) { /* of a much smaller dataset: HDF5 may keep the buffer */
        memcpy(fitting, buffer, cap = (size_t)n);
        buffer_free(caller, buffer);
        buffer = fitting;
      }
      *out = buffer, *capacity = cap;
      return n;
    }
    buffer_free(caller, buffer);
    if (n == 0) return H5Z_E_CORRUPT;
    if (n != H5Z_E_OUTPUT || known || cap >= DECODED_MAX) return n < 0 ? n : H5Z_E_INTERNAL;
    cap = cap < DECODED_MAX / 2 ? cap * 2 : DECODED_MAX;
  }
}

static int64_t encode_chunk(const void *caller, const uint32_t *cd, size_t ncd, const void *in, size_t nin,
                            void **out, size_t *capacity) {
  const h5z_filter *f = h5z_filter_v1();
  if (!f->encode || !f->encode_bound) return H5Z_E_UNSUPPORTED;
  int64_t bound = f->encode_bound(cd, ncd, nin);
  if (bound < 0) return bound;
  if ((uint64_t)bound > SIZE_MAX / 2) return H5Z_E_MEMORY;
  size_t cap = bound ? (size_t)bound : 1;
  void *buffer = buffer_new(caller, cap);
  if (!buffer) return H5Z_E_MEMORY;
  int64_t n = f->encode(cd, ncd, in, nin, buffer, cap);
  if (n > 0 && (uint64_t)n <= cap) {
    *out = buffer, *capacity = cap;
    return n;
  }
  buffer_free(caller, buffer);
  return n < 0 ? n : H5Z_E_INTERNAL;
}

/* The sentence for a code, with what the filter adds to it: "unsupported format version: ... (data version 9 found ...)". */
static const char *explained(int64_t code, const uint32_t *cd, size_t ncd, const void *in, size_t nin,
                             char why[2 * H5Z_EXPLAIN_MAX]) {
  const h5z_filter *f = h5z_filter_v1();
  const char *sentence = h5z_strerror(code);
  size_t length = strlen(sentence);
  if ((code != H5Z_E_VERSION && code != H5Z_E_UNSUPPORTED) || !f->explain || length > H5Z_EXPLAIN_MAX - 4) return sentence;
  int64_t more = f->explain(cd, ncd, in, nin, why + length + 2, H5Z_EXPLAIN_MAX);
  if (more <= 0) return sentence;
  memcpy(why, sentence, length);
  memcpy(why + length, " (", 2);
  memcpy(why + length + 2 + more, ")", 2);
  return why;
}

/* On failure it returns 0 and leaves *buf and *buf_size alone, so that HDF5 can store an optional filter's chunk
 * unfiltered. */
static size_t run_filter(const void *caller, unsigned flags, size_t ncd, const unsigned *cd, size_t nbytes,
                         size_t *buf_size, void **buf) {
  bool reverse = flags & H5Z_FLAG_REVERSE;
  const h5z_filter *f = h5z_filter_v1();
  if (reverse && f->passes && nbytes > 0 && ncd <= H5Z_CD_MAX && f->passes(cd, ncd, *buf, nbytes) == 1) return nbytes;
  void *out = NULL;
  size_t capacity = 0;
  int64_t n = ncd > H5Z_CD_MAX ? H5Z_E_PARAM
              : reverse        ? decode_chunk(caller, cd, ncd, *buf, nbytes, *buf_size, &out, &capacity)
                               : encode_chunk(caller, cd, ncd, *buf, nbytes, &out, &capacity);
  if (n < 0) {
    bool expected = !reverse && (flags & H5Z_FLAG_OPTIONAL); /* HDF5 stores the chunk unfiltered: no error */
    char why[2 * H5Z_EXPLAIN_MAX];
    if (!expected)
      push_error(library_of(caller), "filter", reverse ? "decode a chunk" : "encode a chunk", nbytes,
                 reverse ? explained(n, cd, ncd, *buf, nbytes, why) : h5z_strerror(n));
    return 0;
  }
  buffer_free(caller, *buf);
  *buf = out;
  *buf_size = capacity;
  return (size_t)n;
}

#if defined(H5Z_CLASS3)

/* H5Z_func2_t: neither the transfer's properties nor the place of the chunk matter to any filter. */
static size_t filter(unsigned flags, size_t ncd, const unsigned *cd, hid_t dxpl, const hsize_t *scaled, size_t rank,
                     void *state, size_t nbytes, size_t *buf_size, void **buf) {
  (void)dxpl, (void)scaled, (void)rank, (void)state;
  return run_filter(CALLER, flags, ncd, cd, nbytes, buf_size, buf);
}

/* ---- parameter strings ----------------------------------------------------------------------------------------- */

/* cd NULL asks for the number of words. */
static herr_t set_config(const char *text, unsigned *flags, size_t *ncd, unsigned *cd, size_t cap) {
  (void)flags;
  uint32_t client[H5Z_CD_MAX];
  char why[H5Z_PARAMETERS_WHY_MAX];
  int64_t n = h5z_parse_parameters(text ? text : "", text ? strlen(text) : 0, client, H5Z_CD_MAX, why, sizeof why);
  if (n >= 0 && cd && (uint64_t)n > cap) n = H5Z_E_OUTPUT, strcpy(why, h5z_strerror(n));
  if (n < 0) {
    push_error(library_of(CALLER), "set_config", "take these parameters", 0, why);
    return -1;
  }
  if (cd) memcpy(cd, client, (size_t)n * sizeof *client);
  *ncd = (size_t)n;
  return 0;
}

/* HDF5 asks both for what a caller set and for what a file keeps, and does not say which it is. Values are taken for a
 * caller's where their string parses to the same words again. */
static int64_t print_either(const unsigned *cd, size_t ncd, char text[H5Z_PARAMETERS_MAX]) {
  uint32_t again[H5Z_CD_MAX];
  if (ncd > H5Z_CD_MAX) return H5Z_E_PARAM;
  const int64_t length = h5z_print_parameters(cd, ncd, 0, text, H5Z_PARAMETERS_MAX);
  const int64_t n = length < 0 ? length : h5z_parse_parameters(text, (size_t)length, again, H5Z_CD_MAX, NULL, 0);
  if (n >= (int64_t)ncd && memcmp(again, cd, ncd * sizeof *cd) == 0) return length;
  return h5z_print_parameters(cd, ncd, 1, text, H5Z_PARAMETERS_MAX);
}

/* text NULL asks for the length without the NUL. */
static herr_t get_config(unsigned flags, size_t ncd, const unsigned *cd, char *text, size_t *size) {
  (void)flags;
  char whole[H5Z_PARAMETERS_MAX];
  int64_t n = print_either(cd, ncd, whole);
  if (n >= 0 && text && (uint64_t)n >= *size) n = H5Z_E_OUTPUT;
  if (n < 0) {
    push_error(library_of(CALLER), "get_config", "tell its parameters", 0, h5z_strerror(n));
    return -1;
  }
  if (text) memcpy(text, whole, (size_t)n + 1);
  *size = (size_t)n;
  return 0;
}

#else

static size_t filter(unsigned flags, size_t ncd, const unsigned *cd, size_t nbytes, size_t *buf_size, void **buf) {
  return run_filter(CALLER, flags, ncd, cd, nbytes, buf_size, buf); /* H5Z_func_t */
}

#endif

/* ---- the two symbols that libhdf5 looks up --------------------------------------------------------------------- */

H5Z_EXPORT int H5PLget_plugin_type(void);
H5Z_EXPORT const void *H5PLget_plugin_info(void);

int H5PLget_plugin_type(void) { return 0; } /* H5PL_TYPE_FILTER */

/* The class is filled once from the filter's table: two libhdf5s may ask from two threads. */
const void *H5PLget_plugin_info(void) {
  enum { EMPTY, FILLING, READY };
#if defined(H5Z_CLASS3)
  typedef H5Z_class3_t plugin_class;
#else
  typedef H5Z_class2_t plugin_class;
#endif
  static plugin_class class;
  static atomic_int state;
  int expected = EMPTY;
  if (atomic_compare_exchange_strong(&state, &expected, FILLING)) {
    const h5z_filter *f = h5z_filter_v1();
    bool local = f->derive || (f->flags & H5Z_ONLY_OPTIONAL);
    class = (plugin_class){
        .id = (int)f->id,
        .encoder_present = (f->flags & H5Z_CAN_ENCODE) && f->encode,
        .decoder_present = 1,
#if defined(H5Z_CLASS3)
        .version = 2,
        .name = f->name,
        .description = f->title,
        .set_config = set_config,
        .get_config = get_config,
#else
        .version = 1,
        .name = f->title,
#endif
        .can_apply = local ? can_apply : NULL,
        .set_local = local ? set_local : NULL,
        .filter = filter,
    };
    atomic_store(&state, READY);
  }
  while (atomic_load(&state) != READY) continue;
  return &class;
}

#endif
