// Random ops that make a larger or smaller tensor of the elements there are. Weights of
// interpolations are multiples of a power of two, and results are multiplied by it.
#include <cmath>
#include <string>

#include "tests/property/random_values.h"

namespace cleave::testing {
namespace {

class Resampling {
 public:
  explicit Resampling(RandomValues& values)
      : values_(values), x_(values.bounded(values.pick())), shape_(values.shape(x_)) {}

  void add() {
    switch (values_.uniform(0, 6)) {
      case 0:
        return add_pad();
      case 1:
        return add_reverse();
      case 2:
        return add_grid_sample();
      case 3:
        return add_interpolation();
      case 4:
        return add_roi_align();
      default:
        return add_nearest();
    }
  }

 private:
  bool is_known(size_t d) const { return shape_[d].is_constant() && !shape_[d].is(0); }

  void add_pad() {
    std::vector<Dim> low, high;
    for (size_t d = 0; d < shape_.size(); ++d) {
      low.emplace_back(values_.chance(40) ? values_.uniform(1, 3) : 0);
      high.emplace_back(values_.chance(40) ? values_.uniform(1, 3) : 0);
      if (shape_[d].is(0)) return;
    }
    Attributes attributes{{"low", low}, {"high", high}};
    attributes.set("mode",
                   values_.of({"constant", "constant", "constant", "reflect", "edge", "wrap"}));
    if (attributes.string("mode") == "constant") {
      attributes.set("value", static_cast<double>(values_.chance(50) ? 0 : values_.uniform(-4, 4)));
    }
    values_.made(values_.op("pad", attributes, {x_.id}), std::max(x_.magnitude, 4.0));
  }

  void add_reverse() {
    std::vector<Dim> axes;
    for (size_t d = 0; d < shape_.size(); ++d) {
      if (values_.chance(40)) axes.emplace_back(static_cast<int64_t>(d));
    }
    values_.made(values_.op("reverse", {{"axes", axes}}, {x_.id}), x_.magnitude);
  }

  // At the corners and the centre of an image, and outside of it.
  void add_grid_sample() {
    if (shape_.size() < 3 || shape_.size() > 5) return;
    const auto dimensions = static_cast<int64_t>(shape_.size()) - 2;
    Shape points = {shape_[0]};
    for (size_t d = 2; d < shape_.size(); ++d) {
      if (!is_known(d)) return;
      points.emplace_back(values_.uniform(1, 4));
    }
    if (!is_known(0)) return;
    points.emplace_back(dimensions);
    const RandomValues::Known grid = values_.constant(points, 2);
    Attributes attributes{{"mode", "nearest"}};
    attributes.set("padding", values_.of({"zeros", "border", "reflection"}));
    attributes.set("align_corners", Dim(values_.uniform(0, 1)));
    values_.made(values_.op("grid_sample", attributes, {x_.id, grid.id}), x_.magnitude);
  }

  // A sample a bin, at eighths of the distance between elements.
  void add_roi_align() {
    if (shape_.size() != 4 || !is_known(0) || !is_known(2) || !is_known(3)) return;
    const int64_t regions = values_.uniform(1, 5);
    HostTensor images(DType::kInt64, {regions});
    for (int64_t i = 0; i < regions; ++i) {
      images.set_integer(i, values_.uniform(0, shape_[0].constant() - 1));
    }
    const ir::ValueId image = values_.model.graph.add_constant("i" + std::to_string(values_.next++),
                                                               ir::constant_value(images));
    const RandomValues::Known rois = values_.constant({regions, 4}, 6);
    Attributes attributes{{"samples", Dim(1)}, {"half_pixel", Dim(values_.uniform(0, 1))}};
    attributes.set("bins", Shape{int64_t{1} << values_.uniform(0, 2), 2});
    attributes.set("mode", values_.of({"mean", "max"}));
    const ir::ValueId y = values_.op("roi_align", attributes, {x_.id, rois.id, image});
    values_.made(values_.times(y, 64), x_.magnitude * 64);
  }

  // Some axes of known extents.
  std::vector<size_t> draw_axes() {
    std::vector<size_t> axes;
    for (size_t d = 0; d < shape_.size(); ++d) {
      if (is_known(d) && values_.chance(50)) axes.push_back(d);
    }
    return axes;
  }

  Attributes resize(const std::vector<size_t>& axes, const Shape& shape) {
    std::vector<Dim> numbers;
    for (const size_t axis : axes) numbers.emplace_back(static_cast<int64_t>(axis));
    return {{"shape", shape}, {"axes", numbers}};
  }

  void add_nearest() {
    const std::vector<size_t> axes = draw_axes();
    if (axes.empty()) return;
    Shape shape = shape_;
    std::vector<double> scales;
    const bool whole = values_.chance(50);
    for (const size_t d : axes) {
      const int64_t extent = shape_[d].constant();
      const int64_t scale = values_.uniform(1, 3);
      shape[d] = whole ? extent * scale : values_.uniform(1, 2 * extent);
      scales.push_back(static_cast<double>(scale));
    }
    Attributes attributes = resize(axes, shape);
    if (whole && values_.chance(50)) attributes.set("scales", scales);
    attributes.set("coordinates", values_.of({"half_pixel", "half_pixel", "asymmetric",
                                              "align_corners", "pytorch_half_pixel",
                                              "tf_half_pixel_for_nn", "half_pixel_symmetric"}));
    attributes.set("rounding",
                   values_.of({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}));
    values_.made(values_.op("resize", attributes, {x_.id}), x_.magnitude);
  }

  // Between elements at quarters and halves of their distance.
  void add_interpolation() {
    std::vector<size_t> axes = draw_axes();
    if (axes.empty()) return;
    const bool is_cubic = values_.chance(30);
    axes.resize(std::min<size_t>(axes.size(), is_cubic ? 1 : 2));
    Shape shape = shape_;
    for (const size_t d : axes) {
      const bool halves = values_.chance(30) && shape[d].constant() % 2 == 0;
      shape[d] = halves ? shape[d].constant() / 2 : shape[d].constant() * 2;
    }
    Attributes attributes = resize(axes, shape);
    attributes.set("mode", is_cubic ? "cubic" : "linear");
    attributes.set("coordinates", values_.of({"half_pixel", "asymmetric", "half_pixel_symmetric"}));
    const double unit = std::pow(is_cubic ? 256.0 : 4.0, static_cast<double>(axes.size()));
    const ir::ValueId y = values_.op("resize", attributes, {x_.id});
    // The weights of a cubic add up to less than twice as much without their signs.
    values_.made(values_.times(y, unit), x_.magnitude * unit * (is_cubic ? 2 : 1));
  }

  RandomValues& values_;
  RandomValues::Known x_;
  Shape shape_;
};

}  // namespace

void add_resampled(RandomValues& values) { Resampling(values).add(); }

}  // namespace cleave::testing
