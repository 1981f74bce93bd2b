// The vectorised inner loops of the CPU kernels, as a table of functions an instruction set.
//
// The same source is compiled once an instruction set (isa_*.cc) and chosen when the program runs.
// Those files include no header with inline functions that other files share: the linker could
// otherwise keep the copy that needs AVX-512.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::backend::simd {

enum class Isa { kBaseline, kAvx2, kAvx512 };

// Element-wise on float. `alpha` is of leaky_relu, elu and hard_sigmoid.
enum class Unary {
  kNeg,
  kAbs,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kReciprocal,
  kTanh,
  kErf,
  kSigmoid,
  kRelu,
  kSin,
  kCos,
  kFloor,
  kCeil,
  kRound,
  kSign,
  kGelu,
  kGeluTanh,
  kSilu,
  kSoftplus,
  kLeakyRelu,
  kElu,
  kHardSigmoid,
  kHardSwish,
  kCount
};
enum class Binary { kAdd, kSub, kMul, kDiv, kPow, kMin, kMax, kMod, kCount };
enum class Compare { kEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kCount };
enum class Logical { kAnd, kOr, kXor, kCount };

// Columns of a packed panel and rows of a micro tile are at most these, for any instruction set.
inline constexpr int kMaxPanel = 32;
inline constexpr int kMaxTileRows = 12;
// Places that `tap_sums` works on at once.
inline constexpr int kMaxTapPlaces = 8;

// Rows of attention's scores that become weights: those of some columns, where others may have gone
// before. Rows have room for whole panels.
struct SoftmaxRows {
  int rows = 0;
  float* scores = nullptr;
  int64_t stride = 0;                   // of rows
  int64_t columns = 0;                  // that get weights
  const int64_t* seen = nullptr;        // of each row the first columns; others get weights of 0
  const float* const* added = nullptr;  // to the scaled scores of each row; may be null
  float scale = 1;
  // Of each row: the largest score so far (-inf at first), the sum of weights so far, and by what
  // the weights that went before are to be multiplied.
  float* largest = nullptr;
  float* totals = nullptr;
  float* factors = nullptr;
};

// Steps of operands are 0 (one value for all) or 1. Results may be written over operands of step 1
// and the same element size.
struct Table {
  const char* name = "";
  int panel = 0;      // columns of a packed panel of a matrix product
  int tile_rows = 0;  // rows of a micro tile

  using UnaryLoop = void (*)(const float* x, float* y, int64_t n, float alpha);
  using BinaryLoop = void (*)(const float* a, int64_t a_step, const float* b, int64_t b_step,
                              float* y, int64_t n);
  using CompareLoop = void (*)(const float* a, int64_t a_step, const float* b, int64_t b_step,
                               uint8_t* y, int64_t n);
  using LogicalLoop = void (*)(const uint8_t* a, int64_t a_step, const uint8_t* b, int64_t b_step,
                               uint8_t* y, int64_t n);
  UnaryLoop unary[static_cast<size_t>(Unary::kCount)] = {};
  BinaryLoop binary[static_cast<size_t>(Binary::kCount)] = {};
  CompareLoop compare[static_cast<size_t>(Compare::kCount)] = {};
  LogicalLoop logical[static_cast<size_t>(Logical::kCount)] = {};
  void (*logical_not)(const uint8_t* x, uint8_t* y, int64_t n) = nullptr;
  void (*is_nan)(const float* x, uint8_t* y, int64_t n) = nullptr;
  void (*where)(const uint8_t* c, int64_t c_step, const float* a, int64_t a_step, const float* b,
                int64_t b_step, float* y, int64_t n) = nullptr;

  // Storage types, as their bits.
  void (*half_to_float)(const uint16_t* x, float* y, int64_t n) = nullptr;
  void (*float_to_half)(const float* x, uint16_t* y, int64_t n) = nullptr;
  void (*bfloat16_to_float)(const uint16_t* x, float* y, int64_t n) = nullptr;
  void (*float_to_bfloat16)(const float* x, uint16_t* y, int64_t n) = nullptr;

  // Over one row.
  float (*sum)(const float* x, int64_t n) = nullptr;
  float (*max)(const float* x, int64_t n) = nullptr;  // NaN where any is; -inf for n = 0
  float (*min)(const float* x, int64_t n) = nullptr;
  float (*sum_of_squares)(const float* x, float shift, int64_t n) = nullptr;  // of x - shift
  float (*dot)(const float* x, const float* y, int64_t n) = nullptr;
  // y = exp(x · scale - shift), returns its sum; y may be x.
  float (*exp_sum)(const float* x, float* y, float scale, float shift, int64_t n) = nullptr;
  // y = x · scale + add · add_scale
  void (*scale_add)(const float* x, float scale, const float* add, float* y, int64_t n) = nullptr;
  void (*scale)(float* x, float factor, int64_t n) = nullptr;
  // y = (x - mean) · inverse · weight + bias; weight and bias may be null.
  void (*normalise)(const float* x, float mean, float inverse, const float* weight,
                    const float* bias, float* y, int64_t n) = nullptr;

  // One micro tile of a matrix product: c[i · ldc + j] = Σ a[p · tile_rows + i] · b[p · panel + j]
  // for i < rows (≤ tile_rows), j < panel, p < k; added to c where `accumulate`.
  void (*tile)(int rows, int64_t k, const float* a, const float* b, float* c, int64_t ldc,
               bool accumulate) = nullptr;
  // Rows 1 and 2 over `panels` ≤ 4 panels that lie `b_stride` elements apart.
  void (*narrow_tile)(int rows, int panels, int64_t k, const float* a, const float* b,
                      int64_t b_stride, float* c, int64_t ldc, bool accumulate) = nullptr;
  // As `tile`, with rows of a as they lie in memory: a[i · lda + p]. c has `columns` ≤ panel.
  void (*row_tile)(int rows, int64_t k, const float* a, int64_t lda, const float* b,
                   int64_t columns, float* c, int64_t ldc, bool accumulate) = nullptr;
  // y[i · y_step + j] = Σ x[t][i · x_step + j] · w[t][j] over `taps`, for i < places
  // (≤ kMaxTapPlaces) and j < channels.
  void (*tap_sums)(int places, const float* const* x, int64_t x_step, const float* const* w,
                   int64_t taps, int64_t channels, float* y, int64_t y_step) = nullptr;

  // y[j · y_stride + i] = x[i · x_stride + j] for i < rows, j < columns.
  void (*transpose)(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* y,
                    int64_t y_stride) = nullptr;
  // A column is hidden (weight 0) where -inf is added, whatever its score.
  void (*softmax_rows)(const SoftmaxRows& rows) = nullptr;
  // dots[i] = Σ x[p] · y[i · y_stride + p] for i < count, p < n.
  void (*dot_rows)(const float* x, const float* y, int64_t y_stride, int64_t count, int64_t n,
                   float* dots) = nullptr;
  // sums[j] += Σ weights[i] · y[i · y_stride + j] over i < count, for j < n.
  void (*add_weighted_rows)(const float* weights, const float* y, int64_t y_stride, int64_t count,
                            int64_t n, float* sums) = nullptr;
};

// Null where this CPU, or this build, has not got the instruction set.
const Table* table(Isa isa);
// The widest that this CPU has.
const Table& best();

}  // namespace cleave::backend::simd
