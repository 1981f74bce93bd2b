// cumsum on GPUs.
#include <algorithm>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/line_split.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

// Of few long lines: enough blocks for a GPU, each with enough to do.
constexpr int64_t kBlocks = 512;
constexpr int64_t kLeastPart = 2048;  // elements
constexpr int64_t kSumBytes = 8;      // of a part

AxisView view_of(const KernelProblem& problem) {
  return AxisView(problem.inputs[0].shape, static_cast<size_t>(problem.attributes.integer("axis")));
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  const AxisView view = view_of(problem);
  if (view.outer * view.inner > kMostIndex) return "it has more than 2^31 lines";
  return refuse_strides(problem);
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  const AxisView view = view_of(problem);
  const int64_t lines = view.outer * view.inner;
  if (lines == 0 || view.extent == 0) return CudaRun::nothing();
  const int32_t reversed = problem.attributes.integer("reverse", 0) != 0;
  const bool exclusive = problem.attributes.integer("exclusive", 0) != 0;
  // Lines beside each other are walked by a thread each, if there are enough.
  const bool whole_block = view.extent >= 64 && (view.inner == 1 || lines < 2048 || view.inner < 8);
  const std::string source = "using T = " + device_type(problem.inputs[0].dtype) +
                             ";\nconstexpr bool kExclusive = " + (exclusive ? "true" : "false") +
                             ";\nconstexpr bool kWholeBlock = " + (whole_block ? "true" : "false") +
                             ";\n" + std::string(device_source("cumsum"));
  const cudaKernel_t kernel = device.modules().get(source, "cumsum");
  const cudaKernel_t part_sums = device.modules().get(source, "part_sums");
  const LineSplit split =
      LineSplit::of(lines, view.extent, kBlocks, whole_block ? view.extent / kLeastPart : 1);
  const Grid grid{.blocks = whole_block ? lines * split.splits : (lines + 255) / 256,
                  .threads = 256};
  return {[=](std::span<const void* const> inputs, std::span<void* const> outputs,
              const Launch& launch) {
            if (split.splits > 1) {
              launch_kernel(part_sums, grid, launch.stream,
                            {&view.extent, &view.inner, &reversed, &split.splits, &split.part,
                             &inputs[0], &launch.workspace});
            }
            launch_kernel(kernel, grid, launch.stream,
                          {&lines, &view.extent, &view.inner, &reversed, &split.splits, &split.part,
                           &launch.workspace, &inputs[0], &outputs[0]});
          },
          split.splits > 1 ? grid.blocks * kSumBytes : 0};
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_cumsum_cuda() {
  return {std::make_shared<SimpleCudaKernel>("cumsum", "cumsum.lines", refuses, prepare)};
}

}  // namespace cleave::backend
