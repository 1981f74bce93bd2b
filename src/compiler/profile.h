// The optimization profile: bounds of the dynamic dimensions from the sizes given for inputs.
#pragma once

#include <vector>

#include "cleave/builder.h"
#include "ir/graph.h"
#include "program/program.h"

namespace cleave::compiler {

// One symbol for each dynamic dimension of the graph's inputs. Error(kUsage) for a profile that
// names no input, has the wrong rank, contradicts itself or the model, or is not min ≤ opt ≤ max,
// and where the model cannot have the usual sizes.
std::vector<program::Symbol> make_symbols(const ir::Graph& graph, const BuilderConfig& config);

}  // namespace cleave::compiler
