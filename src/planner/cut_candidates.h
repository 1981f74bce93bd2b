// Which cuts each dimension of each tensor may have.
//
// A dimension without further knowledge is cut evenly, element by element. Ops that look at a
// dimension as several factors (hidden = heads × head size), share heads, or join and split
// tensors, ask for others; these are carried along the sharding rules through the whole graph, so
// that a weight is cut where the attention two ops further needs it.
#pragma once

#include <map>
#include <vector>

#include "ir/graph.h"
#include "layout/sharding_rule.h"

namespace cleave::planner {

class CutCandidates {
 public:
  // `rules` by NodeId::index().
  CutCandidates(const ir::Graph& graph, const std::vector<layout::ShardingRule>& rules);

  // The cuts that a factor of a node may be split by, best known first; never empty for a factor
  // that can be split at all.
  std::vector<layout::Cut> of_factor(ir::NodeId node, uint32_t factor) const;

 private:
  using Cuts = std::vector<layout::Cut>;
  bool add(ir::ValueId value, size_t dim, const layout::Cut& cut);
  const Cuts* find(ir::ValueId value, size_t dim) const;
  Cuts gather(ir::NodeId node, uint32_t factor) const;
  // A part of a factor: what an operand of a concat, split or slice holds, or a slice leaves out.
  struct Part {
    Dim extent;
    bool held;          // by an operand
    const Cuts* known;  // its cuts; null: none
    std::optional<layout::Cut> cut_like(const layout::Cut& other) const;
    std::optional<layout::Cut> held_like(const layout::Cut& other) const;
  };
  std::vector<Part> parts_of(const ir::Node& node, const layout::ShardingRule& rule,
                             uint32_t factor) const;
  Cuts join_parts(const ir::Node& node, const layout::ShardingRule& rule, uint32_t factor) const;
  Cuts unshared(const ir::Node& node, const layout::ShardingRule& rule, uint32_t factor) const;
  bool spread(ir::NodeId node);
  void spread_all();

  const ir::Graph& graph_;
  const std::vector<layout::ShardingRule>& rules_;
  bool seed_ = false;                    // what no op asks anything of is cut evenly
  std::vector<std::vector<Cuts>> cuts_;  // by value, by dimension
};

}  // namespace cleave::planner
