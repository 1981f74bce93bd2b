#include "comm/nccl/nccl_group.h"

#include <numeric>
#include <set>
#include <string>

#include "comm/nccl/check.h"
#include "comm/nccl/nccl_communicator.h"

namespace cleave {
namespace {

std::string name_of_device(int device) { return "cuda:" + std::to_string(device); }

void check_devices(const std::vector<int>& devices) {
  if (devices.empty() || devices.size() > nccl::kMostRanks) {
    throw Error(ErrorCode::kInvalid,
                "a group of " + std::to_string(devices.size()) + " GPUs is not possible",
                "1 to " + std::to_string(nccl::kMostRanks) + " are");
  }
  int count = 0;
  cuda_check(cudaGetDeviceCount(&count), "looking for devices");
  std::set<int> seen;
  for (const int device : devices) {
    if (device < 0 || device >= count) {
      throw Error(ErrorCode::kDevice, "there is no " + name_of_device(device),
                  "see `cleave doctor`; CUDA_VISIBLE_DEVICES may hide some");
    }
    if (!seen.insert(device).second) {
      throw Error(
          ErrorCode::kDevice,
          name_of_device(device) + " is in the group twice: each rank needs a GPU of its own",
          "use as many devices as there are GPUs");
    }
  }
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_nccl_group(const NcclGroupOptions& options) {
  check_devices(options.devices);
  const auto ranks = static_cast<int>(options.devices.size());
  auto failure = std::make_shared<FailureState>(ranks);
  failure->set_lateness_limit(options.lateness_limit);
  std::vector<int> names(options.devices.size());
  std::iota(names.begin(), names.end(), 0);
  auto states = std::make_shared<std::deque<nccl::RankState>>(options.devices.size());
  auto group =
      std::make_shared<nccl::Group>(options.devices, std::move(names), failure, std::move(states),
                                    nccl::RouteOptions{options.flagged_bytes, options.direct_bytes,
                                                       options.can_reach, options.store});
  failure->add(group);
  std::vector<std::unique_ptr<Communicator>> ends;
  for (int rank = 0; rank < ranks; ++rank) {
    ends.push_back(std::make_unique<nccl::NcclCommunicator>(group, rank));
  }
  return ends;
}

std::shared_ptr<nccl::PeerStore> make_peer_store() { return std::make_shared<nccl::PeerStore>(); }

bool cuda_can_reach(int from, int to) {
  int reachable = 0;
  const bool asked = cudaDeviceCanAccessPeer(&reachable, from, to) == cudaSuccess;
  if (!asked) cudaGetLastError();  // the next call is not to blame
  return asked && reachable != 0;
}

std::string peer_warning(const std::vector<int>& devices, const CanReach& can_reach) {
  std::string pairs;
  for (const int from : devices) {
    for (const int to : devices) {
      if (from >= to || (can_reach(from, to) && can_reach(to, from))) continue;
      pairs += (pairs.empty() ? "" : ", ") + name_of_device(from) + " and " + name_of_device(to);
    }
  }
  if (pairs.empty()) return {};
  return pairs +
         " cannot reach each other's memory: what passes between them goes through the "
         "host's memory, which takes longer";
}

}  // namespace cleave
