#include "types/grid_taps.h"

#include <algorithm>
#include <cmath>

#include "cleave/error.h"
#include "types/interpolation.h"

namespace cleave {
namespace {

// Positions beyond this are all alike, and fit into integers.
constexpr double kFar = 0x1p30;

struct Line {
  int64_t extent;
  double low, high;  // between which reflection goes to and fro

  Line(int64_t elements, bool align_corners)
      : extent(elements),
        low(align_corners ? 0 : -0.5),
        high(static_cast<double>(elements) - (align_corners ? 1 : 0.5)) {}

  // As float32, as rounding to the nearest depends on it.
  double position(double coordinate) const {
    const double at = low + (coordinate + 1) / 2 * (high - low);
    return std::isnan(at) ? -kFar : static_cast<float>(std::clamp(at, -kFar, kFar));
  }

  double reflected(double at) const {
    const double length = high - low;
    if (length == 0) return low;
    const double way = std::fmod(std::abs(at - low), 2 * length);
    return low + std::min(way, 2 * length - way);
  }

  double inside(GridSampling::Padding padding, double at) const {
    if (padding == GridSampling::Padding::kZeros || (at >= low && at <= high)) return at;
    if (padding == GridSampling::Padding::kReflection) return reflected(at);
    return std::clamp(at, 0.0, static_cast<double>(extent - 1));
  }

  // The element at a whole position; -1 where that counts as zero.
  int64_t element(GridSampling::Padding padding, double at) const {
    const auto last = static_cast<double>(extent - 1);
    if (padding == GridSampling::Padding::kZeros && (at < 0 || at > last)) return -1;
    if (padding == GridSampling::Padding::kReflection) at = reflected(at);
    return static_cast<int64_t>(std::clamp(at, 0.0, last));
  }
};

template <class T>
T one_of(const Attributes& attributes, std::string_view name, std::string_view otherwise,
         std::initializer_list<std::pair<std::string_view, T>> known) {
  const std::string value = attributes.string(name, otherwise);
  std::string all;
  for (const auto& [text, result] : known) {
    if (text == value) return result;
    all += (all.empty() ? "" : ", ") + std::string(text);
  }
  throw Error(ErrorCode::kInvalid, std::string(name) + " of grid_sample is '" + value + "'",
              "it is one of " + all);
}

}  // namespace

GridSampling GridSampling::of(const Attributes& attributes) {
  return {one_of<Mode>(
              attributes, "mode", "linear",
              {{"nearest", Mode::kNearest}, {"linear", Mode::kLinear}, {"cubic", Mode::kCubic}}),
          one_of<Padding>(attributes, "padding", "zeros",
                          {{"zeros", Padding::kZeros},
                           {"border", Padding::kBorder},
                           {"reflection", Padding::kReflection}}),
          attributes.integer("align_corners", 0) != 0};
}

void find_grid_taps(const GridSampling& sampling, std::span<const int64_t> image,
                    std::span<const double> point, std::vector<GridTap>& taps) {
  using Mode = GridSampling::Mode;
  taps.assign(1, {});
  for (size_t d = 0; d < image.size(); ++d) {
    const Line line(image[d], sampling.align_corners);
    double at = line.position(point[image.size() - 1 - d]);
    if (sampling.mode == Mode::kNearest) at = std::nearbyint(at);
    // A cubic is made over the border too: only its elements are brought inside.
    if (sampling.mode != Mode::kCubic) at = line.inside(sampling.padding, at);
    const double floor = std::floor(at);
    const int before = sampling.mode == Mode::kCubic ? 1 : 0;
    const int behind = sampling.mode == Mode::kNearest ? 0 : sampling.mode == Mode::kLinear ? 1 : 2;
    // Each tap of the dimensions before becomes several, behind them all.
    const size_t outer = taps.size();
    for (int step = -before; step <= behind; ++step) {
      const int64_t element = line.element(sampling.padding, floor + step);
      const double distance = floor + step - at;
      double weight = 1;
      if (sampling.mode == Mode::kLinear) weight = linear_weight(distance);
      if (sampling.mode == Mode::kCubic) weight = cubic_weight(distance);
      if (element < 0 || weight == 0) continue;
      for (size_t i = 0; i < outer; ++i) {
        taps.push_back({taps[i].offset * image[d] + element, taps[i].weight * weight});
      }
    }
    taps.erase(taps.begin(), taps.begin() + static_cast<ptrdiff_t>(outer));
  }
}

}  // namespace cleave
