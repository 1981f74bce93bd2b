// The matrix that a convolution multiplies its weights with: a row for every channel and tap, a
// column for every place of the result. Its panels are made as they are needed.
#pragma once

#include <vector>

#include "backend/cpu/gemm.h"
#include "ops/conv/cpu_epilogue.h"

namespace cleave::backend {

class Patches {
 public:
  // `shape` is that of a block of columns: k rows, and no more columns than it has.
  Patches(const ConvProblem& problem, const simd::Table& table, const PackedShape& shape)
      : problem_(problem), table_(table), shape_(shape) {}

  // Columns are the places [first, first + count) of a result.
  void set_places(int64_t first, int64_t count);
  // Packs one k block of the columns of a group's channels, which begin at `x`, as float panels.
  void pack(const std::byte* x, int64_t k_block, float* panels) const;
  int64_t panels() const { return static_cast<int64_t>(runs_.size()); }

 private:
  // Columns of a panel whose places follow each other along x.
  struct Run {
    int64_t column;
    int64_t count;
    ImageIndex place;  // of the first
  };
  template <class T>
  void pack_as(const T* x, int64_t k_block, float* panels) const;
  template <class T>
  void pack_row(const T* plane, const ImageIndex& tap, const std::vector<Run>& runs, T* to) const;

  const ConvProblem& problem_;
  const simd::Table& table_;
  const PackedShape& shape_;
  std::vector<std::vector<Run>> runs_;  // by panel
};

}  // namespace cleave::backend
