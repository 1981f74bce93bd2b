#include "ops/definition.h"

#include "base/check.h"

namespace cleave::ops {

Dim OpContext::require_equal(const Dim& a, const Dim& b, std::string_view what) const {
  if (a == b) return a;
  const Interval difference = (a - b).bounds({});
  if (difference.low > 0 || difference.high < 0) {
    throw Error(ErrorCode::kInvalid,
                std::string(what) + ": " + a.text() + " and " + b.text() + " are not equal");
  }
  if (guards) add_guard(*guards, {a, b, std::string(what)});
  if (a.is_constant() || b.is_constant()) return a.is_constant() ? a : b;
  return b.text().size() < a.text().size() ? b : a;
}

layout::ShardingRule OpDefinition::rule(const OpContext& context) const {
  layout::ShardingRule rule;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    rule.inputs.emplace_back(context.has(i) ? context.inputs[i].rank() : 0);
  }
  OpContext quiet = context;
  quiet.guards = nullptr;
  for (const TensorType& type : infer_types(quiet)) rule.outputs.emplace_back(type.rank());
  return rule;
}

Attributes OpDefinition::localize(const LocalizeContext& context) const {
  return context.whole.attributes;
}

Work OpDefinition::work(const OpContext& context, std::span<const TensorType> outputs) const {
  Work work;
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    if (context.has(i)) work.bytes += context.inputs[i].bytes();
  }
  for (const TensorType& type : outputs) {
    work.bytes += type.bytes();
    work.flops += type.elements();
  }
  return work;
}

std::vector<HostTensor> OpDefinition::reference_ranks(std::span<const Attributes>,
                                                      std::span<const HostTensor* const>) const {
  internal_error("the op " + std::string(name()) + " is no collective", __FILE__, __LINE__);
}

std::vector<ir::ValueId> OpDefinition::decompose(ir::Graph&, const ir::Node& node) const {
  internal_error("the op " + node.op + " has no decomposition", __FILE__, __LINE__);
}

void require_inputs(const OpContext& context, size_t least, size_t most) {
  const size_t count = context.inputs.size();
  if (count < least || count > most) {
    std::string expected = std::to_string(least);
    if (most != least) expected += " to " + std::to_string(most);
    throw Error(ErrorCode::kInvalid,
                "there are " + std::to_string(count) + " inputs where the op takes " + expected);
  }
  for (size_t i = 0; i < least; ++i) {
    if (!context.has(i)) {
      throw Error(ErrorCode::kInvalid, "input " + std::to_string(i) + " is absent");
    }
  }
}

size_t axis_of(const Attributes& attributes, std::string_view name, size_t rank) {
  const int64_t axis = attributes.integer(name);
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) {
    throw Error(ErrorCode::kInvalid, std::string(name) + " " + std::to_string(axis) +
                                         " is not a dimension of a tensor of rank " +
                                         std::to_string(rank));
  }
  return static_cast<size_t>(axis);
}

layout::ShardingRule elementwise_rule(const OpContext& context, const Shape& shape) {
  layout::ShardingRule rule;
  layout::OperandFactors operand;
  for (size_t d = 0; d < shape.size(); ++d) {
    const uint32_t factor = rule.add_factor("d" + std::to_string(d), shape[d]);
    operand.push_back({layout::FactorUse{factor, 0, std::nullopt, 1}});
  }
  for (size_t i = 0; i < context.inputs.size(); ++i) {
    rule.inputs.push_back(context.has(i) ? operand : layout::OperandFactors{});
  }
  rule.outputs.push_back(operand);
  return rule;
}

}  // namespace cleave::ops
