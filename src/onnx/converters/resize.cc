// Resize, its forerunner Upsample, GridSample and RoiAlign.
#include <algorithm>
#include <cmath>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// What becomes of one dimension.
struct Resized {
  Dim extent;
  std::optional<double> scale;  // absent: the quotient of the sizes
};

[[noreturn]] void fail_scale(double scale) {
  throw Error(ErrorCode::kInvalid, "a scale is " + std::to_string(scale),
              "scales are above 0, and the sizes that they give fit into 31 bits");
}

// Scales are written as float32: a fraction of small numbers that rounds to one was meant.
std::optional<std::pair<int64_t, int64_t>> fraction_of(double scale) {
  for (int64_t below = 1; below <= 1000; ++below) {
    const double above = std::round(scale * static_cast<double>(below));
    if (static_cast<float>(above / static_cast<double>(below)) == static_cast<float>(scale)) {
      return std::pair{static_cast<int64_t>(above), below};
    }
  }
  return std::nullopt;
}

Resized scaled(const Dim& extent, double scale) {
  if (!(scale > 0) || scale > INT32_MAX) fail_scale(scale);
  if (const auto fraction = fraction_of(scale)) {
    const auto [above, below] = *fraction;
    return {floor_div(extent * above, below),
            static_cast<double>(above) / static_cast<double>(below)};
  }
  if (!extent.is_constant()) {
    throw Unsupported{"the scale " + std::to_string(scale) + " of a dimension " + extent.text() +
                      ": the size is no expression of it"};
  }
  const double size = std::floor(scale * static_cast<double>(extent.constant()));
  if (size > INT32_MAX) fail_scale(scale);
  return {static_cast<int64_t>(size), scale};
}

// By scales that are constants or quotients of dimensions.
std::vector<Resized> by_scales(const Conversion& c, size_t input, const std::vector<size_t>& axes) {
  const Shape& shape = c.type(0).shape;
  std::vector<Resized> result;
  const auto require_count = [&](int64_t count) {
    if (count == static_cast<int64_t>(axes.size())) return;
    throw Error(ErrorCode::kInvalid, "there are " + std::to_string(count) + " scales for " +
                                         std::to_string(axes.size()) + " axes");
  };
  if (const auto constant = c.constant(input)) {
    require_count(constant->elements());
    for (size_t i = 0; i < axes.size(); ++i) {
      result.push_back(scaled(shape[axes[i]], constant->get(static_cast<int64_t>(i))));
    }
    return result;
  }
  const auto known = c.known(input);
  if (!known) throw Unsupported{"the scales depend on data"};
  require_count(static_cast<int64_t>(known->elements.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    const Element& scale = known->elements[i];
    result.push_back({floor_div(shape[axes[i]] * scale.numerator, scale.denominator), {}});
  }
  return result;
}

// keep_aspect_ratio_policy: one scale for all axes, the smallest or largest that sizes ask for.
std::vector<Resized> keeping_ratio(const Shape& shape, const std::vector<size_t>& axes,
                                   const std::vector<Dim>& sizes, bool is_smallest) {
  std::optional<double> scale;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Dim& extent = shape[axes[i]];
    if (!extent.is_constant() || !sizes[i].is_constant()) {
      throw Unsupported{"keep_aspect_ratio_policy with sizes that are not known at import"};
    }
    const double one =
        static_cast<double>(sizes[i].constant()) / static_cast<double>(extent.constant());
    if (!scale || (is_smallest ? one < *scale : one > *scale)) scale = one;
  }
  std::vector<Resized> result;
  for (const size_t axis : axes) {
    if (!(*scale > 0) || !std::isfinite(*scale)) fail_scale(*scale);
    const double size = std::floor(*scale * static_cast<double>(shape[axis].constant()) + 0.5);
    if (size > INT32_MAX) fail_scale(*scale);
    result.push_back({static_cast<int64_t>(size), scale});
  }
  return result;
}

