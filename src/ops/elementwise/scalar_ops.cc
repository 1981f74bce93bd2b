#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/elementwise/elementwise.h"

namespace cleave::ops {
namespace {

using Wide = WideInteger;
using Accepts = ScalarOp::Accepts;

// Products wrap around: unsigned arithmetic has no overflow.
Wide wide_mul(Wide a, Wide b) {
  return static_cast<Wide>(static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b));
}

// Truncates; division by zero, which the models leave undefined, gives 0.
Wide wide_div(Wide a, Wide b) { return b == 0 ? 0 : a / b; }

// The sign is the divisor's.
Wide wide_mod(Wide a, Wide b) {
  if (b == 0) return 0;
  const Wide rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Wide wide_pow(Wide base, Wide exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    if (base == -1) return exponent % 2 == 0 ? 1 : -1;
    return 0;
  }
  Wide result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = static_cast<int64_t>(wide_mul(result, base));
    base = static_cast<int64_t>(wide_mul(base, base));
  }
  return result;
}

// A count outside of [0, 64) shifts every bit out.
Wide shift_left(Wide a, Wide b) {
  return b < 0 || b > 63 ? 0 : static_cast<Wide>(static_cast<unsigned __int128>(a) << b);
}
Wide shift_right(Wide a, Wide b) { return b < 0 || b > 63 ? -Wide(a < 0) : a >> b; }

// NaN goes through, as in ONNX's Max and Min.
double real_max(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double real_min(double a, double b) { return std::isnan(a) || a < b ? a : b; }

double sigmoid(double a, double) {
  return a >= 0 ? 1 / (1 + std::exp(-a)) : std::exp(a) / (1 + std::exp(a));
}
double softplus(double a, double) { return std::max(a, 0.0) + std::log1p(std::exp(-std::fabs(a))); }
double sign(double a, double) { return std::isnan(a) ? a : (a > 0) - (a < 0); }
double gelu(double a, double) { return 0.5 * a * (1 + std::erf(a * M_SQRT1_2)); }
double gelu_tanh(double a, double) {
  const double inner = std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a);
  return 0.5 * a * (1 + std::tanh(inner));
}

double clamp(double a, double low, double high) { return real_min(real_max(a, low), high); }
double hard_sigmoid(double a, double alpha) { return clamp(alpha * a + 0.5, 0, 1); }
double hard_swish(double a, double) { return a * (clamp(a + 3, 0, 6) / 6); }

constexpr ScalarOp::Linear kSumOfOne[] = {{ReduceOp::kSum, 1}};
constexpr ScalarOp::Linear kSumOfBoth[] = {{ReduceOp::kSum, 3}};
constexpr ScalarOp::Linear kSumOfEither[] = {{ReduceOp::kSum, 1}, {ReduceOp::kSum, 2}};
// The quotient of integers is truncated.
constexpr ScalarOp::Linear kSumOfDividend[] = {{ReduceOp::kSum, 1, true}};
constexpr ScalarOp::Linear kMaxOfBoth[] = {{ReduceOp::kMax, 3}};
constexpr ScalarOp::Linear kMinOfBoth[] = {{ReduceOp::kMin, 3}};

ScalarOp unary(std::string_view name, double (*real)(double, double)) {
  return {.name = name, .real = real};
}

ScalarOp numeric(std::string_view name, int arity, double (*real)(double, double),
                 Wide (*integer)(Wide, Wide), std::span<const ScalarOp::Linear> linear = {}) {
  return {.name = name,
          .arity = arity,
          .accepts = Accepts::kNumeric,
          .real = real,
          .integer = integer,
          .linear = linear};
}

ScalarOp comparison(std::string_view name, Accepts accepts, double (*real)(double, double),
                    Wide (*integer)(Wide, Wide)) {
  return {.name = name,
          .arity = 2,
          .accepts = accepts,
          .to_bool = true,
          .real = real,
          .integer = integer};
}

ScalarOp logical(std::string_view name, int arity, Wide (*integer)(Wide, Wide)) {
  return {
      .name = name, .arity = arity, .accepts = Accepts::kBool, .to_bool = true, .integer = integer};
}

ScalarOp bitwise(std::string_view name, int arity, Wide (*integer)(Wide, Wide)) {
  return {.name = name, .arity = arity, .accepts = Accepts::kInteger, .integer = integer};
}

ScalarOp with_alpha(std::string_view name, double (*real)(double, double)) {
  return {.name = name, .has_alpha = true, .real = real};
}

