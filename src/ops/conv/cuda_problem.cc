#include "ops/conv/cuda_problem.h"

#include <algorithm>
#include <utility>

#include "types/workspace.h"

namespace cleave::backend {
int64_t most_conv_workspace(const KernelProblem& problem) {
  const int64_t y =
      problem.outputs[0].elements() * static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t bytes = problem.inputs[0].reach_bytes() + problem.inputs[1].reach_bytes() + y;
  return std::min(kMostConvWorkspaceBytes, kLeastConvWorkspaceBytes + bytes * kConvWorkspaceShare);
}

CudnnImage image_of(const KernelProblem& problem) {
  return {ConvProblem(problem).axes, problem.inputs[0]};
}

bool needs_copy(const KernelProblem& problem, const CudnnImage& image) {
  return !cudnn_takes(problem.inputs[0]) || !image.is_padded_evenly();
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
    return TensorView::dense(type, std::move(shape), format);
  };
  x = make(pads ? image.padded_shape(problem.inputs[0])
                : image.shape(problem.inputs[0], [](const WindowAxis& axis) { return axis.in; }));
  if (!pads) x.alignment = problem.inputs[0].alignment;
  w = make(image.shape(problem.inputs[1], [](const WindowAxis& axis) { return axis.kernel; }));
  y = make(image.shape(problem.outputs[0], [](const WindowAxis& axis) { return axis.out; }));
}

}  // namespace cleave::backend
