#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class Broadcast final : public ShapingOp {
 public:
  std::string_view name() const override { return "broadcast"; }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    Shape shape = context.attributes.dims("shape");
    if (shape.size() < x.rank()) {
      invalid("broadcast of " + text_of(x.shape) + " to fewer dimensions: " + text_of(shape));
    }
    const size_t added = shape.size() - x.rank();
    for (size_t d = 0; d < shape.size(); ++d) {
      require_not_negative(shape[d], "an extent of broadcast");
      if (d < added || x.shape[d - added].is(1)) continue;
      shape[d] = context.require_equal(
          shape[d], x.shape[d - added],
          "broadcast to " + text_of(shape) + ", dimension " + std::to_string(d));
    }
    return {{x.dtype, shape}};
  }

  // The input has no part in the factors of stretched dimensions: it is whole where they are split.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& x = context.inputs[0].shape;
    const Shape& shape = context.attributes.dims("shape");
    const size_t added = shape.size() - x.size();
    layout::ShardingRule rule;
    rule.inputs.emplace_back(x.size());
    rule.outputs.emplace_back();
    for (size_t d = 0; d < shape.size(); ++d) {
      const uint32_t factor = rule.add_factor("d" + std::to_string(d), shape[d]);
      rule.outputs[0].push_back(along(factor));
      const bool stretched = d < added || (x[d - added].is(1) && !shape[d].is(1));
      if (!stretched) rule.inputs[0][d - added] = along(factor);
    }
    add_movement_sets(rule, {0});
    return rule;
  }

  void reference(const Attributes&, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const std::vector<int64_t>& shape = inputs[0]->shape;
    const std::vector<int64_t> dense = row_major_strides(shape);
    std::vector<int64_t> strides(outputs[0].shape.size(), 0);
    const size_t added = strides.size() - shape.size();
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] != 1) strides[d + added] = dense[d];
    }
    copy_strided(*inputs[0], 0, strides, outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    return {0, context.inputs[0].bytes() + outputs[0].bytes(), {}};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_broadcast() {
  return {std::make_shared<Broadcast>()};
}

}  // namespace cleave::ops
