#include <gmock/gmock.h>

#include "comm/nccl/nccl_group.h"
#include "tests/conformance/communicator_conformance.h"
#include "tests/cuda/staged_communicator.h"

namespace cleave::conformance {
namespace {

std::vector<int> one_to_all_gpus() {
  std::vector<int> sizes;
  for (int size = 1; size <= gpus(); ++size) sizes.push_back(size);
  return sizes;
}

struct NcclHarness {
  static std::vector<int> sizes() { return one_to_all_gpus(); }
  // The ranks have met once, so that the tests' clocks do not see how long connecting takes.
  static Group make_group(int size) {
    Group group = staged(make_nccl_group({.devices = first_gpus(size)}), first_gpus(size));
    for (const auto& error : run_ranks(group, [](Communicator& rank) { rank.barrier(); })) {
      EXPECT_EQ(message_of(error), "");
    }
    return group;
  }
};

CLEAVE_COMMUNICATOR_CONFORMANCE(Nccl, NcclHarness);

TEST(NcclGroup, NeedsDevicesThatExistAndOneForEachRank) {
  EXPECT_THROW(make_nccl_group({}), Error);
  if (gpus() == 0) GTEST_SKIP() << "this machine has no GPU";
  EXPECT_THROW(make_nccl_group({.devices = {gpus()}}), Error);
  EXPECT_THROW(make_nccl_group({.devices = {0, 0}}), Error);
}

TEST(NcclGroup, SaysWhichGpusDoNotReachEachOther) { EXPECT_EQ(peer_warning({0}), ""); }

}  // namespace
}  // namespace cleave::conformance