std::vector<Resized> by_sizes(const Conversion& c, size_t input, const std::vector<size_t>& axes) {
  const std::vector<Dim> sizes = c.dims(input, "the sizes");
  if (sizes.size() != axes.size()) {
    throw Error(ErrorCode::kInvalid, "there are " + std::to_string(sizes.size()) + " sizes for " +
                                         std::to_string(axes.size()) + " axes");
  }
  const std::string policy = c.string("keep_aspect_ratio_policy", "stretch");
  if (policy == "not_larger" || policy == "not_smaller") {
    return keeping_ratio(c.type(0).shape, axes, sizes, policy == "not_larger");
  }
  if (policy != "stretch") {
    throw Error(ErrorCode::kInvalid, "keep_aspect_ratio_policy is '" + policy + "'");
  }
  std::vector<Resized> result;
  for (const Dim& size : sizes) result.push_back({size, {}});
  return result;
}

// Begin and end of the region for the i-th axis.
std::vector<double> region(const Conversion& c, size_t axes) {
  const auto given = c.has_input(1) ? c.constant(1) : std::nullopt;
  if (!given) throw Unsupported{"a roi that is data"};
  if (given->elements() != static_cast<int64_t>(2 * axes)) {
    throw Error(ErrorCode::kInvalid, "the roi has " + std::to_string(given->elements()) +
                                         " elements for " + std::to_string(axes) + " axes");
  }
  std::vector<double> result;
  for (size_t i = 0; i < axes; ++i) {
    result.push_back(given->get(static_cast<int64_t>(i)));
    result.push_back(given->get(static_cast<int64_t>(axes + i)));
  }
  return result;
}

// x resized along those axes that change.
ir::ValueId resized_along(Conversion& c, ir::ValueId x, const std::vector<size_t>& axes,
                          const std::vector<Resized>& resized, const std::vector<double>& roi,
                          Attributes attributes) {
  Shape shape = c.shape_of(x);
  std::vector<Dim> changed;
  std::vector<double> scales, regions;
  // In the order of the dimensions.
  std::vector<size_t> order(axes.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return axes[a] < axes[b]; });
  for (const size_t i : order) {
    const Resized& one = resized[i];
    const bool is_whole = roi.empty() || (roi[2 * i] == 0 && roi[2 * i + 1] == 1);
    if (is_whole && one.extent == shape[axes[i]] && one.scale.value_or(1) == 1) continue;
    shape[axes[i]] = one.extent;
    changed.emplace_back(static_cast<int64_t>(axes[i]));
    if (one.scale) scales.push_back(*one.scale);
    if (!roi.empty()) regions.insert(regions.end(), {roi[2 * i], roi[2 * i + 1]});
  }
  if (changed.empty()) return x;
  attributes.set("shape", shape);
  attributes.set("axes", changed);
  if (!scales.empty()) attributes.set("scales", scales);
  if (!roi.empty()) attributes.set("roi", regions);
  return c.emit("resize", {x}, std::move(attributes));
}

std::vector<size_t> all_axes(const Conversion& c) {
  std::vector<size_t> axes(c.rank(0));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = i;
  return axes;
}

// Types that are not interpolated are an answer, not an error.
std::string mode_of(const Conversion& c) {
  const std::string mode = c.string("mode", "nearest");
  if (mode != "nearest" && !is_floating(c.type(0).dtype)) {
    throw Unsupported{"mode=" + mode + " of " + std::string(name_of(c.type(0).dtype))};
  }
  return mode;
}

// Resize-10 and Upsample: from the left edge. Their definition leaves open how positions round to
// the nearest element; as ONNX Runtime does, down, but up where a dimension shrinks.
void resize_from_the_edge(Conversion& c, const std::vector<size_t>& axes,
                          const std::vector<Resized>& resized) {
  const std::string mode = mode_of(c);
  ir::ValueId x = c.input(0);
  for (const bool shrinks : {false, true}) {
    std::vector<size_t> some_axes;
    std::vector<Resized> some;
    for (size_t i = 0; i < axes.size(); ++i) {
      const bool rounds_up = mode == "nearest" && resized[i].scale.value_or(1) < 1;
      if (rounds_up != shrinks) continue;
      some_axes.push_back(axes[i]);
      some.push_back(resized[i]);
    }
    x = resized_along(
        c, x, some_axes, some, {},
        {{"mode", mode}, {"coordinates", "asymmetric"}, {"rounding", shrinks ? "ceil" : "floor"}});
  }
  c.output(0, x);
}

