// Attention as primitives.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

std::vector<ir::ValueId> decompose_attention(ir::Graph& graph, const ir::Node& node);

}  // namespace cleave::ops
