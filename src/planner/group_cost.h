// GroupCosts: the time that one rank takes for the kernels of a fusion group.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "capabilities/fusion.h"
#include "cost/kernel_cost.h"
#include "ops/registry.h"
#include "planner/candidate.h"
#include "planner/sizes.h"

namespace cleave::planner {

class GroupCosts {
 public:
  // `devices` are at work at once.
  GroupCosts(const ir::Graph& graph, const ops::Registry& registry,
             const cost::MachineModel& machine, const Sizes& sizes,
             const capabilities::Fusion& fusion, const capabilities::Capabilities& capabilities,
             int64_t devices);

  // At a point, for a rank; `candidate` null: the group whole.
  double us(const capabilities::FusionGroup& group, const Candidate* candidate, size_t point,
            int64_t rank);

 private:
  // What is asked for: a group under a candidate, as one rank has it at one point.
  struct Case {
    const capabilities::FusionGroup& group;
    const Candidate* candidate;
    size_t point;
    int64_t rank;
  };
  std::vector<int64_t> shape(const Case& at, ir::ValueId value,
                             const layout::Placement* placement) const;
  TensorType type(const Case& at, ir::ValueId value, const layout::Placement* placement) const;
  int64_t elements(ir::ValueId value, size_t point) const;
  double copies_us(const Case& at, ir::NodeId node) const;
  double op_us(const Case& at, size_t member);
  // The chain of all members but the anchor. After a reshard it reads what that has left.
  void add_chain(const Case& at, bool reads_anchor, cost::KernelCost& kernel) const;

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const cost::MachineModel& machine_;
  const Sizes& sizes_;
  int64_t devices_;
  // By value: 0, or it is a view that is copied, so many elements at a time.
  std::vector<int64_t> copied_run_;
  std::unordered_map<std::string, double> op_times_;  // by op and types
};

}  // namespace cleave::planner
