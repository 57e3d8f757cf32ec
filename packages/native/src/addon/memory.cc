// memory.cc: see memory.h.

#include "memory.h"

#include <algorithm>
#include <cstring>

#include "system.h"

namespace h5z {

// How long memory lies idle before the system gets it back.
static constexpr std::chrono::seconds kIdleTime(5);

// What the size of a smaller region is a multiple of; every system's pages divide it.
static constexpr size_t kUnit = 64u << 10;

static void Unmap(const std::vector<Region>& regions) {
  for (const Region& region : regions) UnmapPages(region.data, region.room);
}

Memory& Memory::Get() {
  static Memory* memory = new Memory();
  return *memory;
}

Memory::Memory() { StayLoaded(); }

Region Memory::Take(size_t size, bool clear) {
  const size_t unit = size < 8 * kLargePage ? kUnit : kLargePage;
  const size_t need = (size + unit - 1) / unit * unit;
  Region found;
  if (need < size) return found;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The closest fit, of those the one used last; a much larger one is left for those who need it.
    auto best = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->region.room < need || it->region.room - need > need / 4) continue;
      if (best == idle_.end() || it->region.room <= best->region.room) best = it;
    }
    if (best != idle_.end()) {
      found = best->region;
      kept_ -= found.room;
      idle_.erase(best);
    }
  }
  if (found.data) {
    if (clear && !ClearPages(found.data, found.room)) std::memset(found.data, 0, size);
    return found;
  }
  found.data = static_cast<uint8_t*>(MapPages(need));
  if (!found.data) {
    std::vector<Region> all;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      Shrink(0, &all);
    }
    if (all.empty()) return found;
    Unmap(all);
    found.data = static_cast<uint8_t*>(MapPages(need));
  }
  if (found.data) found.room = need;
  return found;
}

void Memory::Give(Region region) {
  std::vector<Region> gone;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!watched_) watched_ = region.room <= most_ && StartThread(&Memory::Enter, this);
    if (!watched_ || region.room > most_) {
      gone.push_back(region);
    } else {
      Shrink(most_ - region.room, &gone);
      idle_.push_back({region, Clock::now()});
      kept_ += region.room;
    }
  }
  Unmap(gone);
}

double Memory::Most() {
  std::lock_guard<std::mutex> lock(mutex_);
  return said_ ? static_cast<double>(most_) : -1;
}

void Memory::SetMost(size_t bytes) {
  std::vector<Region> gone;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    said_ = true;
    most_ = bytes;
    Shrink(bytes, &gone);
  }
  Unmap(gone);
}

size_t Memory::Kept() {
  std::lock_guard<std::mutex> lock(mutex_);
  return kept_;
}

void Memory::Shrink(size_t bytes, std::vector<Region>* out) {
  auto end = idle_.begin();
  for (; end != idle_.end() && kept_ > bytes; ++end) {
    kept_ -= end->region.room;
    out->push_back(end->region);
  }
  idle_.erase(idle_.begin(), end);
}

void Memory::Enter(void* memory) { static_cast<Memory*>(memory)->Watch(); }

// A thread that is there as long as something is kept.
void Memory::Watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!idle_.empty()) {
    const Clock::time_point due = idle_.front().since + kIdleTime;
    if (Clock::now() < due) {
      changed_.wait_until(lock, due);
      continue;
    }
    std::vector<Region> gone{idle_.front().region};
    kept_ -= gone[0].room;
    idle_.erase(idle_.begin());
    lock.unlock();
    Unmap(gone);
    lock.lock();
  }
  watched_ = false;
}

}  // namespace h5z
