// roi_align: regions of images, each brought to one size by bins whose samples are interpolated.
#include "ops/indexing.h"
#include "ops/movement.h"
#include "ops/operands.h"
#include "ops/roi_align/reference.h"
#include "types/roi.h"

namespace cleave::ops {
namespace {

constexpr int64_t kCorners = 4;  // x and y of the first corner, then of the last

class RoiAlign final : public OpDefinition {
 public:
  std::string_view name() const override { return "roi_align"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    return {{"bins", Kind::kDims},          {"mode", Kind::kString, false},
            {"scale", Kind::kReal, false},  {"half_pixel", Kind::kDim, false},
            {"samples", Kind::kDim, false}, {"offset", Kind::kDim, false},
            {"total", Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 3);
    RoiAlignment::of(context.attributes);
    const TensorType& x = context.inputs[0];
    const TensorType& rois = context.inputs[1];
    const TensorType& images = context.inputs[2];
    require_floating(x, "the images of roi_align");
    require_floating(rois, "the regions of roi_align");
    require_indices(images, name());
    if (x.rank() != 4 || rois.rank() != 2 || images.rank() != 1) {
      invalid("roi_align takes images [n, c, y, x], regions [r, 4] and their images [r], not " +
              x.text() + ", " + rois.text() + " and " + images.text());
    }
    context.require_equal(rois.shape[1], kCorners, "the coordinates of a region's corners");
    context.require_equal(rois.shape[0], images.shape[0], "the regions and their images");
    const std::vector<Dim>& bins = context.attributes.dims("bins");
    if (bins.size() != 2) invalid("roi_align needs bins along y and x, not " + text_of(bins));
    for (const Dim& count : bins) require_not_negative(count, "a number of bins");
    return {{x.dtype, {rois.shape[0], x.shape[1], bins[0], bins[1]}}};
  }

  // Regions and channels are apart from each other. A rank with some of the images has the results
  // of their regions, and zeros for the rest.
  layout::ShardingRule rule(const OpContext& context) const override {
    layout::ShardingRule rule;
    const TensorType& x = context.inputs[0];
    const layout::DimFactors n = along(add_gathered(rule, "n", x, 0));
    const layout::DimFactors c = along(rule.add_factor("c", x.shape[1]));
    const layout::DimFactors r = along(rule.add_factor("r", context.inputs[1].shape[0]));
    rule.inputs = {{n, c, {}, {}}, {r, {}}, {r}};
    rule.outputs = {{r, c, {}, {}}};
    // The mean is linear in the images.
    if (!RoiAlignment::of(context.attributes).takes_largest) rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    return localize_indexed(context, 0);
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_roi_align(attributes, *inputs[0], *inputs[1], *inputs[2], outputs[0]);
  }

  // A multiplication and an addition for each of the four elements around a sample.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    constexpr int64_t kUsualSamples = 2;  // a bin and dimension, where regions tell how many
    Work work = OpDefinition::work(context, outputs);
    const int64_t given = RoiAlignment::of(context.attributes).samples;
    const int64_t samples = given == 0 ? kUsualSamples : given;
    work.flops = outputs[0].elements() * (8 * samples * samples);
    return work;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_roi_align() {
  return {std::make_shared<RoiAlign>()};
}

}  // namespace cleave::ops
