#include "types/window.h"

#include <algorithm>
#include <utility>

namespace cleave {
namespace {

// The values v of [0, count) for which offset + v·step is in [0, limit).
Range values_inside(int64_t count, int64_t step, int64_t offset, int64_t limit) {
  const int64_t begin = std::clamp<int64_t>(ceil_div(-offset, step), 0, count);
  return {begin, std::clamp<int64_t>(ceil_div(limit - offset, step), begin, count)};
}

}  // namespace

Window Window::of(const Attributes& attributes, std::vector<Dim> kernel) {
  return {std::move(kernel), attributes.dims("strides"), attributes.dims("dilations"),
          attributes.dims("low"), attributes.dims("outputs")};
}

Window Window::of(const Attributes& attributes) {
  return of(attributes, attributes.dims("kernel"));
}

Range WindowAxis::taps(int64_t at) const {
  return values_inside(kernel, dilation, position(at, 0), in);
}

Range WindowAxis::windows(int64_t tap) const {
  return values_inside(out, stride, position(0, tap), in);
}

WindowAxes window_axes(const Window& window, std::span<const int64_t> image,
                       std::span<const int64_t> windows) {
  WindowAxes axes;
  const size_t before = axes.size() - image.size();
  for (size_t d = 0; d < image.size(); ++d) {
    axes[before + d] = {.in = image[d],
                        .out = windows[d],
                        .kernel = window.kernel[d].constant(),
                        .stride = window.strides[d].constant(),
                        .dilation = window.dilations[d].constant(),
                        .low = window.low[d].constant()};
  }
  return axes;
}

}  // namespace cleave
