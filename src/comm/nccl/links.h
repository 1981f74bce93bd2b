// NCCL's communicators of a group, made when they are first needed and given up when it fails.
#pragma once

#include <nccl.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "comm/failure_state.h"

namespace cleave::nccl {

// Functions may be called by several threads at once.
class Links {
 public:
  explicit Links(std::vector<int> devices);  // CUDA's numbers, by rank
  // No call uses it any more, and recorded work that does is gone.
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // Calls `use(communicator)` with that of the rank, unless the group has failed: then it throws
  // Interrupted. The first call makes all communicators; Error(kDevice) where that fails.
  template <class Use>
  void with(int rank, Use&& use);

  // Ends NCCL's work of all ranks, now and from now on. Returns at once; the rest is done in the
  // background, because NCCL gives a communicator up only when no recording uses it.
  void abort() noexcept;

  // What NCCL found wrong with the rank's communicator while it worked.
  ncclResult_t asynchronous_error(int rank);

 private:
  struct End {
    std::timed_mutex in_use;  // held by a thread that is inside of NCCL with it
    ncclComm_t communicator = nullptr;
  };
  void make();
  void connect();
  void give_up();

  const std::vector<int> devices_;
  std::deque<End> ends_;
  std::mutex make_mutex_;  // while they are made
  std::atomic<bool> made_{false};
  std::atomic<bool> aborted_{false};
  std::thread reaper_;
};

// ---- implementation ----

template <class Use>
void Links::with(int rank, Use&& use) {
  if (!made_.load(std::memory_order_acquire)) make();
  if (aborted_.load()) throw Interrupted{};
  End& end = ends_[static_cast<size_t>(rank)];
  const std::lock_guard lock(end.in_use);
  if (aborted_.load()) throw Interrupted{};
  std::forward<Use>(use)(end.communicator);
}

}  // namespace cleave::nccl
