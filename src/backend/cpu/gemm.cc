#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>

#include "base/check.h"

namespace cleave::backend {
namespace {

void to_float(const simd::Table& table, DType dtype, const uint16_t* from, float* to,
              int64_t count) {
  (dtype == DType::kFloat16 ? table.half_to_float : table.bfloat16_to_float)(from, to, count);
}

// Rows of a whole panel; their size is known, so that no function is called for each.
template <int64_t kColumns, class T>
void copy_rows(const T* from, int64_t row_stride, int64_t depth, T* to) {
  for (int64_t p = 0; p < depth; ++p) {
    std::memcpy(to + p * kColumns, from + p * row_stride, kColumns * sizeof(T));
  }
}

// Columns [0, columns) of one panel, k deep, copied element by element of type T.
template <class T>
void pack_panel(const simd::Table& table, const std::byte* data, int64_t row_stride,
                int64_t column_stride, int64_t depth, int64_t columns, int64_t panel, T* to) {
  const T* from = reinterpret_cast<const T*>(data);
  if (columns < panel) std::fill(to, to + depth * panel, T{});
  if (column_stride == 1 || columns == 1) {
    if (columns == 32 && panel == 32) return copy_rows<32>(from, row_stride, depth, to);
    if (columns == 16 && panel == 16) return copy_rows<16>(from, row_stride, depth, to);
    for (int64_t p = 0; p < depth; ++p) {
      std::memcpy(to + p * panel, from + p * row_stride, static_cast<size_t>(columns) * sizeof(T));
    }
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (row_stride == 1) return table.transpose(from, column_stride, columns, depth, to, panel);
  }
  // Eight rows of the panel at a time: what is written stays in the first-level cache.
  for (int64_t begin = 0; begin < depth; begin += 8) {
    const int64_t end = std::min(begin + 8, depth);
    for (int64_t j = 0; j < columns; ++j) {
      const T* column = from + j * column_stride;
      for (int64_t p = begin; p < end; ++p) to[p * panel + j] = column[p * row_stride];
    }
  }
}

// Elements [first, first + depth) of one row of a: where they lie, or converted or gathered into
// `buffer`.
const float* float_row(const simd::Table& table, const RowSource& a, int64_t row, int64_t first,
                       int64_t depth, float* buffer) {
  const int64_t stride = a.column_stride;
  if (a.dtype == DType::kFloat32) {
    const float* from = reinterpret_cast<const float*>(a.rows[row]) + first * stride;
    if (stride == 1) return from;
    for (int64_t p = 0; p < depth; ++p) buffer[p] = from[p * stride];
    return buffer;
  }
  const auto* from = reinterpret_cast<const uint16_t*>(a.rows[row]) + first * stride;
  uint16_t bits[kBlockDepth];
  if (stride != 1) {
    for (int64_t p = 0; p < depth; ++p) bits[p] = from[p * stride];
    from = bits;
  }
  to_float(table, a.dtype, from, buffer, depth);
  return buffer;
}

// One tile of a: rows interleaved, so that a column of the tile is contiguous.
void pack_tile(const simd::Table& table, const RowSource& a, int64_t first_row, int64_t rows,
               int64_t first, int64_t depth, float* to) {
  const int64_t step = table.tile_rows;
  if (a.dtype == DType::kFloat32 && rows == 6 && step == 6 && a.column_stride == 1) {
    const float* from[6];
    for (int i = 0; i < 6; ++i) {
      from[i] = reinterpret_cast<const float*>(a.rows[first_row + i]) + first;
    }
    for (int64_t p = 0; p < depth; ++p) {
      for (int i = 0; i < 6; ++i) to[p * 6 + i] = from[i][p];
    }
    return;
  }
  float buffer[kBlockDepth];
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = float_row(table, a, first_row + i, first, depth, buffer);
    for (int64_t p = 0; p < depth; ++p) to[p * step + i] = from[p];
  }
}

// How rows are cut into tiles, as even as can be: 8 rows are faster as 4 + 4 than as 6 + 2.
struct Tiles {
  int64_t rows;
  int64_t step;  // of a tile in memory
  int64_t count;
  int64_t even;  // rows of each but the last

