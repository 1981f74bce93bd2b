// Networks made from a network to answer a question about it.
#pragma once

#include "planner/solver/solver.h"

namespace cleave::solver {

// What is allowed among the first `count` variables: cost 0, or forbidden.
CostNetwork feasibility_network(const CostNetwork& network, size_t count);

// The bytes of what is allowed, as its cost.
CostNetwork bytes_network(const CostNetwork& network);

}  // namespace cleave::solver
