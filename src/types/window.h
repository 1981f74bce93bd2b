// How a window moves over an image: what poolings and convolutions have in common, for definitions
// and kernels.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "types/attributes.h"

namespace cleave {

inline constexpr size_t kMaxImageDims = 3;
// The first of an operand's dimensions that a window moves over, behind batch and channels.
inline constexpr size_t kImage = 2;

// How a window moves, one entry a dimension of the image: output u of `outputs` sees the elements
// u · strides + k · dilations − low, for the taps k below `kernel`, as far as they exist.
struct Window {
  std::vector<Dim> kernel, strides, dilations, low, outputs;

  // From the attributes of these names; `kernel` is given where it is an operand's shape.
  static Window of(const Attributes& attributes, std::vector<Dim> kernel);
  static Window of(const Attributes& attributes);

  // The elements from a window's first tap to its last, in dimension `d`.
  Dim reach(size_t d) const { return (kernel[d] - 1) * dilations[d] + 1; }
};

// One dimension of an image under a window, in numbers.
struct WindowAxis {
  int64_t in = 1;   // of the image
  int64_t out = 1;  // windows
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t low = 0;

  // Where a tap of the `at`-th window lies; outside of the image where that is not in [0, in).
  int64_t position(int64_t at, int64_t tap) const { return at * stride + tap * dilation - low; }
  // The taps of a window that lie inside of the image.
  Range taps(int64_t at) const;
  // The windows of which a tap lies inside of the image.
  Range windows(int64_t tap) const;
};
using WindowAxes = std::array<WindowAxis, kMaxImageDims>;

// A place of an image, of its windows or of its taps.
using ImageIndex = std::array<int64_t, kMaxImageDims>;

// Calls f(index) for every index below the extents, in the order of memory.
template <class F>
void for_each_index(const ImageIndex& extents, F&& f) {
  for (int64_t i = 0; i < extents[0]; ++i) {
    for (int64_t j = 0; j < extents[1]; ++j) {
      for (int64_t k = 0; k < extents[2]; ++k) f(ImageIndex{i, j, k});
    }
  }
}

// From evaluated attributes. An image of fewer dimensions gets some of extent 1 before its own.
WindowAxes window_axes(const Window& window, std::span<const int64_t> image,
                       std::span<const int64_t> windows);

}  // namespace cleave
