// The interpreter: runs graphs with the plain references of their ops. The oracle of tests and of
// `verify`; slow and sure.
#pragma once

#include <vector>

#include "ops/registry.h"

namespace cleave::ops {

// The symbols that are dimensions of the graph's inputs, from the inputs' shapes. Error(kInvalid)
// where two dimensions give one symbol different values.
SymbolValues symbols_of(const ir::Graph& graph, const std::vector<HostTensor>& inputs);

// The graph's outputs for `inputs`, both in the graph's order. `symbols` may add to what the
// inputs' shapes say of the symbols. Error(kInvalid) where an input has another type than the graph
// says or a guard does not hold; errors in a node are placed at it.
std::vector<HostTensor> interpret(const ir::Graph& graph, const Registry& registry,
                                  const std::vector<HostTensor>& inputs,
                                  const SymbolValues& symbols = {});

// Runs a local graph for all ranks, node by node. `inputs` and the result are lists by rank, each
// in the graph's order; sizes are evaluated with the rank's index as Dim::rank().
std::vector<std::vector<HostTensor>> interpret_ranks(
    const ir::Graph& local, const Registry& registry,
    const std::vector<std::vector<HostTensor>>& inputs, const SymbolValues& symbols);

// What a rank holds of a graph's constant: all of it, or its pieces. `symbols` gives the rank.
HostTensor read_constant(const ir::Value& value, const SymbolValues& symbols);

}  // namespace cleave::ops
