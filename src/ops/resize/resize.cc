// resize: an image of another size, its elements interpolated.
#include <cmath>

#include "ops/movement.h"
#include "ops/operands.h"
#include "ops/resize/reference.h"
#include "types/resize_taps.h"

namespace cleave::ops {
namespace {

class Resize final : public ShapingOp {
 public:
  std::string_view name() const override { return "resize"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    return {{"shape", Kind::kDims},
            {"axes", Kind::kDims},
            {"scales", Kind::kReals, false},
            {"mode", Kind::kString, false},
            {"coordinates", Kind::kString, false},
            {"rounding", Kind::kString, false},
            {"cubic_coefficient", Kind::kReal, false},
            {"exclude_outside", Kind::kDim, false},
            {"antialias", Kind::kDim, false},
            {"roi", Kind::kReals, false},
            {"extrapolation", Kind::kReal, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    const Attributes& attributes = context.attributes;
    check_resize_modes(attributes);
    if (!is_nearest(attributes)) require_floating(x, "the operand of an interpolation");
    const Shape& shape = attributes.dims("shape");
    if (shape.size() != x.rank()) {
      invalid("resize of " + x.text() + " to " + text_of(shape) + " changes the rank");
    }
    const std::vector<bool> resized = resized_dims(context);
    check_axis_lists(attributes);
    for (size_t d = 0; d < shape.size(); ++d) {
      if (!resized[d]) {
        context.require_equal(x.shape[d], shape[d], "a dimension that is not resized");
        continue;
      }
      require_not_negative(shape[d], "a size that resize is to give");
      if (shape[d].bounds({}).low > INT32_MAX) {
        invalid("resize to " + text_of(shape) + " overflows", "check the scales or sizes");
      }
      if (x.shape[d].is(0) && !shape[d].is(0)) {
        invalid("dimension " + std::to_string(d) + " of " + x.text() + " has nothing to resize");
      }
    }
    return {{x.dtype, shape}};
  }

  // Linear in the operand; nearest elements are only moved.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const std::vector<bool> resized = resized_dims(context);
    layout::ShardingRule rule = elementwise_rule(context, shape);
    for (size_t d = 0; d < shape.size(); ++d) {
      if (!resized[d]) continue;
      rule.inputs[0][d].clear();
      rule.outputs[0][d].clear();
      rule.factors[d].kind = layout::Factor::Kind::kReplicate;
    }
    const Attributes& attributes = context.attributes;
    // What is extrapolated would be reduced too.
    if (attributes.string("coordinates", "half_pixel") == "tf_crop_and_resize") return rule;
    if (is_nearest(attributes)) {
      add_movement_sets(rule, {0});
    } else {
      rule.linear = {{ReduceOp::kSum, {0}}};
    }
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_resize(attributes, *inputs[0], outputs[0]);
  }

  // A multiplication and an addition a tap and dimension.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    const std::string mode = context.attributes.string("mode", "nearest");
    const auto axes = static_cast<int64_t>(context.attributes.dims("axes").size());
    const Dim taps = mode == "nearest" ? 0 : mode == "linear" ? 2 : 4;
    work.flops = outputs[0].elements() * taps * (2 * axes);
    return work;
  }

 private:
  static bool is_nearest(const Attributes& attributes) {
    return attributes.string("mode", "nearest") == "nearest";
  }

  static std::vector<bool> resized_dims(const OpContext& context) {
    const size_t rank = context.inputs[0].rank();
    std::vector<bool> resized(rank, false);
    int64_t last = -1;
    for (const int64_t axis : context.attributes.integers("axes")) {
      if (axis <= last || axis >= static_cast<int64_t>(rank)) {
        invalid("the axes of resize are " + text_of(context.attributes.dims("axes")) + " for " +
                context.inputs[0].text() + ", but must rise and be inside");
      }
      resized[static_cast<size_t>(axis)] = true;
      last = axis;
    }
    return resized;
  }

  static void check_axis_lists(const Attributes& attributes) {
    const size_t axes = attributes.dims("axes").size();
    if (attributes.has("scales")) {
      if (attributes.reals("scales").size() != axes) invalid("resize needs a scale for each axis");
      for (const double scale : attributes.reals("scales")) {
        if (!(scale > 0) || !std::isfinite(scale)) {
          invalid("a scale of resize is " + std::to_string(scale) + ", but must be above 0");
        }
      }
    }
    if (attributes.has("roi") && attributes.reals("roi").size() != 2 * axes) {
      invalid("resize needs begin and end of the roi for each axis");
    }
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_resize() {
  return {std::make_shared<Resize>()};
}

}  // namespace cleave::ops
