// gather_nd and scatter_nd on GPUs.
#include <algorithm>

#include "backend/cuda/scatter.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "types/row_index.h"

namespace cleave::backend {
namespace {

// indexed_rows.cuh's, by the same names.
constexpr size_t kMostDepth = 8;
constexpr int kThreads = 128;
constexpr int64_t kMostBlocks = 1 << 20;

RowIndex row_index(const KernelProblem& problem) {
  return RowIndex(problem.attributes, problem.inputs[0].shape, problem.inputs[1].shape);
}

// The bytes of indexed_rows.cuh's RowIndex.
struct RowArgument {
  IndexRange ranges[kMostDepth] = {};
  int32_t depth;
  Divisor items;

  explicit RowArgument(const RowIndex& index)
      : depth(static_cast<int32_t>(index.ranges.size())),
        items(make_divisor(std::max<int64_t>(1, index.items))) {
    std::copy(index.ranges.begin(), index.ranges.end(), ranges);
  }
};

// Rows that are moved in pieces, as large as they and where they begin allow.
struct Pieces {
  int64_t bytes;
  Divisor of_row;
  int64_t total;

  // Rows of `from` to ones of the result.
  Pieces(const KernelProblem& problem, const TensorView& from, int64_t items) {
    const int64_t row_bytes = row_index(problem).inner * static_cast<int64_t>(size_of(from.dtype));
    bytes = piece_bytes({row_bytes, from.alignment, problem.outputs[0].alignment});
    of_row = make_divisor(row_bytes / bytes);
    total = items * (row_bytes / bytes);
  }
};

std::string source_of(const KernelProblem& problem, const Pieces& pieces) {
  return scatter_source(problem.inputs[0].dtype, problem.inputs[1].dtype, problem.attributes) +
         "using P = " + piece_type(pieces.bytes) + ";\n" +
         std::string(device_source("indexed_rows"));
}

CudaRun prepare_gather(const KernelProblem& problem, CudaDevice& device) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const RowIndex index = row_index(problem);
  const Pieces pieces(problem, problem.inputs[0], index.batches * index.items);
  const cudaKernel_t gather = device.modules().get(source_of(problem, pieces), "gather_rows");
  const RowArgument argument(index);
  return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
    check_aligned({inputs[0], outputs[0]}, pieces.bytes);
    launch_kernel(gather, grid_for(pieces.total, device), launch.stream,
                  {&argument, &pieces.of_row, &pieces.total, &inputs[0], &inputs[1], &outputs[0]});
  }};
}

CudaRun prepare_scatter(const KernelProblem& problem, CudaDevice& device) {
  const RowIndex index = row_index(problem);
  const auto size = static_cast<int64_t>(size_of(problem.inputs[0].dtype));
  const int64_t bytes = problem.outputs[0].elements() * size;
  const int64_t items = index.items;
  if (bytes == 0) return CudaRun::nothing();
  if (items == 0) {
    return {[=, &device](auto inputs, auto outputs, const Launch& launch) {
      device.copy(outputs[0], inputs[0], bytes, launch.stream);
    }};
  }
  const bool reduces = problem.attributes.has("reduce");
  const Pieces pieces(problem, problem.inputs[2], items);
  const std::string source = source_of(problem, pieces);
  const cudaKernel_t find = device.modules().get(source, "find_rows");
  const cudaKernel_t reduce = device.modules().get(source, "reduce_rows");
  const cudaKernel_t replace = device.modules().get(source, "replace_rows");
  const RowArgument argument(index);
  const int64_t tiles = (index.inner + kThreads - 1) / kThreads;
  const int64_t work = items * tiles;
  const int64_t last_bytes = index.rows * static_cast<int64_t>(sizeof(int32_t));
  const auto run = [=, &device, inner = index.inner](auto inputs, auto outputs,
                                                     const Launch& launch) {
    void* const last = launch.workspace;
    void* const rows = launch.workspace + last_bytes;
    cuda_check(cudaMemsetAsync(last, 0, static_cast<size_t>(last_bytes),
                               static_cast<cudaStream_t>(launch.stream.native)),
               "clearing memory");
    launch_kernel(find, grid_for(items, device), launch.stream,
                  {&argument, &items, &inputs[1], &rows, &last});
    device.copy(outputs[0], inputs[0], bytes, launch.stream);
    if (reduces) {
      launch_kernel(reduce, {std::min(work, kMostBlocks), kThreads}, launch.stream,
                    {&tiles, &work, &inner, &rows, &last, &inputs[0], &inputs[2], &outputs[0]});
    } else {
      check_aligned({inputs[2], outputs[0]}, pieces.bytes);
      launch_kernel(replace, grid_for(pieces.total, device), launch.stream,
                    {&pieces.of_row, &pieces.total, &rows, &last, &inputs[2], &outputs[0]});
    }
  };
  return {run, last_bytes + items * static_cast<int64_t>(sizeof(int32_t))};
}

std::optional<std::string> refuse(const KernelProblem& problem, size_t operands) {
  if (auto reason = refuse_indexing(problem, operands)) return reason;
  if (problem.inputs[1].rank() == 0) return "its indices are no tuples";
  const RowIndex index = row_index(problem);
  if (index.ranges.size() > kMostDepth) return "a tuple has more than 8 indices";
  for (const int64_t count : {problem.outputs[0].elements(), index.batches * index.items,
                              operands == 3 ? problem.inputs[2].elements() : 0}) {
    if (count > kMostIndex) return "it has more than 2^31 elements";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_indexed_rows_cuda() {
  return {std::make_shared<SimpleCudaKernel>(
              "gather_nd", "gather_nd.rows",
              [](const KernelProblem& problem) { return refuse(problem, 2); }, prepare_gather),
          std::make_shared<SimpleCudaKernel>(
              "scatter_nd", "scatter_nd.rows",
              [](const KernelProblem& problem) { return refuse(problem, 3); }, prepare_scatter)};
}

}  // namespace cleave::backend
