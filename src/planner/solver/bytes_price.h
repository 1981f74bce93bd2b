// The minimum within a limit on bytes: a price on each byte (Lagrangian relaxation).
#pragma once

#include "planner/solver/solver.h"

namespace cleave::solver {

// Solves `network` with options.bytes_limit, which is set. Fills all of `solution` but its
// infeasible_variable.
void solve_within_limit(const CostNetwork& network, const Options& options, Solution& solution);

}  // namespace cleave::solver
