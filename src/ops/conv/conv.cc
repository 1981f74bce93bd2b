// conv: a window of weights slides over signals, images or volumes:
//   y[n, o, u] = Σ x[n, c, u · stride + k · dilation − low] · w[o, c, k]
// over the channels c of o's group and the taps k; x is 0 outside of its extent.
#include "ops/conv/geometry.h"
#include "ops/conv/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::DimFactors;
using layout::Factor;
using layout::FactorUse;
using layout::ShardingRule;

constexpr size_t kImage = 2;  // the first of the dimensions that the window slides along

const char* name_of_dimension(size_t dimension, size_t dimensions) {
  static constexpr const char* kNames[] = {"z", "y", "x"};
  return kNames[3 - dimensions + dimension];
}

class Conv : public OpDefinition {
 public:
  std::string_view name() const override { return "conv"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    return {{"strides", Kind::kDims, true},
            {"dilations", Kind::kDims, true},
            {"low", Kind::kDims, true},
            {"outputs", Kind::kDims, true},
            {"groups", Kind::kDim, true}};
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
    const ConvGeometry geometry(context.attributes, x.rank() - kImage);
    context.require_equal(x.shape[1], w.shape[1] * geometry.groups,
                          "the channels of " + x.text() + " and those of weights " + w.text() +
                              " in " + geometry.groups.text() + " group(s)");
    TensorType y{x.dtype, {x.shape[0], w.shape[0]}};
    y.shape.insert(y.shape.end(), geometry.outputs.begin(), geometry.outputs.end());
    return {y};
  }

  ShardingRule rule(const OpContext& context) const override {
    const Shape& x = context.inputs[0].shape;
    const Shape& w = context.inputs[1].shape;
    const size_t dimensions = x.size() - kImage;
    const ConvGeometry geometry(context.attributes, dimensions);
    ShardingRule rule;
    rule.inputs.resize(2);
    rule.outputs.resize(1);
    const DimFactors n = along(rule.add_factor("n", x[0]));
    DimFactors in, out;
    const auto outputs = exact_div(w[0], geometry.groups);
    if (!geometry.groups.is(1) && outputs) {
      in = out = along(rule.add_factor("g", geometry.groups));
    }
    const DimFactors c = along(rule.add_factor("c", w[1], Factor::Kind::kReduction));
    const DimFactors o =
        along(rule.add_factor("o", geometry.groups.is(1) ? w[0] : outputs.value_or(w[0])));
    in.insert(in.end(), c.begin(), c.end());
    if (geometry.groups.is(1) || outputs) out.insert(out.end(), o.begin(), o.end());
    rule.inputs[0] = {n, in};
    rule.inputs[1] = {out, c};
    rule.outputs[0] = {n, out};
    for (size_t d = 0; d < dimensions; ++d) {
      const uint32_t factor =
          rule.add_factor(name_of_dimension(d, dimensions), geometry.outputs[d]);
      rule.inputs[1].emplace_back();
      rule.outputs[0].push_back(along(factor));
      FactorUse use{.factor = factor};
      if (w[kImage + d].is_constant() && w[kImage + d].constant() > 0) {
        use.window = geometry.window(d, x[kImage + d], w[kImage + d].constant());
      } else {
        rule.factors[factor].kind = Factor::Kind::kReplicate;
      }
      rule.inputs[0].push_back({use});
    }
    rule.linear = {{ReduceOp::kSum, {0}}, {ReduceOp::kSum, {1}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    if (context.strategy.kind != layout::Strategy::Kind::kFactor) return local;
    const std::string& split = context.rule.factors[context.strategy.factor].name;
    const layout::Cut& cut = context.strategy.cut;
    if (split == "g") local.set("groups", cut.local_extent(context.rank, context.ranks));
    const size_t dimensions = context.whole.inputs[0].rank() - kImage;
    const ConvGeometry geometry(local, dimensions);
    for (size_t d = 0; d < dimensions; ++d) {
      if (split != name_of_dimension(d, dimensions)) continue;
      std::vector<Dim> outputs = geometry.outputs;
      std::vector<Dim> low = geometry.low;
      outputs[d] = cut.local_extent(context.rank, context.ranks);
      // Where each output sees its own element alone nothing lies beside what a rank holds.
      const layout::Cut& seen = context.placements.inputs[0].cut;
      if (seen.windowed()) {
        low[d] = low[d] - cut.pieces(context.rank, context.ranks)[0].begin * geometry.strides[d] +
                 seen.pieces(context.rank, context.ranks)[0].begin;
      }
      local.set("outputs", outputs);
      local.set("low", low);
    }
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
    } else {
      work.kind = "depthwise";
    }
    return work;
  }

 private:
  static constexpr int64_t kLeastProduct = 4;
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_conv() { return {std::make_shared<Conv>()}; }

}  // namespace cleave::ops
