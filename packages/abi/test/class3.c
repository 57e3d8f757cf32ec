/* class3.c: asks the plugin's class as a libhdf5 would, whichever the build made, and prints what it finds; for class3.test.ts.
 * The filter stores chunks as they are; in a file its one parameter lies a word further.
 */
#include <h5z/filter.h>

#include <stdio.h>
#include <stdlib.h>

static int64_t same(const uint32_t *cd, size_t ncd, const void *in, size_t nin, void *out, size_t cap) {
  (void)cd, (void)ncd;
  if (nin > cap) return H5Z_E_OUTPUT;
  memcpy(out, in, nin);
  return (int64_t)nin;
}
static int64_t bound(const uint32_t *cd, size_t ncd, size_t nin) {
  (void)cd, (void)ncd;
  return (int64_t)nin;
}
static int64_t size(const uint32_t *cd, size_t ncd, const void *in, size_t nin) {
  (void)in;
  return bound(cd, ncd, nin);
}
H5Z_FILTER(.encode = same, .decode = same, .encode_bound = bound, .decoded_size = size)

const void *H5PLget_plugin_info(void);

/* RFC-HDFG-2026-001, written down a second time and not shared with plugin.h, which must agree. */
struct class3 {
  int version, id;
  unsigned encoder_present, decoder_present;
  const char *name;
  int (*can_apply)(int64_t, int64_t, int64_t), (*set_local)(int64_t, int64_t, int64_t);
  size_t (*filter)(unsigned, size_t, const unsigned *, int64_t, const uint64_t *, size_t, void *, size_t, size_t *, void **);
  int (*set_config)(const char *, unsigned *, size_t *, unsigned *, size_t);
  int (*get_config)(unsigned, size_t, const unsigned *, char *, size_t *);
  const char *description;
};

int main(void) {
  const struct class3 *c = H5PLget_plugin_info();
  printf("version %d, ID %d, %s\n", c->version, c->id, c->name);
  if (c->version != 2) return 0;
  printf("description %s\n", c->description);

  unsigned flags = 0, cd[4];
  size_t n = 0;
  int code = c->set_config("level = 7", &flags, &n, NULL, 0);
  printf("size query %d: %zu\n", code, n);
  code = c->set_config("level = 7", &flags, &n, cd, 4);
  printf("set_config %d: %zu, %u\n", code, n, cd[0]);
  printf("default %d, no room %d, refused %d\n", c->set_config(NULL, &flags, &n, cd, 4),
         c->set_config("level = 7", &flags, &n, cd, 0), c->set_config("level = 10", &flags, &n, cd, 4));

  char text[16];
  const unsigned client[] = {7}, stored[] = {1, 8};
  size_t length = 0;
  code = c->get_config(0, 1, client, NULL, &length);
  printf("length query %d: %zu\n", code, length);
  length = sizeof text;
  code = c->get_config(0, 1, client, text, &length);
  printf("client %d: %s, %zu\n", code, text, length);
  length = sizeof text;
  code = c->get_config(0, 2, stored, text, &length);
  printf("stored %d: %s\n", code, text);
  length = 9;
  printf("no room %d\n", c->get_config(0, 1, client, text, &length));

  char chunk[] = "chunk";
  void *buffer = malloc(sizeof chunk);
  size_t capacity = sizeof chunk;
  if (!buffer) return 2;
  memcpy(buffer, chunk, sizeof chunk);
  n = c->filter(0, 1, client, 0, NULL, 0, NULL, sizeof chunk, &capacity, &buffer);
  printf("filter %zu: %s\n", n, (char *)buffer);
  free(buffer);
  return 0;
}
