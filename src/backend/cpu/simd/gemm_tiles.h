// Micro tiles of the matrix product. Included by the isa_*.cc files only, after row_loops.h and
// with CLEAVE_TILE_ROWS set.
//
// A tile keeps rows × 2 vectors of sums in registers: with 16 registers (AVX2) 6 rows leave 3 for
// the panel and one element of a, with 32 (AVX-512) 12 rows do. Two fused multiply-adds a cycle of
// latency 4 need 8 or more independent sums.
#pragma once

#include "backend/cpu/simd/row_loops.h"

namespace cleave::backend::simd {
namespace {

constexpr int kPanel = 2 * kLanes;
constexpr int kTileRows = CLEAVE_TILE_ROWS;
static_assert(kPanel <= kMaxPanel && kTileRows <= kMaxTileRows);

template <int kRows>
void tile_of(int64_t k, const float* a, const float* b, float* c, int64_t ldc, bool accumulate) {
  Vector low[kRows];
  Vector high[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) low[i] = high[i] = Vector{};
  for (int64_t p = 0; p < k; ++p) {
    const Vector b_low = load(b);
    const Vector b_high = load(b + kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const Vector value = splat(a[i]);
      low[i] += value * b_low;
      high[i] += value * b_high;
    }
    a += kTileRows;
    b += kPanel;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* row = c + i * ldc;
    if (accumulate) {
      low[i] += load(row);
      high[i] += load(row + kLanes);
    }
    store(row, low[i]);
    store(row + kLanes, high[i]);
  }
}

// For one and two rows: several panels at once give enough independent sums, and enough streams of
// memory.
template <int kRows, int kPanels>
void narrow_tile_of(int64_t k, const float* a, const float* b, int64_t b_stride, float* c,
                    int64_t ldc, bool accumulate) {
  Vector sums[kRows][2 * kPanels];
#pragma GCC unroll 8
  for (int j = 0; j < 2 * kPanels; ++j) {
#pragma GCC unroll 2
    for (int i = 0; i < kRows; ++i) sums[i][j] = Vector{};
  }
  for (int64_t p = 0; p < k; ++p) {
#pragma GCC unroll 8
    for (int j = 0; j < 2 * kPanels; ++j) {
      const Vector value = load(b + (j / 2) * b_stride + p * kPanel + (j % 2) * kLanes);
#pragma GCC unroll 2
      for (int i = 0; i < kRows; ++i) sums[i][j] += splat(a[p * kTileRows + i]) * value;
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < 2 * kPanels; ++j) {
      float* at = c + i * ldc + j * kLanes;
      store(at, accumulate ? sums[i][j] + load(at) : sums[i][j]);
    }
  }
}

using TileFunction = void (*)(int64_t, const float*, const float*, float*, int64_t, bool);

template <int... kRows>
struct TileList {
  static constexpr TileFunction kFunctions[] = {tile_of<kRows + 1>...};
};
#if CLEAVE_TILE_ROWS == 12
using Tiles = TileList<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11>;
#elif CLEAVE_TILE_ROWS == 6
using Tiles = TileList<0, 1, 2, 3, 4, 5>;
#else
#error "CLEAVE_TILE_ROWS is 6 or 12"
#endif

void tile(int rows, int64_t k, const float* a, const float* b, float* c, int64_t ldc,
          bool accumulate) {
  Tiles::kFunctions[rows - 1](k, a, b, c, ldc, accumulate);
}

void narrow_tile(int rows, int panels, int64_t k, const float* a, const float* b, int64_t b_stride,
                 float* c, int64_t ldc, bool accumulate) {
  int done = 0;
  if (rows == 1) {
    if (panels == 4) return narrow_tile_of<1, 4>(k, a, b, b_stride, c, ldc, accumulate);
    for (; done + 2 <= panels; done += 2) {
      narrow_tile_of<1, 2>(k, a, b + done * b_stride, b_stride, c + done * kPanel, ldc, accumulate);
    }
  } else {
    for (; done + 2 <= panels; done += 2) {
      narrow_tile_of<2, 2>(k, a, b + done * b_stride, b_stride, c + done * kPanel, ldc, accumulate);
    }
  }
  for (; done < panels; ++done) {
    tile(rows, k, a, b + done * b_stride, c + done * kPanel, ldc, accumulate);
  }
}

void fill_tiles(Table& t) {
  t.panel = kPanel;
  t.tile_rows = kTileRows;
  t.tile = tile;
  t.narrow_tile = narrow_tile;
}

}  // namespace
}  // namespace cleave::backend::simd
