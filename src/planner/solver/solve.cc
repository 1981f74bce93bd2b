#include <algorithm>

#include "planner/solver/elimination_order.h"
#include "planner/solver/factor_graph.h"
#include "planner/solver/solver.h"

namespace cleave::solver {

Solution solve(const CostNetwork& network, const Options& options) {
  Solution solution;
  FactorGraph graph(network, 0);
  const EliminationOrder order =
      plan_elimination(graph, network.size(), static_cast<double>(options.max_table_entries));
  for (uint32_t v : order.variables)
    solution.statistics.steps += graph.eliminate(v, solution.statistics);
  if (graph.constant() == kForbidden) {
    solution.status = Status::kForbidden;
    return solution;
  }
  if (!order.complete) return solution;
  solution.values.assign(network.size(), 0);
  graph.expand(solution.values);
  solution.value = solution.bound = network.cost(solution.values);
  solution.bytes = network.bytes(solution.values);
  solution.feasible = solution.optimal = true;
  solution.status = Status::kOptimal;
  return solution;
}

}  // namespace cleave::solver
