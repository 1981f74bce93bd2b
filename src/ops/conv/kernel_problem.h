// A convolution in three dimensions, whatever kernel carries it out.
#pragma once

#include <optional>
#include <string>

#include "backend/kernel.h"
#include "types/window.h"

namespace cleave::backend {

// A convolution over one or two dimensions is one over three with leading extents of 1.
struct ConvProblem {
  // Operand and result lie in `format`, the weights row-major.
  static std::optional<std::string> refuses(const KernelProblem& problem,
                                            Format format = Format::kRowMajor);
  // The format that operand and results lie in, row-major where they lie in both; nothing where
  // `refuses` has a reason in each.
  static std::optional<Format> format(const KernelProblem& problem);
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
  // "its window is 13 x 13" where it is so large that a library's heuristics are not to be trusted:
  // what cuDNN's put first was within a tenth of the best for windows of up to 7 x 7, and up to 15
  // times slower for those of 13 x 13 and more (docs/performance.md).
  std::optional<std::string> large_window() const;
};

}  // namespace cleave::backend
