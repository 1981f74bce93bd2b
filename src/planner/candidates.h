// The strategies of one fusion group, with what they need, give and cost.
#pragma once

#include <string>
#include <vector>

#include "capabilities/fusion.h"
#include "cost/machine_model.h"
#include "planner/cut_candidates.h"
#include "planner/group_cost.h"
#include "planner/plan.h"
#include "planner/sizes.h"

namespace cleave::planner {

class CandidateBuilder {
 public:
  CandidateBuilder(const ir::Graph& graph, const cost::MachineModel& machine, const Sizes& sizes,
                   const ReshardCosts& reshards, const std::vector<layout::ShardingRule>& rules,
                   const CutCandidates& cuts, GroupCosts& costs);

  // All strategies, the whole one first.
  std::vector<Candidate> build(const capabilities::FusionGroup& group);
  // The group whole, on one device alone.
  double unsplit_us(const capabilities::FusionGroup& group);

 private:
  struct Draft;
  // What a strategy needs and gives on these ranks.
  std::optional<layout::OperandPlacements> place(ir::NodeId node,
                                                 const layout::Strategy& strategy) const;
  std::vector<layout::Strategy> strategies(ir::NodeId node) const;
  std::vector<Candidate> build_single(ir::NodeId node);
  std::vector<Candidate> build_tree(const capabilities::FusionGroup& group);
  bool assign(const capabilities::FusionGroup& group, Draft& draft, ir::NodeId node,
              const layout::Placement& required);
  void finish(const capabilities::FusionGroup& group, Candidate& candidate);
  // The time of the group's kernels at a point for a rank; ranks that do the same cost the same.
  double time_us(const capabilities::FusionGroup& group, const Candidate* candidate, size_t point);
  size_t member_index(const capabilities::FusionGroup& group, ir::NodeId node) const;

  const ir::Graph& graph_;
  const cost::MachineModel& machine_;
  const Sizes& sizes_;
  const ReshardCosts& reshards_;
  const std::vector<layout::ShardingRule>& rules_;
  const CutCandidates& cuts_;
  GroupCosts& costs_;
};

}  // namespace cleave::planner
