// Softmax, recovered from exponentials divided by their sum.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// exp(x - max(x)) / sum(exp(x - max(x))) along one axis becomes softmax.
bool recover_softmax(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
