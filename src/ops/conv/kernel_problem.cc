#include "ops/conv/kernel_problem.h"

namespace cleave::backend {
namespace {

WindowAxes axes_of(const KernelProblem& problem) {
  const auto& w = problem.inputs[1].shape;
  const Window window = Window::of(problem.attributes, {w.begin() + kImage, w.end()});
  return window_axes(window, std::span(problem.inputs[0].shape).subspan(kImage),
                     std::span(problem.outputs[0].shape).subspan(kImage));
}

}  // namespace

std::optional<std::string> ConvProblem::refuses(const KernelProblem& problem, Format format) {
  if (problem.inputs.size() < 2 || problem.outputs.empty()) return "it takes x and w";
  const TensorView& x = problem.inputs[0];
  const TensorView& w = problem.inputs[1];
  if (!x.present || !w.present || x.rank() < 3 || x.rank() > 5 || w.rank() != x.rank()) {
    return "ranks do not fit";
  }
  if (!w.is_dense()) return "the weights are not dense";
  const std::string name(name_of(format));
  if (!x.has_format(format)) return "the operand is not " + name;
  for (const TensorView& view : problem.outputs) {
    if (view.shape != problem.outputs[0].shape) return "results differ in shape";
    if (!view.has_format(format)) return "a result is not " + name;
  }
  const int64_t groups = problem.attributes.integer("groups");
  const auto& y = problem.outputs[0].shape;
  if (y.size() != x.rank() || groups < 0 || y[0] != x.shape[0] || y[1] != w.shape[0] ||
      x.shape[1] != w.shape[1] * groups || (groups > 0 && y[1] % groups != 0)) {
    return "shapes do not fit";
  }
  return std::nullopt;
}

std::optional<Format> ConvProblem::format(const KernelProblem& problem) {
  for (const Format format : kImageFormats) {
    if (!refuses(problem, format)) return format;
  }
  return std::nullopt;
}

ConvProblem::ConvProblem(const KernelProblem& problem)
    : x_type(problem.inputs[0].dtype),
      w_type(problem.inputs[1].dtype),
      images(problem.inputs[0].shape[0]),
      groups(problem.attributes.integer("groups")),
      channels(problem.inputs[1].shape[1]),
      outputs(groups == 0 ? 0 : problem.outputs[0].shape[1] / groups),
      axes(axes_of(problem)) {}

std::optional<std::string> ConvProblem::large_window() const {
  constexpr int64_t kTrustedTaps = 49;
  std::string window;
  size_t wide = 0;
  for (const WindowAxis& axis : axes) {
    if (axis.kernel <= 1) continue;
    window += (wide++ > 0 ? " x " : "") + std::to_string(axis.kernel);
  }
  if (wide < 2 || taps() <= kTrustedTaps) return std::nullopt;
  return "its window is " + window;
}

}  // namespace cleave::backend
