/* h5z-harness LIBRARY GOLDEN_FOLDER: holds a built filter library to its golden chunks, with nothing but a C library.
 * For where Node and Python do not run: another processor under qemu, a .dll under wine, a phone.
 *
 *     cc -std=c11 -I packages/abi/include packages/abi/harness/harness.c -o h5z-harness -ldl
 *     h5z-harness filters/zstd/prebuilds/linux-x64/libh5z_zstd.so filters/zstd/golden
 *
 * Every case of index.json must decode to its digest, every bad one must fail with its code; then each chunk is cut
 * short, gets bits flipped, odd cd_values and one byte less room: whatever comes back, nothing may be written past the
 * capacity, and a cut chunk may not pass for a whole one. Its cd_values must survive being written as a parameter string.
 * Prints "digest SHA256 NAME" of what each case decoded to, so that whoever started it can compare for himself, a line for
 * each failure, and "N passed, N failed"; exit status 1 if anything failed, 2 if the harness itself could not work.
 */
#include <h5z/filter.h>

#include <stdio.h>
#include <stdlib.h>

#if defined(_WIN32)
#  include <windows.h>
#else
#  include <dlfcn.h>
#endif

enum { CANARY_BYTES = 64, MOST_CUTS = 300 };
static const unsigned char CANARY = 0x5a;

static int passed, failed;

static void stop(const char *what, const char *which) {
  fprintf(stderr, "h5z-harness: %s: %s\n", what, which);
  exit(2);
}

static void *get(size_t size) {
  void *p = malloc(size > 0 ? size : 1);
  if (!p) stop("out of memory", "");
  return p;
}

static void check(int good, const char *name, const char *what, long long detail) {
  if (good) {
    passed++;
  } else {
    failed++;
    printf("FAILED %s: %s (%lld)\n", name, what, detail);
  }
}

/* ---- SHA-256, FIPS 180-4 -------------------------------------------------------------------------------------- */

static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256_block(uint32_t h[8], const uint8_t *p) {
  static const uint32_t k[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
      0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
      0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
      0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
      0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
      0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  uint32_t w[64], v[8];
  for (int i = 0; i < 16; i++) w[i] = h5z_get_u32be(p + 4 * i);
  for (int i = 16; i < 64; i++) {
    const uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  memcpy(v, h, sizeof v);
  for (int i = 0; i < 64; i++) {
    const uint32_t s1 = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25), choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
    const uint32_t s0 = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22), most = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
    const uint32_t t1 = v[7] + s1 + choose + k[i] + w[i];
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += t1, v[0] = t1 + s0 + most;
  }
  for (int i = 0; i < 8; i++) h[i] += v[i];
}

static void sha256(const uint8_t *p, size_t n, char hex[65]) {
  uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t last[128] = {0};
  size_t i = 0;
  for (; i + 64 <= n; i += 64) sha256_block(h, p + i);
  const size_t rest = n - i, blocks = rest < 56 ? 1 : 2;
  if (rest > 0) memcpy(last, p + i, rest);
  last[rest] = 0x80;
  h5z_put_u64be(last + 64 * blocks - 8, (uint64_t)n * 8);
  for (size_t b = 0; b < blocks; b++) sha256_block(h, last + 64 * b);
  for (int w = 0; w < 8; w++) sprintf(hex + 8 * w, "%08lx", (unsigned long)h[w]);
}

/* ---- just enough JSON for index.json: values are found by walking, never copied whole -------------------------- */

static const char *space(const char *p) {
  while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') p++;
  return p;
}

static const char *skip_string(const char *p) {
  if (*p++ != '"') stop("index.json", "a string was expected");
  for (; *p != '"'; p++) {
    if (*p == '\\') p++;
    if (*p == 0) stop("index.json", "ends inside a string");
  }
  return p + 1;
}

/* The end of the value at p. Strings apart, brackets are counted. */
static const char *skip(const char *p) {
  int depth = 0;
  do {
    p = space(p);
    if (*p == 0) stop("index.json", "ends too early");
    if (*p == '"') {
      p = skip_string(p);
    } else if (*p == '{' || *p == '[') {
      depth++, p++;
    } else if (*p == '}' || *p == ']') {
      depth--, p++;
    } else if (*p == ',' || *p == ':') {
      p++;
    } else {
      while (*p && !strchr(",:]} \n\r\t", *p)) p++;
    }
  } while (depth > 0);
  return p;
}

