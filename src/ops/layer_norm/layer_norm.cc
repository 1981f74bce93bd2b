// layer_norm: the last dimensions brought to mean 0 and variance 1, then scaled and shifted.
#include "ops/layer_norm/normalised.h"
#include "ops/layer_norm/reference.h"

namespace cleave::ops {
namespace {

class LayerNorm : public OpDefinition {
 public:
  std::string_view name() const override { return "layer_norm"; }

  std::vector<AttributeField> fields() const override {
    return {{"axes", AttributeField::Kind::kDim, true},
            {"epsilon", AttributeField::Kind::kReal, true}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 3);
    check_normalised(context, name());
    return {context.inputs[0]};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    return normalised_rule(context);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const auto input = [&](size_t i) { return i < inputs.size() ? inputs[i] : nullptr; };
    reference_layer_norm(attributes, *inputs[0], input(1), input(2), outputs[0]);
  }

  // Mean, difference, square, sum, quotient, scale and bias.
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
    const ir::ValueId x = c.wide(inputs[0]);
    const Shape shape = c.shape(x);
    const size_t leading = shape.size() - static_cast<size_t>(c.node().attributes.integer("axes"));
    const ir::ValueId centred = c.apply("sub", {x, mean(c, x, leading)});
    const ir::ValueId variance = mean(c, c.apply("mul", {centred, centred}), leading);
    const ir::ValueId epsilon = c.constant(c.dtype(x), c.node().attributes.real("epsilon"), shape);
    ir::ValueId y =
        c.apply("mul", {centred, c.apply("rsqrt", {c.apply("add", {variance, epsilon})})});
    if (inputs.size() > 1 && inputs[1].valid()) {
      y = c.apply("mul", {y, c.broadcast(c.wide(inputs[1]), shape)});
    }
    if (inputs.size() > 2 && inputs[2].valid()) {
      y = c.apply("add", {y, c.broadcast(c.wide(inputs[2]), shape)});
    }
    return {c.cast(y, dtype)};
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_layer_norm() {
  return {std::make_shared<LayerNorm>()};
}

}  // namespace cleave::ops
