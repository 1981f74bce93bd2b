// Activations as chains of primitive element-wise ops.
#pragma once

#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace cleave::ops {

bool has_decomposition(std::string_view op);
// OpDefinition::decompose of the ops that have one.
std::vector<ir::ValueId> decompose_elementwise(ir::Graph& graph, const ir::Node& node);

}  // namespace cleave::ops
