#include "types/roi.h"

#include <algorithm>
#include <cmath>

#include "cleave/error.h"

namespace cleave {
namespace {

// A region may be of any size; a bin far larger than an image is sampled no finer than this.
constexpr int64_t kMostSamples = int64_t{1} << 12;

}  // namespace

RoiAlignment RoiAlignment::of(const Attributes& attributes) {
  const std::string mode = attributes.string("mode", "mean");
  if (mode != "mean" && mode != "max") {
    throw Error(ErrorCode::kInvalid, "the mode of roi_align is '" + mode + "'",
                "it is mean or max");
  }
  RoiAlignment result{mode == "max", attributes.real("scale", 1),
                      attributes.integer("half_pixel", 1) != 0 ? 0.5 : 0.0,
                      attributes.integer("samples", 0)};
  if (!std::isfinite(result.scale)) {
    throw Error(ErrorCode::kInvalid, "the scale of roi_align is no number");
  }
  if (result.samples < 0 || result.samples > kMostSamples) {
    throw Error(ErrorCode::kInvalid,
                "roi_align takes " + std::to_string(result.samples) + " samples a bin",
                "they are 0 (as many as there are elements) to " + std::to_string(kMostSamples));
  }
  return result;
}

RoiAxis::RoiAxis(const RoiAlignment& alignment, double low, double high, int64_t bins)
    : begin(low * alignment.scale - alignment.offset) {
  double size = high * alignment.scale - alignment.offset - begin;
  // Without the offset, corners name elements, and a region has at least one.
  if (alignment.offset == 0) size = std::max(size, 1.0);
  step = size / static_cast<double>(bins);
  samples = alignment.samples;
  if (samples == 0 && step > 0) {
    samples = static_cast<int64_t>(std::min(std::ceil(step), static_cast<double>(kMostSamples)));
  }
}

double RoiAxis::position(int64_t bin, int64_t sample) const {
  return begin + static_cast<double>(bin) * step +
         (static_cast<double>(sample) + 0.5) * step / static_cast<double>(samples);
}

std::optional<RoiSample> roi_sample(double position, int64_t extent) {
  const auto size = static_cast<double>(extent);
  if (!(position >= -1 && position <= size)) return std::nullopt;
  const double inside = std::clamp(position, 0.0, size - 1);
  const auto low = static_cast<int64_t>(inside);
  const double above = inside - static_cast<double>(low);
  return RoiSample{{low, std::min(low + 1, extent - 1)}, {1 - above, above}};
}

}  // namespace cleave
