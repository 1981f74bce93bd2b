#include "planner/solver/solver.h"

#include <gtest/gtest.h>

#include "planner/solver/random_networks.h"

namespace cleave::solver {
namespace {

TEST(Solver, RandomNetworksEqualBruteForce) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const CostNetwork network = random_network(seed);
    const BruteForce expected = brute_force(network);
    const Solution solution = solve(network);
    ASSERT_EQ(solution.feasible, expected.feasible) << "seed " << seed;
    if (!expected.feasible) {
      EXPECT_EQ(solution.status, Status::kForbidden) << "seed " << seed;
      continue;
    }
    ASSERT_TRUE(solution.optimal) << "seed " << seed;
    EXPECT_NEAR(solution.value, expected.value, 1e-9 * expected.value) << "seed " << seed;
    EXPECT_NEAR(network.cost(solution.values), solution.value, 1e-12) << "seed " << seed;
  }
}

}  // namespace
}  // namespace cleave::solver
