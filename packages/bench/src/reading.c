/* The floor under reading.ts: a file's chunks put through the same filter libraries by a plain loop in C, without JavaScript,
 * pools or placing; and what the machine's memory gives. Standard input, a line each:
 *
 *   file PATH                      where the chunks lie
 *   size N                         bytes of a decoded chunk
 *   stage N V V ... PATH           a filter in the order of the pipeline: its stored cd_values, its library
 *   chunk ADDRESS LENGTH MASK      HDF5's filter mask: bit i, stage i was skipped
 *
 * Arguments: rounds, threads. Standard output: one JSON object of the least seconds of CPU time to read the stored chunks
 * (`read`) and to decode all of them, one after the other, into the same output (`decode`); the sum of the bytes of the last
 * (`sum`), to compare; the bytes a second that 1 to `threads` threads copy from memory to memory by the clock (`copy`), and
 * that a thread gets of fresh memory from the system (`fresh`). POSIX only, as the benchmark. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <h5z/filter.h>

enum { MAX_STAGES = 32, MAX_THREADS = 64, BLOCK = 256 << 20 };

typedef struct {
  const h5z_filter *filter;
  uint32_t cd[H5Z_CD_MAX];
  size_t ncd;
} stage;

typedef struct {
  long long address;
  size_t length, at;
  uint32_t mask;
} chunk;

static stage stages[MAX_STAGES];
static int nstages;
static chunk *chunks;
static size_t nchunks, stored_size, chunk_size;

static void fail(const char *what, const char *name) {
  fprintf(stderr, "reading.c: %s %s\n", what, name);
  exit(1);
}

static void *room(size_t size) {
  void *p = malloc(size ? size : 1);
  if (!p) fail("no memory for", "a buffer");
  return p;
}

static double seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add_stage(char *words) {
  if (nstages == MAX_STAGES) fail("too many", "stages");
  stage *s = &stages[nstages++];
  char *at = words;
  s->ncd = strtoul(at, &at, 10);
  if (s->ncd > H5Z_CD_MAX) fail("too many", "cd_values");
  for (size_t i = 0; i < s->ncd; i++) s->cd[i] = (uint32_t)strtoul(at, &at, 10);
  const char *path = at + strspn(at, " ");
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fail("cannot load", path);
  const h5z_filter *(*table)(void) = (const h5z_filter *(*)(void))dlsym(library, "h5z_filter_v1");
  if (!table) fail("no filter in", path);
  s->filter = table();
}

static void add_chunk(char *words) {
  static size_t capacity;
  if (nchunks == capacity) {
    capacity = capacity ? 2 * capacity : 1024;
    chunks = realloc(chunks, capacity * sizeof *chunks);
    if (!chunks) fail("no memory for", "chunks");
  }
  chunk *c = &chunks[nchunks++];
  c->address = strtoll(words, &words, 10);
  c->length = strtoull(words, &words, 10);
  c->mask = (uint32_t)strtoul(words, &words, 10);
  c->at = stored_size;
  stored_size += c->length;
}

static void read_stored(int file, uint8_t *to) {
  for (size_t i = 0; i < nchunks; i++)
    if (pread(file, to + chunks[i].at, chunks[i].length, (off_t)chunks[i].address) != (ssize_t)chunks[i].length)
      fail("cannot read", "a chunk");
}

/* Every chunk through its stages, the last of which writes to `out`. */
static void decode(const uint8_t *stored, uint8_t *buffers[2], size_t capacity, uint8_t *out) {
  for (size_t i = 0; i < nchunks; i++) {
    const uint8_t *from = stored + chunks[i].at;
    size_t size = chunks[i].length;
    int first = 0, next = 0;
    while (first < nstages && chunks[i].mask >> first & 1) first++;
    for (int k = nstages - 1; k >= first; k--) {
      if (chunks[i].mask >> k & 1) continue;
      uint8_t *to = k == first ? out : buffers[next];
      int64_t n = stages[k].filter->decode(stages[k].cd, stages[k].ncd, from, size, to, k == first ? chunk_size : capacity);
      if (n < 0) fail("cannot decode with", stages[k].filter->name);
      from = to;
      size = (size_t)n;
      next ^= 1;
    }
    if (size != chunk_size) fail("wrong size of", "a chunk");
    if (from != out) memcpy(out, from, size);
  }
}

