// softmax: exponentials along an axis that sum to one.
#include "ops/composite.h"
#include "ops/operands.h"
#include "ops/softmax/reference.h"

namespace cleave::ops {
namespace {

class Softmax : public OpDefinition {
 public:
  std::string_view name() const override { return "softmax"; }

  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim, true}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    require_floating(context.inputs[0], "the operand of softmax");
    axis_of(context.attributes, "axis", context.inputs[0].rank());
    return {context.inputs[0]};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    layout::ShardingRule rule = elementwise_rule(context, shape);
    const size_t axis = axis_of(context.attributes, "axis", shape.size());
    rule.factors[axis].kind = layout::Factor::Kind::kReplicate;
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_softmax(static_cast<size_t>(attributes.integer("axis")), *inputs[0], outputs[0]);
  }

  // Maximum, difference, exponential, sum and quotient.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(5) * outputs[0].elements();
    return work;
  }

  bool is_composite() const override { return true; }

  std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    Composite c(graph, node);
    const size_t axis = static_cast<size_t>(c.node().attributes.integer("axis"));
    const DType dtype = c.dtype(c.node().inputs[0]);
    const ir::ValueId x = c.wide(c.node().inputs[0]);
    const ir::ValueId largest = c.reduced("reduce_max", x, axis, axis + 1);
    const ir::ValueId exponential = c.apply("exp", {c.apply("sub", {x, largest})});
    const ir::ValueId sum = c.reduced("reduce_sum", exponential, axis, axis + 1);
    return {c.cast(c.apply("div", {exponential, sum}), dtype)};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_softmax() {
  return {std::make_shared<Softmax>()};
}

}  // namespace cleave::ops
