// Candidate: one strategy of a fusion group, a value of its variable in the cost network.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "planner/plan.h"

namespace cleave::planner {

struct Need {
  ir::ValueId value;
  layout::Placement placement;
};

struct Candidate {
  std::string name;
  std::vector<NodePlan> members;                    // one a node of the group
  std::vector<layout::Placement> outputs;           // of the root node
  std::vector<Need> needs;                          // of values from outside, without repeats
  std::vector<std::pair<ir::ValueId, Copy>> inner;  // reshards between members
  double time_us = 0;
  double communication_us = 0;  // of the inner reshards
};

}  // namespace cleave::planner
