#include "ops/elementwise/elementwise.h"

#include "ops/builder.h"
#include "ops/elementwise/decompositions.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// An op of the table of scalar operations.
class Elementwise final : public OpDefinition {
 public:
  explicit Elementwise(const ScalarOp& scalar) : scalar_(scalar) {}

  std::string_view name() const override { return scalar_.name; }

  std::vector<AttributeField> fields() const override {
    if (!scalar_.has_alpha) return {};
    return {{"alpha", AttributeField::Kind::kReal}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    const auto arity = static_cast<size_t>(scalar_.arity);
    require_inputs(context, arity, arity);
    TensorType type = context.inputs[0];
    if (!scalar_.takes(type.dtype)) {
      throw Error(ErrorCode::kInvalid, std::string(name()) + " does not take elements of type " +
                                           std::string(name_of(type.dtype)));
    }
    for (size_t i = 1; i < arity; ++i) unite(context, context.inputs[i], type);
    if (scalar_.to_bool) type.dtype = DType::kBool;
    return {type};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    layout::ShardingRule rule = elementwise_rule(context, context.inputs[0].shape);
    for (const ScalarOp::Linear& linear : scalar_.linear) {
      if (linear.floating_only && !is_floating(context.inputs[0].dtype)) continue;
      layout::LinearSet set{linear.reduce, {}};
      for (uint32_t i = 0; i < 2; ++i) {
        if (linear.operands >> i & 1u) set.operands.push_back(i);
      }
      rule.linear.push_back(std::move(set));
    }
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const HostTensor& a = *inputs[0];
    const HostTensor& b = *inputs[inputs.size() - 1];
    HostTensor& out = outputs[0];
    const int64_t count = out.elements();
    if (is_floating(a.dtype)) {
      const double alpha = attributes.real("alpha", 0.0);
      for (int64_t i = 0; i < count; ++i) {
        out.set(i, scalar_.real(a.get(i), scalar_.has_alpha ? alpha : b.get(i)));
      }
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      out.set_integer(i, static_cast<int64_t>(scalar_.integer(wide(a, i), wide(b, i))));
    }
  }

  bool is_elementwise() const override { return true; }
  bool is_composite() const override { return has_decomposition(scalar_.name); }
  std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    return decompose_elementwise(graph, node);
  }

 private:
  // Adds what an operand's shape says of the result's.
  static void unite(const OpContext& context, const TensorType& other, TensorType& type) {
    if (other.dtype != type.dtype || other.rank() != type.rank()) {
      throw Error(ErrorCode::kInvalid,
                  "operands have different types: " + type.text() + " and " + other.text());
    }
    for (size_t d = 0; d < type.rank(); ++d) {
      type.shape[d] = context.require_equal(type.shape[d], other.shape[d],
                                            "dimension " + std::to_string(d) + " of operands");
    }
  }

  static WideInteger wide(const HostTensor& tensor, int64_t index) {
    const int64_t value = tensor.get_integer(index);
    if (tensor.dtype == DType::kUInt64) return static_cast<uint64_t>(value);
    return value;
  }

  const ScalarOp& scalar_;
};

// Keeps its operand on rank 0; of the others only the shape remains. So a replicated operand
// becomes the terms of a sum.
class RankZero final : public OpDefinition {
 public:
  std::string_view name() const override { return "rank_zero"; }
  std::vector<AttributeField> fields() const override {
    return {{"rank", AttributeField::Kind::kDim, false}};
  }
  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    return {context.inputs[0]};
  }
  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    if (attributes.integer("rank") == 0) {
      outputs[0].bytes = inputs[0]->bytes;
    } else {
      std::fill(outputs[0].bytes.begin(), outputs[0].bytes.end(), std::byte{0});
    }
  }
  bool is_elementwise() const override { return true; }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_elementwise() {
  std::vector<std::shared_ptr<const OpDefinition>> definitions;
  for (const ScalarOp& scalar : scalar_ops()) {
    definitions.push_back(std::make_shared<Elementwise>(scalar));
  }
  definitions.push_back(std::make_shared<RankZero>());
  return definitions;
}

}  // namespace cleave::ops
