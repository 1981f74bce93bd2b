// Group norm of whole images, recovered from how exporters write it.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// ONNX has had no group norm for long: exporters reshape an image to [n, groups, all else], make
// each group one channel of an instance norm, reshape back, and scale and shift by channel. Such a
// group_norm between two reshapes becomes one of the image itself, which may lie in any format; a
// scale and a shift with one element a channel behind a group_norm become its own.
bool recover_group_norm(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
