// pool.cc: see pool.h.

#include "pool.h"

#include <algorithm>
#include <utility>

#include "system.h"

namespace h5z {

Pool& Pool::Get() {
  static Pool* pool = new Pool();
  return *pool;
}

Pool::Pool() : target_(std::max(1u, PhysicalCores())) { StayLoaded(); }

unsigned Pool::Threads() {
  std::lock_guard<std::mutex> lock(mutex_);
  return target_;
}

void Pool::SetThreads(unsigned threads) {
  std::lock_guard<std::mutex> lock(mutex_);
  target_ = std::max(1u, threads);
  called_ = idle_;
  work_.notify_all();  // those too many end
  size_t startable = 0;
  for (const auto& lane : lanes_) startable += std::min<size_t>(lane->waiting.size(), lane->limit - lane->running);
  while (startable-- > 0) Call();
}

// A thread for one job more. A thread that sleeps is woken by the system, which costs both processors some microseconds, and
// many where they are virtual: so only for a job that may start, and once.
void Pool::Call() {
  if (idle_ > called_) {
    called_++;
    work_.notify_one();
  } else if (alive_ < target_ && StartThread(&Pool::Enter, this)) {
    alive_++;
  }
}

void Pool::Submit(const std::shared_ptr<Lane>& lane, std::unique_ptr<Job> job) {
  std::unique_lock<std::mutex> lock(mutex_);
  // Else a thread that ends one of the lane's jobs takes this one.
  if (lane->running + lane->waiting.size() < lane->limit) Call();
  if (alive_ == 0) {
    lock.unlock();
    Scratch scratch;
    job->Run(scratch);
    lane->owner->Done(std::move(job));
    lane->owner->Tell();
    return;
  }
  if (lane->waiting.empty()) lanes_.push_back(lane);
  lane->waiting.push_back(std::move(job));
}

void Pool::Leave(Owner* owner) {
  std::list<std::shared_ptr<Lane>> gone;
  std::unique_lock<std::mutex> lock(mutex_);
  for (auto it = lanes_.begin(); it != lanes_.end();) {
    auto here = it++;
    if ((*here)->owner == owner) gone.splice(gone.end(), lanes_, here);
  }
  for (auto& lane : gone) lane->waiting.clear();
  quiet_.wait(lock, [owner] { return owner->running_ == 0; });
}

// Whether the lane's jobs last until its owner, told by the next of them, has given more.
bool Pool::Supplied(const Lane& lane) {
  std::lock_guard<std::mutex> lock(mutex_);
  return lane.waiting.size() > std::min(lane.limit, target_);
}

void Pool::Enter(void* pool) { static_cast<Pool*>(pool)->Work(); }

// The lane whose turn it is, sent to the end of the row; nullptr when no job may start.
std::shared_ptr<Lane> Pool::Next() {
  for (auto it = lanes_.begin(); it != lanes_.end(); ++it) {
    if ((*it)->running >= (*it)->limit) continue;
    lanes_.splice(lanes_.end(), lanes_, it);
    return lanes_.back();
  }
  return nullptr;
}

void Pool::Work() {
  Scratch scratch;
  std::unique_lock<std::mutex> lock(mutex_);
  while (alive_ <= target_) {
    std::shared_ptr<Lane> lane = Next();
    if (!lane) {
      idle_++;
      work_.wait(lock);
      idle_--;
      if (called_ > 0) called_--;
      continue;
    }
    std::unique_ptr<Job> job = std::move(lane->waiting.front());
    lane->waiting.pop_front();
    if (lane->waiting.empty()) lanes_.pop_back();
    lane->running++;
    lane->owner->running_++;
    lock.unlock();
    const bool can_wait = job->Run(scratch);
    scratch.Trim();
    lane->owner->Done(std::move(job));
    // Asked only now: a job that waits yet ends after this one is with the owner, who learns of both then.
    if (!can_wait || !Supplied(*lane)) lane->owner->Tell();
    lock.lock();
    lane->running--;
    if (--lane->owner->running_ == 0) quiet_.notify_all();
  }
  alive_--;
  Call();  // somebody else takes what this one was woken for
}

}  // namespace h5z
