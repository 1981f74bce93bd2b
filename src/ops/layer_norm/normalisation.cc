#include "ops/layer_norm/normalisation.h"

#include "ops/composite.h"
#include "ops/layer_norm/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// How many leading dimensions are not normalised; Error(kInvalid) where the attribute `axes` does
// not fit.
size_t leading_dims(const OpContext& context) {
  const int64_t axes = context.attributes.integer("axes");
  const TensorType& x = context.inputs[0];
  if (axes < 1 || axes > static_cast<int64_t>(x.rank())) {
    invalid("cannot normalise the last " + std::to_string(axes) + " dimensions of " + x.text());
  }
  return x.rank() - static_cast<size_t>(axes);
}

// The mean of `x` over its dimensions from `leading` on, at every element.
ir::ValueId mean(Composite& c, ir::ValueId x, size_t leading) {
  const Shape shape = c.shape(x);
  const Dim count = product(std::span(shape).subspan(leading));
  const ir::ValueId sum = c.reduced("reduce_sum", x, leading, shape.size());
  return c.apply("div", {sum, c.broadcast(c.size(c.dtype(x), count), shape)});
}

class Normalisation final : public OpDefinition {
 public:
  Normalisation(std::string_view name, Normalised how)
      : name_(name), centred_(how == Normalised::kCentred) {}

  std::string_view name() const override { return name_; }

  std::vector<AttributeField> fields() const override {
    return {{"axes", AttributeField::Kind::kDim, true},
            {"epsilon", AttributeField::Kind::kReal, true}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, centred_ ? 3 : 2);
    const TensorType& x = context.inputs[0];
    require_floating(x, "the operand of " + std::string(name_));
    if (!(context.attributes.real("epsilon") >= 0)) invalid("epsilon is negative");
    const size_t leading = leading_dims(context);
    for (size_t i = 1; i < context.inputs.size(); ++i) {
      if (context.has(i)) check_parameter(context, i, leading);
    }
    return {x};
  }

  // Leading dimensions are parallel, normalised ones whole.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const size_t leading = leading_dims(context);
    layout::ShardingRule rule = elementwise_rule(context, shape);
    for (size_t d = leading; d < shape.size(); ++d) {
      rule.factors[d].kind = layout::Factor::Kind::kReplicate;
    }
    for (size_t i = 1; i < context.inputs.size(); ++i) {
      if (!context.has(i)) continue;
      rule.inputs[i].clear();
      for (size_t d = leading; d < shape.size(); ++d) {
        rule.inputs[i].push_back(along(static_cast<uint32_t>(d)));
      }
    }
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const auto input = [&](size_t i) { return i < inputs.size() ? inputs[i] : nullptr; };
    reference_normalisation(attributes, centred_, *inputs[0], input(1), input(2), outputs[0]);
  }

  // Square, sum, quotient and scale; where centred mean, difference and bias too.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(centred_ ? 7 : 4) * outputs[0].elements();
    // What is done once a row is much of the work of short ones.
    const Shape& shape = outputs[0].shape;
    const auto axes = static_cast<size_t>(context.attributes.integer("axes"));
    work.width = product(std::span(shape).last(std::min(axes, shape.size())));
    return work;
  }

  bool is_composite() const override { return true; }

  std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    Composite c(graph, node);
    const std::vector<ir::ValueId>& inputs = c.node().inputs;
    const DType dtype = c.dtype(inputs[0]);
    ir::ValueId x = c.wide(inputs[0]);
    const Shape shape = c.shape(x);
    const size_t leading = shape.size() - static_cast<size_t>(c.node().attributes.integer("axes"));
    if (centred_) x = c.apply("sub", {x, mean(c, x, leading)});
    const ir::ValueId square = mean(c, c.apply("mul", {x, x}), leading);
    const ir::ValueId epsilon = c.constant(c.dtype(x), c.node().attributes.real("epsilon"), shape);
    ir::ValueId y = c.apply("mul", {x, c.apply("rsqrt", {c.apply("add", {square, epsilon})})});
    if (inputs.size() > 1 && inputs[1].valid()) {
      y = c.apply("mul", {y, c.broadcast(c.wide(inputs[1]), shape)});
    }
    if (inputs.size() > 2 && inputs[2].valid()) {
      y = c.apply("add", {y, c.broadcast(c.wide(inputs[2]), shape)});
    }
    return {c.cast(y, dtype)};
  }

 private:
  // The scale (operand 1) or bias (2) against the normalised dimensions of the first operand.
  void check_parameter(const OpContext& context, size_t i, size_t leading) const {
    const TensorType& x = context.inputs[0];
    const TensorType& other = context.inputs[i];
    const std::string what = std::string(i == 1 ? "the scale" : "the bias") + " of " +
                             std::string(name_) + ", " + other.text() + " for " + x.text();
    require_same_dtype(x, other, what);
    if (other.rank() != x.rank() - leading) {
      invalid(what + ", has not the shape of the normalised dimensions");
    }
    for (size_t d = leading; d < x.rank(); ++d) {
      context.require_equal(x.shape[d], other.shape[d - leading], what);
    }
  }

  std::string_view name_;
  bool centred_;
};

}  // namespace

std::shared_ptr<const OpDefinition> make_normalisation(std::string_view name, Normalised how) {
  return std::make_shared<Normalisation>(name, how);
}

}  // namespace cleave::ops
