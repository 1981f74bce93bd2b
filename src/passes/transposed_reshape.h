// Reshapes around transposes.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// The reshape `id` of a transposed reshape, where it only parts dimensions: the first reshape parts
// them already, and the transpose comes last. Heads that lie in one dimension with the batch while
// they are transposed become a dimension of their own.
bool part_before_transpose(Rewriter& rewriter, ir::NodeId id);

}  // namespace cleave::passes
