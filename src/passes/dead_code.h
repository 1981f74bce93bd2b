// Dead code: nodes whose results nobody reads.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

bool dead_code(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
