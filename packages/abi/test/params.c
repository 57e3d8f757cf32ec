/* params.c, for params.test.ts: the parameter strings of one filter, whose identity header is included on the command line, as a
 * program: params.test.ts asks it the same as the TypeScript half. Frames in and out, native byte order:
 *
 *     in:   | 'P', 'C' or 'S' | u32 n | n bytes: text to parse, or cd_values to print as client (C) or stored (S) values |
 *     out:  | i32 code | u32 n | n bytes: cd_values, text, or the sentence that says what is wrong |
 */
#include <h5z/filter.h>

#include <stdio.h>
#include <stdlib.h>

static const h5z_filter FILTER = {.abi_version = H5Z_ABI_VERSION};
const h5z_filter *h5z_filter_v1(void) { return &FILTER; }

static void answer(int64_t code, const void *bytes, size_t n) {
  const int32_t code32 = (int32_t)code;
  const uint32_t length = (uint32_t)n;
  fwrite(&code32, 4, 1, stdout), fwrite(&length, 4, 1, stdout), fwrite(bytes, 1, n, stdout);
}

int main(void) {
  static uint32_t words[H5Z_CD_MAX];
  char kind, why[H5Z_PARAMETERS_WHY_MAX], text[H5Z_PARAMETERS_MAX];
  uint32_t n;
  while (fread(&kind, 1, 1, stdin) == 1 && fread(&n, 4, 1, stdin) == 1) {
    char *in = malloc(n > 0 ? n : 1); /* exactly as large, so that AddressSanitizer sees the first byte too many */
    if (!in || fread(in, 1, n, stdin) != n) return 2;
    if (kind == 'P') {
      const int64_t code = h5z_parse_parameters(in, n, words, H5Z_CD_MAX, why, sizeof why);
      if (code < 0) answer(code, why, strlen(why));
      else answer(code, words, 4 * (size_t)code);
    } else {
      const int64_t code = h5z_print_parameters((const uint32_t *)(const void *)in, n / 4, kind == 'S', text, sizeof text);
      answer(code, text, code < 0 ? 0 : strlen(text));
    }
    free(in);
  }
  return 0;
}
