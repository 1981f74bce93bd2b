#include "ops/attention/cuda_tiles.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/space.h"
#include "ops/attention/cuda_problem.h"
#include "types/workspace.h"

namespace cleave::backend {
namespace {

// The kernels', by the same names.
constexpr int64_t kLines = 64;
constexpr int64_t kMostDepth = 256;
constexpr int kTensorThreads = 128;
constexpr int kFloatThreads = 256;
constexpr int64_t kFloatKeys = 64;

// Keys are split where tiles of queries alone do not fill the GPU: not into fewer than so many.
constexpr int64_t kLeastSplitKeys = 256;
constexpr int64_t kMostSplits = 32;

int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The sizes that kernels are compiled for.
int64_t compiled_depth(int64_t depth) {
  for (const int64_t size : {32, 64, 96, 128, 192}) {
    if (depth <= size) return size;
  }
  return kMostDepth;
}

// The bytes of attention_tiles.cuh's Tiles.
struct TilesArgument {
  int64_t first_key_head = 0;
  int64_t groups_of_batch = 1;
  int64_t tiles = 0;
  int64_t splits = 1;
  int64_t split_keys = 0;
};

// How the work is cut: into tiles of the lines of each group, and these by keys.
struct Cut {
  TilesArgument tiles;
  int64_t blocks = 0;
  int64_t lines = 0;  // of all groups
  int64_t sum_bytes = 0;
  int64_t state_bytes = 0;

  Cut(const AttentionProblem& work, int64_t tile_keys, int multiprocessors) {
    tiles.first_key_head = work.key_head(0);
    tiles.groups_of_batch = work.groups() / work.batches;
    tiles.tiles = ceil_of(work.most_heads() * work.rows, kLines);
    lines = work.batches * work.heads * work.rows;
    const int64_t unsplit = work.groups() * tiles.tiles;
    const int64_t line_bytes = (work.width + 2) * static_cast<int64_t>(sizeof(float));
    const int64_t wanted = ceil_of(int64_t{2} * multiprocessors, unsplit);
    const int64_t most = std::min(
        {kMostSplits, work.keys / kLeastSplitKeys, kAttentionPartsBytes / (lines * line_bytes)});
    const int64_t splits = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, most));
    tiles.split_keys =
        std::max<int64_t>(tile_keys, ceil_of(ceil_of(work.keys, splits), tile_keys) * tile_keys);
    tiles.splits = std::max<int64_t>(1, ceil_of(work.keys, tiles.split_keys));
    blocks = unsplit * tiles.splits;
    if (tiles.splits == 1) return;
    sum_bytes = lines * tiles.splits * work.width * static_cast<int64_t>(sizeof(float));
    state_bytes = lines * tiles.splits * 2 * static_cast<int64_t>(sizeof(float));
  }
};

// One of the tiled kernels with what joins its splits.
CudaRun tiled_work(const AttentionProblem& work, const std::string& source, const char* name,
                   int threads, const Cut& cut, CudaDevice& device) {
  const cudaKernel_t kernel = device.modules().get(source, name);
  const AttentionArgument argument(work);
  const Grid grid{cut.blocks, threads};
  const bool joins = cut.tiles.splits > 1;
  const cudaKernel_t join =
      joins ? device.modules().get(attention_source(work) +
                                       std::string(device_source("attention_tiles")) +
                                       std::string(device_source("join_splits")),
                                   "join_splits")
            : nullptr;
  const int64_t elements = cut.lines * work.width;
  const auto run = [=, &device, has_mask = work.has_mask](auto inputs, auto outputs,
                                                          const Launch& launch) {
    const void* mask = has_mask ? inputs[3] : nullptr;
    void* const sums = joins ? launch.workspace : nullptr;
    void* const states = joins ? launch.workspace + cut.sum_bytes : nullptr;
    launch_kernel(kernel, grid, launch.stream,
                  {&argument, &cut.tiles, &inputs[0], &inputs[1], &inputs[2], &mask, &outputs[0],
                   &sums, &states});
    if (!joins) return;
    launch_kernel(join, grid_for(elements, device), launch.stream,
                  {&argument, &cut.tiles.splits, &elements, &sums, &states, &outputs[0]});
  };
  return {run, cut.sum_bytes + cut.state_bytes};
}

