// memory.h: memory for the large arrays that JavaScript gets: what it gives back is kept a while for the next one, so that a
// program that reads array after array does not wait for the system to find and clear new pages. Knows nothing of JavaScript.

#ifndef H5Z_NATIVE_MEMORY_H
#define H5Z_NATIVE_MEMORY_H

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace h5z {

struct Region {
  uint8_t* data = nullptr;
  size_t room = 0;
};

class Memory {
 public:
  // Never destroyed: its thread may be at work while the process ends.
  static Memory& Get();

  // At least `size` bytes; `data` is nullptr where the system has none. With `clear` they are zeros, else they may hold what
  // an array of before held.
  Region Take(size_t size, bool clear);
  // Nobody may touch it any more.
  void Give(Region region);

  // The most bytes that lie here for nobody; 0 keeps none.
  void SetMost(size_t bytes);
  // Negative when nobody has said.
  double Most();
  // Those that do now.
  size_t Kept();

 private:
  using Clock = std::chrono::steady_clock;
  struct Idle {
    Region region;
    Clock::time_point since;
  };
  Memory();
  static void Enter(void* memory);
  void Watch();
  // Takes from `idle_` the longest idle until no more than `bytes` are left.
  void Shrink(size_t bytes, std::vector<Region>* out);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Idle> idle_;  // longest idle first
  size_t kept_ = 0, most_ = 0;
  bool said_ = false, watched_ = false;
};

}  // namespace h5z
#endif
