#include "backend/cuda/cudnn_image.h"

#include <algorithm>

#include "backend/cuda/pieces.h"

namespace cleave::backend {
namespace {

int64_t reach(const WindowAxis& axis) { return (axis.kernel - 1) * axis.dilation + 1; }
// Elements from the first that a window sees to the last, padding included.
int64_t seen(const WindowAxis& axis) { return (axis.out - 1) * axis.stride + reach(axis); }

bool has_its_windows(const WindowAxis& axis, int64_t high) {
  const int64_t room = axis.in + axis.low + high - reach(axis);
  return axis.low >= 0 && room >= 0 && room / axis.stride + 1 == axis.out;
}

}  // namespace

bool cudnn_takes(const TensorView& view) { return view.alignment >= kMostPieceBytes; }

CudnnImage::CudnnImage(const WindowAxes& axes, const TensorView& operand)
    : axes_(axes.begin() + (operand.rank() == kImage + kMaxImageDims ? 0 : 1), axes.end()) {}

int64_t CudnnImage::high(const WindowAxis& axis) {
  return std::max<int64_t>(0, seen(axis) - axis.in - axis.low);
}

bool CudnnImage::is_padded_evenly() const {
  return std::all_of(axes_.begin(), axes_.end(),
                     [](const WindowAxis& axis) { return has_its_windows(axis, axis.low); });
}

bool CudnnImage::is_padded() const {
  return std::all_of(axes_.begin(), axes_.end(),
                     [](const WindowAxis& axis) { return has_its_windows(axis, high(axis)); });
}

std::vector<int64_t> CudnnImage::padded_shape(const TensorView& operand) const {
  return shape(operand, seen);
}

}  // namespace cleave::backend
