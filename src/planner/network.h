// The cost network of a graph: one variable a fusion group, and one a tensor with several consumers
// (which layouts of it are kept side by side).
#pragma once

#include <optional>
#include <vector>

#include "planner/candidates.h"
#include "planner/solver/solver.h"

namespace cleave::planner {

// The layouts of one tensor that are kept: as it is made, and copies in the order to make them.
struct CopySet {
  layout::Placement own;
  std::vector<Copy> copies;
  double us = 0;
  bool holds(const layout::Placement& placement) const;
};

class Network {
 public:
  Network(const ir::Graph& graph, const capabilities::Fusion& fusion,
          const std::vector<std::vector<Candidate>>& candidates, const Sizes& sizes,
          const ReshardCosts& reshards);

  const solver::CostNetwork& costs() const { return costs_; }
  solver::VariableId variable_of_group(size_t group) const { return group_variables_[group]; }
  // Which copies of each value the solution keeps.
  std::vector<CopySet> copies(const std::vector<uint32_t>& values) const;

 private:
  // A group, or the graph's outputs, that reads a value.
  struct Consumer {
    std::optional<size_t> group;  // absent: the value is a graph output, wanted replicated
    // By candidate: the placements it needs of the value.
    std::vector<std::vector<layout::Placement>> needs;
  };
  struct CopyVariable {
    ir::ValueId value;
    solver::VariableId variable;
    std::vector<CopySet> sets;
  };
  // A value with one consumer: what it becomes follows from producer and consumer.
  struct DirectEdge {
    ir::ValueId value;
    std::optional<size_t> producer;
    Consumer consumer;
  };

  void add_groups();
  void add_value(ir::ValueId value);
  void add_direct(ir::ValueId value, std::optional<size_t> producer, const Consumer& consumer);
  void add_copies(ir::ValueId value, std::optional<size_t> producer,
                  const std::vector<Consumer>& consumers);
  void add_constant(ir::ValueId value, const std::vector<Consumer>& consumers);
  std::vector<Consumer> consumers_of(ir::ValueId value) const;
  // The placements that the producer may give; replicated for graph inputs.
  std::vector<layout::Placement> given(ir::ValueId value, std::optional<size_t> producer) const;
  std::vector<CopySet> copy_sets(ir::ValueId value, const std::vector<layout::Placement>& owns,
                                 const std::vector<layout::Placement>& wanted) const;
  std::optional<CopySet> best_order(ir::ValueId value, const layout::Placement& own,
                                    const std::vector<layout::Placement>& extras) const;
  double read_us(ir::ValueId value, const CopySet& set, const layout::Placement& need) const;
  size_t domain(const Consumer& consumer) const {
    return consumer.group ? candidates_[*consumer.group].size() : 1;
  }

  const ir::Graph& graph_;
  const capabilities::Fusion& fusion_;
  const std::vector<std::vector<Candidate>>& candidates_;
  const Sizes& sizes_;
  const ReshardCosts& reshards_;
  std::vector<std::vector<ir::Graph::Use>> uses_;
  solver::CostNetwork costs_;
  std::vector<solver::VariableId> group_variables_;
  std::vector<CopyVariable> copy_variables_;
  std::vector<DirectEdge> direct_edges_;
};

}  // namespace cleave::planner
