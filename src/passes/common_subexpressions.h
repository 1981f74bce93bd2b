// Common subexpressions: what is computed twice is computed once.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Merges nodes of the same op, attributes and inputs, and constants of the same content.
bool common_subexpressions(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
