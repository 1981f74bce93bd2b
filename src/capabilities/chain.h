// The chain of element-wise operations that a fusion group carries out, as its kernel gets it.
#pragma once

#include <vector>

#include "capabilities/capabilities.h"
#include "capabilities/fusion.h"
#include "types/fused.h"

namespace cleave::capabilities {

struct Chain {
  FusedProgram program;                // operand 0 is the anchor's result where there is an anchor
  std::vector<ir::ValueId> externals;  // what it reads beside, in the order of its operands
};

// Of a group whose root is element-wise.
Chain chain_of(const ir::Graph& graph, const FusionGroup& group);

// What a chain reads of `value`.
ChainOperand chain_operand(const ir::Graph& graph, ir::ValueId value);

}  // namespace cleave::capabilities
