#include "types/resize_taps.h"

#include <algorithm>
#include <cmath>

#include "cleave/error.h"
#include "types/interpolation.h"

namespace cleave {
namespace {

void require_one_of(const Attributes& attributes, std::string_view name,
                    std::initializer_list<std::string_view> known, std::string_view otherwise) {
  const std::string value = attributes.string(name, otherwise);
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string all;
  for (const std::string_view one : known) all += (all.empty() ? "" : ", ") + std::string(one);
  throw Error(ErrorCode::kInvalid, std::string(name) + " of resize is '" + value + "'",
              "it is one of " + all);
}

// How one dimension of the result lies over the operand's.
struct Axis {
  double in;
  double out;
  double scale;
  double resized;  // scale · in, which need not be whole
  double roi_begin;
  double roi_end;

  // Where an element of the result lies, counted in elements of the operand.
  double position(const std::string& coordinates, double x) const {
    if (coordinates == "asymmetric") return x / scale;
    if (coordinates == "align_corners") return resized == 1 ? 0 : x * (in - 1) / (resized - 1);
    if (coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / scale;
    if (coordinates == "pytorch_half_pixel" && resized <= 1) return 0;
    if (coordinates == "tf_crop_and_resize") {
      if (resized == 1) return (roi_begin + roi_end) * (in - 1) / 2;
      return (roi_begin + x * (roi_end - roi_begin) / (resized - 1)) * (in - 1);
    }
    const double half_pixel = (x + 0.5) / scale - 0.5;
    if (coordinates == "half_pixel_symmetric") return half_pixel + in / 2 * (1 - out / resized);
    return half_pixel;
  }
};

// Of the i-th axis, or what holds where the attribute is absent.
int64_t entry(const Attributes& attributes, const char* name, size_t i, int64_t otherwise) {
  return attributes.has(name) ? attributes.integers(name).at(i) : otherwise;
}

Axis axis_of(const Attributes& attributes, size_t i, int64_t in, int64_t out) {
  Axis axis{static_cast<double>(in), static_cast<double>(out), 1, static_cast<double>(out), 0, 1};
  axis.scale = axis.out / axis.in;
  if (attributes.has("scales")) {
    axis.scale = attributes.reals("scales").at(i);
    axis.resized = axis.scale * axis.in;
  }
  if (attributes.has("roi")) {
    axis.roi_begin = attributes.reals("roi").at(2 * i);
    axis.roi_end = attributes.reals("roi").at(2 * i + 1);
  }
  return axis;
}

// A scale is rarely what was meant to the last bit: positions that all but are whole or half count
// as such, so that the rounding does not depend on it. How close that is grows with the error that
// float32 scales have, but stays below the least distance of positions in 1 / kMostExactSteps.
double nearest(const std::string& rounding, double position) {
  constexpr double kMost = 0.5 / kMostExactSteps;
  const double twice = std::round(2 * position);
  const double close = std::min(0x1p-20 * std::max(1.0, std::abs(twice)), kMost);
  if (std::abs(2 * position - twice) < close) position = twice / 2;
  if (rounding == "floor") return std::floor(position);
  if (rounding == "ceil") return std::ceil(position);
  return rounding == "round_prefer_ceil" ? std::floor(position + 0.5) : std::ceil(position - 0.5);
}

}  // namespace

void check_resize_modes(const Attributes& attributes) {
  require_one_of(attributes, "mode", {"nearest", "linear", "cubic"}, "nearest");
  require_one_of(attributes, "coordinates",
                 {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                  "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"},
                 "half_pixel");
  require_one_of(attributes, "rounding",
                 {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"},
                 "round_prefer_floor");
}

int64_t first_resize_tap(const Attributes& attributes, double scale) {
  const bool antialiases = attributes.integer("antialias", 0) != 0;
  const double shrink = antialiases ? std::min(scale, 1.0) : 1.0;
  const double reach = (attributes.string("mode", "nearest") == "cubic" ? 2 : 1) / shrink;
  return static_cast<int64_t>(std::floor(-reach)) + 1;
}

ResizeTaps resize_taps(const Attributes& attributes, size_t i, int64_t in, int64_t out) {
  if (out == 0) return {};
  const Axis axis = axis_of(attributes, i, entry(attributes, "whole_in", i, in),
                            entry(attributes, "whole_out", i, out));
  const int64_t begin_in = entry(attributes, "begin_in", i, 0);
  const int64_t begin_out = entry(attributes, "begin_out", i, 0);
  // The element of the operand at a position of the whole.
  const auto element = [&](double at) {
    const auto whole = static_cast<int64_t>(std::clamp(at, 0.0, axis.in - 1));
    return std::clamp<int64_t>(whole - begin_in, 0, in - 1);
  };
  const std::string mode = attributes.string("mode", "nearest");
  const std::string coordinates = attributes.string("coordinates", "half_pixel");
  const std::string rounding = attributes.string("rounding", "round_prefer_floor");
  const double a = attributes.real("cubic_coefficient", -0.75);
  const bool excludes_outside = attributes.integer("exclude_outside", 0) != 0;
  // Where sizes shrink, antialiasing stretches the weights over all elements that one stands for:
  // at most twice those there are.
  const bool antialiases = attributes.integer("antialias", 0) != 0;
  const double shrink = antialiases ? std::clamp(axis.scale, 0.5 / axis.in, 1.0) : 1.0;
  const int64_t first = first_resize_tap(attributes, shrink);

  ResizeTaps taps;
  taps.count = mode == "nearest" ? 1 : 2 - 2 * first;
  for (int64_t x = 0; x < out; ++x) {
    const double position = axis.position(coordinates, static_cast<double>(begin_out + x));
    taps.outside.push_back(coordinates == "tf_crop_and_resize" &&
                           (position < 0 || position > axis.in - 1));
    if (mode == "nearest") {
      taps.source.push_back(element(nearest(rounding, position)));
      taps.weight.push_back(1);
      continue;
    }
    double sum = 0;
    for (int64_t tap = 0; tap < taps.count; ++tap) {
      const double at = std::floor(position) + static_cast<double>(first + tap);
      const double distance = (at - position) * shrink;
      const bool is_left_out = excludes_outside && (at < 0 || at > axis.in - 1);
      const double weight = mode == "cubic" ? cubic_weight(distance, a) : linear_weight(distance);
      taps.weight.push_back(is_left_out ? 0 : weight);
      taps.source.push_back(element(at));
      sum += taps.weight.back();
    }
    for (auto weight = taps.weight.end() - taps.count; sum != 0 && weight != taps.weight.end();
         ++weight) {
      *weight /= sum;
    }
  }
  return taps;
}

}  // namespace cleave
