// The chain of element-wise operations behind a convolution on the CPU.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/chain.h"
#include "backend/index_space.h"
#include "backend/kernel.h"
#include "ops/conv/kernel_problem.h"

namespace cleave::backend {

// Writes what was computed of one output channel to the results, through the chain.
class ConvEpilogue {
 public:
  static std::optional<std::string> refuses(const KernelProblem& problem, DType sum) {
    return Chain::refuses(problem, sum);
  }
  ConvEpilogue(const KernelProblem& problem, DType sum);

  // `count` places from `first` on, in the order of memory.
  void run(const void* sums, int64_t image, int64_t channel, int64_t first, int64_t count,
           std::span<const void* const> inputs, std::span<void* const> outputs) const;
  // Where float32 sums are the result: the address of a place, and the elements between channels.
  // Null where they are not.
  float* direct(std::span<void* const> outputs, int64_t image, int64_t channel, int64_t place,
                int64_t& channel_stride) const;

 private:
  size_t inputs_;
  Chain chain_;
  std::vector<std::array<int64_t, 2>> leading_;  // strides of image and channel, by operand
  IndexSpace places_;
};

}  // namespace cleave::backend