/* The value of `key` in the object at p, or NULL. */
static const char *member(const char *p, const char *key) {
  p = space(p);
  if (*p++ != '{') stop("index.json", "an object was expected");
  for (;;) {
    p = space(p);
    if (*p == '}') return NULL;
    if (*p == ',') p = space(p + 1);
    const char *end = skip_string(p);
    const int found = strlen(key) == (size_t)(end - p) - 2 && memcmp(p + 1, key, strlen(key)) == 0;
    p = space(end);
    if (*p++ != ':') stop("index.json", "a colon was expected");
    p = space(p);
    if (found) return p;
    p = skip(p);
  }
}

/* The next element of an array: `p` is its '[' or the end of the element before. NULL at the end. */
static const char *next(const char *p) {
  p = space(p);
  if (*p == '[' || *p == ',') p = space(p + 1);
  return *p == ']' ? NULL : p;
}

static const char *need(const char *object, const char *key) {
  const char *value = member(object, key);
  if (!value) stop("index.json lacks", key);
  return value;
}

static void text(const char *object, const char *key, char *out, size_t size) {
  const char *p = need(object, key), *end = skip_string(p);
  const size_t n = (size_t)(end - p) - 2;
  if (n >= size) stop("index.json: too long", key);
  memcpy(out, p + 1, n);
  out[n] = 0;
}

/* ---- one case -------------------------------------------------------------------------------------------------- */

typedef struct chunk {
  char name[200];
  uint8_t *bytes;
  size_t length, size, ncd; /* size: of the decoded bytes */
  uint32_t cd[H5Z_CD_MAX];
} chunk;

static uint8_t *read_file(const char *folder, const char *name, size_t *size) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) stop("path too long", name);
  FILE *file = fopen(path, "rb");
  if (!file) stop("cannot open", path);
  fseek(file, 0, SEEK_END);
  const long length = ftell(file);
  rewind(file);
  uint8_t *bytes = get((size_t)length + 1);
  *size = fread(bytes, 1, (size_t)length, file);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}

static void read_case(const char *object, const char *folder, chunk *c) {
  char file[200];
  text(object, "name", c->name, sizeof c->name);
  text(object, "file", file, sizeof file);
  c->size = (size_t)strtoull(need(object, "size"), NULL, 10);
  c->ncd = 0;
  for (const char *p = need(object, "cdValues"); (p = next(p)) && c->ncd < H5Z_CD_MAX; p = skip(p)) {
    c->cd[c->ncd++] = (uint32_t)strtoul(p, NULL, 10);
  }
  c->bytes = read_file(folder, file, &c->length);
}

/* Decodes a copy of exactly `length` bytes (so that a checker of memory sees reads past it) into `cap` bytes that are
 * followed by a canary. Returns decode's answer; `out` has room for cap + CANARY_BYTES. */
static int64_t decode(const h5z_filter *f, const chunk *c, size_t ncd, const uint8_t *bytes, size_t length, uint8_t *out, size_t cap) {
  uint8_t *in = get(length);
  if (length > 0) memcpy(in, bytes, length);
  memset(out + cap, CANARY, CANARY_BYTES);
  const int64_t n = f->decode(ncd > 0 ? c->cd : NULL, ncd, in, length, out, cap);
  const int64_t claim = f->decoded_size(ncd > 0 ? c->cd : NULL, ncd, in, length);
  free(in);
  for (size_t i = 0; i < CANARY_BYTES; i++) {
    if (out[cap + i] != CANARY) {
      check(0, c->name, "written past the capacity, bytes", (long long)i + 1);
      break;
    }
  }
  if (n > (int64_t)cap || n < H5Z_E_INTERNAL) check(0, c->name, "an impossible answer", (long long)n);
  if (n >= 0 && n != claim && claim != H5Z_SIZE_UNKNOWN) check(0, c->name, "decoded_size disagrees with decode", (long long)claim);
  return n;
}

