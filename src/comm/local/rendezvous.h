// Where the ranks of an in-process group meet: they post what they bring, wait for each other, and
// read each other's memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/wait_word.h"
#include "comm/call.h"
#include "comm/communicator.h"
#include "comm/failure_state.h"

namespace cleave {

// What a rank brings to a call.
struct Posting {
  Signature signature;
  const void* src = nullptr;  // what peers may read: the rank's own memory, or its copy
  void* dst = nullptr;        // what peers may read in the second half of an all_reduce
  bool direct = false;        // peers read the rank's own memory: it may not leave before they end
  Partners partners;          // of a permute; of a split: `to` is the color, `from` the key
};

// Sources up to this size are copied into the rendezvous, which saves the wait at a call's end:
// copying costs less than meeting a second time.
inline constexpr int64_t kCopiedBytes = 16 * 1024;

// All functions take the rank (in this group) on whose behalf they are called.
class Rendezvous final : public Interruptible {
 public:
  // `ranks` are this group's ranks in the outermost group, whose failure state is shared.
  Rendezvous(std::vector<int> ranks, std::shared_ptr<FailureState> failure, WaitPolicy policy);

  int size() const { return static_cast<int>(ranks_.size()); }
  int outer_rank(int rank) const { return ranks_[static_cast<size_t>(rank)]; }
  FailureState& failure() { return *failure_; }

  // Starts a call: posts, waits until all have, and checks that the signatures agree. The source
  // has `src_bytes` bytes. Afterwards `posting` gives what each rank posted, until the rank's
  // next but one call: no rank can start that before all have ended this one.
  void post(int rank, Posting posting, int64_t src_bytes);
  const Posting& posting(int rank, int of) const;

  // Waits until every rank has arrived.
  void meet(int rank);

  // Waits until every rank has read what it needs, where some read others' own memory.
  void finish(int rank);

  // A call ends with an exception: waits until no peer reads this rank's memory.
  void leave_failed(int rank);

  // While an object of this class lives the rank may read its peers' memory.
  class Reading {
   public:
    Reading(Rendezvous& rendezvous, int rank);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    std::atomic<bool>& reading_;
  };

  // The sub-group of the caller's call, made by the first of its `ranks` (here) to come.
  std::shared_ptr<Rendezvous> subgroup(int rank, int color, const std::vector<int>& ranks);

  void interrupt() noexcept override;
  void reset() override;

 private:
  struct alignas(64) Slot {
    Posting postings[2];
    std::unique_ptr<std::byte[]> copies[2];
    uint64_t calls = 0;  // only its own rank's
    std::atomic<uint64_t> arrivals{0};
    alignas(64) std::atomic<bool> reading{false};
  };

  Slot& slot(int rank) { return slots_[static_cast<size_t>(rank)]; }
  void check_signatures(int rank);
  void wait_for_others(int rank, uint32_t generation);
  void fail_late(int rank);

  // The generation's lowest bit says that the group has failed; each meeting adds 2.
  static constexpr uint32_t kFailed = 1;
  static constexpr uint32_t kMeeting = 2;

  const std::vector<int> ranks_;
  const std::shared_ptr<FailureState> failure_;
  const WaitPolicy policy_;
  std::vector<Slot> slots_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) WaitWord generation_;

  // Sub-groups that not all their ranks have fetched yet, by call and color.
  struct Pending {
    std::shared_ptr<Rendezvous> group;
    size_t fetched = 0;
  };
  std::mutex pending_mutex_;
  std::map<std::pair<uint64_t, int>, Pending> pending_;
};

}  // namespace cleave
