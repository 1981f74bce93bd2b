// Rotary embedding on GPUs, in float32 (float64 for float64).
#include <algorithm>
#include <numeric>
#include <optional>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "ops/rotary/kernel_rows.h"

namespace cleave::backend {
namespace {

int64_t last_stride(const TensorView& view) {
  return view.shape.back() == 1 ? 0 : view.strides.back();
}

// How many pairs a thread takes: as many elements as 16 bytes have, where rows begin at multiples
// of that, else fewer.
int64_t pairs_at_once(const KernelProblem& problem, const IndexSpace& rows) {
  const TensorView& x = problem.inputs[0];
  const int64_t half = x.shape.back() / 2;
  const int64_t most =
      piece_elements(x.dtype, {&x, &problem.inputs[1], &problem.inputs[2], &problem.outputs[0]});
  int64_t count = std::gcd(most, half);
  const bool angles_follow =
      last_stride(problem.inputs[1]) == 1 && last_stride(problem.inputs[2]) == 1;
  for (size_t operand = 0; operand < 4; ++operand) {
    if (operand < 2 && !angles_follow) return 1;
    for (const int64_t stride : rows.strides[operand]) count = std::gcd(count, stride);
  }
  return count;
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const TensorView& x = problem.inputs[0];
  const IndexSpace space = rotary_rows(problem);
  const int64_t half = x.shape.back() / 2;
  if (space.elements * half == 0) return CudaRun::nothing();
  const int64_t count = pairs_at_once(problem, space);
  const bool interleaved = problem.attributes.integer("interleaved", 0) != 0;
  const std::string source = "using T = " + device_type(x.dtype) +
                             ";\nconstexpr int kCount = " + std::to_string(count) +
                             ";\nconstexpr bool kInterleaved = " + std::to_string(interleaved) +
                             ";\nconstexpr bool kAnglesFollow = " + std::to_string(count > 1) +
                             ";\n" + std::string(device_source("rotary"));
  const cudaKernel_t kernel = device.modules().get(source, "rotary");
  const Divisor pieces = make_divisor(half / count);  // of a row
  const int64_t total = space.elements * (half / count);
  const int64_t bytes = count * static_cast<int64_t>(size_of(x.dtype));
  const SpaceArgument rows(space, space.extents.size());
  const int64_t cos_stride = last_stride(problem.inputs[1]);
  const int64_t sin_stride = last_stride(problem.inputs[2]);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    check_aligned({inputs[0], inputs[1], inputs[2], outputs[0]}, bytes);
    launch_kernel(kernel, grid_for(total, device), launch.stream,
                  {rows.data(), &pieces, &total, &half, &cos_stride, &sin_stride, &inputs[1],
                   &inputs[2], &inputs[0], &outputs[0]});
  }};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  const TensorView& x = problem.inputs[0];
  if (!is_floating(x.dtype)) return "it takes floating types";
  for (const TensorView& view : {problem.inputs[1], problem.inputs[2], problem.outputs[0]}) {
    if (view.dtype != x.dtype) return "operands are of one type";
  }
  if (x.strides.back() != 1 || problem.outputs[0].strides.back() != 1) {
    return "elements of a row do not follow each other";
  }
  if (x.elements() > kMostIndex) return "it has more than 2^31 elements";
  return refuse_space(rotary_rows(problem));
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_rotary_cuda() {
  return {std::make_shared<SimpleCudaKernel>("rotary", "rotary.rows", refuses, prepare)};
}

}  // namespace cleave::backend