/* One number; kind is numpy's letter: f, i or u. */
static double number(const uint8_t *p, char kind, size_t size, int big_endian) {
  uint64_t bits = 0;
  for (size_t i = 0; i < size; i++) bits |= (uint64_t)p[big_endian ? size - 1 - i : i] << 8 * i;
  if (kind == 'f' && size == 8) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  if (kind == 'f') {
    const uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
  }
  const unsigned spare = 64 - 8 * (unsigned)size;
  return kind == 'i' ? (double)((int64_t)(bits << spare) >> spare) : (double)bits;
}

/* No decoded number may be farther from the original than maxError. */
static void check_near(const char *name, const char *bound, const char *folder, const uint8_t *out, size_t size) {
  char file[200], named[4];
  text(bound, "file", file, sizeof file);
  text(bound, "type", named, sizeof named);
  const int big_endian = named[0] == '>'; /* ">f4"; without it little-endian */
  const char *type = named + big_endian;
  const double most = strtod(need(bound, "maxError"), NULL);
  const size_t width = (size_t)(type[1] - '0');
  size_t length, wrong = 0;
  uint8_t *original = read_file(folder, file, &length);
  if (width == 0 || width > 8 || length != size) stop("index.json: near does not fit", name);
  for (size_t at = 0; at + width <= size; at += width) {
    const double a = number(out + at, type[0], width, big_endian), b = number(original + at, type[0], width, big_endian);
    const double apart = a > b ? a - b : b - a;
    if (!(a == b || apart <= most || (a != a && b != b))) wrong++;
  }
  check(wrong == 0, name, "numbers farther from the original than maxError", (long long)wrong);
  free(original);
}

/* What stored cd_values print as parses, to client values that print as the same. Libraries of older builds have no such. */
static void parameters(const h5z_filter *f, const chunk *c) {
  static char string[H5Z_PARAMETERS_MAX], again[H5Z_PARAMETERS_MAX], why[H5Z_PARAMETERS_WHY_MAX];
  static uint32_t client[H5Z_CD_MAX];
  if (f->struct_size < sizeof *f || !f->parse_parameters || !f->print_parameters) return;
  int64_t n = f->print_parameters(c->cd, c->ncd, 1, string, sizeof string);
  check(n >= 0, c->name, "print_parameters answered", (long long)n);
  if (n < 0) return;
  n = f->parse_parameters(string, (size_t)n, client, H5Z_CD_MAX, why, sizeof why);
  check(n >= 0, c->name, n < 0 ? why : "parsed", (long long)n);
  if (n < 0) return;
  n = f->print_parameters(client, (size_t)n, 0, again, sizeof again);
  check(n >= 0 && strcmp(string, again) == 0, c->name, "parameters print as something else when parsed", (long long)n);
}

