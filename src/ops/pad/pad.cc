#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// Surrounds the operand with a constant.
class Pad final : public OpDefinition {
 public:
  std::string_view name() const override { return "pad"; }
  std::vector<AttributeField> fields() const override {
    return {{"low", AttributeField::Kind::kDims},
            {"high", AttributeField::Kind::kDims},
            {"value", AttributeField::Kind::kReal}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    TensorType type = context.inputs[0];
    const std::vector<Dim>& low = context.attributes.dims("low");
    const std::vector<Dim>& high = context.attributes.dims("high");
    if (low.size() != type.rank() || high.size() != type.rank()) {
      invalid("pad needs low and high for each of " + std::to_string(type.rank()) + " dimensions");
    }
    for (size_t d = 0; d < type.rank(); ++d) {
      require_not_negative(low[d], "the padding before dimension " + std::to_string(d));
      require_not_negative(high[d], "the padding behind dimension " + std::to_string(d));
      type.shape[d] += low[d] + high[d];
    }
    return {type};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    for (size_t d = 0; d < x.rank(); ++d) {
      if (is_padded(context.attributes, d)) {
        rule.inputs[0][d].clear();
        rule.outputs[0][d].clear();
        rule.factors[d].kind = layout::Factor::Kind::kReplicate;
      }
    }
    // The padding is reduced too, and must stay what it is.
    const double value = context.attributes.real("value");
    if (value == 0) rule.linear.push_back({ReduceOp::kSum, {0}});
    rule.linear.push_back({ReduceOp::kMax, {0}});
    rule.linear.push_back({ReduceOp::kMin, {0}});
    if (value == 0 || value == 1) rule.linear.push_back({ReduceOp::kProd, {0}});
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    HostTensor& out = outputs[0];
    for (int64_t i = 0; i < out.elements(); ++i) out.set(i, attributes.real("value"));
    const std::vector<int64_t> origin(out.shape.size(), 0);
    copy_box(*inputs[0], origin, out, attributes.integers("low"), inputs[0]->shape);
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }

 private:
  static bool is_padded(const Attributes& attributes, size_t d) {
    return !attributes.dims("low")[d].is(0) || !attributes.dims("high")[d].is(0);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_pad() { return {std::make_shared<Pad>()}; }

}  // namespace cleave::ops
