// Plan: a strategy for every op and layouts for every tensor, with predicted time, memory and the
// proof of optimality.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "layout/sharding_rule.h"

namespace cleave::planner {

// How one node is carried out.
struct NodePlan {
  layout::Strategy strategy;
  layout::OperandPlacements placements;  // what it needs and gives
};

// A further layout of a value, made from one that is there already, right after the value.
struct Copy {
  layout::Placement from;
  layout::Placement to;
  bool operator==(const Copy&) const = default;
};

// One strategy of a group, as `--explain` shows it.
struct Alternative {
  std::string strategy;
  double time_us = 0;           // of the group's kernels on the slowest rank
  double communication_us = 0;  // inside the group
  double bytes = 0;             // of its constants on the largest rank
  bool chosen = false;
};

// One line of the plan's table: a fusion group.
struct GroupPlan {
  std::string name;  // of its root node
  std::string op;    // of its anchor or root
  std::vector<ir::NodeId> nodes;
  std::string strategy;
  double time_us = 0;
  double unsplit_us = 0;
  double communication_us = 0;  // inside, and of the copies made of its results
  double bytes = 0;             // of its constants on the largest rank
  std::string reason;
  std::vector<Alternative> alternatives;
};

struct Plan {
  int64_t ranks = 1;
  std::vector<NodePlan> nodes;            // by NodeId::index()
  std::vector<layout::Placement> own;     // by ValueId::index(): as it is made
  std::vector<std::vector<Copy>> copies;  // by ValueId::index(), in the order to make them
  std::vector<uint32_t> group_of_node;    // by NodeId::index()
  std::vector<GroupPlan> groups;

  double cost_us = 0;
  double bound_us = 0;
  bool optimal = false;
  double unsplit_us = 0;
  double planning_seconds = 0;
  double constant_bytes = 0;  // of large constants on the largest rank
  double price_per_byte = 0;  // cost saved by a byte more of memory, at the limit
  double gap = 0;
  std::vector<std::string> warnings;
};

}  // namespace cleave::planner
