#include "ops/elementwise/decompositions.h"

#include <cmath>

#include "base/check.h"
#include "ops/builder.h"

namespace cleave::ops {
namespace {

// Writes expressions over values of one type, before the node that they replace.
class Expression {
 public:
  Expression(Builder& builder, const ir::Node& node)
      : builder_(builder), name_(node.name), type_(builder.type(node.inputs[0])) {}

  ir::ValueId constant(double value) {
    return builder_.broadcast(builder_.scalar(type_.dtype, value), type_.shape);
  }
  ir::ValueId apply(std::string_view op, std::vector<ir::ValueId> inputs) {
    return builder_.add1(name_ + "/" + std::string(op), op, {}, std::move(inputs));
  }
  ir::ValueId scaled(ir::ValueId x, double by) { return apply("mul", {x, constant(by)}); }
  ir::ValueId mul(ir::ValueId a, ir::ValueId b) { return apply("mul", {a, b}); }
  ir::ValueId add(ir::ValueId a, ir::ValueId b) { return apply("add", {a, b}); }
  // Within [0, high].
  ir::ValueId clamped(ir::ValueId x, double high) {
    return apply("min", {apply("max", {x, constant(0)}), constant(high)});
  }

 private:
  Builder& builder_;
  std::string name_;
  TensorType type_;
};

// x/2 · (1 + gate)
ir::ValueId gated_half(Expression& e, ir::ValueId x, ir::ValueId gate) {
  return e.mul(e.scaled(x, 0.5), e.add(gate, e.constant(1)));
}

}  // namespace

bool has_decomposition(std::string_view op) {
  return op == "gelu" || op == "gelu_tanh" || op == "silu" || op == "hard_sigmoid" ||
         op == "hard_swish";
}

std::vector<ir::ValueId> decompose_elementwise(ir::Graph& graph, const ir::Node& original) {
  const ir::Node node = original;  // adding nodes moves the graph's own
  const Registry registry = Registry::builtin();
  Builder builder(graph, registry);
  builder.insert_before(graph.value(node.outputs[0]).producer);
  Expression e(builder, node);
  const ir::ValueId x = node.inputs[0];
  if (node.op == "silu") return {e.mul(x, e.apply("sigmoid", {x}))};
  if (node.op == "gelu") return {gated_half(e, x, e.apply("erf", {e.scaled(x, M_SQRT1_2)}))};
  if (node.op == "hard_sigmoid") {
    const ir::ValueId line = e.scaled(x, node.attributes.real("alpha"));
    return {e.clamped(e.add(line, e.constant(0.5)), 1)};
  }
  if (node.op == "hard_swish") {
    const ir::ValueId gate = e.clamped(e.add(x, e.constant(3)), 6);
    return {e.mul(x, e.scaled(gate, 1.0 / 6))};
  }
  CLEAVE_CHECK(node.op == "gelu_tanh", "the op " + node.op + " has no decomposition");
  const ir::ValueId cube = e.mul(x, e.mul(x, x));
  const ir::ValueId inner = e.scaled(e.add(x, e.scaled(cube, 0.044715)), std::sqrt(2 / M_PI));
  return {gated_half(e, x, e.apply("tanh", {inner}))};
}

}  // namespace cleave::ops
