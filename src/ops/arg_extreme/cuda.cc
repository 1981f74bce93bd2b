// arg_max and arg_min on GPUs.
#include <algorithm>
#include <numeric>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/line_split.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

// Of long lines: enough blocks for a GPU, each with enough to do.
constexpr int64_t kBlocks = 512;
constexpr int64_t kLeastPart = 4096;  // elements
constexpr int64_t kRecordBytes = 16;  // at most, of what a part has found

AxisView view_of(const KernelProblem& problem) {
  return AxisView(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis")));
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype != DType::kInt64) return "the result is i64";
  const AxisView view = view_of(problem);
  if (view.outer * view.inner > kMostIndex) return "it has more than 2^31 lines";
  return refuse_strides(problem);
}

std::string source_of(const KernelProblem& problem, bool largest) {
  return "using T = " + device_type(problem.inputs[0].dtype) +
         ";\nconstexpr bool kLargest = " + (largest ? "true" : "false") + ";\n" +
         std::string(device_source("reductions")) + std::string(device_source("arg_record"));
}

CudaRun prepare_lines(const KernelProblem& problem, CudaDevice& device, bool largest) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  const std::string source =
      source_of(problem, largest) + std::string(device_source("arg_extreme"));
  const cudaKernel_t kernel = device.modules().get(source, "arg_extreme");
  const int64_t together = view.inner == 1 ? 8 : 32;  // lines of a block
  const Grid grid{.blocks = (lines + together - 1) / together, .threads = 256};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream,
                  {&lines, &view.extent, &view.inner, &inputs[0], &outputs[0]});
  }};
}

CudaRun prepare_parts(const KernelProblem& problem, CudaDevice& device, bool largest) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  const auto size = static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t most = piece_elements(problem.inputs[0].dtype, {&problem.inputs[0]});
  const int64_t vector = view.inner == 1 ? std::gcd(most, view.extent) : 1;
  const LineSplit split =
      LineSplit::of(lines, view.extent / vector, kBlocks, view.extent / kLeastPart);
  const std::string source = source_of(problem, largest) +
                             "constexpr int kVector = " + std::to_string(vector) + ";\n" +
                             std::string(device_source("arg_extreme_parts"));
  const cudaKernel_t find = device.modules().get(source, "arg_extreme_parts");
  const cudaKernel_t join = device.modules().get(source, "arg_extreme_join");
  const auto threads = static_cast<int>(std::min<int64_t>(512, power_of_two(view.extent / 8)));
  const Grid grid{.blocks = lines * split.splits, .threads = threads};
  const Grid join_grid{.blocks = (lines * 32 + 255) / 256, .threads = 256};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
            check_aligned({inputs[0]}, vector * size);
            launch_kernel(find, grid, launch.stream,
                          {&view.extent, &view.inner, &split.splits, &split.part, &inputs[0],
                           &launch.workspace, &outputs[0]});
            if (split.splits == 1) return;
            launch_kernel(join, join_grid, launch.stream,
                          {&lines, &split.splits, &launch.workspace, &outputs[0]});
          },
          split.splits == 1 ? 0 : grid.blocks * kRecordBytes};
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device, bool largest) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  if (lines == 0) return CudaRun::nothing();
  const bool is_long = view.extent > 1024 && (view.inner == 1 || lines < 1024);
  return is_long ? prepare_parts(problem, device, largest)
                 : prepare_lines(problem, device, largest);
}

std::shared_ptr<const Kernel> make(const char* op, bool largest) {
  return std::make_shared<SimpleCudaKernel>(
      op, std::string(op) + ".lines", refuses,
      [largest](const KernelProblem& problem, CudaDevice& device) {
        return prepare(problem, device, largest);
      });
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_arg_extreme_cuda() {
  return {make("arg_max", true), make("arg_min", false)};
}

}  // namespace cleave::backend
