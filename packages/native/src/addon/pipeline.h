// pipeline.h: all filters of a chunk in one go. Knows nothing of JavaScript or threads.

#ifndef H5Z_NATIVE_PIPELINE_H
#define H5Z_NATIVE_PIPELINE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <h5z/filter.h>

namespace h5z {

// One filter of a pipeline and what it may do.
struct Step {
  const h5z_filter* filter;
  std::vector<uint32_t> cd;
  int index;      // its place in the dataset's pipeline
  bool optional;  // encoding: it is left out where it is not applicable
  int64_t bound;  // decoding: the most bytes it may give; -1 where nobody said
};

// In the order of work: decoding, the last stage comes first. Which stages, and the bounds, are src/pipeline.ts's of core.
struct Plan {
  std::vector<Step> steps;
};

// Memory that is reused, never cleared, and as large as the largest that was asked for.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  uint8_t* data = nullptr;
  size_t room = 0;
  // False when there is not so much memory. What lay in it is lost.
  bool Reserve(size_t size);
  void Free();
  // Takes over what another holds.
  void Swap(Buffer& other);
};

// What one thread needs from chunk to chunk.
struct Scratch {
  Buffer stored;   // a chunk read from a file
  Buffer even, odd;  // between filters
  // Gives back what only unusual chunks needed.
  void Trim();
};

struct Span {
  const uint8_t* data;
  size_t size;
};

// How a job ended. On failure `n` is negative and the rest says where.
struct Outcome {
  int64_t n = 0;
  int stage = -1;     // of the pipeline; -1 for none
  double bytes = -1;  // of that stage's input
  double size = -1;   // room that it had
  double claimed = -1;
  double at = -1;     // of a run of chunks, which
  uint32_t mask = 0;  // encoding: stages left out
  std::string why;    // what the filter or the system adds
};

// Decodes `in`. With `out`, the last filter writes there and must fill it: kWrongSize else. Without, `result` is what
// lies in `scratch` (or `in` itself where there are no steps) until the next call.
void Decode(const Plan& plan, Span in, uint8_t* out, size_t out_size, Scratch& scratch, Span* result, Outcome* outcome);

// Encodes `in`; `result` lies in `scratch`, or is `in` where every stage was left out.
void Encode(const Plan& plan, Span in, Scratch& scratch, Span* result, Outcome* outcome);

constexpr int kMaxRank = 32;

// Where a part of a chunk goes in an output: ChunkPlace of core's layout.ts, all in bytes.
struct Placement {
  size_t to = 0, from = 0, run = 0;
  int outer = 0;  // dimensions that the run repeats along, fastest last
  size_t counts[kMaxRank], to_steps[kMaxRank], from_steps[kMaxRank];
  // Whether it stays within an output and a chunk of these sizes.
  bool Within(size_t out_size, size_t chunk_size) const;
};

// With `past_caches` the output is not fetched into them first: for those that are too large to stay there.
void CopyPlaced(const Placement& place, const uint8_t* chunk, uint8_t* out, bool past_caches);

}  // namespace h5z
#endif
