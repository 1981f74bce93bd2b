// Activation functions, recovered from the primitives that exporters write.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// Products of x and a function of x, in every order of factors: x·sigmoid(x) becomes silu,
// x·½(1 + erf(x/√2)) gelu, and x·½(1 + tanh(√(2/π)(x + 0.044715 x³))), or the same by a sigmoid,
// gelu_tanh. The argument may be any spelling of the polynomial. Lines that are
// clamped become hard_sigmoid, x times that of slope 1/6 hard_swish (`hard_gates.h`).
bool recover_activations(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
