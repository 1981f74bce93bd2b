// The strategies of one fusion group, with what they need, give and cost.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "capabilities/fusion.h"
#include "capabilities/views.h"
#include "cost/machine_model.h"
#include "ops/registry.h"
#include "planner/cut_candidates.h"
#include "planner/plan.h"
#include "planner/sizes.h"

namespace cleave::planner {

struct Need {
  ir::ValueId value;
  layout::Placement placement;
};

// One value of a group's variable in the cost network.
struct Candidate {
  std::string name;
  std::vector<NodePlan> members;                    // one a node of the group
  std::vector<layout::Placement> outputs;           // of the root node
  std::vector<Need> needs;                          // of values from outside, without repeats
  std::vector<std::pair<ir::ValueId, Copy>> inner;  // reshards between members
  double time_us = 0;
  double communication_us = 0;  // of the inner reshards
};

class CandidateBuilder {
 public:
  CandidateBuilder(const ir::Graph& graph, const ops::Registry& registry,
                   const cost::MachineModel& machine, const Sizes& sizes,
                   const ReshardCosts& reshards, const std::vector<layout::ShardingRule>& rules,
                   const CutCandidates& cuts, const capabilities::Capabilities& capabilities);

  // All strategies, the whole one first.
  std::vector<Candidate> build(const capabilities::FusionGroup& group);
  // The group whole, on one device alone.
  double unsplit_us(const capabilities::FusionGroup& group);

 private:
  struct Draft;
  std::vector<layout::Strategy> strategies(ir::NodeId node) const;
  std::vector<Candidate> build_single(ir::NodeId node);
  std::vector<Candidate> build_tree(const capabilities::FusionGroup& group);
  bool assign(const capabilities::FusionGroup& group, Draft& draft, ir::NodeId node,
              const layout::Placement& required);
  void finish(const capabilities::FusionGroup& group, Candidate& candidate);
  // The time of the group's kernels at a point for a rank; ranks that do the same cost the same.
  double time_us(const capabilities::FusionGroup& group, const Candidate* candidate, size_t point);
  double rank_us(const capabilities::FusionGroup& group, const Candidate* candidate, size_t point,
                 int64_t rank);
  double kernel_us(const capabilities::FusionGroup& group, const Candidate* candidate, size_t first,
                   size_t last, size_t point, int64_t rank);
  size_t member_index(const capabilities::FusionGroup& group, ir::NodeId node) const;

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const cost::MachineModel& machine_;
  const Sizes& sizes_;
  const ReshardCosts& reshards_;
  const std::vector<layout::ShardingRule>& rules_;
  const CutCandidates& cuts_;
  std::vector<bool> free_;                                // by node: a view that costs nothing
  std::unordered_map<std::string, double> kernel_times_;  // by op, attributes and shapes
};

}  // namespace cleave::planner
