// The tiled matrix product: packing of operands and the product of one block.
//
// b is packed into panels of `panel` columns, [k block][panel][k][column], zero beyond its columns;
// it may stay in a 16-bit type, then each panel is converted as it is used. Rows of a are read
// where they lie, or copied as floats block by block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/cpu/simd/simd.h"
#include "types/dtype.h"

namespace cleave::backend {

// A block's rows and the largest length of its sums: 96 × 256 floats of a stay in the second-level
// cache (96 KiB), a panel of b of 256 × 16 (16 KiB) and a tile of a in the first.
inline constexpr int64_t kBlockRows = 96;
inline constexpr int64_t kBlockDepth = 256;
inline constexpr int64_t kBlockColumns = 384;

// A matrix in memory, of float32, float16 or bfloat16.
struct MatrixSource {
  const std::byte* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t row_stride = 0;
  int64_t column_stride = 1;
};

// The shape of a packed b.
struct PackedShape {
  int64_t k = 0;
  int64_t n = 0;
  DType dtype = DType::kFloat32;
  int64_t panel = 0;  // columns

  int64_t panels() const { return (n + panel - 1) / panel; }
  int64_t blocks() const { return k == 0 ? 0 : (k + step() - 1) / step(); }
  // Blocks are as even as can be: the first row of k in one, and how many it has.
  int64_t begin(int64_t block) const { return block * step(); }
  int64_t depth(int64_t block) const {
    return k - begin(block) < step() ? k - begin(block) : step();
  }
  int64_t bytes() const { return k * panels() * panel * static_cast<int64_t>(size_of(dtype)); }
  // Elements before the panel.
  int64_t offset(int64_t block, int64_t index) const {
    return begin(block) * panels() * panel + index * depth(block) * panel;
  }

 private:
  int64_t step() const {
    const int64_t least = (k + kBlockDepth - 1) / kBlockDepth;
    return least == 0 ? 0 : (k + least - 1) / least;
  }
};

// Packs panels [first, last) of b (k × n) into `packed`, which begins at panel 0. `shape.dtype` is
// that of `b` or float32.
void pack_panels(const simd::Table& table, const MatrixSource& b, const PackedShape& shape,
                 int64_t first, int64_t last, std::byte* packed);

// Floats of a row of a that is copied: rows do not lie a multiple of a page apart, since such would
// share a set of the first-level cache.
inline constexpr int64_t kCopiedDepth = kBlockDepth + 16;
inline constexpr int64_t kAliasBytes = 4096;

// Rows of a by their addresses; elements `column_stride` apart.
struct RowSource {
  const std::byte* const* rows = nullptr;
  DType dtype = DType::kFloat32;
  int64_t column_stride = 1;
};

// Scratch of one block's product.
struct BlockScratch {
  alignas(64) float a[kBlockRows * kCopiedDepth];
  alignas(64) float b[4 * kBlockDepth * simd::kMaxPanel];  // panels converted to float
};

// c[i · ldc + j] = Σ a[i, p] · b[p, j], `rows` ≤ kBlockRows, panels [first, last): c has
// (last - first) · panel columns. Added to c where `accumulate`.
void multiply_block(const simd::Table& table, const RowSource& a, int64_t rows,
                    const PackedShape& shape, const std::byte* packed, int64_t first, int64_t last,
                    float* c, int64_t ldc, BlockScratch& scratch, bool accumulate = false);

// Rows of a in tiles that are as even as can be, for products that take the same rows again and
// again: [block of rows][k block][tile][k][row of the tile].
class PackedRows {
 public:
  PackedRows(const simd::Table& table, int64_t rows, const PackedShape& columns);

  int64_t blocks() const { return blocks_; }
  int64_t first(int64_t block) const { return block * block_rows_; }
  int64_t rows(int64_t block) const { return std::min(block_rows_, rows_ - first(block)); }
  int64_t bytes() const;  // of floats

  // `row(i)` is the address of row i, whose elements lie one behind the other.
  template <class Row>
  void pack(const Row& row, DType dtype, float* packed) const {
    const std::byte* rows[kBlockRows];
    for (int64_t block = 0; block < blocks(); ++block) {
      for (int64_t i = 0; i < this->rows(block); ++i) rows[i] = row(first(block) + i);
      pack_block({rows, dtype, 1}, block, packed);
    }
  }
  // c[i · ldc + j] (+)= Σ a[i, p] · b[p, j] over p of one k block, for the rows i of a block and
  // the `count` panels of b that begin at `panels`.
  void multiply(const float* packed, int64_t block, int64_t k_block, const float* panels,
                int64_t count, float* c, int64_t ldc, bool accumulate) const;

 private:
  int64_t offset(int64_t block, int64_t k_block) const;
  void pack_block(const RowSource& a, int64_t block, float* packed) const;

  const simd::Table& table_;
  int64_t rows_;
  PackedShape columns_;
  int64_t blocks_;
  int64_t block_rows_;
};

}  // namespace cleave::backend
