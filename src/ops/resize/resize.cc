// resize: an image of another size, its elements interpolated.
#include <cmath>

#include "ops/movement.h"
#include "ops/operands.h"
#include "ops/resize/reference.h"
#include "ops/resize/windows.h"
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
            {"extrapolation", Kind::kReal, false},
            {"whole_in", Kind::kDims, false},
            {"begin_in", Kind::kDims, false},
            {"whole_out", Kind::kDims, false},
            {"begin_out", Kind::kDims, false}};
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

  // Linear in the operand; nearest elements are only moved. A resized dimension is split where it
  // is known what a part of the result is made from.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Attributes& attributes = context.attributes;
    layout::ShardingRule rule = elementwise_rule(context, context.inputs[0].shape);
    const std::vector<int64_t> axes = attributes.integers("axes");
    for (size_t i = 0; i < axes.size(); ++i) {
      set_factors(rule, context, i, static_cast<size_t>(axes[i]));
    }
    // What is extrapolated would be reduced too.
    if (attributes.string("coordinates", "half_pixel") == "tf_crop_and_resize") return rule;
    if (is_nearest(attributes)) {
      add_movement_sets(rule, {0});
    } else {
      rule.linear = {{ReduceOp::kSum, {0}}};
    }
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = ShapingOp::localize(context);
    const layout::Placement& operand = context.placements.inputs[0];
    if (!operand.is_shard() || !operand.cut.windowed()) return local;
    // Positions are those of the whole.
    std::vector<Dim> whole_in, whole_out, begin_in, begin_out;
    for (const int64_t axis : local.integers("axes")) {
      const auto d = static_cast<size_t>(axis);
      const bool split = axis == operand.dim;
      const auto begin = [&](const layout::Cut& cut) {
        return split ? cut.pieces(context.rank, context.ranks)[0].begin : Dim(0);
      };
      whole_in.push_back(context.whole.inputs[0].shape[d]);
      whole_out.push_back(context.whole_outputs[0].shape[d]);
      begin_in.push_back(begin(operand.cut));
      begin_out.push_back(begin(context.strategy.cut));
    }
    local.set("whole_in", whole_in);
    local.set("whole_out", whole_out);
    local.set("begin_in", begin_in);
    local.set("begin_out", begin_out);
    return local;
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
  // Of the i-th axis, which is dimension `d`.
  static void set_factors(layout::ShardingRule& rule, const OpContext& context, size_t i,
                          size_t d) {
    const Dim& in = context.inputs[0].shape[d];
    const Dim& out = context.attributes.dims("shape")[d];
    const ResizeSplit split = resize_split(context.attributes, i, in, out);
    if (split.copies) {
      const uint32_t copy = rule.add_factor("copy" + std::to_string(d), *split.copies,
                                            layout::Factor::Kind::kReplicate);
      rule.outputs[0][d].push_back({.factor = copy});
    } else if (split.window) {
      rule.factors[d].size = out;
      rule.inputs[0][d][0].window = split.window;
    } else {
      rule.inputs[0][d].clear();
      rule.outputs[0][d].clear();
      rule.factors[d].kind = layout::Factor::Kind::kReplicate;
    }
  }

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
    for (const char* name : {"whole_in", "begin_in", "whole_out", "begin_out"}) {
      if (attributes.has(name) && attributes.dims(name).size() != axes) {
        invalid("resize needs " + std::string(name) + " for each axis");
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
