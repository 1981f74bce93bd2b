// Constant folding: what does not depend on the graph's inputs is computed now.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Small results (at most ir::kSmallConstantBytes) of small constants become values. Slices,
// transposes, reshapes, casts, concatenations and splits of large constants become recipes, which
// read nothing. Broadcasts stay, since they cost nothing; element-wise ops of broadcast numbers
// become broadcasts of the number they give. Constants that cannot be read stay as they are.
bool constant_folding(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
