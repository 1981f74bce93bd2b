// Times the solver (processor time) on transformer-shaped random networks.
#include <cstdio>
#include <ctime>

#include "planner/solver/random_networks.h"

namespace cleave::solver {
namespace {

void report(const char* name, const CostNetwork& network, const Options& options) {
  const std::clock_t start = std::clock();
  const Solution solution = solve(network, options);
  const double milliseconds = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const Statistics& statistics = solution.statistics;
  std::printf(
      "%-34s %4zu variables %8.2f ms  value %.3f bound %.3f gap %.2e  eliminated %zu (reused %zu)"
      "  largest table %zu  core %zu  nodes %llu  prices %zu  steps %.2e\n",
      name, network.size(), milliseconds, solution.value, solution.bound, solution.gap,
      statistics.variables_eliminated, statistics.eliminations_reused, statistics.largest_table,
      statistics.core_variables, static_cast<unsigned long long>(statistics.searched_nodes),
      statistics.price_steps, static_cast<double>(statistics.steps));
}

}  // namespace
}  // namespace cleave::solver

int main() {
  using namespace cleave::solver;
  for (uint64_t seed : {1, 2, 3}) {
    report("48 equal layers", transformer_network(48, true, seed), {});
    report("48 different layers", transformer_network(48, false, seed), {});
  }
  const CostNetwork network = transformer_network(48, true, 1);
  const Solution free = solve(network);
  for (double share : {0.9, 0.7}) {
    Options options;
    options.bytes_limit = share * free.bytes;
    report("48 equal layers, limited bytes", network, options);
  }
}
