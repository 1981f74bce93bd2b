#include "ops/movement.h"
#include "ops/operands.h"
#include "ops/reshape/factorise.h"

namespace cleave::ops {
namespace {

class Reshape final : public ShapingOp {
 public:
  std::string_view name() const override { return "reshape"; }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    const Shape& shape = context.attributes.dims("shape");
    for (const Dim& extent : shape) require_not_negative(extent, "an extent of reshape");
    context.require_equal(
        x.elements(), product(shape),
        "the elements of a reshape from " + text_of(x.shape) + " to " + text_of(shape));
    return {{x.dtype, shape}};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    layout::ShardingRule rule =
        factorise(context.inputs[0].shape, context.attributes.dims("shape"));
    add_movement_sets(rule, {0});
    return rule;
  }

  void reference(const Attributes&, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    if (inputs[0]->bytes.size() != outputs[0].bytes.size()) {
      invalid("a reshape changes the number of elements");
    }
    outputs[0].bytes = inputs[0]->bytes;
  }

  // The same bytes in the same order.
  Work work(const OpContext&, std::span<const TensorType>) const override { return {}; }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_reshape() {
  return {std::make_shared<Reshape>()};
}

}  // namespace cleave::ops
