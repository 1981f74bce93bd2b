// Softmax on GPUs; sums and exponentials in float32 (float64 for float64).
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/line_split.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/row_form.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

// Of rows that do not fit in registers: enough blocks for a GPU, each with enough to do.
constexpr int64_t kBlocks = 512;
constexpr int64_t kLeastPart = 4096;  // elements
constexpr int kPartThreads = 512;

AxisView view_of(const KernelProblem& problem) {
  return AxisView(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis")));
}

std::optional<std::string> refuse_types(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (!is_floating(problem.inputs[0].dtype)) return "it takes floating types";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  const AxisView view = view_of(problem);
  if (view.outer * view.inner > kMostIndex) return "it has more than 2^31 lines";
  return refuse_strides(problem);
}

int64_t elements_at_once(const KernelProblem& problem) {
  const TensorView& x = problem.inputs[0];
  return piece_elements(x.dtype, {&x, &problem.outputs[0]});
}

// Rows that fit in registers.
std::optional<RowForm> form_of(const KernelProblem& problem) {
  return RowForm::of(std::max<int64_t>(1, view_of(problem).extent), elements_at_once(problem));
}

std::optional<std::string> refuse_rows(const KernelProblem& problem) {
  if (auto reason = refuse_types(problem)) return reason;
  if (view_of(problem).inner != 1) return "its lines are not rows of memory";
  if (!form_of(problem)) return "its rows are too long for registers";
  return std::nullopt;
}

CudaRun prepare_rows(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  if (view.outer == 0 || view.extent == 0) return CudaRun::nothing();
  const DType type = problem.inputs[0].dtype;
  const RowForm form = *form_of(problem);
  const std::string source = "using T = " + device_type(type) + ";\n" + form.prefix() +
                             std::string(device_source("reductions")) +
                             std::string(device_source("row_part")) +
                             std::string(device_source("softmax_rows"));
  const cudaKernel_t kernel = device.modules().get(source, "softmax_rows");
  const int64_t bytes = form.vector * static_cast<int64_t>(size_of(type));
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    check_aligned({inputs[0], outputs[0]}, bytes);
    launch_kernel(kernel, form.grid(view.outer), launch.stream,
                  {&view.outer, &view.extent, &inputs[0], &outputs[0]});
  }};
}

std::optional<std::string> refuse_parts(const KernelProblem& problem) {
  if (auto reason = refuse_types(problem)) return reason;
  const AxisView view = view_of(problem);
  if (view.inner != 1) return "its lines are not rows of memory";
  if (view.extent < 2 * kLeastPart) return "its rows are short";
  return std::nullopt;
}

CudaRun prepare_parts(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  if (view.outer == 0) return CudaRun::nothing();
  const DType type = problem.inputs[0].dtype;
  const auto size = static_cast<int64_t>(size_of(type));
  const int64_t vector = std::gcd(elements_at_once(problem), view.extent);
  const LineSplit split =
      LineSplit::of(view.outer, view.extent / vector, kBlocks, view.extent / kLeastPart);
  const std::string source =
      "using T = " + device_type(type) + ";\nconstexpr int kVector = " + std::to_string(vector) +
      ";\n" + std::string(device_source("reductions")) +
      std::string(device_source("softmax_sums")) + std::string(device_source("softmax_parts"));
  const cudaKernel_t sums = device.modules().get(source, "softmax_sums");
  const cudaKernel_t parts = device.modules().get(source, "softmax_parts");
  const Grid grid{.blocks = view.outer * split.splits, .threads = kPartThreads};
  const int64_t sums_bytes = grid.blocks * 2 * std::max<int64_t>(size, int64_t{sizeof(float)});
  return {
      [=](std::span<const void* const> inputs, std::span<void* const> outputs,
          const Launch& launch) {
        check_aligned({inputs[0], outputs[0]}, vector * size);
        if (split.splits > 1) {
          launch_kernel(sums, grid, launch.stream,
                        {&view.extent, &split.splits, &split.part, &launch.workspace, &inputs[0]});
        }
        launch_kernel(
            parts, grid, launch.stream,
            {&view.extent, &split.splits, &split.part, &launch.workspace, &inputs[0], &outputs[0]});
      },
      split.splits > 1 ? sums_bytes : 0};
}

CudaRun prepare_lines(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  if (lines == 0 || view.extent == 0) return CudaRun::nothing();
  // Few long lines get a block each, though what its threads read then lies far apart.
  const bool whole_block = view.inner == 1 || (lines < 1024 && view.extent >= 1024);
  const std::string source = "using T = " + device_type(problem.inputs[0].dtype) +
                             ";\nconstexpr bool kWholeBlock = " + (whole_block ? "true" : "false") +
                             ";\n" + std::string(device_source("reductions")) +
                             std::string(device_source("softmax_sums")) +
                             std::string(device_source("softmax_lines"));
  const cudaKernel_t kernel = device.modules().get(source, "softmax_lines");
  Grid grid{.blocks = (lines + 31) / 32, .threads = 256};
  if (whole_block) grid = {.blocks = lines, .threads = 1024};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream,
                  {&lines, &view.extent, &view.inner, &inputs[0], &outputs[0]});
  }};
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_softmax_cuda() {
  return {
      std::make_shared<SimpleCudaKernel>("softmax", "softmax.rows", refuse_rows, prepare_rows),
      std::make_shared<SimpleCudaKernel>("softmax", "softmax.parts", refuse_parts, prepare_parts),
      std::make_shared<SimpleCudaKernel>("softmax", "softmax.lines", refuse_types, prepare_lines)};
}

}  // namespace cleave::backend
