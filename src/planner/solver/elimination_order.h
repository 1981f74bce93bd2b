// In which order to eliminate the variables, and what that would cost; no table is touched.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/solver/factor_graph.h"

namespace cleave::solver {

struct EliminationOrder {
  std::vector<uint32_t> variables;
  bool complete = false;     // all variables that are left
  double operations = 0;     // an upper bound: equal tables are made once
  double table_entries = 0;  // of all tables together; likewise
};

// Smallest table first; among equals the one that waits on the fewest eliminations before it, so
// that a chain of equal layers is halved again and again, each half from equal tables. Takes only
// variables with at most `max_neighbours` neighbours whose table has at most `max_entries` entries.
EliminationOrder plan_elimination(const FactorGraph& graph, size_t max_neighbours,
                                  double max_entries);

}  // namespace cleave::solver
