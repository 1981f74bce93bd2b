// GroupCosts: the time that one rank takes for the kernels of a fusion group.
#pragma once

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "capabilities/fusion.h"
#include "cost/kernel_cost.h"
#include "ops/registry.h"
#include "planner/candidate.h"
#include "planner/sizes.h"

namespace cleave::planner {

// Whether operand 1 of the node is a constant, which its kernel packs when it is loaded.
bool packs_weight(const ir::Graph& graph, const ir::Node& node);
// The time of a node's kernel on operands and results of these numeric types, while `devices` are
// at work. Absent operands may have any type.
double node_us(const ir::Graph& graph, const ir::Node& node, const ops::Registry& registry,
               const cost::MachineModel& machine, int64_t devices,
               std::span<const TensorType> inputs, std::span<const TensorType> outputs,
               Format format);

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
  // Copies of what the group reads and makes, where a reader does not take it as it lies.
  double copies_us(const Case& at) const;
  double copy_us(const Case& at, ir::ValueId value, const layout::Placement* placement,
                 int64_t run) const;
  double op_us(const Case& at, size_t member);
  Format format_of(const ir::Node& node, std::span<const TensorType> inputs,
                   std::span<const TensorType> outputs) const;
  // The chain of all members but the anchor. After a reshard it reads what that has left.
  void add_chain(const Case& at, bool reads_anchor, cost::KernelCost& kernel) const;

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const cost::MachineModel& machine_;
  const capabilities::Capabilities& capabilities_;
  const Sizes& sizes_;
  int64_t devices_;
  // Copies of so many elements at a time, by the node they are made for: of its results, which are
  // views, or of operands that have memory of their own.
  struct Copied {
    bool result;
    size_t operand;
    int64_t run;
  };
  std::unordered_map<uint32_t, std::vector<Copied>> copied_;
  // Of operands that a chain reads where they lie: how many elements of a value lie one behind the
  // other in the order of the chain's result. By the chain's last node.
  std::unordered_map<uint32_t, std::unordered_map<uint32_t, int64_t>> runs_;
  std::unordered_map<std::string, double> op_times_;  // by op and types
};

}  // namespace cleave::planner
