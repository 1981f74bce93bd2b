// Ops that only move elements, as copies between views, whatever kernel makes them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// One copy between operands of one shape: their first elements lie so many elements on. Strides are
// in elements, those of the source may be 0 or negative.
struct MovedPiece {
  size_t input = 0;
  size_t output = 0;
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> from_strides;
  std::vector<int64_t> to_strides;
};
using MovedPieces = std::vector<MovedPiece>;

struct Movement {
  std::string_view op;
  MovedPieces (*pieces_of)(const KernelProblem&);  // of a problem that is not refused

  // Operands and results are of one type; a reshape's are dense.
  std::optional<std::string> refuses(const KernelProblem& problem) const;
};

std::span<const Movement> movements();

}  // namespace cleave::backend
