// What the CPU's kernels of conv share: the problem in three dimensions, and the chain of
// element-wise operations behind it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/chain.h"
#include "backend/cpu/index_space.h"
#include "backend/kernel.h"

namespace cleave::backend {

using Place = std::array<int64_t, 3>;  // z, y, x

inline int64_t volume(const Place& extents) { return extents[0] * extents[1] * extents[2]; }

// A convolution over one or two dimensions is one over three with leading extents of 1.
struct ConvProblem {
  static std::optional<std::string> refuses(const KernelProblem& problem);
  explicit ConvProblem(const KernelProblem& problem);

  DType x_type;
  DType w_type;
  int64_t images;
  int64_t groups;
  int64_t channels;  // of a group
  int64_t outputs;   // of a group
  Place in;
  Place taps;
  Place out;
  Place stride;
  Place dilation;
  Place low;

  // The taps of a dimension that do not fall beside the `in` elements for output u: [first, last).
  struct TapRange {
    int64_t first;
    int64_t last;
  };
  TapRange taps_inside(size_t d, int64_t u) const;
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
