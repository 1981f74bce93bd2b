// grid_sample: an image interpolated at the points of a grid.
#include "ops/operands.h"
#include "types/arithmetic.h"
#include "types/grid_taps.h"

namespace cleave::ops {
namespace {

class GridSample final : public OpDefinition {
 public:
  std::string_view name() const override { return "grid_sample"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    return {{"mode", Kind::kString, false},
            {"padding", Kind::kString, false},
            {"align_corners", Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 2, 2);
    GridSampling::of(context.attributes);
    const TensorType& x = context.inputs[0];
    const TensorType& grid = context.inputs[1];
    require_floating(x, "the image of grid_sample");
    require_floating(grid, "the grid of grid_sample");
    if (x.rank() < 3 || grid.rank() != x.rank()) {
      invalid("grid_sample takes [n, c, image...] and [n, points..., coordinates], not " +
              x.text() + " and " + grid.text());
    }
    context.require_equal(x.shape[0], grid.shape[0], "the images and grids of grid_sample");
    context.require_equal(grid.shape.back(), static_cast<int64_t>(x.rank() - 2),
                          "the coordinates of a point and the dimensions of the image");
    TensorType y{x.dtype, {x.shape[0], x.shape[1]}};
    for (size_t d = 2; d < x.rank(); ++d) {
      if (x.shape[d].is(0)) invalid("the image of grid_sample, " + x.text() + ", is empty");
      y.shape.push_back(grid.shape[d - 1]);
    }
    return {y};
  }

  // Images, channels and points are apart from each other.
  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& x = context.inputs[0].shape;
    const Shape& grid = context.inputs[1].shape;
    layout::ShardingRule rule;
    layout::OperandFactors image(x.size()), points(grid.size()), result(x.size());
    image[0] = points[0] = result[0] = along(rule.add_factor("n", x[0]));
    image[1] = result[1] = along(rule.add_factor("c", x[1]));
    for (size_t d = 2; d < x.size(); ++d) {
      points[d - 1] = result[d] = along(rule.add_factor("p" + std::to_string(d - 2), grid[d - 1]));
    }
    rule.inputs = {image, points};
    rule.outputs = {result};
    rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const GridSampling sampling = GridSampling::of(attributes);
    const HostTensor& x = *inputs[0];
    HostTensor& y = outputs[0];
    const std::span<const int64_t> image = std::span(x.shape).subspan(2);
    const size_t rank = image.size();
    const std::vector<double> points = doubles_of(*inputs[1]);
    const AxisView in(x.shape, 1);
    const AxisView out(y.shape, 1);
    if (y.elements() != 0 && in.inner == 0) invalid("the image of grid_sample is empty");
    std::vector<GridTap> taps;
    for (int64_t n = 0; n < out.outer; ++n) {
      for (int64_t p = 0; p < out.inner; ++p) {
        const auto point = static_cast<size_t>(n * out.inner + p) * rank;
        find_grid_taps(sampling, image, std::span(points).subspan(point, rank), taps);
        for (int64_t c = 0; c < out.extent; ++c) {
          double sum = 0;
          for (const GridTap& tap : taps) sum += x.get(in.index(n, c, tap.offset)) * tap.weight;
          y.set(out.index(n, c, p), sum);
        }
      }
    }
  }

  // A multiplication and an addition a tap.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    const auto mode = GridSampling::of(context.attributes).mode;
    const int64_t each = mode == GridSampling::Mode::kNearest  ? 1
                         : mode == GridSampling::Mode::kLinear ? 2
                                                               : 4;
    int64_t taps = 1;
    for (size_t d = 2; d < context.inputs[0].rank(); ++d) taps *= each;
    work.flops = outputs[0].elements() * (2 * taps);
    return work;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_grid_sample() {
  return {std::make_shared<GridSample>()};
}

}  // namespace cleave::ops
