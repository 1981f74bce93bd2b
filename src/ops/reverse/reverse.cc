#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// The reversed axes run backwards.
class Reverse final : public OpDefinition {
 public:
  std::string_view name() const override { return "reverse"; }
  std::vector<AttributeField> fields() const override {
    return {{"axes", AttributeField::Kind::kDims}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    reversed(context.attributes, context.inputs[0].rank());
    return {context.inputs[0]};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    const std::vector<bool> backwards = reversed(context.attributes, x.rank());
    for (size_t d = 0; d < x.rank(); ++d) {
      if (backwards[d]) rule.factors[d].kind = layout::Factor::Kind::kReplicate;
    }
    add_movement_sets(rule, {0});
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    std::vector<int64_t> strides = row_major_strides(inputs[0]->shape);
    const std::vector<bool> backwards = reversed(attributes, strides.size());
    int64_t offset = 0;
    for (size_t d = 0; d < strides.size(); ++d) {
      if (!backwards[d]) continue;
      offset += (inputs[0]->shape[d] - 1) * strides[d];
      strides[d] = -strides[d];
    }
    copy_strided(*inputs[0], offset, strides, outputs[0]);
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }

 private:
  static std::vector<bool> reversed(const Attributes& attributes, size_t rank) {
    std::vector<bool> result(rank, false);
    for (int64_t axis : attributes.integers("axes")) {
      if (axis < 0 || axis >= static_cast<int64_t>(rank) || result[static_cast<size_t>(axis)]) {
        invalid("axes " + text_of(attributes.dims("axes")) + " are not dimensions of a tensor of " +
                std::to_string(rank) + " dimensions");
      }
      result[static_cast<size_t>(axis)] = true;
    }
    return result;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_reverse() {
  return {std::make_shared<Reverse>()};
}

}  // namespace cleave::ops