const ScalarOp kTable[] = {
    numeric(
        "neg", 1, [](double a, double) { return -a; }, [](Wide a, Wide) { return -a; }, kSumOfOne),
    numeric(
        "abs", 1, [](double a, double) { return std::fabs(a); },
        [](Wide a, Wide) { return a < 0 ? -a : a; }),
    numeric("sign", 1, sign, [](Wide a, Wide) { return Wide((a > 0) - (a < 0)); }),
    numeric(
        "relu", 1, [](double a, double) { return a < 0 ? 0 : a; },
        [](Wide a, Wide) { return a < 0 ? 0 : a; }),
    unary("exp", [](double a, double) { return std::exp(a); }),
    unary("log", [](double a, double) { return std::log(a); }),
    unary("sqrt", [](double a, double) { return std::sqrt(a); }),
    unary("rsqrt", [](double a, double) { return 1 / std::sqrt(a); }),
    unary("reciprocal", [](double a, double) { return 1 / a; }),
    unary("tanh", [](double a, double) { return std::tanh(a); }),
    unary("erf", [](double a, double) { return std::erf(a); }),
    unary("sigmoid", sigmoid),
    unary("sin", [](double a, double) { return std::sin(a); }),
    unary("cos", [](double a, double) { return std::cos(a); }),
    unary("tan", [](double a, double) { return std::tan(a); }),
    unary("asin", [](double a, double) { return std::asin(a); }),
    unary("acos", [](double a, double) { return std::acos(a); }),
    unary("atan", [](double a, double) { return std::atan(a); }),
    unary("sinh", [](double a, double) { return std::sinh(a); }),
    unary("cosh", [](double a, double) { return std::cosh(a); }),
    unary("asinh", [](double a, double) { return std::asinh(a); }),
    unary("acosh", [](double a, double) { return std::acosh(a); }),
    unary("atanh", [](double a, double) { return std::atanh(a); }),
    unary("floor", [](double a, double) { return std::floor(a); }),
    unary("ceil", [](double a, double) { return std::ceil(a); }),
    // Halves go to the even neighbour.
    unary("round", [](double a, double) { return std::nearbyint(a); }),
    unary("gelu", gelu),
    unary("gelu_tanh", gelu_tanh),
    unary("silu", [](double a, double b) { return a * sigmoid(a, b); }),
    unary("hard_swish", hard_swish),
    unary("softplus", softplus),
    {.name = "is_nan",
     .to_bool = true,
     .real = [](double a, double) { return std::isnan(a) ? 1.0 : 0.0; }},
    with_alpha("leaky_relu", [](double a, double alpha) { return a < 0 ? alpha * a : a; }),
    with_alpha("elu", [](double a, double alpha) { return a < 0 ? alpha * std::expm1(a) : a; }),
    with_alpha("hard_sigmoid", hard_sigmoid),
    logical("not", 1, [](Wide a, Wide) { return Wide(a == 0); }),
    numeric(
        "add", 2, [](double a, double b) { return a + b; }, [](Wide a, Wide b) { return a + b; },
        kSumOfBoth),
    numeric(
        "sub", 2, [](double a, double b) { return a - b; }, [](Wide a, Wide b) { return a - b; },
        kSumOfBoth),
    numeric(
        "mul", 2, [](double a, double b) { return a * b; }, wide_mul, kSumOfEither),
    numeric(
        "div", 2, [](double a, double b) { return a / b; }, wide_div, kSumOfDividend),
    numeric(
        "pow", 2, [](double a, double b) { return std::pow(a, b); }, wide_pow),
    numeric(
        "min", 2, real_min, [](Wide a, Wide b) { return std::min(a, b); }, kMinOfBoth),
    numeric(
        "max", 2, real_max, [](Wide a, Wide b) { return std::max(a, b); }, kMaxOfBoth),
    // Of floating types as C's fmod: the sign is the dividend's.
    numeric(
        "mod", 2, [](double a, double b) { return std::fmod(a, b); }, wide_mod),
    logical("and", 2, [](Wide a, Wide b) { return Wide(a != 0 && b != 0); }),
    logical("or", 2, [](Wide a, Wide b) { return Wide(a != 0 || b != 0); }),
    logical("xor", 2, [](Wide a, Wide b) { return Wide((a != 0) != (b != 0)); }),
    bitwise("bit_not", 1, [](Wide a, Wide) { return ~a; }),
    bitwise("bit_and", 2, [](Wide a, Wide b) { return a & b; }),
    bitwise("bit_or", 2, [](Wide a, Wide b) { return a | b; }),
    bitwise("bit_xor", 2, [](Wide a, Wide b) { return a ^ b; }),
    bitwise("shift_left", 2, shift_left),
    bitwise("shift_right", 2, shift_right),
    comparison(
        "equal", Accepts::kAny, [](double a, double b) { return a == b ? 1.0 : 0.0; },
        [](Wide a, Wide b) { return Wide(a == b); }),
    comparison(
        "less", Accepts::kNumeric, [](double a, double b) { return a < b ? 1.0 : 0.0; },
        [](Wide a, Wide b) { return Wide(a < b); }),
    comparison(
        "less_equal", Accepts::kNumeric, [](double a, double b) { return a <= b ? 1.0 : 0.0; },
        [](Wide a, Wide b) { return Wide(a <= b); }),
    comparison(
        "greater", Accepts::kNumeric, [](double a, double b) { return a > b ? 1.0 : 0.0; },
        [](Wide a, Wide b) { return Wide(a > b); }),
    comparison(
        "greater_equal", Accepts::kNumeric, [](double a, double b) { return a >= b ? 1.0 : 0.0; },
        [](Wide a, Wide b) { return Wide(a >= b); }),
};

}  // namespace

bool ScalarOp::takes(DType type) const {
  switch (accepts) {
    case Accepts::kFloating:
      return is_floating(type);
    case Accepts::kNumeric:
      return is_floating(type) || is_integer(type);
    case Accepts::kInteger:
      return is_integer(type);
    case Accepts::kBool:
      return type == DType::kBool;
    case Accepts::kAny:
      return true;
  }
  return false;
}

std::span<const ScalarOp> scalar_ops() { return kTable; }

const ScalarOp* find_scalar_op(std::string_view name) {
  for (const ScalarOp& op : kTable) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

}  // namespace cleave::ops
