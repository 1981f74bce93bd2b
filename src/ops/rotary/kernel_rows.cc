#include "ops/rotary/kernel_rows.h"

#include <utility>

namespace cleave::backend {
namespace {

std::vector<int64_t> leading(std::vector<int64_t> strides) {
  strides.pop_back();
  return strides;
}

// Strides of cos or sin along x's dimensions but the last.
std::vector<int64_t> angle_strides(const TensorView& angles, const TensorView& x) {
  std::vector<int64_t> shape = x.shape;
  shape.back() = angles.shape.back();
  return leading(broadcast_strides(angles, shape));
}

}  // namespace

IndexSpace rotary_rows(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  return IndexSpace(std::span(x.shape).first(x.rank() - 1),
                    {angle_strides(problem.inputs[1], x), angle_strides(problem.inputs[2], x),
                     leading(x.strides), leading(problem.outputs[0].strides)});
}

}  // namespace cleave::backend
