// group_norm: groups of channels brought to mean 0 and variance 1, then scaled and shifted by
// channel.
#include "ops/composite.h"
#include "ops/group_norm/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class GroupNorm final : public OpDefinition {
 public:
  std::string_view name() const override { return "group_norm"; }

  std::vector<AttributeField> fields() const override {
    return {{"group_channels", AttributeField::Kind::kDim},
            {"epsilon", AttributeField::Kind::kReal}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    const TensorType& x = context.inputs[0];
    require_floating(x, "the operand of group_norm");
    if (x.rank() < 2) invalid("group_norm takes [n, c, image...], not " + x.text());
    if (!(context.attributes.real("epsilon") >= 0)) invalid("epsilon is negative");
    const Dim& channels = context.attributes.dim("group_channels");
    if (channels.bounds({}).high < 1) invalid("a group has " + channels.text() + " channels");
    context.require_equal(floor_div(x.shape[1], channels) * channels, x.shape[1],
                          "whole groups of " + channels.text() + " channels");
    for (size_t i = 1; i < 3; ++i) {
      const TensorType& other = context.inputs[i];
      const std::string what = std::string(i == 1 ? "the scale" : "the bias") + " of group_norm, " +
                               other.text() + " for " + x.text();
      require_same_dtype(x, other, what);
      if (other.rank() != 1) invalid(what + ", has not one element a channel");
      context.require_equal(x.shape[1], other.shape[0], what);
    }
    return {x};
  }

  // Whole groups may be split; a group has the same channels on every rank.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const Dim& channels = context.attributes.dim("group_channels");
    layout::ShardingRule rule;
    layout::OperandFactors x(shape.size());
    x[0] = along(rule.add_factor("n", shape[0]));
    x[1] = along(rule.add_factor("g", floor_div(shape[1], channels)));
    if (!channels.is(1)) {
      x[1].push_back({.factor = rule.add_factor("c", channels, layout::Factor::Kind::kReplicate)});
    }
    rule.inputs = {x, {x[1]}, {x[1]}};
    rule.outputs = {x};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_group_norm(attributes, *inputs[0], *inputs[1], *inputs[2], outputs[0]);
  }

  // Sum, difference, square, sum and difference, scale and bias.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(7) * outputs[0].elements();
    return work;
  }

  bool is_composite() const override { return true; }

  std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    Composite c(graph, node);
    const std::vector<ir::ValueId>& inputs = c.node().inputs;
    const DType dtype = c.dtype(inputs[0]);
    const Shape shape = c.shape(inputs[0]);
    const Dim& channels = c.node().attributes.dim("group_channels");
    const Dim elements = channels * product(std::span(shape).subspan(2));
    const Shape grouped{shape[0], floor_div(shape[1], channels), elements};
    const ir::ValueId x = c.reshape(c.wide(inputs[0]), grouped);
    const Attributes last{{"axes", Dim(1)}, {"epsilon", c.node().attributes.real("epsilon")}};
    const ir::ValueId y = c.reshape(c.apply("layer_norm", {x}, last), shape);
    Shape kept(shape.size() - 1, 1);
    kept[0] = shape[1];
    const auto spread = [&](ir::ValueId parameter) {
      return c.broadcast(c.reshape(c.wide(parameter), kept), shape);
    };
    const ir::ValueId scaled = c.apply("mul", {y, spread(inputs[1])});
    return {c.cast(c.apply("add", {scaled, spread(inputs[2])}), dtype)};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_group_norm() {
  return {std::make_shared<GroupNorm>()};
}

}  // namespace cleave::ops
