// Partition: plan → local graph, what one rank executes.
//
// The local graph is the same IR: its sizes are expressions of the rank (Dim::rank()), its
// constants hold the pieces of a rank, and collectives are ops.
#pragma once

#include <vector>

#include "ops/registry.h"
#include "planner/plan.h"

namespace cleave::partition {

// Which value of the whole graph a local one is, and how it lies over the ranks.
struct Origin {
  ir::ValueId whole;
  layout::Placement placement;
};

struct Partitioned {
  ir::Graph graph;              // the local graph
  std::vector<Origin> origins;  // of its values, by ValueId::index()
};

// Graph inputs and outputs are replicated. Nodes keep their names and their fusion group; a reshard
// is named after its tensor. Error(kInternal) where the plan does not fit the graph.
Partitioned partition(const ir::Graph& graph, const planner::Plan& plan,
                      const ops::Registry& registry);

// The shape of what `rank` holds of a local constant; nothing is read.
std::vector<int64_t> constant_shape(const ir::Value& value, int64_t rank);

}  // namespace cleave::partition
