#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class Split final : public OpDefinition {
 public:
  std::string_view name() const override { return "split"; }
  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim}, {"sizes", AttributeField::Kind::kDims}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", x.rank());
    std::vector<TensorType> types;
    Dim sum;
    for (const Dim& size : context.attributes.dims("sizes")) {
      require_not_negative(size, "a size of split");
      types.push_back(x);
      types.back().shape[axis] = size;
      sum += size;
    }
    if (types.empty()) invalid("split has no sizes");
    context.require_equal(sum, x.shape[axis], "the sum of the sizes of split and its axis");
    return types;
  }

  // The axis is one factor; each result is a part of it.
  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", x.rank());
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    const layout::OperandFactors operand = rule.outputs[0];
    rule.outputs.clear();
    Dim begin;
    for (const Dim& size : context.attributes.dims("sizes")) {
      rule.outputs.push_back(operand);
      rule.outputs.back()[axis][0].begin = begin;
      rule.outputs.back()[axis][0].extent = size;
      begin += size;
    }
    add_movement_sets(rule, {0});
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    const auto axis = static_cast<size_t>(local.integer("axis"));
    std::vector<Dim> sizes;
    for (const TensorType& type : context.local_outputs) sizes.push_back(type.shape[axis]);
    local.set("sizes", std::move(sizes));
    return local;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const auto axis = static_cast<size_t>(attributes.integer("axis"));
    std::vector<int64_t> begin(inputs[0]->shape.size(), 0);
    const std::vector<int64_t> origin = begin;
    for (HostTensor& output : outputs) {
      copy_box(*inputs[0], begin, output, origin, output.shape);
      begin[axis] += output.shape[axis];
    }
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_split() {
  return {std::make_shared<Split>()};
}

}  // namespace cleave::ops