static void good_case(const h5z_filter *f, const char *object, const char *folder) {
  static chunk c;
  char want[65], have[65];
  read_case(object, folder, &c);
  const int exact = member(object, "sha256") != NULL; /* else decoders may differ, and "near" bounds how far */
  if (exact) text(object, "sha256", want, sizeof want);
  uint8_t *out = get(c.size + CANARY_BYTES), *other = get(c.size + CANARY_BYTES);

  int64_t n = decode(f, &c, c.ncd, c.bytes, c.length, out, c.size);
  check(n == (int64_t)c.size, c.name, "decode answered", (long long)n);
  if (n == (int64_t)c.size) {
    sha256(out, c.size, have);
    printf("digest %s %s\n", have, c.name);
  }
  if (exact && n == (int64_t)c.size) {
    check(strcmp(have, want) == 0, c.name, "other bytes than the digest says", (long long)n);
  }
  if (member(object, "near")) check_near(c.name, need(object, "near"), folder, out, c.size);
  if (c.size > 0) {
    n = decode(f, &c, c.ncd, c.bytes, c.length, other, c.size - 1);
    check(n == H5Z_E_OUTPUT, c.name, "one byte less room gave", (long long)n);
  }

  /* Cut short: an error, or fewer bytes, or (when what was cut held no data) the same bytes. */
  const size_t step = c.length / MOST_CUTS + 1;
  int whole = 1;
  for (size_t length = 0; length < c.length; length += step) {
    n = decode(f, &c, c.ncd, c.bytes, length, other, c.size);
    if (n == (int64_t)c.size && memcmp(out, other, c.size) != 0) whole = 0;
  }
  check(whole, c.name, "a cut chunk passed for a whole one", 0);

  /* Damaged bytes and odd cd_values: any answer, as long as decode() above is content. */
  for (size_t at = 0; at < c.length; at += step) {
    const uint8_t bit = (uint8_t)(1u << at % 8);
    c.bytes[at] ^= bit;
    decode(f, &c, c.ncd, c.bytes, c.length, other, c.size);
    c.bytes[at] ^= bit;
  }
  for (size_t i = c.ncd; i < 33; i++) c.cd[i] = 0xdeadbeef + (uint32_t)i;
  for (size_t ncd = 0; ncd <= 33; ncd++) decode(f, &c, ncd, c.bytes, c.length, other, c.size);
  check(1, c.name, "survived", 0);

  if (f->flags & H5Z_CAN_ENCODE && c.size > 0) {
    const int64_t bound = f->encode_bound(c.cd, c.ncd, c.size);
    const size_t room = bound < 0 ? 0 : (size_t)bound;
    uint8_t *packed = get(room);
    n = f->encode(c.cd, c.ncd, out, c.size, packed, room);
    const char *mark = member(object, "readOnly"); /* cd_values too few or too old to encode with */
    if (mark && *mark == 't') {
      check(n == H5Z_E_PARAM, c.name, "encode by cd_values that are for reading only answered", (long long)n);
    } else if (!(n == H5Z_E_NOT_APPLICABLE && c.length >= c.size)) { /* what would not shrink may be left to HDF5 */
      check(n > 0 && n <= bound, c.name, "encode answered", (long long)n);
    }
    if (n > 0 && n <= bound) {
      n = decode(f, &c, c.ncd, packed, (size_t)n, other, c.size);
      const int same = f->flags & H5Z_LOSSY || memcmp(out, other, c.size) == 0;
      check(n == (int64_t)c.size && same, c.name, "what was encoded came back as", (long long)n);
    }
    free(packed);
    if (!mark || *mark != 't') parameters(f, &c);
  }
  free(out), free(other), free(c.bytes);
}

static void bad_case(const h5z_filter *f, const char *object, const char *folder) {
  static chunk c;
  char want[40];
  int64_t code = 0;
  read_case(object, folder, &c);
  text(object, "error", want, sizeof want);
#define H5Z_X(name, value, sentence) \
  if (strcmp(want, #name) == 0) code = value;
  H5Z_ERRORS(H5Z_X)
#undef H5Z_X
  if (code == 0) stop("index.json: no such error", want);
  uint8_t *out = get(c.size + CANARY_BYTES);
  const int64_t n = decode(f, &c, c.ncd, c.bytes, c.length, out, c.size);
  check(n == code, c.name, "another error than it should give", (long long)n);
  free(out), free(c.bytes);
}

/* ---- the library ------------------------------------------------------------------------------------------------ */

typedef const h5z_filter *(*entry)(void);

static entry load(const char *path) {
  entry found = NULL;
#if defined(_WIN32)
  HMODULE library = LoadLibraryA(path);
  FARPROC symbol = library ? GetProcAddress(library, "h5z_filter_v1") : NULL;
#else
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, "h5z_filter_v1") : NULL;
  if (!symbol) stop("cannot load", dlerror());
#endif
  if (!symbol) stop("cannot load, or has no h5z_filter_v1", path);
  memcpy(&found, &symbol, sizeof found); /* C has no cast from an object pointer to a function's */
  return found;
}

int main(int argc, char **argv) {
  if (argc != 3) stop("usage", "h5z-harness LIBRARY GOLDEN_FOLDER");
  const h5z_filter *f = load(argv[1])();
  if (f->abi_version != H5Z_ABI_VERSION) stop("another ABI version", argv[1]);
  size_t length;
  char *index = (char *)read_file(argv[2], "index.json", &length);
  if (strtoul(need(index, "id"), NULL, 10) != f->id) stop("golden chunks of another filter", argv[2]);
  for (const char *p = need(index, "cases"); (p = next(p)); p = skip(p)) good_case(f, p, argv[2]);
  for (const char *p = need(index, "bad"); (p = next(p)); p = skip(p)) bad_case(f, p, argv[2]);
  printf("%s %lu: %d passed, %d failed\n", f->name, (unsigned long)f->id, passed, failed);
  free(index);
  return failed > 0;
}
