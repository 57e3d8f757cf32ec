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

static size_t append(char *text, size_t cap, size_t at, const char *words) {
  for (; *words && at < cap; words++) text[at++] = *words;
  return at;
}

int64_t h5z_explain_version(char *text, size_t cap, const char *what, uint64_t found, const char *known) {
  char digits[21] = {0}, *number = digits + 20; /* 2^64 - 1 has 20 digits */
  do *--number = (char)('0' + found % 10); while (found /= 10);
  size_t at = append(text, cap, 0, what);
  at = append(text, cap, at, " ");
  at = append(text, cap, at, number);
  at = append(text, cap, at, " found, ");
  at = append(text, cap, at, known);
  return (int64_t)append(text, cap, at, " are read");
}
