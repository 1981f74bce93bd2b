// Groups of ranks that are GPUs of one process, a thread each.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace cleave {

struct NcclGroupOptions {
  std::vector<int> devices;                     // CUDA's numbers, by rank
  std::chrono::milliseconds lateness_limit{0};  // see Communicator::set_lateness_limit
};

// The ends of a new group, by rank. Each is then used by a thread whose current device is its
// rank's. Pointers are memory of that device, calls are put on the stream given. Error(kDevice)
// where the devices cannot form a group.
std::vector<std::unique_ptr<Communicator>> make_nccl_group(const NcclGroupOptions& options);

}  // namespace cleave
