// The solver on transformer-shaped random networks: time, and the steps (table operations) that
// budgets count. Models' own networks are timed by bench/planning.cc.
#include <benchmark/benchmark.h>

#include "planner/solver/random_networks.h"

namespace cleave::solver {
namespace {

void solve_repeatedly(benchmark::State& state, const CostNetwork& network, const Options& options) {
  Solution solution;
  for (auto _ : state) solution = solve(network, options);
  const Statistics& statistics = solution.statistics;
  state.counters["variables"] = static_cast<double>(network.size());
  state.counters["steps"] = static_cast<double>(statistics.steps);
  state.counters["largest_table"] = static_cast<double>(statistics.largest_table);
  state.counters["nodes"] = static_cast<double>(statistics.searched_nodes);
  state.counters["gap"] = solution.gap;
  if (!solution.feasible) state.SkipWithError("no assignment was found");
}

// Arguments: layers, seed.
CostNetwork network_of(const benchmark::State& state, bool equal_layers) {
  return transformer_network(static_cast<size_t>(state.range(0)), equal_layers,
                             static_cast<uint64_t>(state.range(1)));
}

void BM_EqualLayers(benchmark::State& state) {
  solve_repeatedly(state, network_of(state, true), {});
}

void BM_DifferentLayers(benchmark::State& state) {
  solve_repeatedly(state, network_of(state, false), {});
}

// Third argument: the percentage allowed of the bytes that the free optimum uses.
void BM_LimitedBytes(benchmark::State& state) {
  const CostNetwork network = network_of(state, true);
  Options options;
  options.bytes_limit = static_cast<double>(state.range(2)) / 100 * solve(network).bytes;
  solve_repeatedly(state, network, options);
}

// As in the tests: 1,000 small networks of every shape.
void BM_SmallNetworks(benchmark::State& state) {
  std::vector<CostNetwork> networks;
  for (uint64_t seed = 0; seed < 1000; ++seed) networks.push_back(random_network(seed));
  uint64_t steps = 0;
  for (auto _ : state) {
    steps = 0;
    for (const CostNetwork& network : networks) steps += solve(network).statistics.steps;
  }
  state.counters["steps"] = static_cast<double>(steps);
}

BENCHMARK(BM_EqualLayers)->ArgsProduct({{12, 48}, {1, 2, 3}})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_DifferentLayers)->ArgsProduct({{12, 48}, {1, 2, 3}})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LimitedBytes)->ArgsProduct({{48}, {1}, {90, 70}})->Unit(benchmark::kMillisecond);
BENCHMARK(BM_SmallNetworks)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace cleave::solver

BENCHMARK_MAIN();
