// What ranks have called is compared on the host: this needs no GPU.
#include "comm/nccl/call_log.h"

#include <gmock/gmock.h>

#include <thread>

namespace cleave::nccl {
namespace {

PostedCall reduction(int64_t count) {
  return {{Operation::kAllReduce, DType::kFloat32, ReduceOp::kSum, kNoRank, count, 0}, {}};
}

TEST(CallLog, ComparesTheCallsOfOneNumberHoweverFarRanksAreApart) {
  CallLog log({0, 1, 2});
  for (int64_t i = 0; i < 100; ++i) EXPECT_FALSE(log.post(0, reduction(i)));
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_FALSE(log.post(2, reduction(i)));
    EXPECT_FALSE(log.post(1, reduction(i)));
  }
  EXPECT_EQ(log.calls(1), 100u);
  EXPECT_FALSE(log.post(1, reduction(5)));
  const auto found = log.post(0, reduction(6));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rank, 0);
  EXPECT_EQ(found->what,
            "rank 0 called all_reduce(sum) of 6 f32 where rank 1 called all_reduce(sum) of 5 f32");
}

TEST(CallLog, ComparesPartnersOfAPermute) {
  const auto permute = [](int to, int from, int64_t sent, int64_t received) {
    return PostedCall{{Operation::kPermute}, {to, from, sent, received}};
  };
  CallLog log({4, 7});  // as errors name them
  EXPECT_FALSE(log.post(0, permute(1, 1, 5, 6)));
  EXPECT_FALSE(log.post(1, permute(0, 0, 6, 5)));
  EXPECT_FALSE(log.post(0, permute(1, kNoRank, 5, 0)));
  EXPECT_THAT(log.post(1, permute(kNoRank, 0, 0, 4))->what, testing::HasSubstr("rank 7 does not"));
  log.reset();
  EXPECT_FALSE(log.post(1, permute(1, 1, 5, 5)));
  EXPECT_THAT(log.post(0, permute(1, kNoRank, 5, 0))->what,
              testing::HasSubstr("rank 4 sends to a rank that does not receive from it"));
}

TEST(CallLog, KnowsWhetherRanksHaveComeAsFar) {
  CallLog log({0, 1});
  EXPECT_TRUE(log.is_even());
  log.post(1, reduction(5));
  EXPECT_FALSE(log.is_even());
  log.post(0, reduction(5));
  EXPECT_TRUE(log.is_even());
  log.post(0, reduction(5));
  EXPECT_FALSE(log.is_even());
  log.reset();
  EXPECT_TRUE(log.is_even());
}

TEST(CallLog, WaitsForAllRanksOrUntilItIsToldToStop) {
  CallLog log({0, 1});
  const PostedCall split = {{Operation::kSplit}, {3, 1}};
  log.post(0, split);
  EXPECT_EQ(log.wait_for_all(0, [] { return true; }), nullptr);
  std::thread other([&] { log.post(1, split); });
  const auto call = log.wait_for_all(0, [] { return false; });
  other.join();
  ASSERT_NE(call, nullptr);
  EXPECT_EQ(call->by_rank[1]->partners.to, 3);
}

}  // namespace
}  // namespace cleave::nccl
