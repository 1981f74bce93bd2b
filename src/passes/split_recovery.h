// Slices that cut a tensor into parts, as the split that they are.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Two slices or more of one value that lie side by side along one axis, whole in all others, and
// leave nothing of it out become a split.
bool recover_splits(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
