// How matrix products read their operands.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// Turns transposes of the last two dimensions in front of the matrix product `id` into its
// attributes, and a constant b that only it reads, transposed, into the transposed constant.
bool fold_transposes(Rewriter& rewriter, ir::NodeId id);

// Lets matrix products whose b is the transpose of another constant, which others read, read that
// one: weights that are tied are held once.
bool share_transposed_constants(ir::Graph& graph);

}  // namespace cleave::passes
