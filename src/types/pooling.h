// Poolings with all sizes known: what their reference and kernels share.
#pragma once

#include <array>

#include "types/window.h"

namespace cleave {

enum class Pooling { kMax, kMaxIndex, kAverage, kLp };

// A pooling of x [n, c, image...] with all sizes known.
struct PoolGeometry {
  WindowAxes axes;
  int64_t planes = 1;  // n · c
  // Of average_pool: the taps of each window that count, by dimension.
  std::array<std::vector<int64_t>, kMaxImageDims> counts;
  // Of max_pool_index: how far the index moves with each dimension of the image, and where the
  // first element lies, of which the operand may be a part.
  std::array<int64_t, kMaxImageDims> index_strides{};
  int64_t index_begin = 0;
  double power = 1;  // of lp_pool

  PoolGeometry(Pooling how, const Attributes& attributes, std::span<const int64_t> in,
               std::span<const int64_t> out);

  int64_t image_elements() const { return axes[0].in * axes[1].in * axes[2].in; }
};

}  // namespace cleave
