#include "ops/attention/cuda_bias.h"

#include <algorithm>

#include "backend/cuda/launch.h"
#include "ops/attention/cuda_problem.h"

namespace cleave::backend {
namespace {

constexpr int64_t kPieceElements = 8;
constexpr int64_t kAlignment = 256;
constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 1 << 20;

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// The bytes of attention_bias.cuh's struct.
struct BiasArgument {
  int64_t heads, rows, columns;  // its own
  int64_t lines;                 // rows of all batches and heads
  int64_t strides[3];            // where a dimension is 1: 0
};

}  // namespace

AttentionBias::AttentionBias(const AttentionProblem& work, const TensorView& mask, int64_t columns)
    : columns_(columns), row_stride_(round_up(columns, kPieceElements)) {
  for (size_t d = 0; d < 3; ++d) extents_[d] = work.mask.strides[d] == 0 ? 1 : mask.shape[d];
}

std::vector<int64_t> AttentionBias::extents() const {
  return {extents_[0], extents_[1], extents_[2], columns_};
}

std::vector<int64_t> AttentionBias::strides() const {
  const int64_t head = extents_[2] * row_stride_;
  return {extents_[1] * head, head, row_stride_, 1};
}

int64_t AttentionBias::bytes() const {
  return round_up(extents_[0] * strides()[0] * 2, kAlignment);
}

AttentionMasking prepare_masking(const AttentionProblem& work, const AttentionBias& bias,
                                 CudaDevice& device) {
  const std::string source = attention_source(work) + std::string(device_source("attention_bias"));
  const cudaKernel_t add = device.modules().get(source, "add_bias");
  const cudaKernel_t hide = device.modules().get(source, "hide_rows");
  const AttentionArgument argument(work);
  const std::vector<int64_t> extents = bias.extents();
  const std::vector<int64_t> strides = bias.strides();
  BiasArgument layout{.heads = extents[1],
                      .rows = extents[2],
                      .columns = extents[3],
                      .lines = extents[0] * extents[1] * extents[2]};
  for (size_t d = 0; d < 3; ++d) layout.strides[d] = extents[d] == 1 ? 0 : strides[d];
  const Grid rows{std::min(layout.lines, kMostBlocks), kThreads};
  const Grid lines = grid_for(work.batches * work.heads * work.rows * 32, device, kThreads);
  return {.add =
              [=](const void* mask, void* to, const Launch& launch) {
                launch_kernel(add, rows, launch.stream, {&argument, &layout, &mask, &to});
              },
          .hide =
              [=](const void* from, void* out, const Launch& launch) {
                launch_kernel(hide, lines, launch.stream, {&argument, &layout, &from, &out});
              }};
}

}  // namespace cleave::backend
