// Rewriter: what passes that replace parts of a graph ask of it and do to it.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ops/builder.h"

namespace cleave::passes {

class Rewriter {
 public:
  Rewriter(ir::Graph& graph, const ops::Registry& registry) : graph_(graph), registry_(registry) {}

  ir::Graph& graph() { return graph_; }
  const ir::Graph& graph() const { return graph_; }
  const ops::Registry& registry() const { return registry_; }
  const TensorType& type(ir::ValueId value) const { return graph_.type(value); }
  const Shape& shape(ir::ValueId value) const { return graph_.type(value).shape; }

  // The node that makes a value; null for inputs and constants. Valid until a node is added.
  const ir::Node* producer(ir::ValueId value) const;
  // As `producer`, but null where it is not this op.
  const ir::Node* made_by(ir::ValueId value, std::string_view op) const;
  // The value behind broadcasts.
  ir::ValueId unbroadcast(ir::ValueId value) const;
  // The value behind casts from one floating type to another.
  ir::ValueId uncast(ir::ValueId value) const;
  // The number that all elements are, where that is known.
  std::optional<double> scalar(ir::ValueId value) const;
  // As `scalar`, for a size, which may depend on symbols.
  std::optional<Dim> size(ir::ValueId value) const;
  // Whether all elements are this number, within the rounding of the value's type.
  bool is_scalar(ir::ValueId value, double number) const;
  // How many inputs of nodes a value is; one more where it is a result of the graph.
  size_t use_count(ir::ValueId value) const;

  // Whether all that lies between `leaves` and `root` is made for `root` alone, so that nothing of
  // it is left when `root` is made in another way. Only what costs nothing may have other readers:
  // broadcasts and other views of leaves and constants.
  bool is_closed(ir::ValueId root, std::span<const ir::ValueId> leaves) const;

  // Adds ops in front of the node that makes `value`.
  ops::Builder before(ir::ValueId value);
  // As before, a node with the name of the one that makes `root`, which it is to replace.
  ir::ValueId add_for(ir::ValueId root, std::string_view op, Attributes attributes,
                      std::vector<ir::ValueId> inputs);
  // Lets readers of `root` read `by`, and drops nodes that nobody reads then. Results of the graph
  // keep their names: false, and nothing is done, where `by` has a name to keep as well.
  bool replace(ir::ValueId root, ir::ValueId by);
  void set_input(ir::NodeId node, size_t input, ir::ValueId value);

 private:
  void count_uses() const;
  void drop_unread(ir::NodeId id);

  ir::Graph& graph_;
  const ops::Registry& registry_;
  mutable std::vector<uint32_t> uses_;  // by value; counted when asked for
  mutable bool is_counted_ = false;
};

// A small constant's value; nullopt for large ones and where its file cannot be read.
std::optional<HostTensor> small_constant(const ir::Value& value);

// Calls `rewrite(rewriter, node)` for each node in order. Whether any call returned true.
template <class F>
bool rewrite_nodes(ir::Graph& graph, const ops::Registry& registry, F&& rewrite) {
  Rewriter rewriter(graph, registry);
  bool changed = false;
  for (const ir::NodeId id : graph.order()) {
    if (!graph.node(id).erased && rewrite(rewriter, id)) changed = true;
  }
  if (changed) graph.compact();
  return changed;
}

}  // namespace cleave::passes
