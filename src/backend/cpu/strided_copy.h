// StridedCopy: brings elements from one view to another of the same shape.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/index_space.h"

namespace cleave {
class ThreadPool;
}

namespace cleave::backend {

class StridedCopy {
 public:
  // Strides in elements of `size` bytes (1, 2, 4 or 8); those of the source may be 0 or negative.
  StridedCopy(std::span<const int64_t> shape, std::vector<int64_t> from_strides,
              std::vector<int64_t> to_strides, size_t size);

  // The first element of either view.
  void run(const void* from, void* to, ThreadPool& pool) const;

 private:
  void copy_rows(const std::byte* from, std::byte* to, int64_t first, int64_t last) const;
  void copy_tiles(const std::byte* from, std::byte* to, int64_t first, int64_t last) const;

  int64_t tile_rows() const;

  IndexSpace space_;
  int64_t size_;
  bool transposes_ = false;  // the last two dimensions change places in memory
};

// Writes `value` (of `size` bytes) to every element of the view.
void fill_view(const TensorView& view, const void* value, void* to, ThreadPool& pool);

}  // namespace cleave::backend
