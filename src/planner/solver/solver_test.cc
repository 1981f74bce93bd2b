#include "planner/solver/solver.h"

#include <gtest/gtest.h>

#include "cleave/error.h"
#include "planner/solver/random_networks.h"

namespace cleave::solver {
namespace {

constexpr uint64_t kNetworks = 1000;

Options without_elimination() {
  Options options;
  options.max_table_entries = 0;
  return options;
}

// Room for little more than the tables of pairs, so that reductions and search both have work.
Options with_small_tables() {
  Options options;
  options.max_table_entries = 6;
  return options;
}

class SolverOnRandomNetworks : public testing::TestWithParam<Options> {};

TEST_P(SolverOnRandomNetworks, EqualsBruteForce) {
  size_t feasible = 0;
  uint64_t searched = 0;
  for (uint64_t seed = 0; seed < kNetworks; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const CostNetwork network = random_network(seed);
    const BruteForce expected = brute_force(network);
    const Solution solution = solve(network, GetParam());
    ASSERT_EQ(solution.feasible, expected.feasible);
    if (!expected.feasible) {
      EXPECT_EQ(solution.status, Status::kForbidden);
      continue;
    }
    ++feasible;
    ASSERT_EQ(solution.status, Status::kOptimal);
    ASSERT_NEAR(solution.value, expected.value, 1e-9 * expected.value);
    EXPECT_LE(solution.bound, solution.value);
    EXPECT_EQ(network.cost(solution.values), solution.value);
    EXPECT_LE(solution.gap, 1e-9);
    searched += solution.statistics.searched_nodes;
  }
  EXPECT_EQ(searched > 0, GetParam().max_table_entries < 100);
  EXPECT_GT(feasible, kNetworks / 2);
}

INSTANTIATE_TEST_SUITE_P(Paths, SolverOnRandomNetworks,
                         testing::Values(Options{}, without_elimination(), with_small_tables()));

class SolverWithinBytes : public testing::TestWithParam<Options> {};

TEST_P(SolverWithinBytes, EqualsBruteForce) {
  size_t limited = 0, over = 0;
  for (uint64_t seed = 0; seed < kNetworks; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const CostNetwork network = random_network(seed, true);
    const BruteForce free = brute_force(network);
    if (!free.feasible) continue;
    RandomNumbers random(seed + 1'000'000);
    const double spread = network.bytes(solve(network).values) - free.least_bytes;
    Options options = GetParam();
    options.bytes_limit = free.least_bytes + std::floor((1.2 * random.unit() - 0.2) * spread);
    const BruteForce expected = brute_force(network, options.bytes_limit);
    const Solution solution = solve(network, options);
    ASSERT_EQ(solution.feasible, expected.feasible);
    if (!expected.feasible) {
      ++over;
      EXPECT_EQ(solution.status, Status::kOverBytesLimit);
      EXPECT_NEAR(solution.bytes, free.least_bytes, 1e-9 * free.least_bytes);
      continue;
    }
    if (expected.value > free.value) ++limited;
    EXPECT_LE(solution.bytes, *options.bytes_limit);
    EXPECT_EQ(network.bytes(solution.values), solution.bytes);
    EXPECT_EQ(network.cost(solution.values), solution.value);
    EXPECT_LE(solution.bound, expected.value * (1 + 1e-9));
    EXPECT_GE(solution.value, expected.value * (1 - 1e-9));
    // Networks this small are always closed.
    EXPECT_EQ(solution.status, Status::kOptimal);
    EXPECT_NEAR(solution.value, expected.value, 1e-9 * expected.value);
  }
  EXPECT_GT(limited, kNetworks / 10);
  EXPECT_GT(over, kNetworks / 20);
}

INSTANTIATE_TEST_SUITE_P(Paths, SolverWithinBytes,
                         testing::Values(Options{}, without_elimination()));

TEST(Solver, EndOfBudgetGivesAnHonestBound) {
  size_t exhausted = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const CostNetwork network = random_network(seed, true);
    const BruteForce expected = brute_force(network);
    if (!expected.feasible) continue;
    for (uint64_t budget : {0, 1, 10, 100, 300, 1000}) {
      for (bool limited : {false, true}) {
        Options options = without_elimination();
        options.step_budget = budget;
        double value = expected.value;
        if (limited) {
          options.bytes_limit = std::floor(1.1 * expected.least_bytes);
          value = brute_force(network, options.bytes_limit).value;
        }
        const Solution solution = solve(network, options);
        EXPECT_LE(solution.bound, value * (1 + 1e-9));
        EXPECT_NE(solution.status, Status::kForbidden);
        EXPECT_NE(solution.status, Status::kOverBytesLimit);
        if (solution.feasible) {
          EXPECT_GE(solution.value, value * (1 - 1e-9));
        } else {
          EXPECT_EQ(solution.status, Status::kUndecided);
        }
        if (!solution.optimal) ++exhausted;
      }
    }
  }
  EXPECT_GT(exhausted, 100u);
}

TEST(Solver, EmptyNetworkCostsNothing) {
  const Solution solution = solve(CostNetwork());
  EXPECT_EQ(solution.status, Status::kOptimal);
  EXPECT_TRUE(solution.values.empty());
  EXPECT_EQ(solution.value, 0);
  Options options;
  options.bytes_limit = 0;
  EXPECT_EQ(solve(CostNetwork(), options).status, Status::kOptimal);
}

TEST(Solver, NamesTheVariableThatCannotBeGivenAValue) {
  CostNetwork network;
  const VariableId a = network.add_variable({1, 2});
  const VariableId b = network.add_variable({1, 2});
  const VariableId c = network.add_variable({1, 2});
  const VariableId d = network.add_variable({1, 2});
  // Three variables with two values, all different: only the third cannot be placed.
  const std::vector<double> different = {kForbidden, 0, 0, kForbidden};
  network.add_pairwise(a, b, different);
  network.add_pairwise(c, b, different);
  network.add_pairwise(d, a, std::vector<double>(4, 0.0));
  EXPECT_EQ(solve(network).status, Status::kOptimal);
  network.add_pairwise(a, c, different);
  for (const Options& options : {Options{}, without_elimination()}) {
    const Solution solution = solve(network, options);
    EXPECT_EQ(solution.status, Status::kForbidden);
    EXPECT_FALSE(solution.feasible);
    EXPECT_EQ(solution.infeasible_variable, c);
  }
  Options limited;
  limited.bytes_limit = 100;
  EXPECT_EQ(solve(network, limited).status, Status::kForbidden);
  EXPECT_EQ(solve(network, limited).infeasible_variable, c);
}

TEST(Solver, AVariableWithoutValuesIsInfeasible) {
  CostNetwork network;
  const VariableId a = network.add_variable({0, 1});
  const VariableId b = network.add_variable(std::vector<double>());
  network.add_pairwise(a, b, std::vector<double>());
  network.add_variable({0});
  const Solution solution = solve(network);
  EXPECT_EQ(solution.status, Status::kForbidden);
  EXPECT_EQ(solution.infeasible_variable, b);
}

TEST(Solver, SeveralCostsOfOnePairAddUp) {
  CostNetwork network;
  const VariableId a = network.add_variable({0, 0});
  const VariableId b = network.add_variable({0, 0, 0});
  network.add_pairwise(a, b, std::vector<double>{5, 5, 5, 5, 5, 1});
  network.add_pairwise(b, a, std::vector<double>{5, 5, 0, 5, 5, 5});
  const Solution solution = solve(network);
  EXPECT_EQ(solution.values, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(solution.value, 5);
}

TEST(Solver, TiesTakeTheSmallerValue) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const CostNetwork network = random_network(seed);
    const Solution solution = solve(network);
    if (!solution.feasible) continue;
    for (size_t i = 0; i < network.size(); ++i) {
      std::vector<uint32_t> values = solution.values;
      for (values[i] = 0; values[i] < solution.values[i]; ++values[i]) {
        EXPECT_GT(network.cost(values), solution.value) << "variable " << i;
      }
    }
  }
}

