// Constants whose elements decide how a graph is read.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// A constant of up to 64 MiB; nullopt where it is larger or its file cannot be read. For masks and
// tables, not for weights: planning does not need the files of those.
std::optional<HostTensor> readable_constant(const ir::Value& value);

}  // namespace cleave::passes
