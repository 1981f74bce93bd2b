// gather_elements, scatter_elements: an index for each element, along one axis.
#include "ops/indexed_elements/reference.h"
#include "ops/indexing.h"
#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::Factor;
using layout::OperandFactors;
using layout::ShardingRule;

// The axis, where data and indices are alike in all other dimensions.
size_t checked_axis(const OpContext& context, std::string_view op) {
  const TensorType& data = context.inputs[0];
  const TensorType& indices = context.inputs[1];
  const size_t axis = axis_of(context.attributes, "axis", data.rank());
  require_indices(indices, op);
  if (indices.rank() != data.rank()) {
    invalid(std::string(op) + " of " + data.text() +
            " by indices of another rank: " + indices.text());
  }
  for (size_t d = 0; d < data.rank(); ++d) {
    if (d == axis) continue;
    context.require_equal(data.shape[d], indices.shape[d],
                          "dimension " + std::to_string(d) + " of data and indices");
  }
  return axis;
}

// Lines along the axis are independent of each other: every other dimension is parallel. `indexed`
// adds the factor of the axis of data.
struct Lines {
  ShardingRule rule;
  OperandFactors data, indices;

  Lines(const OpContext& context, decltype(&add_gathered) indexed, Factor::Kind along_indices) {
    const Shape& shape = context.inputs[0].shape;
    const size_t axis = axis_of(context.attributes, "axis", shape.size());
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d == axis) {
        data.push_back(along(indexed(rule, "v", context.inputs[0], d)));
        indices.push_back(along(rule.add_factor("i", context.inputs[1].shape[d], along_indices)));
      } else {
        data.push_back(along(rule.add_factor("d" + std::to_string(d), shape[d])));
        indices.push_back(data.back());
      }
    }
  }
};

class GatherElements final : public OpDefinition {
 public:
  std::string_view name() const override { return "gather_elements"; }
  std::vector<AttributeField> fields() const override { return indexed_fields(); }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    checked_axis(context, name());
    return {{context.inputs[0].dtype, context.inputs[1].shape}};
  }

  ShardingRule rule(const OpContext& context) const override {
    Lines lines(context, add_gathered, Factor::Kind::kParallel);
    lines.rule.inputs = {lines.data, lines.indices};
    lines.rule.outputs = {lines.indices};
    add_movement_sets(lines.rule, {0});
    return lines.rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_indexed(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_gather_elements(attributes, *inputs[0], *inputs[1], outputs[0]);
  }

  // Only the elements that are taken are read.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = movement_work(outputs);
    work.bytes += context.inputs[1].bytes();
    return work;
  }
};

class ScatterElements final : public OpDefinition {
 public:
  std::string_view name() const override { return "scatter_elements"; }
  std::vector<AttributeField> fields() const override {
    std::vector<AttributeField> fields = indexed_fields();
    fields.push_back(scatter_field());
    return fields;
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    checked_axis(context, name());
    require_scatter(context, name());
    const Shape& indices = context.inputs[1].shape;
    const Shape& updates = context.inputs[2].shape;
    if (updates.size() != indices.size()) {
      invalid("scatter_elements has indices " + text_of(indices) + " for updates " +
              text_of(updates));
    }
    for (size_t d = 0; d < updates.size(); ++d) {
      context.require_equal(indices[d], updates[d],
                            "dimension " + std::to_string(d) + " of indices and updates");
    }
    return {context.inputs[0]};
  }

  ShardingRule rule(const OpContext& context) const override {
    Lines lines(context, add_scattered, Factor::Kind::kReplicate);
    lines.rule.inputs = {lines.data, lines.indices, lines.indices};
    lines.rule.outputs = {lines.data};
    add_scatter_sets(lines.rule, context.attributes);
    return lines.rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_indexed(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_scatter_elements(attributes, *inputs[0], *inputs[1], *inputs[2], outputs[0]);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_indexed_elements() {
  return {std::make_shared<GatherElements>(), std::make_shared<ScatterElements>()};
}

}  // namespace cleave::ops
