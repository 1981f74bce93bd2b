// The minimum of a network at one price for bytes: the stages of the solver in their order.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/solver/solver.h"

namespace cleave::solver {

struct Minimum {
  bool found = false;
  std::vector<uint32_t> values;  // where found
  double value = kForbidden;     // cost of `values`, bytes at their price included
  double bound = 0;              // of all assignments; kForbidden: there is none
};

// Minimises the cost of `network` plus `price_per_byte` times its bytes. Adds its operations to
// statistics.steps and ends where those reach options.step_budget.
Minimum minimise(const CostNetwork& network, double price_per_byte, const Options& options,
                 Statistics& statistics);

}  // namespace cleave::solver
