#include "ops/conv/cuda_problem.h"

#include <algorithm>

#include "backend/cuda/pieces.h"

namespace cleave::backend {
namespace {

int64_t bytes_of(const TensorView& view) {
  return view.elements() * static_cast<int64_t>(size_of(view.dtype));
}

int64_t reach(const WindowAxis& axis) { return (axis.kernel - 1) * axis.dilation + 1; }
// Elements from the first that a window sees to the last, padding included.
int64_t seen(const WindowAxis& axis) { return (axis.out - 1) * axis.stride + reach(axis); }

bool has_its_windows(const WindowAxis& axis, int64_t high) {
  const int64_t room = axis.in + axis.low + high - reach(axis);
  return axis.low >= 0 && room >= 0 && room / axis.stride + 1 == axis.out;
}

TensorView lying(Format format, DType type, std::vector<int64_t> shape) {
  TensorView view = TensorView::dense(type, std::move(shape));
  view.strides = dense_strides(format, view.shape);
  return view;
}

}  // namespace

int64_t most_conv_workspace(const KernelProblem& problem) {
  const int64_t y =
      problem.outputs[0].elements() * static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t bytes = bytes_of(problem.inputs[0]) + bytes_of(problem.inputs[1]) + y;
  return std::min(int64_t{256} << 20, (int64_t{16} << 20) + bytes * 3);
}

bool cudnn_takes(const TensorView& view) { return view.alignment >= kMostPieceBytes; }

CudnnImage::CudnnImage(const KernelProblem& problem)
    : begins_well_(cudnn_takes(problem.inputs[0])) {
  const ConvProblem conv(problem);
  const bool is_volume = problem.inputs[0].rank() == 5;
  axes_.assign(conv.axes.begin() + (is_volume ? 0 : 1), conv.axes.end());
}

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

std::vector<int64_t> CudnnImage::padded_shape(const KernelProblem& problem) const {
  return shape(problem.inputs[0], seen);
}

CudnnViews::CudnnViews(const KernelProblem& problem, const CudnnImage& image, bool pads)
    : format(ConvProblem::format(problem).value_or(Format::kRowMajor)) {
  const DType type = problem.inputs[0].dtype;
  // Images of one place lie in both: tensor cores take channels-last as it is.
  const bool is_half = type == DType::kFloat16 || type == DType::kBFloat16;
  if (is_half && !ConvProblem::refuses(problem, Format::kChannelsLast)) {
    format = Format::kChannelsLast;
  }
  const auto make = [&](std::vector<int64_t> shape) {
    return lying(format, type, std::move(shape));
  };
  x = make(pads ? image.padded_shape(problem)
                : image.shape(problem.inputs[0], [](const WindowAxis& axis) { return axis.in; }));
  w = make(image.shape(problem.inputs[1], [](const WindowAxis& axis) { return axis.kernel; }));
  y = make(image.shape(problem.outputs[0], [](const WindowAxis& axis) { return axis.out; }));
}

}  // namespace cleave::backend
