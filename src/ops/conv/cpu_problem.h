// What the CPU's kernels of conv share: the problem in three dimensions, and the chain of
// element-wise operations behind it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/chain.h"
#include "backend/index_space.h"
#include "backend/kernel.h"
#include "types/window.h"

namespace cleave::backend {

// A convolution over one or two dimensions is one over three with leading extents of 1.
struct ConvProblem {
  // Operand and result lie in `format`, the weights row-major.
  static std::optional<std::string> refuses(const KernelProblem& problem,
                                            Format format = Format::kRowMajor);
  explicit ConvProblem(const KernelProblem& problem);

  DType x_type;
  DType w_type;
  int64_t images;
  int64_t groups;
  int64_t channels;  // of a group
  int64_t outputs;   // of a group
  WindowAxes axes;

  // Elements of a plane of the operand, of the weights, and of the result.
  int64_t plane() const { return axes[0].in * axes[1].in * axes[2].in; }
  int64_t taps() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  int64_t places() const { return axes[0].out * axes[1].out * axes[2].out; }
};

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
