// rotary: rotary position embedding, pairs of the last dimension turned by given angles.
#include "ops/composite.h"
#include "ops/operands.h"
#include "ops/rotary/reference.h"

namespace cleave::ops {
namespace {

using ir::ValueId;
using layout::Factor;

class Rotary : public OpDefinition {
 public:
  std::string_view name() const override { return "rotary"; }

  std::vector<AttributeField> fields() const override {
    return {{"interleaved", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    const TensorType& x = context.inputs[0];
    require_floating(x, "the operand of rotary");
    if (x.rank() < 2) invalid("rotary takes a tensor [.., rows, depth], not " + x.text());
    for (size_t i = 1; i < 3; ++i) {
      const TensorType& angles = context.inputs[i];
      const std::string what =
          std::string(i == 1 ? "the cosines " : "the sines ") + angles.text() + " of rotary";
      require_same_dtype(x, angles, what + " and its operand");
      if (angles.rank() < 1 || angles.rank() > x.rank()) {
        invalid(what + " do not broadcast to " + x.text());
      }
      context.require_equal(x.shape.back(), Dim(2) * angles.shape.back(),
                            "the depth of " + x.text() + " and twice that of " + what);
      for (size_t d = 0; d + 1 < angles.rank(); ++d) {
        if (angles.shape[d].is(1)) continue;
        context.require_equal(angles.shape[d], x.shape[x.rank() - angles.rank() + d],
                              what + " for " + x.text());
      }
    }
    return {x};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    rule.factors.back().kind = Factor::Kind::kReplicate;
    const uint32_t half =
        rule.add_factor("half", context.inputs[1].shape.back(), Factor::Kind::kReplicate);
    for (size_t i = 1; i < 3; ++i) {
      const TensorType& angles = context.inputs[i];
      rule.inputs[i].assign(angles.rank(), {});
      for (size_t d = 0; d + 1 < angles.rank(); ++d) {
        if (angles.shape[d].is(1)) continue;
        rule.inputs[i][d] = along(static_cast<uint32_t>(x.rank() - angles.rank() + d));
      }
      rule.inputs[i].back() = along(half);
    }
    rule.linear = {{ReduceOp::kSum, {0}}, {ReduceOp::kSum, {1, 2}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_rotary(attributes.integer("interleaved", 0) != 0, *inputs[0], *inputs[1], *inputs[2],
                     outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(3) * outputs[0].elements();
    return work;
  }

  bool is_composite() const override { return true; }

  // Pairs lie along a dimension of 2: the last but one where they are halves, else the last.
  std::vector<ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    Composite c(graph, node);
    const std::vector<ValueId>& inputs = c.node().inputs;
    const DType dtype = c.dtype(inputs[0]);
    const bool interleaved = c.node().attributes.integer("interleaved", 0) != 0;
    const ValueId x = c.wide(inputs[0]);
    const Shape shape = c.shape(x);
    Shape half = shape;
    half.back() = c.shape(inputs[1]).back();
    Shape paired = half;
    paired.insert(interleaved ? paired.end() : paired.end() - 1, Dim(2));
    const size_t pair_axis = interleaved ? shape.size() : shape.size() - 1;
    const ValueId pairs = c.reshape(x, paired);
    const auto side = [&](int64_t which) {
      Shape begin(paired.size(), Dim(0)), step(paired.size(), Dim(1)), extent = paired;
      begin[pair_axis] = which;
      extent[pair_axis] = 1;
      return c.reshape(
          c.apply("slice", {pairs}, {{"begin", begin}, {"extent", extent}, {"step", step}}), half);
    };
    const ValueId first = side(0), second = side(1);
    const ValueId cos = c.broadcast(c.wide(inputs[1]), half);
    const ValueId sin = c.broadcast(c.wide(inputs[2]), half);
    const auto mul = [&](ValueId a, ValueId b) { return c.apply("mul", {a, b}); };
    Shape single = paired;
    single[pair_axis] = 1;
    const ValueId real = c.apply("sub", {mul(first, cos), mul(second, sin)});
    const ValueId imaginary = c.apply("add", {mul(second, cos), mul(first, sin)});
    const ValueId joined =
        c.apply("concat", {c.reshape(real, single), c.reshape(imaginary, single)},
                {{"axis", Dim(static_cast<int64_t>(pair_axis))}});
    return {c.cast(c.reshape(joined, shape), dtype)};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_rotary() {
  return {std::make_shared<Rotary>()};
}

}  // namespace cleave::ops
