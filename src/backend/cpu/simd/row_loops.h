// Loops over one row: reductions, and what softmax and normalisation are made of. Included by the
// isa_*.cc files only, after CLEAVE_VECTOR_BYTES is set. Each has one order of additions, given by
// the row's length.
#pragma once

#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector_math.h"

namespace cleave::backend::simd {
namespace {

constexpr int kLanes = CLEAVE_VECTOR_BYTES / 4;
typedef float Vector __attribute__((vector_size(CLEAVE_VECTOR_BYTES)));
typedef float Unaligned __attribute__((vector_size(CLEAVE_VECTOR_BYTES), aligned(4), may_alias));

inline Vector load(const float* x) { return *reinterpret_cast<const Unaligned*>(x); }
inline void store(float* x, Vector v) { *reinterpret_cast<Unaligned*>(x) = v; }
// Subtracting zero is folded away; adding it would not be, for -0.
inline Vector splat(float x) { return x - Vector{}; }

// Four vectors of partial results hide the latency of an addition.
template <class Term>
inline float sum_of(int64_t n, Term term) {
  float parts[4 * kLanes] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4 * kLanes; ++j) parts[j] += term(i + j);
  }
  for (int j = 0; i < n; ++i, ++j) parts[j] += term(i);
  for (int width = 2 * kLanes; width >= 1; width /= 2) {
    for (int j = 0; j < width; ++j) parts[j] += parts[j + width];
  }
  return parts[0];
}

template <class Combine>
inline float extreme_of(const float* x, int64_t n, float start, Combine combine) {
  float parts[4 * kLanes];
  for (float& part : parts) part = start;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4 * kLanes; ++j) parts[j] = combine(parts[j], x[i + j]);
  }
  for (int j = 0; i < n; ++i, ++j) parts[j] = combine(parts[j], x[i]);
  float result = start;
  for (float part : parts) result = combine(result, part);
  return result;
}

float sum_row(const float* x, int64_t n) {
  return sum_of(n, [=](int64_t i) { return x[i]; });
}
float max_row(const float* x, int64_t n) { return extreme_of(x, n, -kInfinity, max_value); }
float min_row(const float* x, int64_t n) { return extreme_of(x, n, kInfinity, min_value); }
float sum_of_squares_row(const float* x, float shift, int64_t n) {
  return sum_of(n, [=](int64_t i) { return (x[i] - shift) * (x[i] - shift); });
}
float dot_row(const float* x, const float* y, int64_t n) {
  return sum_of(n, [=](int64_t i) { return x[i] * y[i]; });
}

float exp_sum_row(const float* x, float* y, float scale, float shift, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = exp_value(mul_add(x[i], scale, -shift));
  return sum_row(y, n);
}

void scale_add_row(const float* x, float scale, const float* add, float* y, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = mul_add(x[i], scale, add[i]);
}

void scale_row(float* x, float factor, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

void normalise_row(const float* x, float mean, float inverse, const float* weight,
                   const float* bias, float* y, int64_t n) {
  if (weight != nullptr && bias != nullptr) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = mul_add((x[i] - mean) * inverse, weight[i], bias[i]);
  } else if (weight != nullptr) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse * weight[i];
  } else if (bias != nullptr) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = mul_add(x[i] - mean, inverse, bias[i]);
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = (x[i] - mean) * inverse;
  }
}

void fill_rows(Table& t) {
  t.sum = sum_row;
  t.max = max_row;
  t.min = min_row;
  t.sum_of_squares = sum_of_squares_row;
  t.dot = dot_row;
  t.exp_sum = exp_sum_row;
  t.scale_add = scale_add_row;
  t.scale = scale_row;
  t.normalise = normalise_row;
}

}  // namespace
}  // namespace cleave::backend::simd
