// Builder: adds ops to a graph with their result types inferred.
#pragma once

#include <string_view>
#include <vector>

#include "ops/registry.h"

namespace cleave::ops {

class Builder {
 public:
  Builder(ir::Graph& graph, const Registry& registry) : graph_(graph), registry_(registry) {}

  // Adds a node and returns its results. Errors are placed at `name`.
  std::vector<ir::ValueId> add(std::string_view name, std::string_view op, Attributes attributes,
                               std::vector<ir::ValueId> inputs,
                               std::vector<std::string> output_names = {});
  // As `add`, for an op with one result.
  ir::ValueId add1(std::string_view name, std::string_view op, Attributes attributes,
                   std::vector<ir::ValueId> inputs, std::string output_name = {});
  // New nodes go before this one, instead of at the end.
  void insert_before(ir::NodeId position) { position_ = position; }

  // `value` broadcast to `shape` (itself where it has that shape already).
  ir::ValueId broadcast(ir::ValueId value, const Shape& shape);
  // A scalar constant of a type.
  ir::ValueId scalar(DType dtype, double value);
  const TensorType& type(ir::ValueId value) const { return graph_.type(value); }
  ir::Graph& graph() { return graph_; }
  const Registry& registry() const { return registry_; }

 private:
  ir::Graph& graph_;
  const Registry& registry_;
  ir::NodeId position_;
};

// The operands of a node as its definition sees them; keeps what OpContext refers to.
class NodeContext {
 public:
  NodeContext(const ir::Graph& graph, const ir::Node& node,
              std::vector<SizeGuard>* guards = nullptr);
  operator OpContext() const { return get(); }  // NOLINT
  OpContext get() const {
    return {*attributes_, inputs_, values_, {present_.get(), inputs_.size()}, guards_};
  }

 private:
  const Attributes* attributes_;
  std::vector<TensorType> inputs_;
  std::vector<const HostTensor*> values_;
  std::unique_ptr<bool[]> present_;
  std::vector<SizeGuard>* guards_;
};

// verify_structure, and that every node's op is known, takes its attributes and has the types that
// its definition infers. Error(kInternal) naming the node.
void verify(const ir::Graph& graph, const Registry& registry);

}  // namespace cleave::ops
