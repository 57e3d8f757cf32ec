/* fuzz.c: one libFuzzer target for every filter. Link it with a filter's objects (any build that defines h5z_filter_v1),
 * -fsanitize=fuzzer,address,undefined, and run it; it holds the filter to the rules of h5z/filter.h and traps when one
 * is broken. Buffers are exactly as large as the filter is told, so that AddressSanitizer sees the first byte too many.
 *
 * The input is read as
 *
 *     0       1      2          4               4 + 4 * ncd
 *     +-------+------+----------+---------------+------------------+
 *     | mode  | ncd  | u16 le   | ncd cd words  | payload          |
 *     | u8    | u8   | number n | u32 le        |                  |
 *     +-------+------+----------+---------------+------------------+
 *
 *   mode bit 0 = 0  decode the payload, a chunk as it may lie in a file; n chooses the output's capacity
 *   mode bit 0 = 1  encode the payload with `derive`d cd_values for elements of 1 + n % 64 bytes, or numbers of 1, 2, 4 or
 *                   8 bytes (n & 64), in a line, rows (n & 1024) or planes (n & 2048), and decode it again
 *   mode bit 1      put the payload at an odd address
 *   mode bit 2      the payload is a parameter string: parse it, print what it gave, and the cd_values in both readings
 *
 * A seed from a golden chunk is 00 ncd 00 00, its cd_values, its bytes.
 */
#include <h5z/filter.h>

#include <stdio.h>
#include <stdlib.h>

enum { CONTROL = 4, MOST_OUTPUT = 1 << 22, SPARE = 64 };
static const uint8_t CANARY = 0xa7;

