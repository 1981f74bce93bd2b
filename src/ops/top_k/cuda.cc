// top_k on GPUs.
#include <algorithm>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostSelected = 2048;  // which the memory of a block holds
constexpr int64_t kSortedWhole = 512;    // elements of a line

AxisView view_of(const KernelProblem& problem) {
  return AxisView(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis")));
}

// A block has so many elements of a line, of which each counts what comes before it.
int64_t parts_of(const AxisView& view) { return (view.extent + 255) / 256; }

std::optional<std::string> refuse_operand(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs.size() != 2) return "it gives values and indices";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the values are of another type";
  if (problem.outputs[1].dtype != DType::kInt64) return "indices are i64";
  const AxisView view = view_of(problem);
  if (problem.attributes.integer("k") > view.extent) return "k is more than there are elements";
  if (view.extent > kMostIndex) return "its lines have more than 2^31 elements";
  if (view.outer * view.inner > kMostIndex / std::max<int64_t>(1, parts_of(view))) {
    return "it has too many lines";
  }
  return refuse_strides(problem);
}

std::optional<std::string> refuse_select(const KernelProblem& problem) {
  if (auto reason = refuse_operand(problem)) return reason;
  if (problem.attributes.integer("k") <= kMostSelected) return std::nullopt;
  return "it selects at most " + std::to_string(kMostSelected) + " elements";
}

std::string order_source(const KernelProblem& problem) {
  const bool largest = problem.attributes.integer("largest", 1) != 0;
  return "using T = " + device_type(problem.inputs[0].dtype) +
         ";\nconstexpr bool kLargest = " + (largest ? "true" : "false") + ";\n" +
         std::string(device_source("reductions")) + std::string(device_source("top_order"));
}

CudaRun prepare_select(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  const auto k = static_cast<int32_t>(problem.attributes.integer("k"));
  if (lines == 0 || k == 0) return CudaRun::nothing();
  const int64_t most = power_of_two(view.extent <= kSortedWhole ? view.extent : k);
  const std::string source = order_source(problem) +
                             "constexpr int kMost = " + std::to_string(std::max<int64_t>(2, most)) +
                             ";\n" + std::string(device_source("top_k_select"));
  const cudaKernel_t kernel = device.modules().get(source, "top_k_select");
  const auto threads = static_cast<int>(std::clamp<int64_t>(power_of_two(view.extent), 32, 1024));
  const Grid grid{.blocks = lines, .threads = threads};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream,
                  {&view.extent, &view.inner, &k, &inputs[0], &outputs[0], &outputs[1]});
  }};
}

CudaRun prepare_ranks(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  const int64_t k = problem.attributes.integer("k");
  if (lines == 0 || k == 0) return CudaRun::nothing();
  const cudaKernel_t kernel = device.modules().get(
      order_source(problem) + std::string(device_source("top_k_ranks")), "top_k_ranks");
  const Grid grid{.blocks = lines * parts_of(view), .threads = 256};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
    launch_kernel(kernel, grid, launch.stream,
                  {&view.extent, &view.inner, &k, &inputs[0], &outputs[0], &outputs[1]});
  }};
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_top_k_cuda() {
  return {
      std::make_shared<SimpleCudaKernel>("top_k", "top_k.select", refuse_select, prepare_select),
      std::make_shared<SimpleCudaKernel>("top_k", "top_k.ranks", refuse_operand, prepare_ranks)};
}

}  // namespace cleave::backend
