// Rotary position embedding, recovered from the primitives that exporters write.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// x·cos + rotated(x)·sin, where rotated gives (-x₂, x₁) of the halves, or of the pairs, of the last
// dimension, becomes rotary where cos and sin provably repeat their values in the same way; the
// repetition is cut off. So does the spelling by parts, (x₁·cos - x₂·sin, x₂·cos + x₁·sin).
bool recover_rotary(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
