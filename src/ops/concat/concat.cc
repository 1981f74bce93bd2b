#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class Concat final : public OpDefinition {
 public:
  std::string_view name() const override { return "concat"; }
  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    const size_t count = context.inputs.size();
    require_inputs(context, std::max<size_t>(count, 1), count);
    TensorType type = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", type.rank());
    for (size_t i = 1; i < count; ++i) {
      const TensorType& other = context.inputs[i];
      require_same_dtype(type, other, "the operands of concat");
      if (other.rank() != type.rank()) {
        invalid("the operands of concat have different ranks: " + text_of(type.shape) + " and " +
                text_of(other.shape));
      }
      for (size_t d = 0; d < type.rank(); ++d) {
        type.shape[d] = d == axis ? type.shape[d] + other.shape[d]
                                  : context.require_equal(type.shape[d], other.shape[d],
                                                          "dimension " + std::to_string(d) +
                                                              " of the operands of concat");
      }
    }
    return {type};
  }

  // The axis is one factor; each operand is a part of it.
  layout::ShardingRule rule(const OpContext& context) const override {
    const size_t axis = axis_of(context.attributes, "axis", context.inputs[0].rank());
    OpContext quiet = context;
    quiet.guards = nullptr;
    layout::ShardingRule rule = elementwise_rule(context, infer_types(quiet)[0].shape);
    Dim begin;
    std::vector<uint32_t> operands;
    for (size_t i = 0; i < context.inputs.size(); ++i) {
      const Dim& extent = context.inputs[i].shape[axis];
      rule.inputs[i][axis][0].begin = begin;
      rule.inputs[i][axis][0].extent = extent;
      begin += extent;
      operands.push_back(static_cast<uint32_t>(i));
    }
    add_movement_sets(rule, operands);
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const auto axis = static_cast<size_t>(attributes.integer("axis"));
    std::vector<int64_t> begin(outputs[0].shape.size(), 0);
    const std::vector<int64_t> origin = begin;
    for (const HostTensor* input : inputs) {
      copy_box(*input, origin, outputs[0], begin, input->shape);
      begin[axis] += input->shape[axis];
    }
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_concat() {
  return {std::make_shared<Concat>()};
}

}  // namespace cleave::ops
