// What a point of a grid sees of an image: what definition and kernels of grid_sample both compute.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "types/attributes.h"

namespace cleave {

struct GridSampling {
  enum class Mode { kNearest, kLinear, kCubic } mode;
  enum class Padding { kZeros, kBorder, kReflection } padding;
  bool align_corners;

  // The attributes `mode`, `padding` and `align_corners`. Error(kInvalid) where one is not known.
  static GridSampling of(const Attributes& attributes);
};

// An element of a plane with its weight; those that count as zero are left out.
struct GridTap {
  int64_t offset = 0;
  double weight = 1;
};

// Sets `taps` to those of one point of the image. `point` has a coordinate a dimension, that of the
// last dimension first, from -1 to 1 across the image; one that is no number is far outside. No
// extent is 0.
void find_grid_taps(const GridSampling& sampling, std::span<const int64_t> image,
                    std::span<const double> point, std::vector<GridTap>& taps);

}  // namespace cleave
