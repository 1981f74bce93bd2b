#include <cstring>

#include "ops/operands.h"

namespace cleave::ops {
namespace {

class Where final : public OpDefinition {
 public:
  std::string_view name() const override { return "where"; }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    const TensorType& condition = context.inputs[0];
    TensorType type = context.inputs[1];
    if (condition.dtype != DType::kBool) {
      throw Error(ErrorCode::kInvalid,
                  "the condition has elements of type " + std::string(name_of(condition.dtype)));
    }
    if (context.inputs[2].dtype != type.dtype) {
      throw Error(ErrorCode::kInvalid, "the choices have different types: " + type.text() +
                                           " and " + context.inputs[2].text());
    }
    for (size_t i : {size_t{0}, size_t{2}}) {
      const Shape& shape = context.inputs[i].shape;
      if (shape.size() != type.rank()) {
        throw Error(ErrorCode::kInvalid, "operands have different shapes: " + text_of(type.shape) +
                                             " and " + text_of(shape));
      }
      for (size_t d = 0; d < shape.size(); ++d) {
        type.shape[d] = context.require_equal(type.shape[d], shape[d],
                                              "dimension " + std::to_string(d) + " of operands");
      }
    }
    return {type};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    layout::ShardingRule rule = elementwise_rule(context, context.inputs[1].shape);
    rule.linear.push_back({ReduceOp::kSum, {1, 2}});
    return rule;
  }

  void reference(const Attributes&, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const std::span<const bool> condition = inputs[0]->data<bool>();
    const size_t size = size_of(outputs[0].dtype);
    for (size_t i = 0; i < condition.size(); ++i) {
      const HostTensor& from = condition[i] ? *inputs[1] : *inputs[2];
      std::memcpy(outputs[0].bytes.data() + i * size, from.bytes.data() + i * size, size);
    }
  }

  bool is_elementwise() const override { return true; }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_where() {
  return {std::make_shared<Where>()};
}

}  // namespace cleave::ops
