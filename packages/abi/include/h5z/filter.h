/* h5z/filter.h: the C filter ABI, the only thing a filter author has to know.
 *
 * A filter turns a chunk (the block of bytes HDF5 stores as one unit) into other bytes and back.
 * You write a handful of pure functions and one table that names them; everything else is written
 * once, in packages/abi/src, and linked to your table:
 *
 *     your filter.c  -->  h5z_filter_v1()  -->  hdf5_plugin.c   a standard HDF5 plugin (h5py, h5dump, netCDF)
 *                                          -->  wasm.c          a standalone WebAssembly module
 *                                          -->  h5wasm_plugin.c a side module for h5wasm
 *                                          -->  the Node host addon and ctypes, which dlopen the native library
 *
 * The whole of a filter that stores every chunk unchanged:
 *
 *     #include <h5z/filter.h>
 *     static int64_t same(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
 *         (void)cd; (void)ncd;
 *         if (nin > cap) return H5Z_E_OUTPUT;
 *         memcpy(out, in, nin);
 *         return (int64_t)nin;
 *     }
 *     static int64_t same_bound(const uint32_t *cd, size_t ncd, size_t nin) { (void)cd; (void)ncd; return (int64_t)nin; }
 *     static int64_t same_size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) { ... return (int64_t)nin; }
 *     H5Z_FILTER(.encode = same, .decode = same, .encode_bound = same_bound, .decoded_size = same_size)
 *
 * Words (they are HDF5's):
 *   cd_values  an array of uint32 kept in the file beside the pipeline. "client" values are what a caller
 *              passes to H5Pset_filter; "stored" values are what `derive` leaves in the file.
 *   chunk      always full-sized before filtering: HDF5 pads edge chunks. No filter sees 0 bytes of input,
 *              but yours must survive it.
 *
 * Rules every function keeps:
 *   - Write at most `cap` bytes at `out`, read at most `nin` bytes at `in` and `ncd` words at `cd`.
 *     `cd` may be NULL when ncd is 0. Never assume ncd is what you expect: files have 0, and 33.
 *   - in, out and cd do not overlap and carry no alignment guarantee for in and out.
 *   - No mutable state visible between calls, safe from many threads at once, start no threads,
 *     never abort(), exit(), longjmp out or let a C++ exception out.
 *   - Return a count >= 0, or one of the negative codes below. On error the content of `out` is unspecified
 *     within [0, cap) and untouched beyond.
 */
#ifndef H5Z_FILTER_H
#define H5Z_FILTER_H

#include <stddef.h>
#include <stdint.h>
#if __STDC_HOSTED__ /* a GPU has no libc: see gpu.h */
#  include <string.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this header's binary interface. A loader refuses a table whose abi_version differs. */
#define H5Z_ABI_VERSION 1u

/* Most cd_values any function accepts or produces: H5Z_MAX of nbit's 4096 in libhdf5. */
#define H5Z_CD_MAX 4096u

/* Error codes. Negative so that one int64 carries either a byte count or a reason. The texts are in
 * packages/abi/src/error.c (h5z_strerror) and, from the same list, in @h5z/core. X-macro: (NAME, value, "sentence"). */
#define H5Z_ERRORS(X)                                                                                          \
  X(H5Z_E_PARAM, -1, "bad parameter: the cd_values are not what this filter accepts")                          \
  X(H5Z_E_CORRUPT, -2, "corrupt input: the chunk is truncated or damaged")                                     \
  X(H5Z_E_OUTPUT, -3, "output too small: the result needs more room than the caller gave")                     \
  X(H5Z_E_UNSUPPORTED, -4, "unsupported feature: valid input that this build of the filter does not handle")   \
  X(H5Z_E_VERSION, -5, "unsupported format version: written by a newer or unknown revision of the filter")     \
  X(H5Z_E_MEMORY, -6, "out of memory")                                                                         \
  X(H5Z_E_NOT_APPLICABLE, -7, "not applicable: this filter cannot encode this datatype, chunk shape or chunk") \
  X(H5Z_E_INTERNAL, -8, "internal error: the codec failed in a way that should not happen; please report it")

