// What the ranks of a group have called, so that calls which do not match are found without the
// ranks waiting for each other: whoever comes later compares.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "comm/call.h"

namespace cleave::nccl {

// A call as one rank makes it. Of a split, `to` is the color and `from` the key.
struct PostedCall {
  Signature signature;
  Partners partners;
};

// One call of all ranks.
struct Call {
  std::vector<std::optional<PostedCall>> by_rank;
  int posted = 0;
};

// All functions may be called by any thread.
class CallLog {
 public:
  // `names` are the ranks as errors name them.
  explicit CallLog(std::vector<int> names);

  struct Mismatch {
    int rank = 0;
    std::string what;
  };
  // The rank's next call. Nothing where it matches those that other ranks have posted so far.
  std::optional<Mismatch> post(int rank, const PostedCall& call);

  // The call that the rank posted last, once all have posted it; null where `stop` says so. `stop`
  // is asked every millisecond. For calls that need all ranks on the host.
  std::shared_ptr<const Call> wait_for_all(int rank, const std::function<bool()>& stop);

  // How many calls a rank has posted.
  uint64_t calls(int rank) const {
    return ranks_[static_cast<size_t>(rank)].calls.load(std::memory_order_relaxed);
  }

  // Whether all ranks have posted as many.
  bool is_even();

  // Back to the state before the first call.
  void reset();

 private:
  struct Rank {
    std::atomic<uint64_t> calls{0};
    std::shared_ptr<const Call> last;
  };
  std::optional<Mismatch> compare(const Call& call, int rank, const PostedCall& posted) const;

  const std::vector<int> names_;
  std::vector<Rank> ranks_;
  std::mutex mutex_;  // guards what follows, and `last` of the ranks
  std::condition_variable complete_;
  std::deque<std::shared_ptr<Call>> open_;  // calls that not all ranks have posted
  uint64_t first_open_ = 0;                 // the number of the first of them
};

}  // namespace cleave::nccl
