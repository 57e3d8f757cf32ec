/* error.c: the sentence for each error code, from the one list in h5z/filter.h. Linked into every form of a filter. */
#include <h5z/filter.h>

const char *h5z_strerror(int64_t code) {
  if (code >= 0) return "ok";
  switch (code) {
#define H5Z_X(name, value, text) \
  case value: return text;
    H5Z_ERRORS(H5Z_X)
#undef H5Z_X
    default: return "unknown error";
  }
}