typedef enum h5z_error {
#define H5Z_X(name, value, text) name = value,
  H5Z_ERRORS(H5Z_X)
#undef H5Z_X
} h5z_error;

/* `decoded_size` may answer this: the size is in neither the chunk nor the cd_values. */
#define H5Z_SIZE_UNKNOWN INT64_MAX

/* Datatype classes, numbered as HDF5's H5T_class_t so that adaptors need no table. */
enum {
  H5Z_CLASS_INTEGER = 0, H5Z_CLASS_FLOAT = 1, H5Z_CLASS_TIME = 2, H5Z_CLASS_STRING = 3, H5Z_CLASS_BITFIELD = 4,
  H5Z_CLASS_OPAQUE = 5, H5Z_CLASS_COMPOUND = 6, H5Z_CLASS_REFERENCE = 7, H5Z_CLASS_ENUM = 8, H5Z_CLASS_VLEN = 9,
  H5Z_CLASS_ARRAY = 10
};

#define H5Z_MAX_RANK 32

/* What `derive` may know of the dataset being created: HDF5's can_apply and set_local see the same.
 * All fixed-width, so that C, WebAssembly and JavaScript agree on the layout (offsets in bytes at the right). */
typedef struct h5z_dataset {
  uint32_t struct_size;              /*   0 sizeof(h5z_dataset) of the caller                                   */
  uint32_t type_class;               /*   4 H5Z_CLASS_*                                                         */
  uint32_t type_size;                /*   8 bytes of one whole element: compound, array, string included        */
  uint32_t base_class;               /*  12 class of the innermost base type of an ARRAY (else = type_class)    */
  uint32_t base_size;                /*  16 its size in bytes (else = type_size)                                */
  uint32_t is_signed;                /*  20 1 for two's complement integers, else 0                             */
  uint32_t big_endian;               /*  24 1 when the stored order is big-endian, else 0                       */
  uint32_t precision;                /*  28 significant bits (H5Tget_precision), 0 if the class has none        */
  uint32_t bit_offset;               /*  32 H5Tget_offset, 0 if the class has none                              */
  uint32_t rank;                     /*  36 of the chunk, 0..H5Z_MAX_RANK                                       */
  uint64_t chunk_dims[H5Z_MAX_RANK]; /*  40 in elements, slowest first                                          */
  uint64_t dims[H5Z_MAX_RANK];       /* 296 current dataset dims, 0 where unknown                               */
  uint32_t fill_defined;             /* 552 1 when a fill value is defined                                      */
  uint32_t fill_size;                /* 556 bytes used in fill, <= 64                                           */
  uint8_t fill[64];                  /* 560 the fill value in the stored byte order                             */
} h5z_dataset;                       /* 624                                                                     */

/* Capability flags of a filter. */
enum {
  H5Z_CAN_ENCODE = 1u << 0,
  H5Z_CAN_DECODE = 1u << 1,
  H5Z_LOSSY = 1u << 2,        /* decode(encode(x)) may differ from x                                            */
  H5Z_ONLY_OPTIONAL = 1u << 3 /* set_local must force H5Z_FLAG_OPTIONAL                                         */
};

