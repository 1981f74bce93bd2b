// What the ends of a group share.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "comm/failure_state.h"
#include "comm/nccl/call_log.h"
#include "comm/nccl/links.h"
#include "comm/nccl/peer_memory.h"

namespace cleave::nccl {

// How bytes get from one GPU to another; see comm/nccl/README.md.
enum class Route { kFlagged, kDirect, kNccl };

// What routes messages may take; see NcclGroupOptions.
struct RouteOptions {
  int64_t flagged_bytes = 0;
  int64_t direct_bytes = 0;
  std::function<bool(int from, int to)> can_reach;
  std::shared_ptr<PeerStore> store;
};

// What a rank does, for all groups that it is in.
struct alignas(64) RankState {
  std::atomic<uint64_t> waits{0};
  std::atomic<bool> enqueuing{false};
  std::atomic<bool> used{false};  // it has put work on:
  std::atomic<cudaStream_t> stream{nullptr};
};

// Ranks are those of this group; functions may be called by any thread.
class Group final : public Interruptible {
 public:
  // `devices` are CUDA's numbers, `ranks` this group's ranks in the outermost group, whose failure
  // state and states of ranks are shared.
  Group(std::vector<int> devices, std::vector<int> ranks, std::shared_ptr<FailureState> failure,
        std::shared_ptr<std::deque<RankState>> states, RouteOptions routes);
  // All ends have left.
  ~Group() override;

  int size() const { return static_cast<int>(devices_.size()); }
  int device(int rank) const { return devices_[static_cast<size_t>(rank)]; }
  int outer_rank(int rank) const { return ranks_[static_cast<size_t>(rank)]; }
  FailureState& failure() { return *failure_; }

  // Starts a call of the rank. Throws Interrupted where it does not match those of other ranks,
  // after the group has failed for that.
  void post(int rank, const PostedCall& call);
  // The rank's last call, once all ranks have posted it. Throws Interrupted where the group fails
  // meanwhile.
  std::shared_ptr<const Call> wait_for_all(int rank);

  // While it lives the rank may put work on its stream that reaches other ranks' memory.
  class Enqueuing {
   public:
    Enqueuing(Group& group, int rank, cudaStream_t stream);  // throws Interrupted
    ~Enqueuing();
    Enqueuing(const Enqueuing&) = delete;
    Enqueuing& operator=(const Enqueuing&) = delete;

   private:
    std::atomic<bool>& enqueuing_;
  };

  // The route of messages of which the largest between any two ranks has so many bytes. Ranks have
  // to agree on it.
  Route route_for(int64_t largest) const;
  // The same where ranks do not know how large the others' messages are.
  Route route_for_unknown() const { return peers_.reachable() ? Route::kDirect : Route::kNccl; }
  const PeerView& peers(int rank) { return peers_.view(rank); }
  // The group's way through NCCL; a new one after each recovery.
  std::shared_ptr<Links> links();

  // Waits until what was put on the stream is done. Throws Interrupted where the group has failed
  // or fails meanwhile, also for lateness.
  void wait(int rank, cudaStream_t stream);

  // A call of the rank ends with an exception: waits until nothing that ranks have put on their
  // streams can reach its memory, though not for ever.
  void leave_failed(int rank);

  // The rank's end goes: what it has put on its stream is done, or the group's memory is not left
  // to another.
  void leave(int rank) noexcept;

  // The sub-group of the caller's call, made by the first of its `members` (ranks here) to come.
  std::shared_ptr<Group> subgroup(int rank, int color, const std::vector<int>& members);

  void interrupt() noexcept override;
  void reset() override;

 private:
  RankState& state(int rank) { return (*states_)[static_cast<size_t>(outer_rank(rank))]; }
  void drain();
  void fail_late(int rank);
  void check_links(int rank);

  const std::vector<int> devices_;
  const std::vector<int> ranks_;
  const std::shared_ptr<FailureState> failure_;
  const std::shared_ptr<std::deque<RankState>> states_;  // of the outermost group
  const RouteOptions routes_;
  CallLog log_;
  PeerMemory peers_;
  std::atomic<bool> left_busy_{false};

  std::mutex mutex_;  // guards what follows
  std::shared_ptr<Links> links_;
  std::vector<std::shared_ptr<Links>> given_up_;  // they may still be busy with that
  // Sub-groups that not all their ranks have fetched yet, by call and color.
  struct Pending {
    std::shared_ptr<Group> group;
    size_t fetched = 0;
  };
  std::map<std::pair<uint64_t, int>, Pending> pending_;
};

}  // namespace cleave::nccl
