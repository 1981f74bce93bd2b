// Precision: large float32 weights are kept in a lower precision, as the user allowed.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Every float32 constant of more than 64 KiB that only matrix products and gathers read becomes a
// constant of type `to`, followed by a cast back to float32: storage shrinks, arithmetic stays
// float32.
void store_weights_as(ir::Graph& graph, const ops::Registry& registry, DType to);

}  // namespace cleave::passes
