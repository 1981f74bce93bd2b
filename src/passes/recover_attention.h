// Attention, recovered from the products and the softmax that it is made of.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// softmax(scale · q kᵀ + mask) v over tensors [batch, heads, rows, depth], or [heads of all
// batches, rows, depth], becomes attention:
// - the scale is a product or quotient by a number of the scores, of q, of k or of several;
// - a mask is added, or chosen by `where` with a low number; one that is provably causal becomes
//   causal=1, others are an operand without the dimensions over which they were spread;
// - keys and values that are repeated for each query head of a group are read without repetition.
// Nothing is done where an intermediate result has other readers, or heads are deeper than 256.
// Rows that may look nowhere, which -inf as the low number makes NaN, become 0; all else is the
// same up to rounding.
bool recover_attention(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
