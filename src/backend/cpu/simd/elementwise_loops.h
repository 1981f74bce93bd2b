// Element-wise loops. Included by the isa_*.cc files only. `ivdep`: a result may lie exactly over
// an operand, which a check for overlap would take for a reason not to vectorise.
#pragma once

#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector_math.h"

namespace cleave::backend::simd {
namespace {

template <class F>
inline void map(const float* x, float* y, int64_t n, F f) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

// Four loops, so that a single value stays in a register.
template <class A, class Y, class F>
inline void map_two(const A* a, int64_t a_step, const A* b, int64_t b_step, Y* y, int64_t n, F f) {
  if (n <= 0) return;
  if (a_step != 0 && b_step != 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
  } else if (a_step != 0) {
    const A value = b[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], value);
  } else if (b_step != 0) {
    const A value = a[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = f(value, b[i]);
  } else {
    const Y value = f(a[0], b[0]);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  }
}

// NaN goes through.
inline float clamped(float x, float high) { return x < 0.0f ? 0.0f : x > high ? high : x; }

#define CLEAVE_UNARY(NAME, EXPRESSION)                                                     \
  void NAME##_loop(const float* in, float* out, int64_t n, [[maybe_unused]] float alpha) { \
    map(in, out, n, [=](float x) { return EXPRESSION; });                                  \
  }
CLEAVE_UNARY(neg, -x)
CLEAVE_UNARY(abs, __builtin_fabsf(x))
CLEAVE_UNARY(exp, exp_value(x))
CLEAVE_UNARY(log, log_value(x))
CLEAVE_UNARY(sqrt, __builtin_sqrtf(x))
CLEAVE_UNARY(rsqrt, 1.0f / __builtin_sqrtf(x))
CLEAVE_UNARY(reciprocal, 1.0f / x)
CLEAVE_UNARY(tanh, tanh_value(x))
CLEAVE_UNARY(erf, erf_value(x))
CLEAVE_UNARY(sigmoid, sigmoid_value(x))
CLEAVE_UNARY(relu, x < 0.0f ? 0.0f : x)
CLEAVE_UNARY(floor, __builtin_floorf(x))
CLEAVE_UNARY(ceil, __builtin_ceilf(x))
CLEAVE_UNARY(round, __builtin_nearbyintf(x))
CLEAVE_UNARY(sign, x != x ? x : (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f))
CLEAVE_UNARY(gelu, gelu_value(x))
CLEAVE_UNARY(gelu_tanh, gelu_tanh_value(x))
CLEAVE_UNARY(silu, x* sigmoid_value(x))
CLEAVE_UNARY(softplus, softplus_value(x))
CLEAVE_UNARY(leaky_relu, x < 0.0f ? alpha * x : x)
CLEAVE_UNARY(elu, x < 0.0f ? alpha * expm1_value(x) : x)
CLEAVE_UNARY(hard_sigmoid, clamped(alpha* x + 0.5f, 1.0f))
// x + 3 is exact near -3, where x / 6 + 1/2 is not; 6 · (1/6) rounds to 1.
CLEAVE_UNARY(hard_swish, x*(clamped(x + 3.0f, 6.0f) * (1.0f / 6.0f)))
#undef CLEAVE_UNARY

// In blocks: one that holds a large argument (or NaN) goes to the C library.
inline void sine_blocks(const float* x, float* y, int64_t n, int32_t quarter) {
  constexpr int64_t kBlock = 64;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    int32_t large = 0;
    for (int64_t i = 0; i < count; ++i) {
      large |= __builtin_fabsf(x[begin + i]) < kSineLimit ? 0 : 1;
    }
    if (large != 0) {
      for (int64_t i = begin; i < begin + count; ++i) {
        y[i] = quarter == 0 ? ::sinf(x[i]) : ::cosf(x[i]);
      }
    } else {
      map(x + begin, y + begin, count, [=](float v) { return sine_value(v, quarter); });
    }
  }
}
void sin_loop(const float* x, float* y, int64_t n, float) { sine_blocks(x, y, n, 0); }
void cos_loop(const float* x, float* y, int64_t n, float) { sine_blocks(x, y, n, 1); }

#define CLEAVE_BINARY(NAME, EXPRESSION)                                                        \
  void NAME##_loop(const float* pa, int64_t a_step, const float* pb, int64_t b_step, float* y, \
                   int64_t n) {                                                                \
    map_two(pa, a_step, pb, b_step, y, n, [](float a, float b) { return EXPRESSION; });        \
  }
CLEAVE_BINARY(add, a + b)
CLEAVE_BINARY(sub, a - b)
CLEAVE_BINARY(mul, a* b)
CLEAVE_BINARY(div, a / b)
CLEAVE_BINARY(min, min_value(a, b))
CLEAVE_BINARY(max, max_value(a, b))
CLEAVE_BINARY(mod, ::fmodf(a, b))
#undef CLEAVE_BINARY

// Networks raise to a few constant powers; other exponents go to the C library.
void pow_loop(const float* a, int64_t a_step, const float* b, int64_t b_step, float* y, int64_t n) {
  if (b_step == 0 && a_step != 0 && n > 0) {
    const float exponent = b[0];
    if (exponent == 2.0f) return map(a, y, n, [](float x) { return x * x; });
    if (exponent == 1.0f) return map(a, y, n, [](float x) { return x; });
    if (exponent == -1.0f) return map(a, y, n, [](float x) { return 1.0f / x; });
    if (exponent == 3.0f) {  // in double, so that it is rounded once
      return map(a, y, n, [](float x) {
        const double wide = x;
        return static_cast<float>(wide * wide * wide);
      });
    }
  }
  map_two(a, a_step, b, b_step, y, n, [](float x, float e) { return ::powf(x, e); });
}

