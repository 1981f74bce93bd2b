// The automatic test of sharding rules: an op run split is the op run whole.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ops/registry.h"
#include "types/host_tensor.h"

namespace cleave::testing {

// An op with concrete operands and, where given, the symbolic form of its sizes.
struct RuleCase {
  std::string op;
  Attributes attributes;                          // may name symbols of `symbols`
  std::vector<std::optional<HostTensor>> inputs;  // nullopt: absent
  // Relative error that is allowed between split and unsplit; 0: the same values.
  double tolerance = 0;
  // The shapes of the inputs as expressions of `symbols` (empty: numbers). Cuts, local types and
  // local attributes are then made from these and evaluated last.
  std::vector<Shape> shapes = {};
  SymbolValues symbols = {};
  std::vector<int64_t> ranks = {2, 3, 4};
};

// Carries out every strategy of the op's rule for each number of ranks: each factor with the even
// cut and with cuts of several segments, each linear set with random terms, and the whole op. In
// each, operands are cut, attributes localised (with the rank as a number and as a symbol), local
// types inferred and compared with those that the placements imply, the reference is run for every
// rank, and the assembled results are compared with the unsplit ones. Differences are test
// failures. Returns the strategies that could be carried out: names of factors, and "partial 0 1"
// for a linear set by its operands (with ":max" and so on behind it where that is no sum).
std::set<std::string> check_rules(const RuleCase& rule_case);

}  // namespace cleave::testing
