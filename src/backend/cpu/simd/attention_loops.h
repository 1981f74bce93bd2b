// What attention is made of but its products. Included by the isa_*.cc files only, after
// gemm_tiles.h.
#pragma once

#include <utility>

#include "backend/cpu/simd/gemm_tiles.h"

namespace cleave::backend::simd {
namespace {

typedef uint32_t BitsVector __attribute__((vector_size(CLEAVE_VECTOR_BYTES)));
using LaneIndices = std::make_integer_sequence<int, kLanes>;

// Of lanes that are in bit `kWidth` of their number, those where it is 0: a's own and b's, moved up
// into the others.
template <int kWidth, int... kLane>
inline Vector lower_lanes(Vector a, Vector b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b,
                                 ((kLane & kWidth) == 0 ? kLane : kLanes + kLane - kWidth)...);
}
// Those where it is 1: a's, moved down, and b's own.
template <int kWidth, int... kLane>
inline Vector upper_lanes(Vector a, Vector b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b,
                                 ((kLane & kWidth) == 0 ? kLane + kWidth : kLanes + kLane)...);
}

// Lane j of row i and lane i of row j change places: first in blocks of kWidth, then inside them.
template <int kWidth>
inline void transpose_lanes(Vector* rows) {
  if constexpr (kWidth > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & kWidth) != 0) continue;
      const Vector a = rows[i];
      const Vector b = rows[i + kWidth];
      rows[i] = lower_lanes<kWidth>(a, b, LaneIndices{});
      rows[i + kWidth] = upper_lanes<kWidth>(a, b, LaneIndices{});
    }
    transpose_lanes<kWidth / 2>(rows);
  }
}

// Lane i of the result is the sum of the lanes of row i: the rows are transposed, and added as soon
// as they can be.
template <int kWidth>
inline Vector sums_of_lanes(Vector* rows) {
  if constexpr (kWidth > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      const Vector a = rows[i];
      const Vector b = rows[i + kWidth];
      rows[i] = lower_lanes<kWidth>(a, b, LaneIndices{}) + upper_lanes<kWidth>(a, b, LaneIndices{});
    }
    return sums_of_lanes<kWidth / 2>(rows);
  } else {
    return rows[0];
  }
}

template <int kWidth = kLanes / 2>
inline float sum_of_lanes(Vector v) {
  if constexpr (kWidth > 0) {
    return sum_of_lanes<kWidth / 2>(v + upper_lanes<kWidth>(v, v, LaneIndices{}));
  } else {
    return v[0];
  }
}

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }  // b where either is NaN

template <int kWidth = kLanes / 2>
inline float largest_lane(Vector v) {
  if constexpr (kWidth > 0) {
    return largest_lane<kWidth / 2>(larger(upper_lanes<kWidth>(v, v, LaneIndices{}), v));
  } else {
    return v[0];
  }
}

void transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* y,
               int64_t y_stride) {
  int64_t i = 0;
  for (; i + kLanes <= rows; i += kLanes) {
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) {
      Vector block[kLanes];
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) block[r] = load(x + (i + r) * x_stride + j);
      transpose_lanes<kLanes / 2>(block);
#pragma GCC unroll 16
      for (int c = 0; c < kLanes; ++c) store(y + (j + c) * y_stride + i, block[c]);
    }
    for (; j < columns; ++j) {
      for (int r = 0; r < kLanes; ++r) y[j * y_stride + i + r] = x[(i + r) * x_stride + j];
    }
  }
  for (; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) y[j * y_stride + i] = x[i * x_stride + j];
  }
}

// e^x for x ≤ 0, 0 below the least normal number, where weights are lost beside that of 1. The
// integer n nearest to x / ln 2 is added to 1.5 · 2^23 + 127: its low bits are the exponent of 2^n.
inline Vector exp_of_negative(Vector x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kMagic = 12582912.0f + 127.0f;
  x = larger(splat(-87.9f), x);  // n = -127: exponent bits of 0; NaN stays
  const Vector shifted = x * kLog2E + kMagic;
  const Vector f = x * kLog2E - (shifted - kMagic);
  Vector p = splat(1.326472731e-03f);  // (2^f - 1) / f, |f| ≤ ½
  p = p * f + 9.671512991e-03f;
  p = p * f + 5.550733581e-02f;
  p = p * f + 2.402224243e-01f;
  p = p * f + 6.931470037e-01f;
  p = p * f + 1.0f;
  return p * __builtin_bit_cast(Vector, __builtin_bit_cast(BitsVector, shifted) << 23);
}

template <bool kAdds>
inline Vector masked_score(const float* x, const float* added, float scale) {
  const Vector score = load(x) * scale;
  if (!kAdds) return score;
  const Vector add = load(added);
  const Vector hidden = splat(-kInfinity);
  return add == hidden ? hidden : score + add;
}

