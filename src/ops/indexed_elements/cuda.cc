// gather_elements and scatter_elements on GPUs.
#include <algorithm>

#include "backend/cuda/scatter.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"

namespace cleave::backend {
namespace {

// Of fewer lines than this each has a block, of more a thread.
constexpr int64_t kManyLines = 1 << 10;
constexpr int kLineThreads = 128;  // of a block that takes a line

// outer × count × inner indices into outer × extent × inner elements.
struct Lines {
  // The bytes of device code's Lines.
  struct Argument {
    IndexRange range;
    Divisor inner;
    Divisor count;
  };
  AxisView data;
  int64_t count;
  Argument argument;

  explicit Lines(const KernelProblem& problem)
      : data(problem.inputs[0].shape, axis(problem)),
        count(problem.inputs[1].shape[axis(problem)]),
        argument{IndexRange::of(problem.attributes, data.extent),
                 make_divisor(std::max<int64_t>(1, data.inner)),
                 make_divisor(std::max<int64_t>(1, count))} {}
  int64_t lines() const { return data.outer * data.inner; }

 private:
  static size_t axis(const KernelProblem& problem) {
    return static_cast<size_t>(problem.attributes.integer("axis"));
  }
};

std::string source_of(const KernelProblem& problem) {
  return scatter_source(problem.inputs[0].dtype, problem.inputs[1].dtype, problem.attributes) +
         std::string(device_source("indexed_elements"));
}

CudaRun prepare_gather(const KernelProblem& problem, CudaDevice& device) {
  const Lines lines(problem);
  const int64_t total = problem.outputs[0].elements();
  if (total == 0) return CudaRun::nothing();
  const cudaKernel_t kernel = device.modules().get(source_of(problem), "gather_elements");
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    launch_kernel(kernel, grid_for(total, device), launch.stream,
                  {&lines.argument, &total, &inputs[0], &inputs[1], &outputs[0]});
  }};
}

// The last update of each element is found first.
CudaRun prepare_replacing(const KernelProblem& problem, CudaDevice& device) {
  const Lines lines(problem);
  const int64_t elements = problem.outputs[0].elements();
  const int64_t updates = problem.inputs[1].elements();
  if (elements == 0) return CudaRun::nothing();
  const std::string source = source_of(problem);
  const cudaKernel_t find = device.modules().get(source, "find_last");
  const cudaKernel_t write = device.modules().get(source, "write_last");
  const Divisor extent = make_divisor(lines.data.extent);
  const int64_t bytes = elements * static_cast<int64_t>(sizeof(int32_t));
  const auto run = [=, &device](auto inputs, auto outputs, const Launch& launch) {
    void* const last = launch.workspace;
    cuda_check(cudaMemsetAsync(last, 0, static_cast<size_t>(bytes),
                               static_cast<cudaStream_t>(launch.stream.native)),
               "clearing memory");
    if (updates > 0) {
      launch_kernel(find, grid_for(updates, device), launch.stream,
                    {&lines.argument, &updates, &inputs[1], &last});
    }
    launch_kernel(
        write, grid_for(elements, device), launch.stream,
        {&lines.argument, &elements, &inputs[0], &inputs[2], &last, &extent, &outputs[0]});
  };
  return {run, bytes};
}

CudaRun prepare_scatter(const KernelProblem& problem, CudaDevice& device) {
  const Lines lines(problem);
  const int64_t elements = problem.outputs[0].elements();
  if (elements == 0) return CudaRun::nothing();
  const bool reduces = problem.attributes.has("reduce");
  if (!reduces) return prepare_replacing(problem, device);
  const DType type = problem.inputs[0].dtype;
  const bool widens = is_half(type);
  const std::string source = source_of(problem);
  const int64_t all = lines.lines();
  const bool is_few = all < kManyLines;
  const cudaKernel_t scatter =
      device.modules().get(source, is_few ? "scatter_long_lines" : "scatter_elements");
  const Grid grid = is_few ? Grid{all, kLineThreads} : grid_for(all, device, kLineThreads);
  const cudaKernel_t widen = device.modules().get(source, "widen_elements");
  const cudaKernel_t narrow = device.modules().get(source, "narrow_elements");
  const int64_t bytes = elements * static_cast<int64_t>(size_of(type));
  const auto run = [=, &device](auto inputs, auto outputs, const Launch& launch) {
    void* const to = widens ? static_cast<void*>(launch.workspace) : outputs[0];
    if (widens) {
      launch_kernel(widen, grid_for(elements, device), launch.stream, {&elements, &inputs[0], &to});
    } else {
      device.copy(to, inputs[0], bytes, launch.stream);
    }
    if (lines.count > 0) {
      launch_kernel(scatter, grid, launch.stream,
                    {&lines.argument, &all, &inputs[1], &inputs[2], &to});
    }
    if (widens) {
      launch_kernel(narrow, grid_for(elements, device), launch.stream,
                    {&elements, &to, &outputs[0]});
    }
  };
  return {run, widens ? elements * static_cast<int64_t>(sizeof(float)) : 0};
}

std::optional<std::string> refuse(const KernelProblem& problem, size_t operands) {
  if (auto reason = refuse_indexing(problem, operands)) return reason;
  for (const TensorView* view : {&problem.inputs[1], &problem.outputs[0]}) {
    if (view->elements() > kMostIndex) return "it has more than 2^31 elements";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_indexed_elements_cuda() {
  return {std::make_shared<SimpleCudaKernel>(
              "gather_elements", "gather_elements.elements",
              [](const KernelProblem& problem) { return refuse(problem, 2); }, prepare_gather),
          std::make_shared<SimpleCudaKernel>(
              "scatter_elements", "scatter_elements.lines",
              [](const KernelProblem& problem) { return refuse(problem, 3); }, prepare_scatter)};
}

}  // namespace cleave::backend
