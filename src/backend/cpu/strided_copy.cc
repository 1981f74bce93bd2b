#include "backend/cpu/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/cpu/element_size.h"
#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkBytes = 128 * 1024;
constexpr int64_t kTile = 16;  // 16 × 16 elements of 4 bytes: 16 cache lines each way

template <class T>
void copy_row(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t count) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
  } else if (from_stride == 0 && to_stride == 1) {
    std::fill_n(to, count, *from);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

}  // namespace

StridedCopy::StridedCopy(std::span<const int64_t> shape, std::vector<int64_t> from_strides,
                         std::vector<int64_t> to_strides, size_t size)
    : space_(shape, {std::move(from_strides), std::move(to_strides)}),
      size_(static_cast<int64_t>(size)) {
  // Where the source's contiguous dimension is not the last one, it is brought next to the last.
  auto& from = space_.strides[0];
  auto& to = space_.strides[1];
  const size_t rank = space_.extents.size();
  if (rank < 2 || from.back() == 1 || from.back() == 0) return;
  const size_t contiguous =
      static_cast<size_t>(std::find(from.begin(), from.end(), 1) - from.begin());
  if (contiguous >= rank || space_.extents[contiguous] < 4) return;
  const auto bring = [&](std::vector<int64_t>& list) {
    std::rotate(list.begin() + static_cast<ptrdiff_t>(contiguous),
                list.begin() + static_cast<ptrdiff_t>(contiguous) + 1, list.end() - 1);
  };
  bring(space_.extents);
  bring(from);
  bring(to);
  transposes_ = true;
}

// Where there are few columns, longer tiles of the same size.
int64_t StridedCopy::tile_rows() const {
  return space_.extents.back() < kTile ? kTile * kTile : kTile;
}

void StridedCopy::run(const void* from, void* to, ThreadPool& pool) const {
  if (space_.elements == 0) return;
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  // Items are single matrices' rows of tiles where it transposes, else rows.
  const size_t rank = space_.extents.size();
  const int64_t inner = rank == 0 ? 1 : space_.extents[rank - 1];
  const int64_t items = transposes_
                            ? space_.elements / (inner * space_.extents[rank - 2]) *
                                  ((space_.extents[rank - 2] + tile_rows() - 1) / tile_rows())
                            : space_.elements / inner;
  const int64_t grain =
      std::max<int64_t>(1, kChunkBytes / (inner * size_ * (transposes_ ? tile_rows() : 1)));
  if (items == 1 && !transposes_) {  // one long row: by elements
    const int64_t chunks = chunks_for(inner, kChunkBytes / size_, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(inner, chunks, chunk);
      const int64_t a = space_.linear_stride(0);
      const int64_t b = space_.linear_stride(1);
      dispatch_size(static_cast<size_t>(size_), [&]<class T>() {
        copy_row(reinterpret_cast<const T*>(source) + range.begin * a, a,
                 reinterpret_cast<T*>(target) + range.begin * b, rank == 0 ? 1 : b, range.size());
      });
    });
    return;
  }
  const int64_t chunks = chunks_for(items, grain, pool.threads() * 4);
  pool.parallel_for(chunks, [&](int64_t chunk) {
    const Range range = partition(items, chunks, chunk);
    if (transposes_) {
      copy_tiles(source, target, range.begin, range.end);
    } else {
      copy_rows(source, target, range.begin, range.end);
    }
  });
}

void StridedCopy::copy_rows(const std::byte* from, std::byte* to, int64_t first,
                            int64_t last) const {
  const size_t rank = space_.extents.size();
  const int64_t inner = space_.extents.back();
  // Rows of one dimension follow each other by fixed steps.
  const int64_t together = rank < 2 ? 1 : space_.extents[rank - 2];
  const int64_t from_step = rank < 2 ? 0 : space_.strides[0][rank - 2];
  const int64_t to_step = rank < 2 ? 0 : space_.strides[1][rank - 2];
  dispatch_size(static_cast<size_t>(size_), [&]<class T>() {
    for (int64_t row = first; row < last;) {
      const int64_t count = std::min(together - row % together, last - row);
      const T* x = reinterpret_cast<const T*>(from) + space_.offset(0, row * inner);
      T* y = reinterpret_cast<T*>(to) + space_.offset(1, row * inner);
      for (int64_t i = 0; i < count; ++i) {
        copy_row(x + i * from_step, space_.linear_stride(0), y + i * to_step,
                 space_.linear_stride(1), inner);
      }
      row += count;
    }
  });
}

void StridedCopy::copy_tiles(const std::byte* from, std::byte* to, int64_t first,
                             int64_t last) const {
  const size_t rank = space_.extents.size();
  const int64_t rows = space_.extents[rank - 2];
  const int64_t columns = space_.extents[rank - 1];
  const int64_t per_matrix = (rows + tile_rows() - 1) / tile_rows();
  const auto& a = space_.strides[0];
  const auto& b = space_.strides[1];
  dispatch_size(static_cast<size_t>(size_), [&]<class T>() {
    for (int64_t item = first; item < last; ++item) {
      const int64_t begin = item % per_matrix * tile_rows();
      const int64_t end = std::min(begin + tile_rows(), rows);
      const int64_t start = item / per_matrix * rows * columns;
      const T* x = reinterpret_cast<const T*>(from) + space_.offset(0, start);
      T* y = reinterpret_cast<T*>(to) + space_.offset(1, start);
      if (columns < kTile) {
        for (int64_t j = 0; j < columns; ++j) {
          const T* line = x + j * a[rank - 1];
          T* target = y + j * b[rank - 1];
          for (int64_t i = begin; i < end; ++i) target[i * b[rank - 2]] = line[i];
        }
        continue;
      }
      for (int64_t column = 0; column < columns; column += kTile) {
        const int64_t stop = std::min(column + kTile, columns);
        for (int64_t i = begin; i < end; ++i) {
          for (int64_t j = column; j < stop; ++j) {
            y[i * b[rank - 2] + j * b[rank - 1]] = x[i * a[rank - 2] + j * a[rank - 1]];
          }
        }
      }
    }
  });
}

void fill_view(const TensorView& view, const void* value, void* to, ThreadPool& pool) {
  const StridedCopy copy(view.shape, std::vector<int64_t>(view.rank(), 0), view.strides,
                         size_of(view.dtype));
  copy.run(value, to, pool);
}

}  // namespace cleave::backend