void upsample_by_attribute(Conversion& c) {
  const std::vector<size_t> axes = all_axes(c);
  const auto scales = c.real_list("scales");
  if (!scales || scales->size() != axes.size()) {
    throw Error(ErrorCode::kInvalid, "the attribute 'scales' has not one entry a dimension");
  }
  std::vector<Resized> resized;
  for (const size_t axis : axes) {
    resized.push_back(scaled(c.type(0).shape[axis], (*scales)[axis]));
  }
  resize_from_the_edge(c, axes, resized);
}

void resize_by_scales(Conversion& c) {
  const std::vector<size_t> axes = all_axes(c);
  resize_from_the_edge(c, axes, by_scales(c, 1, axes));
}

void resize(Conversion& c) {
  const auto given = c.integer_list("axes");
  const std::vector<size_t> axes = given ? normal_axes(*given, c.rank(0)) : all_axes(c);
  const bool has_sizes = c.has_input(3);
  // Exporters leave an empty list of scales where there are sizes.
  const bool has_scales = c.has_input(2) && !c.type(2).elements().is(0);
  if (has_sizes == has_scales) {
    throw Error(ErrorCode::kInvalid, has_sizes ? "there are both scales and sizes"
                                               : "there are neither scales nor sizes");
  }
  const std::string coordinates = c.string("coordinate_transformation_mode", "half_pixel");
  Attributes attributes{{"mode", mode_of(c)}, {"coordinates", coordinates}};
  attributes.set("rounding", c.string("nearest_mode", "round_prefer_floor"));
  attributes.set("cubic_coefficient", c.real("cubic_coeff_a", -0.75));
  attributes.set("exclude_outside", Dim(c.integer("exclude_outside", 0) != 0 ? 1 : 0));
  attributes.set("antialias", Dim(c.integer("antialias", 0) != 0 ? 1 : 0));
  std::vector<double> roi;
  if (coordinates == "tf_crop_and_resize") {
    roi = region(c, axes.size());
    attributes.set("extrapolation", c.real("extrapolation_value", 0.0));
  }
  c.output(0, resized_along(c, c.input(0), axes,
                            has_sizes ? by_sizes(c, 3, axes) : by_scales(c, 2, axes), roi,
                            std::move(attributes)));
}

void grid_sample(Conversion& c) {
  std::string mode = c.string("mode", c.version() < 20 ? "bilinear" : "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  if (!is_floating(c.type(0).dtype)) {
    throw Unsupported{"an image of " + std::string(name_of(c.type(0).dtype))};
  }
  c.output(0, c.emit("grid_sample", {c.input(0), c.input(1)},
                     {{"mode", mode},
                      {"padding", c.string("padding_mode", "zeros")},
                      {"align_corners", Dim(c.integer("align_corners", 0) != 0 ? 1 : 0)}}));
}

// Until 16 corners were elements.
void roi_align(Conversion& c) {
  const bool halves = c.version() >= 16 && c.string("coordinate_transformation_mode",
                                                    "half_pixel") != "output_half_pixel";
  const std::string mode = c.string("mode", "avg");
  if (mode != "avg" && mode != "max") {
    throw Error(ErrorCode::kInvalid, "the attribute 'mode' is '" + mode + "'", "it is avg or max");
  }
  const auto bins = [&](const char* name) {
    const int64_t count = c.integer(name, 1);
    if (count > 0 && count <= INT32_MAX) return Dim(count);
    throw Error(ErrorCode::kInvalid,
                "the attribute '" + std::string(name) + "' is " + std::to_string(count),
                "it is the number of bins, 1 or more");
  };
  c.output(0, c.emit("roi_align", {c.input(0), c.input(1), c.input(2)},
                     {{"bins", std::vector<Dim>{bins("output_height"), bins("output_width")}},
                      {"mode", mode == "avg" ? "mean" : "max"},
                      {"scale", c.real("spatial_scale", 1)},
                      {"half_pixel", Dim(halves ? 1 : 0)},
                      {"samples", Dim(c.integer("sampling_ratio", 0))}}));
}

}  // namespace

void add_resize_converters(ConverterTable& table) {
  table.add("Upsample", 7, upsample_by_attribute);
  table.add("Upsample", 9, resize_by_scales);
  table.add("Resize", 10, resize_by_scales);
  table.add("Resize", 11, resize);
  table.add("GridSample", 16, grid_sample);
  table.add("RoiAlign", 10, roi_align);
}

}  // namespace cleave::onnx
