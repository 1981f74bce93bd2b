// What a group and all its sub-groups share about failure.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cleave/error.h"

namespace cleave {

// Thrown inside a call when the group has failed.
struct Interrupted {};

// A group whose waits a failure must end.
class Interruptible {
 public:
  virtual ~Interruptible() = default;
  virtual void interrupt() noexcept = 0;  // every wait, present and future, ends at once
  virtual void reset() = 0;               // back to the state before the first call
};

// Ranks are those of the outermost group. All functions may be called by any thread.
class FailureState {
 public:
  explicit FailureState(int ranks);

  // From now on a failure interrupts the group; at once if there is one already. Adding a group
  // again does nothing.
  void add(const std::shared_ptr<Interruptible>& group);

  bool failed() const { return failed_.load(std::memory_order_seq_cst); }
  Error error() const;

  // `rank` has failed with this error; all ranks are going to throw it. The first failure counts.
  void fail(int rank, Error error) noexcept;

  // A rank's call starts and ends. `enter` throws `error()` while the group is failed, unless the
  // rank has recovered: then it waits for the others to do the same.
  void enter(int rank);
  void leave(int rank);

  // See Communicator::recover.
  void recover(int rank);

  std::chrono::milliseconds lateness_limit() const;
  void set_lateness_limit(std::chrono::milliseconds limit);

 private:
  void enter_failed(int rank);
  Error not_recovered() const;
  template <class Call>
  void for_each_group(Call&& call);

  // A line each: every call writes its own rank's.
  struct alignas(64) InCall {
    std::atomic<bool> value{false};
  };

  std::atomic<bool> failed_{false};
  std::atomic<int64_t> lateness_limit_ms_{0};
  std::vector<InCall> in_call_;

  mutable std::mutex mutex_;  // guards what follows, and changes of failed_
  std::condition_variable recovered_all_;
  Error error_;
  std::vector<bool> recovered_;
  std::vector<std::weak_ptr<Interruptible>> groups_;
};

}  // namespace cleave
