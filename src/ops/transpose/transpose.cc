#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// Dimension i of the result is dimension perm[i] of the operand.
class Transpose final : public OpDefinition {
 public:
  std::string_view name() const override { return "transpose"; }
  std::vector<AttributeField> fields() const override {
    return {{"perm", AttributeField::Kind::kDims}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    TensorType type{x.dtype, {}};
    for (size_t from : permutation(context.attributes, x.rank())) {
      type.shape.push_back(x.shape[from]);
    }
    return {type};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    rule.outputs[0].clear();
    for (size_t from : permutation(context.attributes, x.rank())) {
      rule.outputs[0].push_back(rule.inputs[0][from]);
    }
    add_movement_sets(rule, {0});
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const std::vector<int64_t> dense = row_major_strides(inputs[0]->shape);
    std::vector<int64_t> strides;
    for (size_t from : permutation(attributes, dense.size())) strides.push_back(dense[from]);
    copy_strided(*inputs[0], 0, strides, outputs[0]);
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }

 private:
  static std::vector<size_t> permutation(const Attributes& attributes, size_t rank) {
    const std::vector<int64_t> perm = attributes.integers("perm");
    std::vector<size_t> result;
    std::vector<bool> taken(rank, false);
    for (int64_t p : perm) {
      if (p < 0 || p >= static_cast<int64_t>(rank) || taken[static_cast<size_t>(p)]) break;
      taken[static_cast<size_t>(p)] = true;
      result.push_back(static_cast<size_t>(p));
    }
    if (result.size() != rank || perm.size() != rank) {
      invalid("perm " + text_of(attributes.dims("perm")) + " is no permutation of " +
              std::to_string(rank) + " dimensions");
    }
    return result;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_transpose() {
  return {std::make_shared<Transpose>()};
}

}  // namespace cleave::ops