#define CLEAVE_COMPARE(NAME, EXPRESSION)                                                         \
  void NAME##_loop(const float* pa, int64_t a_step, const float* pb, int64_t b_step, uint8_t* y, \
                   int64_t n) {                                                                  \
    map_two(pa, a_step, pb, b_step, y, n,                                                        \
            [](float a, float b) -> uint8_t { return (EXPRESSION) ? 1 : 0; });                   \
  }
CLEAVE_COMPARE(equal, a == b)
CLEAVE_COMPARE(less, a < b)
CLEAVE_COMPARE(less_equal, a <= b)
CLEAVE_COMPARE(greater, a > b)
CLEAVE_COMPARE(greater_equal, a >= b)
#undef CLEAVE_COMPARE

#define CLEAVE_LOGICAL(NAME, EXPRESSION)                                                 \
  void NAME##_loop(const uint8_t* pa, int64_t a_step, const uint8_t* pb, int64_t b_step, \
                   uint8_t* y, int64_t n) {                                              \
    map_two(pa, a_step, pb, b_step, y, n,                                                \
            [](uint8_t a, uint8_t b) -> uint8_t { return EXPRESSION; });                 \
  }
CLEAVE_LOGICAL(and, a& b)
CLEAVE_LOGICAL(or, a | b)
CLEAVE_LOGICAL(xor, a ^ b)
#undef CLEAVE_LOGICAL

void logical_not_loop(const uint8_t* x, uint8_t* y, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] ^ 1;
}
void is_nan_loop(const float* x, uint8_t* y, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] != x[i] ? 1 : 0;
}

void where_loop(const uint8_t* c, int64_t c_step, const float* a, int64_t a_step, const float* b,
                int64_t b_step, float* y, int64_t n) {
  if (n <= 0) return;
  if (c_step != 0 && a_step != 0 && b_step != 0) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] != 0 ? a[i] : b[i];
  } else if (c_step != 0 && a_step != 0) {
    const float other = b[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] != 0 ? a[i] : other;
  } else if (c_step != 0 && b_step != 0) {
    const float value = a[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] != 0 ? value : b[i];
  } else if (c_step != 0) {
    const float value = a[0];
    const float other = b[0];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] != 0 ? value : other;
  } else {
    const float* from = c[0] != 0 ? a : b;
    const int64_t step = c[0] != 0 ? a_step : b_step;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] = from[i * step];
  }
}

void fill_elementwise(Table& t) {
  const auto unary = [&](Unary op, Table::UnaryLoop f) { t.unary[static_cast<size_t>(op)] = f; };
  unary(Unary::kNeg, neg_loop);
  unary(Unary::kAbs, abs_loop);
  unary(Unary::kExp, exp_loop);
  unary(Unary::kLog, log_loop);
  unary(Unary::kSqrt, sqrt_loop);
  unary(Unary::kRsqrt, rsqrt_loop);
  unary(Unary::kReciprocal, reciprocal_loop);
  unary(Unary::kTanh, tanh_loop);
  unary(Unary::kErf, erf_loop);
  unary(Unary::kSigmoid, sigmoid_loop);
  unary(Unary::kRelu, relu_loop);
  unary(Unary::kSin, sin_loop);
  unary(Unary::kCos, cos_loop);
  unary(Unary::kFloor, floor_loop);
  unary(Unary::kCeil, ceil_loop);
  unary(Unary::kRound, round_loop);
  unary(Unary::kSign, sign_loop);
  unary(Unary::kGelu, gelu_loop);
  unary(Unary::kGeluTanh, gelu_tanh_loop);
  unary(Unary::kSilu, silu_loop);
  unary(Unary::kSoftplus, softplus_loop);
  unary(Unary::kLeakyRelu, leaky_relu_loop);
  unary(Unary::kElu, elu_loop);
  unary(Unary::kHardSigmoid, hard_sigmoid_loop);
  unary(Unary::kHardSwish, hard_swish_loop);
  const auto binary = [&](Binary op, Table::BinaryLoop f) {
    t.binary[static_cast<size_t>(op)] = f;
  };
  binary(Binary::kAdd, add_loop);
  binary(Binary::kSub, sub_loop);
  binary(Binary::kMul, mul_loop);
  binary(Binary::kDiv, div_loop);
  binary(Binary::kPow, pow_loop);
  binary(Binary::kMin, min_loop);
  binary(Binary::kMax, max_loop);
  binary(Binary::kMod, mod_loop);
  const auto compare = [&](Compare op, Table::CompareLoop f) {
    t.compare[static_cast<size_t>(op)] = f;
  };
  compare(Compare::kEqual, equal_loop);
  compare(Compare::kLess, less_loop);
  compare(Compare::kLessEqual, less_equal_loop);
  compare(Compare::kGreater, greater_loop);
  compare(Compare::kGreaterEqual, greater_equal_loop);
  const auto logical = [&](Logical op, Table::LogicalLoop f) {
    t.logical[static_cast<size_t>(op)] = f;
  };
  logical(Logical::kAnd, and_loop);
  logical(Logical::kOr, or_loop);
  logical(Logical::kXor, xor_loop);
  t.logical_not = logical_not_loop;
  t.is_nan = is_nan_loop;
  t.where = where_loop;
}

}  // namespace
}  // namespace cleave::backend::simd
