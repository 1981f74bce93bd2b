#include <algorithm>

#include "ops/operands.h"

namespace cleave::ops {
namespace {

// Not linear: rounding the terms of a sum is not rounding the sum.
class Cast final : public OpDefinition {
 public:
  std::string_view name() const override { return "cast"; }
  std::vector<AttributeField> fields() const override {
    return {{"to", AttributeField::Kind::kType}};
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    return {{context.attributes.dtype("to"), context.inputs[0].shape}};
  }
  layout::ShardingRule rule(const OpContext& context) const override {
    return elementwise_rule(context, context.inputs[0].shape);
  }
  void reference(const Attributes&, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    outputs[0].bytes = cleave::cast(*inputs[0], outputs[0].dtype).bytes;
  }
  bool is_elementwise() const override { return true; }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_cast() { return {std::make_shared<Cast>()}; }

}  // namespace cleave::ops
