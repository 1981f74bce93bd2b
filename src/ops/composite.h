// Composite: writes the primitives that a composite op decomposes into, before the op's node.
#pragma once

#include <string_view>
#include <vector>

#include "ops/builder.h"

namespace cleave::ops {

class Composite {
 public:
  Composite(ir::Graph& graph, const ir::Node& node)
      : node_(node), registry_(Registry::builtin()), builder_(graph, registry_) {
    builder_.insert_before(graph.value(node_.outputs[0]).producer);
  }
  Composite(const Composite&) = delete;
  Composite& operator=(const Composite&) = delete;

  const ir::Node& node() const { return node_; }
  const Shape& shape(ir::ValueId value) const { return builder_.type(value).shape; }
  DType dtype(ir::ValueId value) const { return builder_.type(value).dtype; }

  ir::ValueId apply(std::string_view op, std::vector<ir::ValueId> inputs,
                    Attributes attributes = {}) {
    return builder_.add1(node_.name + "/" + std::string(op), op, std::move(attributes),
                         std::move(inputs));
  }
  ir::ValueId cast(ir::ValueId value, DType to) {
    return dtype(value) == to ? value : apply("cast", {value}, {{"to", to}});
  }
  // Half types as float32: statistics and sums are never taken in less.
  ir::ValueId wide(ir::ValueId value) {
    return size_of(dtype(value)) == 2 ? cast(value, DType::kFloat32) : value;
  }
  ir::ValueId reshape(ir::ValueId value, const Shape& shape) {
    return builder_.type(value).shape == shape ? value
                                               : apply("reshape", {value}, {{"shape", shape}});
  }
  ir::ValueId broadcast(ir::ValueId value, const Shape& shape) {
    return builder_.broadcast(value, shape);
  }
  ir::ValueId constant(DType dtype, double value, const Shape& shape) {
    return builder_.broadcast(builder_.scalar(dtype, value), shape);
  }
  // A size as a scalar of a type, also where it is symbolic.
  ir::ValueId size(DType dtype, const Dim& value) {
    if (value.is_constant()) return builder_.scalar(dtype, static_cast<double>(value.constant()));
    const ir::ValueId integer =
        apply("shape_values", {},
              {{"values", std::vector<Dim>{value}}, {"to", DType::kInt64}, {"scalar", Dim(1)}});
    return cast(integer, dtype);
  }
  // Reduces dimensions [first, last) and spreads the result over them again.
  ir::ValueId reduced(std::string_view op, ir::ValueId value, size_t first, size_t last) {
    const Shape whole = shape(value);
    Shape kept = whole;
    std::vector<Dim> axes;
    for (size_t d = first; d < last; ++d) {
      axes.push_back(static_cast<int64_t>(d));
      kept[d] = 1;
    }
    return broadcast(reshape(apply(op, {value}, {{"axes", axes}}), kept), whole);
  }

 private:
  ir::Node node_;  // a copy: adding nodes moves the graph's own
  Registry registry_;
  Builder builder_;
};

}  // namespace cleave::ops