  Tiles(const simd::Table& table, int64_t all)
      : rows(all),
        step(table.tile_rows),
        count((all + step - 1) / step),
        even(count == 0 ? 0 : (all + count - 1) / count) {}
  int64_t first(int64_t tile) const { return tile * even; }
  int64_t size(int64_t tile) const { return std::min(even, rows - first(tile)); }
};

// `depth` elements of each row, from element `first` on.
void pack_tiles(const simd::Table& table, const RowSource& a, const Tiles& tiles, int64_t first,
                int64_t depth, float* to) {
  for (int64_t tile = 0; tile < tiles.count; ++tile) {
    pack_tile(table, a, tiles.first(tile), tiles.size(tile), first, depth,
              to + tile * tiles.step * depth);
  }
}

// All tiles by one panel of b.
void multiply_panel(const simd::Table& table, const Tiles& tiles, int64_t depth, const float* a,
                    const float* b, float* c, int64_t ldc, bool accumulate) {
  for (int64_t tile = 0; tile < tiles.count; ++tile) {
    table.tile(static_cast<int>(tiles.size(tile)), depth, a + tile * tiles.step * depth, b,
               c + tiles.first(tile) * ldc, ldc, accumulate);
  }
}

// Where `rows` rows of a begin, elements [first, first + depth) of each, and how far they lie
// apart.
struct FloatRows {
  const float* data;
  int64_t step;
};

// Rows that lie a fixed step apart, as floats one behind the other, are read where they lie.
std::optional<int64_t> step_between(const RowSource& a, int64_t rows) {
  if (a.dtype != DType::kFloat32 || a.column_stride != 1) return std::nullopt;
  const int64_t bytes = rows > 1 ? a.rows[1] - a.rows[0] : 0;
  for (int64_t i = 2; i < rows; ++i) {
    if (a.rows[i] - a.rows[i - 1] != bytes) return std::nullopt;
  }
  if (bytes % kAliasBytes == 0 && rows > 1) return std::nullopt;
  return bytes / static_cast<int64_t>(sizeof(float));
}

FloatRows float_rows(const simd::Table& table, const RowSource& a, int64_t rows,
                     std::optional<int64_t> step, int64_t first, int64_t depth, float* scratch) {
  if (step) return {reinterpret_cast<const float*>(a.rows[0]) + first, *step};
  for (int64_t i = 0; i < rows; ++i) {
    float* to = scratch + i * kCopiedDepth;
    const float* from = float_row(table, a, i, first, depth, to);
    if (from != to) std::memcpy(to, from, static_cast<size_t>(depth) * sizeof(float));
  }
  return {scratch, kCopiedDepth};
}

// `count` panels as float, in place or converted into `scratch`.
const float* float_panels(const simd::Table& table, const PackedShape& shape,
                          const std::byte* packed, int64_t offset, int64_t count, float* scratch) {
  const std::byte* at = packed + offset * static_cast<int64_t>(size_of(shape.dtype));
  if (shape.dtype == DType::kFloat32) return reinterpret_cast<const float*>(at);
  to_float(table, shape.dtype, reinterpret_cast<const uint16_t*>(at), scratch, count);
  return scratch;
}

}  // namespace

void pack_panels(const simd::Table& table, const MatrixSource& b, const PackedShape& shape,
                 int64_t first, int64_t last, std::byte* packed) {
  const int64_t size = static_cast<int64_t>(size_of(b.dtype));
  const bool converts = b.dtype != shape.dtype;
  CLEAVE_CHECK(!converts || shape.dtype == DType::kFloat32, "panels of another type");
  uint16_t bits[kBlockDepth * simd::kMaxPanel];
  for (int64_t block = 0; block < shape.blocks(); ++block) {
    const int64_t depth = shape.depth(block);
    for (int64_t p = first; p < last; ++p) {
      const int64_t columns = std::min(shape.panel, shape.n - p * shape.panel);
      const std::byte* from =
          b.data + (shape.begin(block) * b.row_stride + p * shape.panel * b.column_stride) * size;
      std::byte* to = packed + shape.offset(block, p) * static_cast<int64_t>(size_of(shape.dtype));
      if (b.dtype == DType::kFloat32) {
        pack_panel(table, from, b.row_stride, b.column_stride, depth, columns, shape.panel,
                   reinterpret_cast<float*>(to));
        continue;
      }
      uint16_t* target = converts ? bits : reinterpret_cast<uint16_t*>(to);
      pack_panel(table, from, b.row_stride, b.column_stride, depth, columns, shape.panel, target);
      if (converts) {
        to_float(table, b.dtype, bits, reinterpret_cast<float*>(to), depth * shape.panel);
      }
    }
  }
}

