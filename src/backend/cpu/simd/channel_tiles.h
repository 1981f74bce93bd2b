// Micro tiles of convolutions over channels-last images. Included by the isa_*.cc files only, after
// gemm_tiles.h.
#pragma once

#include "backend/cpu/simd/gemm_tiles.h"

namespace cleave::backend::simd {
namespace {

typedef float Quad __attribute__((vector_size(16)));
typedef float UnalignedQuad __attribute__((vector_size(16), aligned(4), may_alias));

// Vectors of several widths, for what is left of the channels.
struct WholeVector {
  using Type = Vector;
  static Type load(const float* x) { return simd::load(x); }
  static void store(float* x, Type v) { simd::store(x, v); }
};
struct QuadVector {
  using Type = Quad;
  static Type load(const float* x) { return *reinterpret_cast<const UnalignedQuad*>(x); }
  static void store(float* x, Type v) { *reinterpret_cast<UnalignedQuad*>(x) = v; }
};

// Rows of a are read where they lie, from one pointer for each three rows: twelve of them would
// not all fit into registers. The last vector of c has `columns` - (kVectors - 1) · kLanes columns.
template <int kRows, int kVectors>
void row_tile_of(int64_t k, const float* a, int64_t lda, const float* b, int64_t columns, float* c,
                 int64_t ldc, bool accumulate) {
  constexpr int kTriples = (kRows + 2) / 3;
  Vector sums[kRows][kVectors];
  const float* rows[kTriples];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[i][v] = Vector{};
  }
#pragma GCC unroll 4
  for (int t = 0; t < kTriples; ++t) rows[t] = a + 3 * t * lda;
  for (int64_t p = 0; p < k; ++p) {
    Vector values[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) values[v] = load(b + v * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const Vector value = splat(rows[i / 3][i % 3 * lda]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[i][v] += value * values[v];
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTriples; ++t) ++rows[t];
    b += kPanel;
  }
  const bool whole = columns == kVectors * kLanes;
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    float* row = c + i * ldc;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      float* to = row + v * kLanes;
      if (v + 1 < kVectors || whole) {
        store(to, accumulate ? sums[i][v] + load(to) : sums[i][v]);
        continue;
      }
      float last[kLanes];
      store(last, sums[i][v]);
      for (int64_t j = 0; j < columns - v * kLanes; ++j) {
        to[j] = accumulate ? to[j] + last[j] : last[j];
      }
    }
  }
}

using RowTileFunction = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*,
                                 int64_t, bool);

template <int kVectors, int... kRows>
struct RowTileList {
  static constexpr RowTileFunction kFunctions[] = {row_tile_of<kRows + 1, kVectors>...};
};
#if CLEAVE_TILE_ROWS == 12
template <int kVectors>
using RowTiles = RowTileList<kVectors, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11>;
#else
template <int kVectors>
using RowTiles = RowTileList<kVectors, 0, 1, 2, 3, 4, 5>;
#endif

void row_tile(int rows, int64_t k, const float* a, int64_t lda, const float* b, int64_t columns,
              float* c, int64_t ldc, bool accumulate) {
  const auto& functions = columns > kLanes ? RowTiles<2>::kFunctions : RowTiles<1>::kFunctions;
  functions[rows - 1](k, a, lda, b, columns, c, ldc, accumulate);
}

// Channels [begin, end) of `kPlaces` places, as many at a time as V has lanes. Returns the first
// channel that is left.
template <class V, int kPlaces>
int64_t tap_sums_of(const float* const* x, int64_t x_step, const float* const* w, int64_t taps,
                    int64_t begin, int64_t end, float* y, int64_t y_step) {
  constexpr int64_t kWidth = sizeof(typename V::Type) / sizeof(float);
  int64_t c = begin;
  for (; c + kWidth <= end; c += kWidth) {
    typename V::Type sums[kPlaces];
#pragma GCC unroll 8
    for (int i = 0; i < kPlaces; ++i) sums[i] = typename V::Type{};
    for (int64_t t = 0; t < taps; ++t) {
      const typename V::Type weight = V::load(w[t] + c);
      const float* from = x[t] + c;
#pragma GCC unroll 8
      for (int i = 0; i < kPlaces; ++i) {
        sums[i] += V::load(from + i * x_step) * weight;
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kPlaces; ++i) V::store(y + i * y_step + c, sums[i]);
  }
  return c;
}

template <int kPlaces>
void tap_sums_places(const float* const* x, int64_t x_step, const float* const* w, int64_t taps,
                     int64_t channels, float* y, int64_t y_step) {
  int64_t c = tap_sums_of<WholeVector, kPlaces>(x, x_step, w, taps, 0, channels, y, y_step);
  c = tap_sums_of<QuadVector, kPlaces>(x, x_step, w, taps, c, channels, y, y_step);
  for (; c < channels; ++c) {
    for (int i = 0; i < kPlaces; ++i) {
      float sum = 0;
      for (int64_t t = 0; t < taps; ++t) sum += x[t][i * x_step + c] * w[t][c];
      y[i * y_step + c] = sum;
    }
  }
}

void tap_sums(int places, const float* const* x, int64_t x_step, const float* const* w,
              int64_t taps, int64_t channels, float* y, int64_t y_step) {
  using Function = void (*)(const float* const*, int64_t, const float* const*, int64_t, int64_t,
                            float*, int64_t);
  static constexpr Function kFunctions[] = {
      tap_sums_places<1>, tap_sums_places<2>, tap_sums_places<3>, tap_sums_places<4>,
      tap_sums_places<5>, tap_sums_places<6>, tap_sums_places<7>, tap_sums_places<8>};
  static_assert(sizeof(kFunctions) / sizeof(kFunctions[0]) == kMaxTapPlaces);
  kFunctions[places - 1](x, x_step, w, taps, channels, y, y_step);
}

void fill_channel_tiles(Table& t) {
  t.row_tile = row_tile;
  t.tap_sums = tap_sums;
}

}  // namespace
}  // namespace cleave::backend::simd
