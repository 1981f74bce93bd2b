// gather: elements of one axis by index.
#include "ops/gather/reference.h"
#include "ops/indexing.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::OperandFactors;
using layout::ShardingRule;

class Gather : public OpDefinition {
 public:
  std::string_view name() const override { return "gather"; }

  std::vector<AttributeField> fields() const override { return indexed_fields(); }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    const TensorType& data = context.inputs[0];
    const TensorType& indices = context.inputs[1];
    const size_t axis = axis_of(context.attributes, "axis", data.rank());
    require_indices(indices, name());
    TensorType out{data.dtype, {}};
    const auto begin = data.shape.begin();
    const auto at = begin + static_cast<std::ptrdiff_t>(axis);
    out.shape.assign(begin, at);
    out.shape.insert(out.shape.end(), indices.shape.begin(), indices.shape.end());
    out.shape.insert(out.shape.end(), at + 1, data.shape.end());
    return {out};
  }

  // A rank with part of the axis finds some of the elements and zeros for the rest: a Partial sum.
  ShardingRule rule(const OpContext& context) const override {
    const TensorType& data = context.inputs[0];
    const TensorType& indices = context.inputs[1];
    const size_t axis = axis_of(context.attributes, "axis", data.rank());
    ShardingRule rule;
    OperandFactors data_factors, index_factors, out;
    for (size_t i = 0; i < indices.rank(); ++i) {
      index_factors.push_back(along(rule.add_factor("i" + std::to_string(i), indices.shape[i])));
    }
    for (size_t d = 0; d < data.rank(); ++d) {
      if (d == axis) {
        data_factors.push_back(along(add_gathered(rule, "v", data, d)));
        out.insert(out.end(), index_factors.begin(), index_factors.end());
      } else {
        data_factors.push_back(along(rule.add_factor("d" + std::to_string(d), data.shape[d])));
        out.push_back(data_factors.back());
      }
    }
    rule.inputs = {data_factors, index_factors};
    rule.outputs = {out};
    rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_indexed(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_gather(attributes, *inputs[0], *inputs[1], outputs[0]);
  }

  // Only the rows that are taken are read.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    return {0, Dim(2) * outputs[0].bytes() + context.inputs[1].bytes(), std::nullopt};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_gather() {
  return {std::make_shared<Gather>()};
}

}  // namespace cleave::ops