// Scores of a row are scaled and masked; gives the largest that is a number. Behind them they are
// -inf up to whole vectors.
template <bool kAdds>
inline float mask_scores(float* x, const float* added, float scale, int64_t n) {
  Vector largest = splat(-kInfinity);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vector score = masked_score<kAdds>(x + i, added + (kAdds ? i : 0), scale);
    store(x + i, score);
    largest = larger(score, largest);
  }
  if (i < n) {
    float last[kLanes] = {};
    float add[kLanes] = {};
    for (int64_t j = i; j < n; ++j) {
      last[j - i] = x[j];
      if (kAdds) add[j - i] = added[j];
    }
    store(last, masked_score<kAdds>(last, add, scale));
    for (int64_t j = n - i; j < kLanes; ++j) last[j] = -kInfinity;
    const Vector score = load(last);
    store(x + i, score);
    largest = larger(score, largest);
  }
  return largest_lane(largest);
}

void softmax_rows(const SoftmaxRows& t) {
  for (int row = 0; row < t.rows; ++row) {
    float* x = t.scores + row * t.stride;
    const int64_t n = t.seen[row];
    const float tile = t.added != nullptr ? mask_scores<true>(x, t.added[row], t.scale, n)
                                          : mask_scores<false>(x, nullptr, t.scale, n);
    const float before = t.largest[row];
    const float next = tile > before ? tile : before;
    const float shift = next == -kInfinity ? 0.0f : next;  // all hidden so far: weights of 0
    Vector low = {};
    Vector high = {};
    int64_t i = 0;
    for (; i + kLanes < n; i += 2 * kLanes) {
      const Vector a = exp_of_negative(load(x + i) - shift);
      const Vector b = exp_of_negative(load(x + i + kLanes) - shift);
      store(x + i, a);
      store(x + i + kLanes, b);
      low += a;
      high += b;
    }
    if (i < n) {
      const Vector a = exp_of_negative(load(x + i) - shift);
      store(x + i, a);
      low += a;
      i += kLanes;
    }
    for (; i < t.columns; ++i) x[i] = 0;
    const float sum = sum_of_lanes(low + high);
    float factor = 1;
    if (next != before && t.totals[row] != 0) factor = exp_value(before - next);
    t.factors[row] = factor;
    t.totals[row] = t.totals[row] * factor + sum;
    t.largest[row] = next;
  }
}

// kLanes rows at a time; where fewer are left, the last one again.
void dot_rows(const float* x, const float* y, int64_t y_stride, int64_t count, int64_t n,
              float* dots) {
  for (int64_t first = 0; first < count; first += kLanes) {
    const int64_t left = count - first;
    const float* rows[kLanes];
    for (int r = 0; r < kLanes; ++r) {
      rows[r] = y + (first + (r < left ? r : left - 1)) * y_stride;
    }
    Vector sums[kLanes];
#pragma GCC unroll 16
    for (int r = 0; r < kLanes; ++r) sums[r] = Vector{};
    int64_t p = 0;
    for (; p + kLanes <= n; p += kLanes) {
      const Vector value = load(x + p);
#pragma GCC unroll 16
      for (int r = 0; r < kLanes; ++r) sums[r] += value * load(rows[r] + p);
    }
    float results[kLanes];
    store(results, sums_of_lanes<kLanes / 2>(sums));
    for (; p < n; ++p) {
      for (int r = 0; r < kLanes; ++r) results[r] += x[p] * rows[r][p];
    }
    for (int r = 0; r < kLanes && r < left; ++r) dots[first + r] = results[r];
  }
}

// `kVectors` vectors of columns of all rows.
template <int kVectors>
inline void add_columns(const float* weights, const float* y, int64_t y_stride, int64_t count,
                        float* sums) {
  Vector s[kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) s[v] = load(sums + v * kLanes);
  for (int64_t r = 0; r < count; ++r, y += y_stride) {
    const Vector weight = splat(weights[r]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) s[v] += weight * load(y + v * kLanes);
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) store(sums + v * kLanes, s[v]);
}

void add_weighted_rows(const float* weights, const float* y, int64_t y_stride, int64_t count,
                       int64_t n, float* sums) {
  int64_t j = 0;
  for (; j + 8 * kLanes <= n; j += 8 * kLanes) {
    add_columns<8>(weights, y + j, y_stride, count, sums + j);
  }
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    add_columns<4>(weights, y + j, y_stride, count, sums + j);
  }
  for (; j + kLanes <= n; j += kLanes) add_columns<1>(weights, y + j, y_stride, count, sums + j);
  for (; j < n; ++j) {
    for (int64_t r = 0; r < count; ++r) sums[j] += weights[r] * y[r * y_stride + j];
  }
}

void fill_attention(Table& t) {
  t.transpose = transpose;
  t.softmax_rows = softmax_rows;
  t.dot_rows = dot_rows;
  t.add_weighted_rows = add_weighted_rows;
}

}  // namespace
}  // namespace cleave::backend::simd