TEST(Solver, MalformedTablesAreInternalErrors) {
  CostNetwork network;
  const VariableId a = network.add_variable({0, 1});
  const VariableId b = network.add_variable({0, 1});
  EXPECT_THROW(network.add_variable({-1.0}), Error);
  EXPECT_THROW(network.add_variable({std::nan("")}), Error);
  EXPECT_THROW(network.add_variable({1.0}, {kForbidden}), Error);
  EXPECT_THROW(network.add_pairwise(a, a, std::vector<double>(4)), Error);
  EXPECT_THROW(network.add_pairwise(a, b, std::vector<double>(3)), Error);
  EXPECT_THROW(network.add_pairwise(a, VariableId(7), std::vector<double>(4)), Error);
}

TEST(Solver, EqualLayersAreSolvedOnce) {
  const Solution equal = solve(transformer_network(48, true, 1));
  const Solution different = solve(transformer_network(48, false, 1));
  EXPECT_TRUE(equal.optimal);
  EXPECT_TRUE(different.optimal);
  EXPECT_EQ(equal.statistics.variables_eliminated, 48u * 18 + 1);
  EXPECT_GT(equal.statistics.eliminations_reused, equal.statistics.variables_eliminated / 2);
  EXPECT_LT(equal.statistics.steps, different.statistics.steps);
}

TEST(Solver, EliminationAndSearchAgreeOnATransformer) {
  const CostNetwork network = transformer_network(3, true, 5);
  const Solution eliminated = solve(network);
  const Solution searched = solve(network, without_elimination());
  EXPECT_EQ(searched.status, Status::kOptimal);
  EXPECT_NEAR(searched.value, eliminated.value, 1e-9 * eliminated.value);
  EXPECT_EQ(searched.statistics.variables_eliminated, 0u);
  EXPECT_LT(searched.statistics.largest_table, 1u);
}

TEST(Solver, APriceFindsAPlanWithinTheLimitOfADeepNetwork) {
  const CostNetwork network = transformer_network(24, true, 2);
  const Solution free = solve(network);
  Options options;
  options.bytes_limit = 0.7 * free.bytes;
  const Solution limited = solve(network, options);
  ASSERT_TRUE(limited.feasible);
  EXPECT_LE(limited.bytes, *options.bytes_limit);
  EXPECT_GT(limited.price_per_byte, 0);
  EXPECT_LE(limited.bound, limited.value);
  EXPECT_GE(limited.bound, free.value);
  EXPECT_LT(limited.gap, 0.01);
  options.bytes_limit = free.bytes;
  const Solution enough = solve(network, options);
  EXPECT_EQ(enough.price_per_byte, 0);
  EXPECT_EQ(enough.value, free.value);
}

TEST(Solver, EqualInputsGiveEqualOutputs) {
  for (uint64_t seed : {3, 4, 5}) {
    const CostNetwork network = random_network(seed, true);
    Options options = without_elimination();
    options.bytes_limit = 1000;
    const Solution first = solve(network, options);
    const Solution second = solve(network, options);
    EXPECT_EQ(first.values, second.values);
    EXPECT_EQ(first.bound, second.bound);
    EXPECT_EQ(first.statistics.steps, second.statistics.steps);
  }
}

}  // namespace
}  // namespace cleave::solver
