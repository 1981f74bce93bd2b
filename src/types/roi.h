// Where the samples of a region of interest lie: what definition and kernels of roi_align both
// compute.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "types/attributes.h"

namespace cleave {

struct RoiAlignment {
  bool takes_largest;  // of weighted elements; else the mean of samples
  double scale;        // of a region's corners, in elements of the image
  double offset;       // what is subtracted then: half an element, or none
  int64_t samples;     // a bin and dimension; 0: as many as a bin has elements, rounded up

  // The attributes `mode`, `scale`, `half_pixel` and `samples`. Error(kInvalid) where one has no
  // such value.
  static RoiAlignment of(const Attributes& attributes);
};

// One dimension of a region: bins of `step` elements from `begin` on, each with so many samples at
// equal distances.
struct RoiAxis {
  double begin = 0;
  double step = 0;
  int64_t samples = 0;

  // From a region's corners, of which `low` comes first.
  RoiAxis(const RoiAlignment& alignment, double low, double high, int64_t bins);
  double position(int64_t bin, int64_t sample) const;
};

// The two elements that a sample lies between, by index and weight.
struct RoiSample {
  std::array<int64_t, 2> at;
  std::array<double, 2> weight;
};
// nullopt where the position is more than one element outside of the image, or no number.
std::optional<RoiSample> roi_sample(double position, int64_t extent);

}  // namespace cleave
