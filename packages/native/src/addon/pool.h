// pool.h: the threads that run jobs, one set for the whole process whichever JavaScript threads give them work. Knows
// nothing of JavaScript.

#ifndef H5Z_NATIVE_POOL_H
#define H5Z_NATIVE_POOL_H

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>

#include "pipeline.h"

namespace h5z {

class Job {
 public:
  virtual ~Job() = default;
  // On a thread of the pool. Whether its owner need not be told of it before it is told of another.
  virtual bool Run(Scratch& scratch) = 0;
};

// Who gives jobs and takes them back when they are done.
class Owner {
 public:
  virtual ~Owner() = default;
  // On a thread of the pool, no lock held. Takes the job over.
  virtual void Done(std::unique_ptr<Job> job) = 0;
  // The same. That there are jobs to take back.
  virtual void Tell() = 0;

 private:
  friend class Pool;
  unsigned running_ = 0;
};

// Jobs of one batch: run in order, at most `limit` at once.
struct Lane {
  Owner* owner;
  unsigned limit;
  std::deque<std::unique_ptr<Job>> waiting;
  unsigned running = 0;
};

class Pool {
 public:
  // Never destroyed: its threads may be at work while the process ends.
  static Pool& Get();

  // Runs the job at once, here, when the system gives no thread at all.
  void Submit(const std::shared_ptr<Lane>& lane, std::unique_ptr<Job> job);
  // Forgets the owner's waiting jobs and returns when none of its jobs runs any more.
  void Leave(Owner* owner);

  unsigned Threads();
  // From the next job on. At least 1.
  void SetThreads(unsigned threads);

 private:
  Pool();
  static void Enter(void* pool);
  void Work();
  void Call();
  bool Supplied(const Lane& lane);
  std::shared_ptr<Lane> Next();

  std::mutex mutex_;
  std::condition_variable work_, quiet_;
  std::list<std::shared_ptr<Lane>> lanes_;  // those with waiting jobs, in turn
  unsigned target_, alive_ = 0;
  unsigned idle_ = 0, called_ = 0;  // threads that wait; those of them that were woken and are not up yet
};

}  // namespace h5z
#endif
