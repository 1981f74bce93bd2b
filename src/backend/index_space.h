// IndexSpace: the elements of an operation whose operands all have one shape, reached by strides.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// Dimensions that all operands walk through alike are merged, those of size 1 are dropped, and the
// order is that of the last operand given (its smallest stride innermost). There is at least one
// dimension unless the space has one element.
struct IndexSpace {
  std::vector<int64_t> extents;
  std::vector<std::vector<int64_t>> strides;  // [operand][dimension], in elements
  int64_t elements = 1;

  // `operands[i]` are the strides of operand i along `shape`.
  IndexSpace(std::span<const int64_t> shape, std::vector<std::vector<int64_t>> operands);

  // Where the operand is walked with one stride over the whole space: that stride.
  bool is_linear(size_t operand) const { return extents.size() <= 1 || linear_[operand]; }
  int64_t linear_stride(size_t operand) const {
    return extents.empty() ? 0 : strides[operand].back();
  }
  // Element offset of the index-th element, in the order of the space.
  int64_t offset(size_t operand, int64_t index) const;

 private:
  std::vector<bool> linear_;
};

// Strides of `view` seen as `shape`, to which it broadcasts from the right.
std::vector<int64_t> broadcast_strides(const TensorView& view, std::span<const int64_t> shape);

// Element offsets of the rows of an IndexSpace: everything but its last dimension.
class RowWalk {
 public:
  RowWalk(const IndexSpace& space, int64_t row);
  int64_t offset(size_t operand) const { return offsets_[operand]; }
  void next();

 private:
  const IndexSpace& space_;
  std::vector<int64_t> index_;
  std::vector<int64_t> offsets_;
};

}  // namespace cleave::backend
