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

// Rows in pieces of one size.
struct Form {
  cudaKernel_t kernel;
  Divisor pieces;  // of a row
  int64_t total;

  Form(const KernelProblem& problem, CudaDevice& device, int64_t row_bytes, int64_t bytes)
      : kernel(device.modules().get("using T = " + piece_type(bytes) +
                                        ";\nusing I = " + device_type(problem.inputs[1].dtype) +
                                        ";\n" + std::string(device_source("indices")) +
                                        std::string(device_source("gather")),
                                    "gather")),
        pieces(make_divisor(row_bytes / bytes)),
        total(axis_view(problem).outer * problem.inputs[1].elements() * (row_bytes / bytes)) {}
};

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = axis_view(problem);
  const auto size = static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t row_bytes = view.inner * size;
  const int64_t count = problem.inputs[1].elements();
  if (row_bytes * view.outer * count == 0) return CudaRun::nothing();
  const Form by_element(problem, device, row_bytes, size);
  const int64_t most = piece_bytes({row_bytes});
  const Form by_piece = most > size ? Form(problem, device, row_bytes, most) : by_element;
  const IndexRange range = IndexRange::of(problem.attributes, view.extent);
  const Divisor rows = make_divisor(count);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    const bool fits = are_aligned({inputs[0], outputs[0]}, most);
    const Form& form = fits ? by_piece : by_element;
    launch_kernel(form.kernel, grid_for(form.total, device), launch.stream,
                  {&inputs[0], &inputs[1], &outputs[0], &form.total, &form.pieces, &rows, &range});
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
