// Precision: what is stored or computed in a lower precision, as the user allowed.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Every float32 constant of more than 64 KiB that only matrix products and gathers read becomes a
// constant of type `to`, followed by a cast back to float32: storage shrinks, arithmetic stays
// float32.
void store_weights_as(ir::Graph& graph, const ops::Registry& registry, DType to);

// What depends on a float32 input, on a float32 constant of more than 64 KiB or on a matrix that a
// product or convolution reads is computed in type `to`. What depends on neither keeps its
// precision until such a result is computed with it: angles made from positions, say, that `to`
// cannot tell apart. Inputs and outputs of the graph keep their types.
void compute_in(ir::Graph& graph, const ops::Registry& registry, DType to);

// Every float32 matrix product and convolution may round its operands to TF32, as its attribute
// `tf32` says; types stay as they are.
void allow_tf32(ir::Graph& graph);

}  // namespace cleave::passes
