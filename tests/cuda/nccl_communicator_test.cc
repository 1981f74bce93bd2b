#include <gmock/gmock.h>

#include "comm/nccl/nccl_group.h"
#include "comm/nccl/peer_memory.h"
#include "tests/conformance/communicator_conformance.h"
#include "tests/cuda/staged_communicator.h"

namespace cleave::conformance {
namespace {

std::vector<int> one_to_all_gpus() {
  std::vector<int> sizes;
  for (int size = 1; size <= gpus(); ++size) sizes.push_back(size);
  return sizes;
}

// By the routes that messages may take (NcclGroupOptions).
template <int64_t kFlaggedBytes, int64_t kDirectBytes, bool kStores = false>
struct Harness {
  static std::vector<int> sizes() { return one_to_all_gpus(); }
  // The ranks have met once, so that the tests' clocks do not see how long connecting takes.
  static Group make_group(int size) {
    NcclGroupOptions options = {.devices = first_gpus(size)};
    options.flagged_bytes = kFlaggedBytes;
    options.direct_bytes = kDirectBytes;
    static const std::shared_ptr<nccl::PeerStore> kStore = make_peer_store();
    if (kStores) options.store = kStore;
    Group group = staged(make_nccl_group(options), first_gpus(size));
    for (const auto& error : run_ranks(group, [](Communicator& rank) { rank.barrier(); })) {
      EXPECT_EQ(message_of(error), "");
    }
    return group;
  }
};

constexpr int64_t kMiB = 1 << 20;

using NcclHarness = Harness<0, 0>;
using DirectHarness = Harness<0, 64 * kMiB>;
using FlaggedHarness = Harness<16 * kMiB, 64 * kMiB>;
// Some of each.
using MixedHarness = Harness<8 << 10, 128 << 10>;

// Each group goes on with the memory of the one before, where that has not failed.
using ReusedHarness = Harness<8 << 10, 128 << 10, true>;

CLEAVE_COMMUNICATOR_CONFORMANCE(Nccl, NcclHarness);
CLEAVE_COMMUNICATOR_CONFORMANCE(Direct, DirectHarness);
CLEAVE_COMMUNICATOR_CONFORMANCE(Flagged, FlaggedHarness);
CLEAVE_COMMUNICATOR_CONFORMANCE(Mixed, MixedHarness);
CLEAVE_COMMUNICATOR_CONFORMANCE(Reused, ReusedHarness);

class PeerMemoryOfGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (gpus() < 2) GTEST_SKIP() << "this machine has not two GPUs";
  }
  Group make_group() {
    NcclGroupOptions options = {.devices = first_gpus(2)};
    options.store = store_;
    return staged(make_nccl_group(options), first_gpus(2));
  }
  const std::shared_ptr<nccl::PeerStore> store_ = make_peer_store();
};

TEST_F(PeerMemoryOfGroups, IsLeftToTheNextOne) {
  for (int round = 0; round < 20; ++round) {
    Group group = make_group();
    EXPECT_EQ(store_->size(), round == 0 ? 0u : 1u);
    for (const auto& error : run_ranks(group, [&](Communicator& rank) {
           // An odd number of epochs in some rounds.
           for (int call = 0; call <= round; ++call) {
             std::vector<int32_t> sum(1000, rank.rank() + round);
             rank.all_reduce(sum.data(), sum.data(), 1000, DType::kInt32, ReduceOp::kSum);
             EXPECT_THAT(sum, testing::Each(1 + 2 * round));
           }
         })) {
      EXPECT_EQ(message_of(error), "");
    }
    EXPECT_EQ(store_->size(), 0u);
  }
  EXPECT_EQ(store_->size(), 1u);
}

TEST_F(PeerMemoryOfGroups, IsNotLeftByOneThatHasFailed) {
  {
    const Group group = make_group();
    run_ranks(group, [](Communicator& rank) {
      rank.barrier();
      if (rank.rank() == 1) throw Error(ErrorCode::kDevice, "broken");
      rank.barrier();
    });
  }
  EXPECT_EQ(store_->size(), 0u);
}

TEST(NcclGroup, NeedsDevicesThatExistAndOneForEachRank) {
  EXPECT_THROW(make_nccl_group({}), Error);
  if (gpus() == 0) GTEST_SKIP() << "this machine has no GPU";
  EXPECT_THROW(make_nccl_group({.devices = {gpus()}}), Error);
  EXPECT_THROW(make_nccl_group({.devices = {0, 0}}), Error);
}

TEST(NcclGroup, SaysWhichGpusDoNotReachEachOther) {
  EXPECT_EQ(peer_warning({0}), "");
  const auto all = [](int, int) { return true; };
  EXPECT_EQ(peer_warning({0, 1, 2}, all), "");
  const auto not_two = [](int from, int to) { return from != 2 && to != 2; };
  EXPECT_THAT(peer_warning({0, 1, 2}, not_two),
              testing::StartsWith("cuda:0 and cuda:2, cuda:1 and cuda:2 cannot reach"));
  const auto one_way = [](int from, int to) { return from < to; };
  EXPECT_THAT(peer_warning({0, 1}, one_way), testing::StartsWith("cuda:0 and cuda:1 cannot"));
}

}  // namespace
}  // namespace cleave::conformance
