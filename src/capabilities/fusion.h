// Fusion groups: which nodes run as one kernel.
//
// A pure function of graph and capabilities that planner and lowering both call. A group is
// nodes of one shape: element-wise ops over an optional anchor (a matrix product) whose every inner
// result is used inside the group alone; so no path leaves and re-enters it.
#pragma once

#include <vector>

#include "capabilities/capabilities.h"
#include "ops/registry.h"

namespace cleave::capabilities {

struct FusionGroup {
  std::vector<ir::NodeId> nodes;  // in execution order; the last one is the root
  ir::NodeId anchor;              // invalid for purely element-wise groups and single other ops
  ir::NodeId root() const { return nodes.back(); }
};

struct Fusion {
  std::vector<FusionGroup> groups;      // in the order of their roots
  std::vector<uint32_t> group_of_node;  // by NodeId::index()
};

Fusion fuse(const ir::Graph& graph, const ops::Registry& registry,
            const Capabilities& capabilities);

}  // namespace cleave::capabilities
