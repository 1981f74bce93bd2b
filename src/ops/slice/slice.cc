#include "ops/movement.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

// y[i] = x[begin + i·step] in each dimension.
class Slice final : public OpDefinition {
 public:
  std::string_view name() const override { return "slice"; }
  std::vector<AttributeField> fields() const override {
    return {{"begin", AttributeField::Kind::kDims},
            {"extent", AttributeField::Kind::kDims},
            {"step", AttributeField::Kind::kDims}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    const std::vector<Dim>& begin = context.attributes.dims("begin");
    const std::vector<Dim>& extent = context.attributes.dims("extent");
    const std::vector<Dim>& step = context.attributes.dims("step");
    if (begin.size() != x.rank() || extent.size() != x.rank() || step.size() != x.rank()) {
      invalid("slice needs begin, extent and step for each of " + std::to_string(x.rank()) +
              " dimensions");
    }
    for (size_t d = 0; d < x.rank(); ++d) {
      require_not_negative(begin[d], "the begin of a slice");
      require_not_negative(extent[d], "the extent of a slice");
      if (step[d].bounds({}).high < 1) invalid("the step of a slice is " + step[d].text());
      const Dim end = begin[d] + (extent[d] - 1) * step[d] + 1;
      if (!extent[d].is(0) && (x.shape[d] - end).bounds({}).high < 0) {
        invalid("dimension " + std::to_string(d) + " of a slice ends at " + end.text() +
                ", beyond " + x.shape[d].text());
      }
    }
    return {{x.dtype, extent}};
  }

  // A dimension that is sliced in steps of 1 has the operand's factor, of which the result is a
  // part: it can be split where the slice's borders are borders of segments. Steps that divide a
  // dimension (one of interleaved tensors) make the operand's factor the result's with a minor one.
  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    for (size_t d = 0; d < x.rank(); ++d) {
      if (is_whole(context, d)) continue;
      const Dim& step = context.attributes.dims("step")[d];
      const Dim& extent = context.attributes.dims("extent")[d];
      if (step.is(1)) {
        layout::FactorUse& use = rule.outputs[0][d][0];
        use.begin = context.attributes.dims("begin")[d];
        use.extent = extent;
      } else if (extent * step == x.shape[d]) {
        rule.factors[d].size = extent;
        const uint32_t minor =
            rule.add_factor("s" + std::to_string(d), step, layout::Factor::Kind::kReplicate);
        rule.inputs[0][d].push_back({.factor = minor});
      } else {
        rule.inputs[0][d].clear();
        rule.outputs[0][d].clear();
        rule.factors[d].kind = layout::Factor::Kind::kReplicate;
      }
    }
    add_movement_sets(rule, {0});
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    local.set("extent", context.local_outputs[0].shape);
    const layout::Placement& placement = context.placements.inputs[0];
    if (!placement.is_shard()) return local;
    // A rank's part begins behind what it holds of the segments before the slice; where steps are
    // taken, as far into a step as the whole.
    std::vector<Dim> begin = local.dims("begin");
    const auto dim = static_cast<size_t>(placement.dim);
    Dim& first = begin[dim];
    if (!first.is(0) && local.dims("step")[dim].is(1)) {
      const auto before = placement.cut.part(0, first);
      CLEAVE_CHECK(before.has_value(), "a slice begins inside of a segment");
      first = before->local_extent(context.rank, context.ranks);
    }
    local.set("begin", begin);
    return local;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const std::vector<int64_t> begin = attributes.integers("begin");
    const std::vector<int64_t> step = attributes.integers("step");
    const std::vector<int64_t>& shape = inputs[0]->shape;
    std::vector<int64_t> strides = row_major_strides(shape);
    int64_t offset = 0;
    for (size_t d = 0; d < strides.size(); ++d) {
      const int64_t extent = outputs[0].shape[d];
      if (extent > 0 && (begin[d] < 0 || begin[d] + (extent - 1) * step[d] >= shape[d])) {
        invalid("a slice reaches beyond dimension " + std::to_string(d) + " of its operand");
      }
      offset += begin[d] * strides[d];
      strides[d] *= step[d];
    }
    copy_strided(*inputs[0], offset, strides, outputs[0]);
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }

 private:
  static bool is_whole(const OpContext& context, size_t d) {
    return context.attributes.dims("begin")[d].is(0) && context.attributes.dims("step")[d].is(1) &&
           context.attributes.dims("extent")[d] == context.inputs[0].shape[d];
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_slice() {
  return {std::make_shared<Slice>()};
}

}  // namespace cleave::ops
