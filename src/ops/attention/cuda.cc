// Attention on GPUs, a row of queries at a time; cuda_tiles.cc has what is fast.
#include <algorithm>

#include "ops/attention/cuda_plain.h"
#include "ops/attention/cuda_problem.h"
#include "ops/attention/cuda_tiles.h"

namespace cleave::backend {
namespace {

// plain_attention.cuh's, by the same names.
constexpr int kThreads = 128;
constexpr int64_t kTileColumns = 4 * kThreads;
constexpr int64_t kMostBlocks = 1 << 20;

}  // namespace

CudaRun prepare_plain_attention(const KernelProblem& problem, CudaDevice& device) {
  const AttentionProblem work(problem);
  const int64_t tiles = (work.width + kTileColumns - 1) / kTileColumns;
  const int64_t items = work.batches * work.heads * work.rows * tiles;
  if (items == 0) return CudaRun::nothing();
  const cudaKernel_t kernel = device.modules().get(
      attention_source(work) + std::string(device_source("plain_attention")), "plain_attention");
  const AttentionArgument argument(work);
  const Grid grid{std::min(items, kMostBlocks), kThreads};
  return {[=, has_mask = work.has_mask](auto inputs, auto outputs, const Launch& launch) {
    const void* mask = has_mask ? inputs[3] : nullptr;
    launch_kernel(
        kernel, grid, launch.stream,
        {&argument, &tiles, &items, &inputs[0], &inputs[1], &inputs[2], &mask, &outputs[0]});
  }};
}

std::optional<std::string> refuse_plain_attention(const KernelProblem& problem) {
  if (problem.inputs.empty()) return "it takes queries, keys and values";
  const bool doubles = problem.inputs[0].dtype == DType::kFloat64;
  if (auto reason = AttentionProblem::refuses(problem, doubles)) return reason;
  return refuse_types_of_attention(problem);
}

std::vector<std::shared_ptr<const Kernel>> make_attention_cuda() {
  std::vector<std::shared_ptr<const Kernel>> kernels = make_tiled_attention();
  kernels.push_back(std::make_shared<SimpleCudaKernel>(
      "attention", "attention.plain", refuse_plain_attention, prepare_plain_attention));
  return kernels;
}

std::unique_ptr<PreparedKernel> prepare_own_attention(const KernelProblem& problem,
                                                      KernelCache& cache) {
  for (const auto& kernel : make_attention_cuda()) {
    if (!kernel->refuses(problem)) return kernel->prepare(problem, cache);
  }
  throw Error(ErrorCode::kInternal, "none of our kernels takes an attention", "");
}

}  // namespace cleave::backend
