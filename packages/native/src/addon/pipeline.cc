// pipeline.cc: see pipeline.h. A chunk goes from filter to filter through two buffers in turn, and the last filter writes
// where the result belongs: no copies but what a filter makes.

#include "pipeline.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#  include <emmintrin.h>
#  define H5Z_STREAMS
#endif

namespace h5z {

namespace {

constexpr int64_t kWrongSize = -1003;  // arguments.h
// What a chunk may decode to when nobody said: HDF5's own limit for a chunk.
constexpr int64_t kSizeLimit = 0xffffffff;
// A buffer larger than this is given back after the chunk that needed it.
constexpr size_t kKeepBytes = 256u << 20;
// What a cache fetches and writes at once.
constexpr size_t kLine = 64;

void Fail(const Step& step, int64_t code, Span in, double size, Outcome* outcome) {
  outcome->n = code;
  outcome->stage = step.index;
  outcome->bytes = static_cast<double>(in.size);
  outcome->size = size;
  if ((code == H5Z_E_VERSION || code == H5Z_E_UNSUPPORTED) && step.filter->explain) {
    char text[H5Z_EXPLAIN_MAX];
    int64_t n = step.filter->explain(step.cd.data(), step.cd.size(), in.data, in.size, text, sizeof text);
    if (n > 0) outcome->why.assign(text, std::min(static_cast<size_t>(n), sizeof text));
  }
}

// Decodes into `buffer`, which grows to what the chunk claims within the step's bound. Bytes, or negative after Fail.
int64_t DecodeStep(const Step& step, Span in, Buffer& buffer, Outcome* outcome) {
  const bool bounded = step.bound >= 0;
  const int64_t limit = bounded ? step.bound : kSizeLimit;
  const int64_t claimed = step.filter->decoded_size(step.cd.data(), step.cd.size(), in.data, in.size);
  const bool unknown = claimed == H5Z_SIZE_UNKNOWN;
  if (claimed < 0) return Fail(step, claimed, in, -1, outcome), -1;
  if (!unknown && claimed > limit) {
    outcome->claimed = static_cast<double>(claimed);
    return Fail(step, H5Z_E_OUTPUT, in, static_cast<double>(limit), outcome), -1;
  }
  int64_t cap = !unknown ? claimed : bounded ? limit : std::min<int64_t>(limit, 4 * static_cast<int64_t>(in.size) + 4096);
  for (;;) {
    if (!buffer.Reserve(static_cast<size_t>(cap))) {
      return Fail(step, H5Z_E_MEMORY, in, static_cast<double>(cap), outcome), -1;
    }
    int64_t n = step.filter->decode(step.cd.data(), step.cd.size(), in.data, in.size, buffer.data,
                                    static_cast<size_t>(cap));
    if (n == H5Z_E_OUTPUT && unknown && !bounded && cap < limit) {
      cap = std::min(cap * 2, limit);
      continue;
    }
    if (n > cap) n = H5Z_E_INTERNAL;
    if (n < 0) return Fail(step, n, in, static_cast<double>(cap), outcome), -1;
    return n;
  }
}

}  // namespace

Buffer::~Buffer() { std::free(data); }

bool Buffer::Reserve(size_t size) {
  if (size <= room && data) return true;
  std::free(data);
  room = std::max<size_t>(size, 64);
  data = static_cast<uint8_t*>(std::malloc(room));
  if (!data) room = 0;
  return data != nullptr;
}

void Buffer::Free() {
  std::free(data);
  data = nullptr;
  room = 0;
}

void Buffer::Swap(Buffer& other) {
  std::swap(data, other.data);
  std::swap(room, other.room);
}

void Scratch::Trim() {
  for (Buffer* buffer : {&stored, &even, &odd}) {
    if (buffer->room > kKeepBytes) buffer->Free();
  }
}

void Decode(const Plan& plan, Span in, uint8_t* out, size_t out_size, Scratch& scratch, Span* result,
            Outcome* outcome) {
  Span current = in;
  Buffer* next = &scratch.even;
  const size_t count = plan.steps.size();
  for (size_t i = 0; i < count; i++) {
    const Step& step = plan.steps[i];
    if (out && i + 1 == count) {
      int64_t n = step.filter->decode(step.cd.data(), step.cd.size(), current.data, current.size, out, out_size);
      if (n > static_cast<int64_t>(out_size)) n = H5Z_E_INTERNAL;
      if (n < 0) return Fail(step, n, current, static_cast<double>(out_size), outcome);
      outcome->n = n;
      *result = {out, static_cast<size_t>(n)};
      return;
    }
    int64_t n = DecodeStep(step, current, *next, outcome);
    if (n < 0) return;
    current = {next->data, static_cast<size_t>(n)};
    next = next == &scratch.even ? &scratch.odd : &scratch.even;
  }
  if (out) {  // no steps
    if (current.size > out_size) {
      outcome->n = kWrongSize;
      outcome->bytes = static_cast<double>(current.size);
      return;
    }
    if (current.size) std::memcpy(out, current.data, current.size);
    current.data = out;
  }
  outcome->n = static_cast<int64_t>(current.size);
  *result = current;
}

void Encode(const Plan& plan, Span in, Scratch& scratch, Span* result, Outcome* outcome) {
  Span current = in;
  Buffer* next = &scratch.even;
  for (const Step& step : plan.steps) {
    int64_t n = step.filter->encode_bound(step.cd.data(), step.cd.size(), current.size);
    const int64_t cap = n;
    if (n >= 0) {
      if (next->Reserve(static_cast<size_t>(cap))) {
        n = step.filter->encode(step.cd.data(), step.cd.size(), current.data, current.size, next->data,
                                static_cast<size_t>(cap));
        if (n > cap) n = H5Z_E_INTERNAL;
      } else {
        n = H5Z_E_MEMORY;
      }
    }
    if (n == H5Z_E_NOT_APPLICABLE && step.optional) {
      if (step.index < 32) outcome->mask |= uint32_t{1} << step.index;
      continue;
    }
    if (n < 0) return Fail(step, n, current, cap < 0 ? -1 : static_cast<double>(cap), outcome);
    current = {next->data, static_cast<size_t>(n)};
    next = next == &scratch.even ? &scratch.odd : &scratch.even;
  }
  outcome->n = static_cast<int64_t>(current.size);
  *result = current;
}

bool Placement::Within(size_t out_size, size_t chunk_size) const {
  if (outer < 0 || outer > kMaxRank) return false;
  // Doubles hold every sum of sizes that fit in memory; what does not fit is refused all the more.
  double out_end = static_cast<double>(to) + static_cast<double>(run);
  double chunk_end = static_cast<double>(from) + static_cast<double>(run);
  for (int i = 0; i < outer; i++) {
    if (counts[i] < 1) return false;
    out_end += static_cast<double>(counts[i] - 1) * static_cast<double>(to_steps[i]);
    chunk_end += static_cast<double>(counts[i] - 1) * static_cast<double>(from_steps[i]);
  }
  return out_end <= static_cast<double>(out_size) && chunk_end <= static_cast<double>(chunk_size);
}

// Past the caches: a line that is written whole need not be fetched first.
static void CopyPast(uint8_t* to, const uint8_t* from, size_t size) {
#if defined(H5Z_STREAMS)
  const size_t head = (0 - reinterpret_cast<uintptr_t>(to)) & (kLine - 1);
  std::memcpy(to, from, head);
  to += head, from += head, size -= head;
  for (; size >= kLine; to += kLine, from += kLine, size -= kLine) {
    for (size_t i = 0; i < kLine; i += sizeof(__m128i)) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    }
  }
#endif
  std::memcpy(to, from, size);
}

void CopyPlaced(const Placement& place, const uint8_t* chunk, uint8_t* out, bool past_caches) {
  size_t index[kMaxRank] = {};
  size_t to = place.to, from = place.from;
  past_caches = past_caches && place.run >= 4 * kLine;
  for (;;) {
    if (past_caches) CopyPast(out + to, chunk + from, place.run);
    else std::memcpy(out + to, chunk + from, place.run);
    int dim = place.outer - 1;
    for (; dim >= 0; dim--) {
      to += place.to_steps[dim];
      from += place.from_steps[dim];
      if (++index[dim] < place.counts[dim]) break;
      to -= index[dim] * place.to_steps[dim];
      from -= index[dim] * place.from_steps[dim];
      index[dim] = 0;
    }
    if (dim < 0) break;
  }
#if defined(H5Z_STREAMS)
  if (past_caches) _mm_sfence();
#endif
}

}  // namespace h5z