typedef struct h5z_filter {
  uint32_t abi_version; /* H5Z_ABI_VERSION                                                                      */
  uint32_t struct_size; /* sizeof(h5z_filter): newer minor additions go at the end                              */
  uint32_t id;          /* HDF5 filter ID                                                                       */
  uint32_t flags;       /* H5Z_CAN_* and others                                                                 */
  const char *name;     /* canonical name, [A-Za-z0-9_.-]{1,255}                                                */
  const char *title;    /* one line for people; HDF5 shows it in its error stack                                */
  const char *version;  /* version of the filter package and its codecs, for people                             */

  /* Client cd_values + dataset -> stored cd_values. NULL: stored = client.
   * `stored` has room for `cap` words (callers give H5Z_CD_MAX). `ds` is never NULL.
   * Returns the number of words, H5Z_E_PARAM for values out of range, H5Z_E_NOT_APPLICABLE for a dataset that
   * this filter cannot encode, H5Z_E_OUTPUT if cap is too small. Idempotent: stored values may be passed again. */
  int64_t (*derive)(const uint32_t *client, size_t nclient, const h5z_dataset *ds, uint32_t *stored, size_t cap);

  /* The most bytes `encode` may need for `nin` bytes of input. Decode-only modules have it too: a pipeline bounds by it
   * what the filters behind this one may decode to. */
  int64_t (*encode_bound)(const uint32_t *cd, size_t ncd, size_t nin);

  /* Exact size that `decode` will produce, from the chunk's own header or the cd_values, or H5Z_SIZE_UNKNOWN.
   * Cheap: reads headers only. The value is the chunk's claim: a caller must hold it to its own limit. */
  int64_t (*decoded_size)(const uint32_t *cd, size_t ncd, const void *in, size_t nin);

  /* `cd` are the stored values. Bytes written, or a negative code. `encode` may return H5Z_E_NOT_APPLICABLE when
   * this chunk should be stored unfiltered: HDF5 then sets the mask bit of an optional filter. */
  int64_t (*encode)(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap);
  int64_t (*decode)(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap);

  /* Stored cd_values -> the client values that stand for the same choices: the inverse of `derive`, for showing a file's
   * parameters in words. Optional, for filters whose stored values are not plain words (a packed header); filter.json
   * then says "restore": true, and the parameters' `client` places are read from the result. NULL: they are read from the
   * stored values. Decode-only modules have it too. Returns the number of words, H5Z_E_PARAM for values that no revision
   * of the filter wrote, H5Z_E_VERSION, or H5Z_E_OUTPUT if cap is too small (callers give H5Z_CD_MAX). */
  int64_t (*restore)(const uint32_t *stored, size_t nstored, uint32_t *client, size_t cap);

  /* Why `decode` or `decoded_size` answered H5Z_E_VERSION or H5Z_E_UNSUPPORTED for this chunk, in a few words of ASCII
   * ("data version 9 found, versions 1 to 3 are read"; see h5z_explain_version). Optional. Writes at most `cap` bytes
   * without a NUL and returns how many; 0 when there is nothing to add. Loaders put it behind the code's sentence. */
  int64_t (*explain)(const uint32_t *cd, size_t ncd, const void *in, size_t nin, char *text, size_t cap);

  /* The parameter string of HDF5's coming string API: h5z_parse_parameters and h5z_print_parameters, below. In native
   * libraries; NULL elsewhere. */
  int64_t (*parse_parameters)(const char *text, size_t length, uint32_t *client, size_t cap, char *why, size_t why_cap);
  int64_t (*print_parameters)(const uint32_t *cd, size_t ncd, int stored, char *text, size_t cap);

  /* Whether `decode` would copy the chunk and do nothing else: then a plugin leaves HDF5's buffer where it is. Optional;
   * returns 1 or 0, or a negative code, which `decode` answers too. */
  int64_t (*passes)(const uint32_t *cd, size_t ncd, const void *in, size_t nin);
} h5z_filter;

/* Most bytes of an explanation that loaders ask for. */
#define H5Z_EXPLAIN_MAX 200u

#if defined(_WIN32)
#  define H5Z_EXPORT __declspec(dllexport)
#else
#  define H5Z_EXPORT __attribute__((visibility("default")))
#endif

/* The one symbol of h5z's own that a native filter library exports. The table is const and lives for ever. */
#if defined(H5Z_BUILD_NATIVE)
H5Z_EXPORT
#endif
const h5z_filter *h5z_filter_v1(void);

/* The sentence for a code (static storage); "unknown error" for anything else, "ok" for >= 0. */
const char *h5z_strerror(int64_t code);

/* For `explain`: "<what> <found> found, <known> are read", as far as it fits into `cap`. Returns the bytes written. */
int64_t h5z_explain_version(char *text, size_t cap, const char *what, uint64_t found, const char *known);

/* `level = 9, codec = "zstd"` -> client cd_values, by what filter.json says of each parameter (packages/abi/src/params.c;
 * the grammar is there). `text` need not end with a NUL. Parameters that it does not name take their defaults. Returns the
 * number of words, H5Z_E_OUTPUT if cap is too small (H5Z_CD_MAX is enough for every filter), or H5Z_E_PARAM with a sentence
 * in `why` that names the parameter, what is wrong and what is right. `why` becomes a C string, cut to why_cap bytes, empty
 * on success; NULL where why_cap is 0. */
