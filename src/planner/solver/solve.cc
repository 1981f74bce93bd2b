#include <algorithm>

#include "planner/solver/bytes_price.h"
#include "planner/solver/derived_networks.h"
#include "planner/solver/local_moves.h"
#include "planner/solver/minimise.h"
#include "planner/solver/solver.h"

namespace cleave::solver {

namespace {

// The first variable that cannot be given a value together with those before it. Variables that
// can, all together, stay so when some are left out; so bisection finds it.
VariableId first_infeasible(const CostNetwork& network, const Options& options) {
  size_t feasible = 0;
  size_t infeasible = network.size();
  while (feasible + 1 < infeasible) {
    const size_t middle = feasible + (infeasible - feasible) / 2;
    Statistics unused;
    const Minimum minimum = minimise(feasibility_network(network, middle), 0, options, unused);
    (minimum.bound == kForbidden ? infeasible : feasible) = middle;
  }
  return VariableId(infeasible - 1);
}

void solve_without_limit(const CostNetwork& network, const Options& options, Solution& solution) {
  const Minimum minimum = minimise(network, 0, options, solution.statistics);
  solution.bound = minimum.bound;
  if (minimum.bound == kForbidden) solution.status = Status::kForbidden;
  solution.feasible = minimum.found;
  solution.values = minimum.values;
}

// Makes ties regular and fills in what follows from the assignment and the bound.
void complete(const CostNetwork& network, const Options& options, Solution& solution) {
  LocalMoves(network).lower(solution.values, options.bytes_limit.value_or(kForbidden));
  solution.value = network.cost(solution.values);
  solution.bytes = network.bytes(solution.values);
  solution.bound = std::clamp(solution.bound, 0.0, solution.value);
  const double difference = solution.value - solution.bound;
  solution.gap = solution.value > 0 ? difference / solution.value : 0;
  solution.optimal = solution.gap <= 1e-9;
  solution.status = solution.optimal ? Status::kOptimal : Status::kBudgetExhausted;
}

}  // namespace

Solution solve(const CostNetwork& network, const Options& options) {
  Solution solution;
  if (options.bytes_limit) {
    solve_within_limit(network, options, solution);
  } else {
    solve_without_limit(network, options, solution);
  }
  if (solution.feasible) {
    complete(network, options, solution);
  } else if (solution.status == Status::kForbidden) {
    solution.infeasible_variable = first_infeasible(network, options);
  }
  return solution;
}

}  // namespace cleave::solver
