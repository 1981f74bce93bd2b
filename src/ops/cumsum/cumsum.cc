// cumsum: sums of all elements up to each one along an axis.
#include "ops/operands.h"
#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

class CumSum final : public OpDefinition {
 public:
  std::string_view name() const override { return "cumsum"; }

  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim},
            {"exclusive", AttributeField::Kind::kDim, false},
            {"reverse", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    axis_of(context.attributes, "axis", x.rank());
    if (x.dtype == DType::kBool) {
      invalid("cumsum has no meaning for booleans", "cast them to a number first");
    }
    return {x};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    layout::ShardingRule rule = elementwise_rule(context, shape);
    rule.factors[axis_of(context.attributes, "axis", shape.size())].kind =
        layout::Factor::Kind::kReplicate;
    rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const AxisView view(inputs[0]->shape, static_cast<size_t>(attributes.integer("axis")));
    const bool is_exclusive = attributes.integer("exclusive", 0) != 0;
    const bool is_reversed = attributes.integer("reverse", 0) != 0;
    dispatch_dtype(inputs[0]->dtype, [&]<class T>() {
      const auto x = inputs[0]->data<T>();
      const auto y = outputs[0].data<T>();
      for (int64_t line = 0; line < view.outer * view.inner; ++line) {
        Wide<T> sum{};
        for (int64_t e = 0; e < view.extent; ++e) {
          const auto at = static_cast<size_t>(view.index(
              line / view.inner, is_reversed ? view.extent - 1 - e : e, line % view.inner));
          const Wide<T> next = combine<ReduceOp::kSum>(sum, widened<Wide<T>>(x[at]));
          y[at] = narrowed<T>(is_exclusive ? sum : next);
          sum = next;
        }
      }
    });
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_cumsum() {
  return {std::make_shared<CumSum>()};
}

}  // namespace cleave::ops
