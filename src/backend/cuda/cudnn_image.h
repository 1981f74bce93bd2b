// CudnnImage: an image under a window, as cuDNN takes it.
#pragma once

#include <vector>

#include "backend/kernel.h"
#include "types/window.h"

namespace cleave::backend {

// Whether cuDNN's kernels take a tensor that begins there.
bool cudnn_takes(const TensorView& view);

// Two dimensions, of which the first may have an extent of 1, or three.
class CudnnImage {
 public:
  // `operand` is [n, c, image of one to three dimensions].
  CudnnImage(const WindowAxes& axes, const TensorView& operand);

  const std::vector<WindowAxis>& axes() const { return axes_; }
  // Elements of padding behind the last one that a window sees; cuDNN's count of windows is right
  // with it where `is_padded_evenly` or `is_padded`.
  static int64_t high(const WindowAxis& axis);
  // As many windows as there are results with the same padding at both ends of each dimension.
  bool is_padded_evenly() const;
  // The same with paddings `low` and `high`: no element is to be left out.
  bool is_padded() const;
  // [n, c, image...] of an operand that holds all that windows see, padding included.
  std::vector<int64_t> padded_shape(const TensorView& operand) const;
  // `view` with this image: [its first two extents, `extent(axis)`...].
  template <class Extent>
  std::vector<int64_t> shape(const TensorView& view, const Extent& extent) const {
    std::vector<int64_t> shape = {view.shape[0], view.shape[1]};
    for (const WindowAxis& axis : axes_) shape.push_back(extent(axis));
    return shape;
  }

 private:
  std::vector<WindowAxis> axes_;
};

}  // namespace cleave::backend