int64_t h5z_parse_parameters(const char *text, size_t length, uint32_t *client, size_t cap, char *why, size_t why_cap);

/* cd_values -> such a string, of all parameters that apply, with the defaults of those for which there is no word. `stored`
 * 1 for cd_values of a file, 0 for client values. Returns the length without the NUL behind, H5Z_E_OUTPUT if both do
 * not fit into cap (callers give H5Z_PARAMETERS_MAX), or what `restore` answered. */
int64_t h5z_print_parameters(const uint32_t *cd, size_t ncd, int stored, char *text, size_t cap);

/* Most bytes of a parameter string, HDF5's own limit; and of the sentence that says what is wrong with one, to be useful. */
#define H5Z_PARAMETERS_MAX 4096u
#define H5Z_PARAMETERS_WHY_MAX 512u

/* Identity comes from filter.json through the build (h5z_add_filter defines these), so that a copied folder
 * with another name and ID is another filter without touching C. */
#ifndef H5Z_FILTER_ID
#  define H5Z_FILTER_ID 0
#  define H5Z_FILTER_NAME "unnamed"
#  define H5Z_FILTER_TITLE "unnamed filter"
#  define H5Z_FILTER_VERSION "0"
#  define H5Z_FILTER_FLAGS (H5Z_CAN_ENCODE | H5Z_CAN_DECODE)
#endif

/* Defines h5z_filter_v1(). Arguments are designated initialisers of the function members.
 * With -DH5Z_DECODE_ONLY the encoder's members are dropped, so that the linker drops the encoder:
 * wrap `.encode` and `.derive` in H5Z_ENCODER(...). */
#if defined(H5Z_DECODE_ONLY)
#  define H5Z_ENCODER(...)
#  define H5Z_FLAGS_ ((H5Z_FILTER_FLAGS) & ~(uint32_t)H5Z_CAN_ENCODE)
#else
#  define H5Z_ENCODER(...) __VA_ARGS__
#  define H5Z_FLAGS_ (H5Z_FILTER_FLAGS)
#endif
#if defined(H5Z_BUILD_NATIVE)
#  define H5Z_PARAMETER_STRINGS_ .parse_parameters = h5z_parse_parameters, .print_parameters = h5z_print_parameters,
#else
#  define H5Z_PARAMETER_STRINGS_
#endif
#define H5Z_FILTER(...)                                                                             \
  static const h5z_filter h5z_filter_table_ = {.abi_version = H5Z_ABI_VERSION,                      \
                                               .struct_size = (uint32_t)sizeof(h5z_filter),         \
                                               .id = H5Z_FILTER_ID,                                 \
                                               .flags = H5Z_FLAGS_,                                 \
                                               .name = H5Z_FILTER_NAME,                             \
                                               .title = H5Z_FILTER_TITLE,                           \
                                               .version = H5Z_FILTER_VERSION,                       \
                                               H5Z_PARAMETER_STRINGS_ __VA_ARGS__};                                        \
  const h5z_filter *h5z_filter_v1(void) { return &h5z_filter_table_; }

/* Byte-order helpers that never need alignment; compilers turn them into one load or store. */
static inline uint32_t h5z_get_u32be(const void *p) {
  const uint8_t *b = (const uint8_t *)p;
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t h5z_get_u64be(const void *p) {
  return (uint64_t)h5z_get_u32be(p) << 32 | h5z_get_u32be((const uint8_t *)p + 4);
}
static inline void h5z_put_u32be(void *p, uint32_t v) {
  uint8_t *b = (uint8_t *)p;
  b[0] = (uint8_t)(v >> 24), b[1] = (uint8_t)(v >> 16), b[2] = (uint8_t)(v >> 8), b[3] = (uint8_t)v;
}
static inline void h5z_put_u64be(void *p, uint64_t v) {
  h5z_put_u32be(p, (uint32_t)(v >> 32)), h5z_put_u32be((uint8_t *)p + 4, (uint32_t)v);
}

#ifdef __cplusplus
}
#endif
#endif
