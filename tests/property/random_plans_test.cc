// Any legal plan on any graph equals the unsplit run. bench/random_plans.cc checks more of them.
#include "tests/property/random_plans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cleave {
namespace {

constexpr uint64_t kGraphs = 1000;
constexpr uint64_t kPlans = 4;

TEST(RandomPlans, LocalGraphsEqualTheWholeOne) {
  testing::RandomPlans check(kPlans);
  for (uint64_t seed = 0; seed < kGraphs; ++seed) check.check_local_graphs(seed);
  EXPECT_THAT(check.counts().mismatches, ::testing::IsEmpty());
  EXPECT_EQ(check.counts().plans, kGraphs * kPlans);
  // The draws reach splits, not only whole plans.
  EXPECT_GT(check.counts().strategies.size(), 60u);
}

TEST(RandomPlans, EnginesEqualTheWholeGraph) {
  testing::RandomPlans check(kPlans);
  for (uint64_t seed = 0; seed < kGraphs; ++seed) check.check_engines(seed);
  EXPECT_THAT(check.counts().mismatches, ::testing::IsEmpty());
  EXPECT_EQ(check.counts().engine_runs, kGraphs * kPlans);
}

// Local graphs computed in half precision; engines as the backend has them.
TEST(RandomPlans, HalfPrecisionEqualsTheWholeGraph) {
  constexpr uint64_t kEach = 200;
  for (const Precision precision : {Precision::kFP16, Precision::kBF16}) {
    testing::RandomPlans check(kPlans, precision);
    for (uint64_t seed = 0; seed < kEach; ++seed) {
      check.check_local_graphs(seed);
      check.check_engines(seed);
    }
    EXPECT_THAT(check.counts().mismatches, ::testing::IsEmpty());
    EXPECT_EQ(check.counts().engine_runs, kEach * kPlans);
    EXPECT_GT(check.counts().strategies.size(), 60u);
  }
}

}  // namespace
}  // namespace cleave
