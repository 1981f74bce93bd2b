// The host threads of a runtime's ranks: one each, alive as long as the runtime.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/wait_word.h"

namespace cleave::runtime {

class RankThreads {
 public:
  // `pin`: rank r's thread stays on core r modulo the number of cores.
  RankThreads(int ranks, bool pin);
  ~RankThreads();  // no call may be under way
  RankThreads(const RankThreads&) = delete;
  RankThreads& operator=(const RankThreads&) = delete;

  int ranks() const { return static_cast<int>(workers_.size()); }

  // Calls `body(rank)` on every rank's thread and returns when all have returned; what each threw,
  // by rank. Several threads may call: calls execute in one order, the same on all ranks. A rank
  // may start the next call before the others have ended this one.
  std::vector<std::exception_ptr> run(const std::function<void(int)>& body);

 private:
  struct Job {
    const std::function<void(int)>* body = nullptr;
    std::vector<std::exception_ptr> thrown;
    std::atomic<int> left{0};
    WaitWord done;
  };
  struct Worker {
    std::mutex mutex;
    std::deque<std::shared_ptr<Job>> jobs;
    WaitWord posted;
    std::thread thread;
  };
  void work(int rank);
  static std::shared_ptr<Job> next(Worker& worker);

  const WaitPolicy policy_;
  std::mutex ticket_;  // held while a call is queued for all ranks: that is the order
  std::atomic<bool> ending_{false};
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace cleave::runtime
