// conv: a window of weights slides over signals, images or volumes:
//   y[n, o, u] = Σ x[n, c, u · stride + k · dilation − low] · w[o, c, k]
// over the channels c of o's group and the taps k; x is 0 outside of its extent.
#include <algorithm>
#include <optional>

#include "ops/conv/reference.h"
#include "ops/operands.h"
#include "ops/window.h"

namespace cleave::ops {
namespace {

using layout::DimFactors;
using layout::Factor;
using layout::ShardingRule;

Window window_of(const OpContext& context) {
  const Shape& w = context.inputs[1].shape;
  return Window::of(context.attributes, {w.begin() + kImage, w.end()});
}

class Conv : public OpDefinition {
 public:
  std::string_view name() const override { return "conv"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    std::vector<AttributeField> fields = window_fields();
    fields.push_back({"groups", Kind::kDim});
    fields.push_back({"tf32", Kind::kDim, false});
    return fields;
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    const TensorType& x = context.inputs[0];
    const TensorType& w = context.inputs[1];
    require_same_dtype(x, w, "the operands of a convolution");
    if (x.dtype == DType::kBool) invalid("a convolution of booleans has no meaning");
    if (x.rank() < 3 || x.rank() > 5 || w.rank() != x.rank()) {
      invalid("a convolution cannot take " + x.text() + " and weights " + w.text(),
              "both need one, two or three dimensions behind batch and channels");
    }
    const Window window = window_of(context);
    check_window(window, x.rank() - kImage, "a convolution");
    const Dim& groups = context.attributes.dim("groups");
    if (groups.bounds({}).high < 0) invalid("a convolution has " + groups.text() + " groups");
    context.require_equal(x.shape[1], w.shape[1] * groups,
                          "the channels of " + x.text() + " and those of weights " + w.text() +
                              " in " + groups.text() + " group(s)");
    TensorType y{x.dtype, {x.shape[0], w.shape[0]}};
    y.shape.insert(y.shape.end(), window.outputs.begin(), window.outputs.end());
    return {y};
  }

  ShardingRule rule(const OpContext& context) const override {
    const Shape& x = context.inputs[0].shape;
    const Shape& w = context.inputs[1].shape;
    const Dim& groups = context.attributes.dim("groups");
    ShardingRule rule;
    rule.inputs.resize(2);
    rule.outputs.resize(1);
    const DimFactors n = along(rule.add_factor("n", x[0]));
    DimFactors in, out;
    const auto outputs = exact_div(w[0], groups);
    if (!groups.is(1) && outputs) {
      in = out = along(rule.add_factor("g", groups));
    }
    const DimFactors c = along(rule.add_factor("c", w[1], Factor::Kind::kReduction));
    const DimFactors o = along(rule.add_factor("o", groups.is(1) ? w[0] : outputs.value_or(w[0])));
    in.insert(in.end(), c.begin(), c.end());
    if (groups.is(1) || outputs) out.insert(out.end(), o.begin(), o.end());
    rule.inputs[0] = {n, in};
    rule.inputs[1] = {out, c};
    rule.outputs[0] = {n, out};
    add_window_factors(rule, x, window_of(context));
    rule.inputs[1].resize(w.size());
    rule.linear = {{ReduceOp::kSum, {0}}, {ReduceOp::kSum, {1}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    if (context.strategy.kind != layout::Strategy::Kind::kFactor) return local;
    const std::string& split = context.rule.factors[context.strategy.factor].name;
    const layout::Cut& cut = context.strategy.cut;
    if (split == "g") local.set("groups", cut.local_extent(context.rank, context.ranks));
    if (const auto share = window_share(context, window_of(context.whole))) share->set(local);
    return local;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_conv(attributes, *inputs[0], *inputs[1], outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    const Shape& w = context.inputs[1].shape;
    const Dim terms = product(std::span(w).subspan(1));
    const Dim groups = context.attributes.dim("groups");
    Work work = OpDefinition::work(context, outputs);
    work.flops = Dim(2) * outputs[0].elements() * terms;
    const auto made = exact_div(w[0], groups);
    // A matrix product for each image and group, but where a group has next to no channels.
    if (made && made->is_constant() && made->constant() >= kLeastProduct) {
      const Dim places = product(std::span(outputs[0].shape).subspan(kImage));
      work.product = Work::Product{context.inputs[0].shape[0] * groups, places, *made, terms};
      if (is_pointwise(context, outputs[0])) work.kind = "pointwise";
    } else {
      work.kind = "depthwise";
      // Taps outside of the image are left out.
      if (const auto seen = taps_seen(context, outputs[0])) {
        work.flops = Dim(2 * *seen) * outputs[0].shape[0] * outputs[0].shape[1] * w[1];
      }
    }
    return work;
  }

 private:
  static constexpr int64_t kLeastProduct = 4;

  // Its operand is a matrix as it lies.
  static bool is_pointwise(const OpContext& context, const TensorType& output) {
    const Shape& x = context.inputs[0].shape;
    const Shape& w = context.inputs[1].shape;
    return std::all_of(w.begin() + kImage, w.end(), [](const Dim& taps) { return taps.is(1); }) &&
           std::equal(x.begin() + kImage, x.end(), output.shape.begin() + kImage);
  }

  // The taps that all windows of one channel see inside of the image, from sizes alone: padding is
  // taken to be the same on both sides. Nothing where sizes are not numbers.
  static std::optional<int64_t> taps_seen(const OpContext& context, const TensorType& output) {
    const Window window = window_of(context);
    int64_t seen = 1;
    for (size_t d = 0; d < window.kernel.size(); ++d) {
      const Dim& in = context.inputs[0].shape[kImage + d];
      const Dim& out = output.shape[kImage + d];
      for (const Dim* dim :
           {&in, &out, &window.kernel[d], &window.strides[d], &window.dilations[d]}) {
        if (!dim->is_constant()) return std::nullopt;
      }
      WindowAxis axis{.in = in.constant(),
                      .out = out.constant(),
                      .kernel = window.kernel[d].constant(),
                      .stride = window.strides[d].constant(),
                      .dilation = window.dilations[d].constant()};
      const int64_t reach = (axis.kernel - 1) * axis.dilation + 1;
      axis.low = std::max<int64_t>(0, ((axis.out - 1) * axis.stride + reach - axis.in) / 2);
      int64_t along = 0;
      for (int64_t tap = 0; tap < axis.kernel; ++tap) along += axis.windows(tap).size();
      seen *= along;
    }
    return seen;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_conv() { return {std::make_shared<Conv>()}; }

}  // namespace cleave::ops
