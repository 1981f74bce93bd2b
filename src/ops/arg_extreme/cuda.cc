// arg_max and arg_min on GPUs.
#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

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

CudaRun prepare(const KernelProblem& problem, CudaDevice& device, bool largest) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  if (lines == 0) return CudaRun::nothing();
  const bool whole_block = view.extent > 1024 && (view.inner == 1 || lines < 1024);
  const std::string source = "using T = " + device_type(problem.inputs[0].dtype) +
                             ";\nconstexpr bool kLargest = " + (largest ? "true" : "false") +
                             ";\nconstexpr bool kWholeBlock = " + (whole_block ? "true" : "false") +
                             ";\n" + std::string(device_source("reductions")) +
                             std::string(device_source("arg_extreme"));
  const cudaKernel_t kernel = device.modules().get(source, "arg_extreme");
  const int64_t together = view.inner == 1 ? 8 : 32;  // lines of a block of 256
  Grid grid{.blocks = (lines + together - 1) / together, .threads = 256};
  if (whole_block) grid = {.blocks = lines, .threads = 1024};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream,
                  {&lines, &view.extent, &view.inner, &inputs[0], &outputs[0]});
  }};
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
