// The test of composites: what an op decomposes into gives what the op gives.
#pragma once

#include "tests/ops_support/rule_check.h"

namespace cleave::testing {

// Decomposes the op of `c` in a graph with the types of `c` (symbolic ones where it has shapes),
// verifies the graph, runs it with the plain kernels and compares the results with the op's own
// within the tolerance. Differences are test failures. Returns the ops it was decomposed into.
std::multiset<std::string> check_decomposition(const RuleCase& c);

}  // namespace cleave::testing
