/* The JSON side of netCDF's hook as a program: standard input holds texts, each ended by a NUL. For each one line: the code,
 * the client cd_values, and the JSON that is made of them; texts lie in buffers that end where they do, for
 * AddressSanitizer. The filter has parameters and does nothing. */
#include "../src/hdf5_plugin.c"

#include <stdio.h>

H5Z_FILTER(.derive = NULL)

int main(void) {
  static char input[1 << 20];
  const size_t size = fread(input, 1, sizeof input, stdin);
  const NCZ_codec_t *codec = NCZ_get_codec_info();
  for (size_t at = 0; at < size;) {
    const size_t length = strlen(input + at) + 1;
    char *json = malloc(length), *back = NULL;
    unsigned *values = NULL;
    size_t n = 0;
    if (!json) return 2;
    memcpy(json, input + at, length);
    at += length;
    int code = codec->codec_to_hdf5(json, &n, &values);
    printf("%d [", code);
    for (size_t i = 0; i < n; i++) printf(i ? ",%u" : "%u", values[i]);
    if (code == 0) code = codec->hdf5_to_codec(n, values, &back);
    printf("] %s\n", back ? back : "-");
    free(json), free(values), free(back);
  }
  return 0;
}