#define CHECK(condition, ...)                            \
  do {                                                   \
    if (!(condition)) {                                  \
      fprintf(stderr, "rule broken: %s: ", #condition);  \
      fprintf(stderr, __VA_ARGS__);                      \
      fputc('\n', stderr);                               \
      __builtin_trap();                                  \
    }                                                    \
  } while (0)

static void *get(size_t size) {
  void *p = malloc(size > 0 ? size : 1);
  if (!p) exit(0); /* not the filter's fault */
  return p;
}

/* A copy of exactly `size` bytes; at an odd address if asked. `*block` is what to free. */
static uint8_t *copy_of(const void *data, size_t size, int odd, void **block) {
  uint8_t *p = get(size + (odd ? 1 : 0));
  *block = p;
  if (odd) p++;
  if (size > 0) memcpy(p, data, size);
  return p;
}

/* decode with a capacity of `cap`: a result in range, and the spare bytes behind the capacity untouched.
 * Half of the runs give no spare bytes at all, for AddressSanitizer. */
static int64_t decode(const h5z_filter *f, const uint32_t *cd, size_t ncd, const uint8_t *in, size_t nin, uint8_t *out,
                      size_t cap, size_t spare) {
  memset(out + cap, CANARY, spare);
  const int64_t n = f->decode(cd, ncd, in, nin, out, cap);
  CHECK(n < 0 || (uint64_t)n <= cap, "decode answered %lld for a capacity of %zu", (long long)n, cap);
  CHECK(n >= H5Z_E_INTERNAL, "decode answered the unknown code %lld", (long long)n);
  for (size_t i = 0; i < spare; i++) CHECK(out[cap + i] == CANARY, "decode wrote %zu bytes past its capacity", i + 1);
  return n;
}

static void try_decode(const h5z_filter *f, const uint32_t *cd, size_t ncd, const uint8_t *in, size_t nin, unsigned n) {
  if (f->restore) {
    static uint32_t client[H5Z_CD_MAX];
    const int64_t words = f->restore(cd, ncd, client, H5Z_CD_MAX);
    CHECK(words <= H5Z_CD_MAX && words >= H5Z_E_INTERNAL, "restore answered %lld", (long long)words);
  }
  const int64_t claim = f->decoded_size(cd, ncd, in, nin);
  CHECK(claim >= H5Z_E_INTERNAL, "decoded_size answered the unknown code %lld", (long long)claim);
  if (f->explain) {
    char *text = get(n % (H5Z_EXPLAIN_MAX + 1));
    const int64_t length = f->explain(cd, ncd, in, nin, text, n % (H5Z_EXPLAIN_MAX + 1));
    CHECK(length >= 0 && length <= n % (H5Z_EXPLAIN_MAX + 1), "explain answered %lld", (long long)length);
    free(text);
  }
  if (f->passes) {
    const int64_t passes = f->passes(cd, ncd, in, nin);
    CHECK(passes <= 1 && passes >= H5Z_E_INTERNAL, "passes answered %lld", (long long)passes);
    CHECK(passes != 1 || claim == (int64_t)nin, "a chunk passes, and decoded_size is %lld", (long long)claim);
  }
  size_t cap = n % 4 == 0 || claim < 0 || claim > MOST_OUTPUT ? (size_t)n : (size_t)claim;
  if (n % 4 == 1) cap += n / 4 % 100;
  if (n % 4 == 2 && cap > 0) cap--;
  const size_t spare = n & 1 ? SPARE : 0;

  uint8_t *out = get(cap + spare);
  const int64_t got = decode(f, cd, ncd, in, nin, out, cap, spare);
  if (got >= 0) {
    CHECK(claim == got || claim == H5Z_SIZE_UNKNOWN, "decoded_size %lld, decode %lld", (long long)claim, (long long)got);
    /* Exactly enough room gives the same bytes; one byte less is refused. */
    uint8_t *again = get((size_t)got);
    CHECK(decode(f, cd, ncd, in, nin, again, (size_t)got, 0) == got, "decode needs more than the %lld it writes", (long long)got);
    CHECK(got == 0 || memcmp(out, again, (size_t)got) == 0, "the same chunk decoded to other bytes");
    if (got > 0) CHECK(decode(f, cd, ncd, in, nin, again, (size_t)got - 1, 0) < 0, "decode fits into too little");
    free(again);
    if (f->passes && f->passes(cd, ncd, in, nin) == 1)
      CHECK((size_t)got == nin && (nin == 0 || memcmp(out, in, nin) == 0), "a chunk passes that decode changes");
  }
  free(out);
}

static void try_encode(const h5z_filter *f, const uint32_t *client, size_t nclient, const uint8_t *in, size_t nin, unsigned n) {
  if (!f->encode || !f->encode_bound) return;
  static uint32_t stored[H5Z_CD_MAX]; /* scratch of this single-threaded program, too large for the stack */
  h5z_dataset ds = {.struct_size = sizeof ds, .type_class = H5Z_CLASS_OPAQUE, .base_class = H5Z_CLASS_OPAQUE, .rank = 1};
  ds.type_size = ds.base_size = 1 + n % 64;
  if (n & 64) { /* a number, for the filters that take nothing else */
    ds.type_size = ds.base_size = 1u << n % 4;
    ds.type_class = ds.base_class = n & 128 && n % 4 >= 2 ? H5Z_CLASS_FLOAT : H5Z_CLASS_INTEGER;
    ds.precision = 8 * ds.type_size, ds.is_signed = n >> 8 & 1;
  }
  size_t elements = nin / ds.type_size; /* a chunk holds whole elements, in one to three dimensions */
  const unsigned rows = n >> 9 & 2 ? 9 + (n >> 11) : 1, planes = n >> 9 & 4 ? 2 + (n >> 12) : 1;
  elements -= elements % (rows * planes);
  nin = elements * ds.type_size;
  if (nin == 0) return;
  if (planes > 1) ds.rank = 3;
  else if (rows > 1) ds.rank = 2;
  ds.chunk_dims[0] = planes > 1 ? planes : rows > 1 ? rows : elements;
  ds.chunk_dims[1] = planes > 1 ? rows : elements / rows;
  ds.chunk_dims[2] = elements / rows / planes;
  for (unsigned i = 0; i < ds.rank; i++) ds.dims[i] = ds.chunk_dims[i];

  int64_t nstored = (int64_t)nclient;
  if (f->derive) {
    nstored = f->derive(client, nclient, &ds, stored, H5Z_CD_MAX);
    CHECK(nstored <= H5Z_CD_MAX && nstored >= H5Z_E_INTERNAL, "derive answered %lld", (long long)nstored);
    if (nstored < 0) return;
    static uint32_t twice[H5Z_CD_MAX];
    const int64_t ntwice = f->derive(stored, (size_t)nstored, &ds, twice, H5Z_CD_MAX);
    CHECK(ntwice == nstored && memcmp(stored, twice, 4 * (size_t)nstored) == 0, "derive is not idempotent");
  } else if (nclient > 0) {
    memcpy(stored, client, 4 * nclient);
  }
  const size_t ncd = (size_t)nstored;
  const int64_t bound = f->encode_bound(stored, ncd, nin);
  CHECK(bound >= H5Z_E_INTERNAL, "encode_bound answered the unknown code %lld", (long long)bound);
  const size_t room = bound < 0 ? nin + SPARE : (size_t)bound;

  uint8_t *out = get(room);
  const int64_t length = f->encode(stored, ncd, in, nin, out, room);
  CHECK(length < 0 || (uint64_t)length <= room, "encode answered %lld for a capacity of %zu", (long long)length, room);
  if (bound >= 0) CHECK(length >= 0 || length == H5Z_E_NOT_APPLICABLE || length == H5Z_E_PARAM || length == H5Z_E_MEMORY,
                        "encode failed with %lld although it had encode_bound's room", (long long)length);
  if (length > 0) { /* less room: an error, or bytes that fit */
    const size_t less = (size_t)n % (size_t)length;
    uint8_t *small = get(less);
    const int64_t fitted = f->encode(stored, ncd, in, nin, small, less);
    CHECK(fitted < 0 || (uint64_t)fitted <= less, "encode answered %lld for a capacity of %zu", (long long)fitted, less);
    free(small);
  }
  if (length >= 0) {
    const int64_t claim = f->decoded_size(stored, ncd, out, (size_t)length);
    CHECK(claim == (int64_t)nin || claim == H5Z_SIZE_UNKNOWN, "decoded_size %lld of %zu bytes", (long long)claim, nin);
    uint8_t *back = get(nin);
    const int64_t got = decode(f, stored, ncd, out, (size_t)length, back, nin, 0);
    CHECK(got == (int64_t)nin, "%zu bytes came back as %lld", nin, (long long)got);
    if (!(f->flags & H5Z_LOSSY)) CHECK(memcmp(back, in, nin) == 0, "other bytes came back");
    free(back);
  }
  free(out);
}

/* What is printed of cd_values that a string gave parses to values that print the same. */
static void try_parameters(const h5z_filter *f, const uint32_t *cd, size_t ncd, const char *string, size_t length, unsigned n) {
  enum { ROOM = 512 };
  uint32_t *client = get(ROOM * sizeof *client);
  char *why = get(n % ROOM), *text = get(H5Z_PARAMETERS_MAX), *again = get(H5Z_PARAMETERS_MAX);
  for (int stored = 0; stored < 2; stored++) {
    const int64_t printed = f->print_parameters(cd, ncd, stored, why, n % ROOM);
    CHECK(printed < (int64_t)(n % ROOM) && printed >= H5Z_E_INTERNAL, "print_parameters answered %lld", (long long)printed);
  }
  const int64_t words = f->parse_parameters(string, length, client, n % 16 ? ROOM : n / 16 % 8, why, n % ROOM);
  CHECK(words <= ROOM && (words >= 0 || words == H5Z_E_PARAM || (words == H5Z_E_OUTPUT && n % 16 == 0)),
        "parse_parameters answered %lld", (long long)words);
  if (n % ROOM > 0) CHECK((strlen(why) == 0) == (words >= 0 || n % ROOM == 1), "code %lld with the sentence: %s", (long long)words, why);
  if (words >= 0) {
    const int64_t printed = f->print_parameters(client, (size_t)words, 0, text, H5Z_PARAMETERS_MAX);
    CHECK(printed >= 0 && strlen(text) == (size_t)printed, "print_parameters answered %lld", (long long)printed);
    const int64_t back = f->parse_parameters(text, (size_t)printed, client, ROOM, NULL, 0);
    CHECK(back >= words, "what was printed parses to %lld: %s", (long long)back, text);
    CHECK(f->print_parameters(client, (size_t)back, 0, again, H5Z_PARAMETERS_MAX) == printed, "printed again: %s", again);
    CHECK(strcmp(text, again) == 0, "%s became %s", text, again);
  }
  free(client), free(why), free(text), free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint32_t cd[255];
  if (size < CONTROL) return 0;
  const unsigned mode = data[0], n = data[2] | (unsigned)data[3] << 8;
  size_t ncd = data[1];
  data += CONTROL, size -= CONTROL;
  if (ncd > size / 4) ncd = size / 4;
  for (size_t i = 0; i < ncd; i++) {
    const uint8_t *p = data + 4 * i;
    cd[i] = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
  }
  data += 4 * ncd, size -= 4 * ncd;

  void *words, *block;
  const uint32_t *exact = (const uint32_t *)(void *)copy_of(cd, 4 * ncd, 0, &words); /* so that cd[ncd] is out of bounds */
  const uint8_t *payload = copy_of(data, size, mode >> 1 & 1, &block);
  const h5z_filter *f = h5z_filter_v1();
  if (mode & 4) {
    try_parameters(f, ncd > 0 ? exact : NULL, ncd, (const char *)payload, size, n);
  } else if (mode & 1) {
    try_encode(f, ncd > 0 ? exact : NULL, ncd, payload, size, n);
  } else {
    try_decode(f, ncd > 0 ? exact : NULL, ncd, payload, size, n);
  }
  free(words);
  free(block);
  return 0;
}
