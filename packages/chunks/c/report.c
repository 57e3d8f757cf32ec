/* Why a question failed, in words: the same for the module that reads and the one that writes. */
#include "h5c.h"

#include <stdio.h>
#include <string.h>

char h5c_problem[1024];

/* Innermost description first: that is the one that says what is wrong with the file. */
static herr_t collect(unsigned n, const H5E_error2_t *entry, void *unused) {
  (void)unused;
  size_t used = strlen(h5c_problem);
  if (n < 3 && entry->desc && used + 4 < sizeof h5c_problem)
    snprintf(h5c_problem + used, sizeof h5c_problem - used, "%s%s", used ? ", " : "", entry->desc);
  return 0;
}

int h5c_fail(const char *doing) {
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, NULL);
  if (!h5c_problem[0]) snprintf(h5c_problem, sizeof h5c_problem, "%s", doing);
  H5Eclear2(H5E_DEFAULT);
  return -1;
}
