// Masks of attention for kernels that add a bias to the scores and know no other mask.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "backend/cuda/cuda_device.h"
#include "backend/kernel.h"
#include "ops/attention/kernel_problem.h"

namespace cleave::backend {

// The mask's first columns, as [batches or 1, heads or 1, rows or 1, columns] of the queries' type,
// whose rows begin at multiples of 16 bytes; and behind it which column each row shows first.
class AttentionBias {
 public:
  AttentionBias(const AttentionProblem& work, const TensorView& mask, int64_t columns);
  std::vector<int64_t> extents() const { return {extents_.begin(), extents_.end()}; }
  std::vector<int64_t> strides() const;  // in elements
  int64_t lines() const { return extents_[0] * extents_[1] * extents_[2]; }
  int64_t value_bytes() const;  // without the columns shown first
  int64_t bytes() const;        // a multiple of 256

 private:
  std::array<int64_t, 4> extents_;
  int64_t row_stride_;
};

// What is put on the stream before and after a kernel that adds the bias.
struct AttentionMasking {
  // Writes the bias: what is hidden is -inf, and nothing else is, nor overflows where it is scaled.
  std::function<void(const void* mask, std::byte* bias, const Launch& launch)> add;
  // Rows of the result whose queries see nothing become zeros, whatever they are.
  std::function<void(const std::byte* bias, void* out, const Launch& launch)> hide;
};
AttentionMasking prepare_masking(const AttentionProblem& work, const AttentionBias& bias,
                                 CudaDevice& device);

}  // namespace cleave::backend
