// Groups of ranks that are GPUs of one process, a thread each.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace cleave {

namespace nccl {
class PeerStore;
}
// For groups that are made one after the other.
std::shared_ptr<nccl::PeerStore> make_peer_store();

// Whether the device `from` can reach the memory of `to` directly.
using CanReach = std::function<bool(int from, int to)>;

// As CUDA says. The devices exist.
bool cuda_can_reach(int from, int to);

struct NcclGroupOptions {
  std::vector<int> devices;                     // CUDA's numbers, by rank
  std::chrono::milliseconds lateness_limit{0};  // see Communicator::set_lateness_limit

  // Where GPUs reach each other's memory, messages of up to `direct_bytes` pass by it, larger ones
  // through NCCL; 0: all through NCCL. A rank's messages of up to `flagged_bytes` in all, to all
  // its peers, take the way that is the fastest for small ones. For all_reduce the message is the
  // tensor.
  int64_t direct_bytes = int64_t{1} << 30;
  int64_t flagged_bytes = int64_t{2} << 20;

  // In place of CUDA's answer: what it denies goes through NCCL.
  CanReach can_reach = cuda_can_reach;

  // Where groups leave what they reach each other by to later ones; null: it goes with the group.
  std::shared_ptr<nccl::PeerStore> store = {};
};

// The ends of a new group, by rank. Each is then used by a thread whose current device is its
// rank's. Pointers are memory of that device, of cudaMalloc; all calls of a rank are put on one
// stream of it, which lives as long as the end. A call may be recorded (captured in a graph) once
// the same call has been carried out; recordings go before the end does, and those made before a
// failure are of no use after it. Error(kDevice) where the devices cannot form a group; that they
// do not reach each other shows in the first call.
std::vector<std::unique_ptr<Communicator>> make_nccl_group(const NcclGroupOptions& options);

// Which of the devices cannot reach each other's memory, for people; empty where all can.
std::string peer_warning(const std::vector<int>& devices,
                         const CanReach& can_reach = cuda_can_reach);

}  // namespace cleave