std::string constant(const char* name, int64_t value) {
  return "constexpr int " + std::string(name) + " = " + std::to_string(value) + ";\n";
}

CudaRun prepare_tensor(const KernelProblem& problem, CudaDevice& device) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const AttentionProblem work(problem);
  const int64_t depth = compiled_depth(work.depth);
  const int64_t width = compiled_depth(work.width);
  // Keys and values lie in 48 KiB of shared memory.
  const int64_t keys = depth + width <= 256 ? 64 : 32;
  const std::string source =
      attention_source(work) + constant("kDepth", depth) + constant("kWidth", width) +
      constant("kKeys", keys) + std::string(device_source("attention_tiles")) +
      std::string(device_source("tensor_core")) + std::string(device_source("tensor_attention"));
  const CudaRun tiled = tiled_work(work, source, "tensor_attention", kTensorThreads,
                                   Cut(work, keys, device.multiprocessors()), device);
  const auto run = [=](auto inputs, auto outputs, const Launch& launch) {
    check_aligned({inputs[1], inputs[2]}, kMostPieceBytes);
    tiled.run(inputs, outputs, launch);
  };
  return {run, tiled.workspace_bytes};
}

CudaRun prepare_float(const KernelProblem& problem, CudaDevice& device) {
  if (problem.outputs[0].elements() == 0) return CudaRun::nothing();
  const AttentionProblem work(problem);
  const std::string source =
      attention_source(work) + constant("kWidth", compiled_depth(work.width)) +
      std::string(device_source("attention_tiles")) + std::string(device_source("float_attention"));
  return tiled_work(work, source, "float_attention", kFloatThreads,
                    Cut(work, kFloatKeys, device.multiprocessors()), device);
}

std::optional<std::string> refuse_float(const KernelProblem& problem) {
  if (auto reason = AttentionProblem::refuses(problem, false)) return reason;
  if (auto reason = refuse_types_of_attention(problem)) return reason;
  const AttentionProblem work(problem);
  if (work.width > kMostDepth) return "values are of more than 256 elements";
  if (work.keys > kMostIndex - kLines) return "it has more than 2^31 keys";
  const int64_t tiles = ceil_of(work.heads * work.rows, kLines) + work.heads;
  if (work.batches * tiles * kMostSplits > kMostIndex) return "it has more than 2^31 tiles";
  return std::nullopt;
}

// Whether rows begin at multiples of 16 bytes.
bool has_whole_pieces(const TensorView& view, const Operand4& operand, int64_t columns) {
  if (view.alignment < kMostPieceBytes) return false;
  const int64_t elements = kMostPieceBytes / static_cast<int64_t>(size_of(operand.type));
  if (columns % elements != 0 || operand.strides[3] != 1) return false;
  return std::all_of(operand.strides, operand.strides + 3,
                     [&](int64_t stride) { return stride % elements == 0; });
}

std::optional<std::string> refuse_tensor(const KernelProblem& problem) {
  if (auto reason = refuse_float(problem)) return reason;
  const AttentionProblem work(problem);
  if (size_of(work.q.type) != 2) return "it takes 16-bit types";
  if (work.depth > kMostDepth) return "queries are of more than 256 elements";
  if (!has_whole_pieces(problem.inputs[1], work.k, work.depth) ||
      !has_whole_pieces(problem.inputs[2], work.v, work.width)) {
    return "rows of keys or values do not begin at multiples of 16 bytes";
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_tiled_attention() {
  return {std::make_shared<SimpleCudaKernel>("attention", "attention.tensor", refuse_tensor,
                                             prepare_tensor),
          std::make_shared<SimpleCudaKernel>("attention", "attention.tiles", refuse_float,
                                             prepare_float)};
}

}  // namespace cleave::backend
