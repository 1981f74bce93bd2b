// Reductions that keep a minimum: what they remove can be brought back or is never needed.
#pragma once

#include <cstdint>

#include "planner/solver/factor_graph.h"

namespace cleave::solver {

// Until nothing changes: removes values without a compatible value in some neighbour, removes
// dominated values (another value costs no more whatever the neighbours are), merges variables that
// a neighbour determines, eliminates variables with at most two neighbours. No table grows beyond
// `max_entries`. All factors of `graph` are of two variables and remain so. Returns the operations
// done; stops early after about `max_operations`.
uint64_t reduce_to_fixpoint(FactorGraph& graph, double max_entries, uint64_t max_operations,
                            Statistics& statistics);

}  // namespace cleave::solver