void multiply_block(const simd::Table& table, const RowSource& a, int64_t rows,
                    const PackedShape& shape, const std::byte* packed, int64_t first, int64_t last,
                    float* c, int64_t ldc, BlockScratch& scratch, bool accumulate) {
  const int64_t panel = shape.panel;
  const Tiles tiles(table, rows);
  if (shape.k == 0 && accumulate) return;
  if (shape.k == 0) {
    for (int64_t i = 0; i < rows; ++i) std::fill_n(c + i * ldc, (last - first) * panel, 0.0f);
    return;
  }
  const std::optional<int64_t> step = step_between(a, rows);
  for (int64_t block = 0; block < shape.blocks(); ++block) {
    const int64_t depth = shape.depth(block);
    const int64_t together = rows <= 2 ? 4 : 1;
    FloatRows lines{};
    if (rows <= 2) {
      pack_tiles(table, a, tiles, shape.begin(block), depth, scratch.a);
    } else {
      lines = float_rows(table, a, rows, step, shape.begin(block), depth, scratch.a);
    }
    for (int64_t p = first; p < last; p += together) {
      const int64_t count = std::min(together, last - p);
      const float* b = float_panels(table, shape, packed, shape.offset(block, p),
                                    count * depth * panel, scratch.b);
      float* to = c + (p - first) * panel;
      if (rows <= 2) {
        table.narrow_tile(static_cast<int>(rows), static_cast<int>(count), depth, scratch.a, b,
                          depth * panel, to, ldc, accumulate || block > 0);
        continue;
      }
      for (int64_t tile = 0; tile < tiles.count; ++tile) {
        const int64_t row = tiles.first(tile);
        table.row_tile(static_cast<int>(tiles.size(tile)), depth, lines.data + row * lines.step,
                       lines.step, b, panel, to + row * ldc, ldc, accumulate || block > 0);
      }
    }
  }
}

PackedRows::PackedRows(const simd::Table& table, int64_t rows, const PackedShape& columns)
    : table_(table), rows_(rows), columns_(columns), blocks_((rows + kBlockRows - 1) / kBlockRows) {
  const int64_t all = (rows + table.tile_rows - 1) / table.tile_rows;
  block_rows_ = blocks_ == 0 ? 0 : (all + blocks_ - 1) / blocks_ * table.tile_rows;
  if (block_rows_ > 0) blocks_ = (rows + block_rows_ - 1) / block_rows_;
}

int64_t PackedRows::offset(int64_t block, int64_t k_block) const {
  // Blocks before this one have whole tiles.
  const int64_t before = first(block) * columns_.k;
  const Tiles tiles(table_, rows(block));
  return before + columns_.begin(k_block) * tiles.count * tiles.step;
}

int64_t PackedRows::bytes() const {
  const int64_t rows = (rows_ + table_.tile_rows - 1) / table_.tile_rows * table_.tile_rows;
  return rows * columns_.k * static_cast<int64_t>(sizeof(float));
}

void PackedRows::pack_block(const RowSource& a, int64_t block, float* packed) const {
  const Tiles tiles(table_, rows(block));
  for (int64_t k_block = 0; k_block < columns_.blocks(); ++k_block) {
    pack_tiles(table_, a, tiles, columns_.begin(k_block), columns_.depth(k_block),
               packed + offset(block, k_block));
  }
}

void PackedRows::multiply(const float* packed, int64_t block, int64_t k_block, const float* panels,
                          int64_t count, float* c, int64_t ldc, bool accumulate) const {
  const Tiles tiles(table_, rows(block));
  const int64_t depth = columns_.depth(k_block);
  for (int64_t p = 0; p < count; ++p) {
    multiply_panel(table_, tiles, depth, packed + offset(block, k_block),
                   panels + p * depth * columns_.panel, c + p * columns_.panel, ldc, accumulate);
  }
}

}  // namespace cleave::backend
