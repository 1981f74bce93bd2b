#include "ops/attention/cuda_bias.h"

#include <algorithm>

#include "backend/cuda/launch.h"
#include "ops/attention/cuda_problem.h"

namespace cleave::backend {
namespace {

constexpr int64_t kPieceBytes = 16;
constexpr int64_t kPieceElements = kPieceBytes / 2;
constexpr int64_t kAlignment = 256;
constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 1 << 20;

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// The bytes of attention_bias.cuh's struct.
struct BiasArgument {
  int64_t heads, rows, columns;
  int64_t lines;
  int64_t row_stride;
  bool has_batches, has_heads, has_rows;
};

}  // namespace

AttentionBias::AttentionBias(const AttentionProblem& work, const TensorView& mask, int64_t columns)
    : row_stride_(round_up(columns, kPieceElements)) {
  for (size_t d = 0; d < 3; ++d) extents_[d] = work.mask.strides[d] == 0 ? 1 : mask.shape[d];
  extents_[3] = columns;
}

std::vector<int64_t> AttentionBias::strides() const {
  const int64_t head = extents_[2] * row_stride_;
  return {extents_[1] * head, head, row_stride_, 1};
}

int64_t AttentionBias::value_bytes() const {
  return lines() * row_stride_ * kPieceBytes / kPieceElements;
}

int64_t AttentionBias::bytes() const {
  return round_up(value_bytes() + lines() * static_cast<int64_t>(sizeof(int)), kAlignment);
}

AttentionMasking prepare_masking(const AttentionProblem& work, const AttentionBias& bias,
                                 CudaDevice& device) {
  const std::string source = attention_source(work) + std::string(device_source("attention_bias"));
  const cudaKernel_t add = device.modules().get(source, "add_bias");
  const cudaKernel_t hide = device.modules().get(source, "hide_rows");
  const AttentionArgument argument(work);
  const std::vector<int64_t> extents = bias.extents();
  const BiasArgument layout{.heads = extents[1],
                            .rows = extents[2],
                            .columns = extents[3],
                            .lines = bias.lines(),
                            .row_stride = bias.strides()[2],
                            .has_batches = extents[0] > 1,
                            .has_heads = extents[1] > 1,
                            .has_rows = extents[2] > 1};
  const Grid lines{std::min(bias.lines(), kMostBlocks), kThreads};
  const Grid rows = grid_for(work.batches * work.heads * work.rows, device, kThreads);
  const int64_t first_shown = bias.value_bytes();
  return {.add =
              [=](const void* mask, std::byte* to, const Launch& launch) {
                void* const shown = to + first_shown;
                launch_kernel(add, lines, launch.stream, {&argument, &layout, &mask, &to, &shown});
              },
          .hide =
              [=](const std::byte* from, void* out, const Launch& launch) {
                const void* const shown = from + first_shown;
                launch_kernel(hide, rows, launch.stream, {&argument, &layout, &shown, &out});
              }};
}

}  // namespace cleave::backend
