// arg_max, arg_min: where the first extreme along an axis is.
#include "ops/arg_extreme/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::Factor;

class ArgExtreme : public OpDefinition {
 public:
  explicit ArgExtreme(bool largest) : largest_(largest) {}

  std::string_view name() const override { return largest_ ? "arg_max" : "arg_min"; }

  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim, true}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& in = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", in.rank());
    if (in.shape[axis].is(0)) {
      invalid(std::string(name()) + " has nothing to choose from along axis " +
              std::to_string(axis) + " of " + in.text());
    }
    TensorType out{DType::kInt64, in.shape};
    out.shape.erase(out.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return {out};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const size_t axis = axis_of(context.attributes, "axis", shape.size());
    layout::ShardingRule rule = elementwise_rule(context, shape);
    rule.factors[axis].kind = Factor::Kind::kReplicate;
    rule.outputs[0].erase(rule.outputs[0].begin() + static_cast<std::ptrdiff_t>(axis));
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_arg_extreme(largest_, static_cast<size_t>(attributes.integer("axis")), *inputs[0],
                          outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = context.inputs[0].elements();
    return work;
  }

 private:
  bool largest_;
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_arg_extreme() {
  return {std::make_shared<ArgExtreme>(true), std::make_shared<ArgExtreme>(false)};
}

}  // namespace cleave::ops
