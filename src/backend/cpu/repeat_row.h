// Operands that are the same for every row of a tensor: laid out for several rows at once, so that
// short rows are worked on together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cleave::backend {

// Rows of `count` elements that are worth a run of a chain together.
inline int64_t rows_at_once(int64_t count) {
  constexpr int64_t kElements = 2048;
  return std::max<int64_t>(1, kElements / std::max<int64_t>(1, count));
}

// `count` elements of `size` bytes, `stride` elements apart, one behind the other and that `rows`
// times.
void repeat_row(const void* from, int64_t stride, int64_t count, int64_t rows, int64_t size,
                std::byte* to);

}  // namespace cleave::backend
