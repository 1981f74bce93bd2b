#include "comm/local/local_group.h"

#include <numeric>
#include <string>

#include "comm/local/local_communicator.h"

namespace cleave {

std::vector<std::unique_ptr<Communicator>> make_local_group(int size,
                                                            const LocalGroupOptions& options) {
  if (size < 1) {
    throw Error(ErrorCode::kInvalid,
                "a group of " + std::to_string(size) + " ranks is not possible");
  }
  WaitPolicy policy = WaitPolicy::for_threads(size);
  if (options.spin) policy.spin = *options.spin;
  auto failure = std::make_shared<FailureState>(size);
  failure->set_lateness_limit(options.lateness_limit);
  std::vector<int> ranks(static_cast<size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  auto rendezvous = std::make_shared<Rendezvous>(std::move(ranks), failure, policy);
  failure->add(rendezvous);
  std::vector<std::unique_ptr<Communicator>> ends;
  for (int rank = 0; rank < size; ++rank) {
    ends.push_back(std::make_unique<LocalCommunicator>(rendezvous, rank));
  }
  return ends;
}

}  // namespace cleave