typedef struct {
  uint8_t *to;
  const uint8_t *from;
  size_t size;
} part;

static void *copy_part(void *argument) {
  const part *p = argument;
  memcpy(p->to, p->from, p->size);
  return NULL;
}

/* Bytes a second that `threads` copy, each its part of 256 MiB. */
static double copy_rate(uint8_t *to, const uint8_t *from, int threads) {
  pthread_t handles[MAX_THREADS];
  part parts[MAX_THREADS];
  double best = 0;
  for (int round = 0; round < 7; round++) {
    const double start = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++) {
      const size_t first = (size_t)BLOCK / (size_t)threads * (size_t)i;
      const size_t end = i + 1 == threads ? BLOCK : (size_t)BLOCK / (size_t)threads * (size_t)(i + 1);
      parts[i] = (part){to + first, from + first, end - first};
      if (pthread_create(&handles[i], NULL, copy_part, &parts[i])) fail("no", "thread");
    }
    for (int i = 0; i < threads; i++) pthread_join(handles[i], NULL);
    const double rate = BLOCK / (seconds(CLOCK_MONOTONIC) - start);
    if (rate > best) best = rate;
  }
  return best;
}

/* Bytes a second of CPU time in which the system clears fresh memory, in large pages where it has them. */
static double fresh_rate(void) {
  double best = 0;
  for (int round = 0; round < 7; round++) {
    uint8_t *block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) fail("no memory for", "a block");
#ifdef MADV_HUGEPAGE
    madvise(block, BLOCK, MADV_HUGEPAGE);
#endif
    const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (size_t at = 0; at < BLOCK; at += 4096) ((volatile uint8_t *)block)[at] = 1;
    const double rate = BLOCK / (seconds(CLOCK_THREAD_CPUTIME_ID) - start);
    if (rate > best) best = rate;
    munmap(block, BLOCK);
  }
  return best;
}

int main(int argc, char **argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 0, threads = argc > 2 ? atoi(argv[2]) : 0;
  if (rounds < 1 || threads < 1 || threads > MAX_THREADS) fail("usage:", "reading ROUNDS THREADS");
  static char line[1 << 16];
  int file = -1;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "file ", 5)) {
      file = open(line + 5, O_RDONLY);
      if (file < 0) fail("cannot open", line + 5);
    } else if (!strncmp(line, "size ", 5)) {
      chunk_size = strtoull(line + 5, NULL, 10);
    } else if (!strncmp(line, "stage ", 6)) {
      add_stage(line + 6);
    } else if (!strncmp(line, "chunk ", 6)) {
      add_chunk(line + 6);
    } else {
      fail("no such line:", line);
    }
  }
  if (file < 0 || !nchunks) fail("nothing", "to read");
  const size_t capacity = 2 * chunk_size + (64 << 10);
  uint8_t *stored = room(stored_size), *out = room(chunk_size), *buffers[2] = {room(capacity), room(capacity)};
  double least_read = 1e9, least_decode = 1e9;
  for (int round = 0; round < rounds; round++) {
    const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
    read_stored(file, stored);
    const double middle = seconds(CLOCK_THREAD_CPUTIME_ID);
    decode(stored, buffers, capacity, out);
    const double end = seconds(CLOCK_THREAD_CPUTIME_ID);
    if (middle - start < least_read) least_read = middle - start;
    if (end - middle < least_decode) least_decode = end - middle;
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < chunk_size; i++) sum += out[i];
  uint8_t *from = room(BLOCK), *to = room(BLOCK);
  memset(from, 1, BLOCK);
  memset(to, 2, BLOCK);
  printf("{\"read\":%.6f,\"decode\":%.6f,\"sum\":%llu,\"copy\":[", least_read, least_decode, (unsigned long long)sum);
  for (int i = 1; i <= threads; i++) printf(i > 1 ? ",%.0f" : "%.0f", copy_rate(to, from, i));
  printf("],\"fresh\":%.0f}\n", fresh_rate());
  return 0;
}
