// Layer and RMS normalisation, recovered from the primitives that exporters write.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// x / sqrt(mean(x²) + ε) over the last dimensions becomes rms_norm; of x = z - mean(z), layer_norm.
// Products with 1/sqrt in all its spellings count as well. A scale, and the bias of a layer_norm,
// that are as long as the normalised dimensions become operands.
bool recover_norms(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
