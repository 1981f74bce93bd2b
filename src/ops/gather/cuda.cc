// Gather on GPUs: rows of the table are copied in pieces of up to 16 bytes, a thread each.
#include <algorithm>
#include <optional>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "types/arithmetic.h"
#include "types/indexing.h"

namespace cleave::backend {
namespace {

AxisView axis_view(const KernelProblem& problem) {
  return {problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis"))};
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = axis_view(problem);
  const auto size = static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t row_bytes = view.inner * size;
  const int64_t count = problem.inputs[1].elements();
  if (row_bytes * view.outer * count == 0) return CudaRun::nothing();
  const int64_t bytes =
      piece_bytes({row_bytes, problem.inputs[0].alignment, problem.outputs[0].alignment});
  const std::string source =
      "using T = " + piece_type(bytes) + ";\nusing I = " + device_type(problem.inputs[1].dtype) +
      ";\n" + std::string(device_source("indices")) + std::string(device_source("gather"));
  const cudaKernel_t kernel = device.modules().get(source, "gather");
  const Divisor pieces = make_divisor(row_bytes / bytes);  // of a row
  const int64_t total = view.outer * count * (row_bytes / bytes);
  const IndexRange range = IndexRange::of(problem.attributes, view.extent);
  const Divisor rows = make_divisor(count);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    check_aligned({inputs[0], outputs[0]}, bytes);
    launch_kernel(kernel, grid_for(total, device), launch.stream,
                  {&inputs[0], &inputs[1], &outputs[0], &total, &pieces, &rows, &range});
  }};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_indexing(problem, 2)) return reason;
  if (problem.outputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_gather_cuda() {
  return {std::make_shared<SimpleCudaKernel>("gather", "gather.rows", refuses, prepare)};
}

}  // namespace cleave::backend
