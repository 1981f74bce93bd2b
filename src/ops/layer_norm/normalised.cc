#include "ops/layer_norm/normalised.h"

#include "ops/operands.h"

namespace cleave::ops {

size_t leading_dims(const OpContext& context) {
  const int64_t axes = context.attributes.integer("axes");
  const TensorType& x = context.inputs[0];
  if (axes < 1 || axes > static_cast<int64_t>(x.rank())) {
    invalid("cannot normalise the last " + std::to_string(axes) + " dimensions of " + x.text());
  }
  return x.rank() - static_cast<size_t>(axes);
}

void check_normalised(const OpContext& context, std::string_view op) {
  const TensorType& x = context.inputs[0];
  require_floating(x, "the operand of " + std::string(op));
  if (!(context.attributes.real("epsilon") >= 0)) invalid("epsilon is negative");
  const size_t leading = leading_dims(context);
  for (size_t i = 1; i < context.inputs.size(); ++i) {
    if (!context.has(i)) continue;
    const TensorType& other = context.inputs[i];
    const std::string what = std::string(i == 1 ? "the scale" : "the bias") + " of " +
                             std::string(op) + ", " + other.text() + " for " + x.text();
    require_same_dtype(x, other, what);
    if (other.rank() != x.rank() - leading) {
      invalid(what + ", has not the shape of the normalised dimensions");
    }
    for (size_t d = leading; d < x.rank(); ++d) {
      context.require_equal(x.shape[d], other.shape[d - leading], what);
    }
  }
}

layout::ShardingRule normalised_rule(const OpContext& context) {
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

NormalisedRows::NormalisedRows(const std::vector<int64_t>& shape, int64_t axes) {
  const size_t leading = shape.size() - static_cast<size_t>(axes);
  for (size_t d = 0; d < shape.size(); ++d) (d < leading ? rows : elements) *= shape[d];
}

ir::ValueId mean(Composite& c, ir::ValueId x, size_t leading) {
  const Shape shape = c.shape(x);
  const Dim count = product(std::span(shape).subspan(leading));
  const ir::ValueId sum = c.reduced("reduce_sum", x, leading, shape.size());
  return c.apply("div", {sum, c.broadcast(c.size(c.dtype(x), count), shape)});
}

}  // namespace cleave::ops
