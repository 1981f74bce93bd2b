// Scales and shifts of channels, folded into the weights that make the channels.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// A conv or matmul by constant weights, and additions, subtractions, products and quotients of its
// result with constants of one number a channel of the result (or one for all), as batch
// normalisations, affine blocks and layer scales are: the weights are scaled, and at most one
// addition is left. Of f32 and f64, where nothing else reads the weights or what lies between;
// large weights become recipes (`ir::scale`), which planning does not evaluate.
bool fold_scales(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
