#include "backend/cpu/generic_loops.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

template <class T, class Y, class F>
void map_one(const LoopCall& call, F f) {
  const T* x = static_cast<const T*>(call.operands[0]);
  Y* y = static_cast<Y*>(call.result);
  for (int64_t i = 0; i < call.count; ++i) y[i] = f(x[i * call.steps[0]]);
}

template <class T, class Y, class F>
void map_two(const LoopCall& call, F f) {
  const T* a = static_cast<const T*>(call.operands[0]);
  const T* b = static_cast<const T*>(call.operands[1]);
  Y* y = static_cast<Y*>(call.result);
  for (int64_t i = 0; i < call.count; ++i) y[i] = f(a[i * call.steps[0]], b[i * call.steps[1]]);
}

// Integers wrap around, as unsigned arithmetic does.
template <class T, class F>
T wrapped(T a, T b, F f) {
  return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}

// Truncates; division by zero gives 0, and the lowest number over -1 wraps around.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return wrapped<T>(0, a, [](uint64_t x, uint64_t y) { return x - y; });
  }
  return static_cast<T>(a / b);
}

// The sign is the divisor's.
template <class T>
T remainder_of(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
    const T rest = static_cast<T>(a % b);
    return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  } else {
    return static_cast<T>(a % b);
  }
}

template <class T>
T power(T base, T exponent) {
  if constexpr (std::is_signed_v<T>) {
    if (exponent < 0) {
      if (base == 1) return 1;
      if (base == -1) return exponent % 2 == 0 ? 1 : -1;
      return 0;
    }
  }
  uint64_t result = 1;
  uint64_t square = static_cast<uint64_t>(base);
  for (auto left = static_cast<uint64_t>(exponent); left > 0; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

// A count outside of [0, 64) shifts every bit out.
template <class T>
T shifted(T a, T b, bool left) {
  const auto count = static_cast<int64_t>(b);
  if (count < 0 || count > 63) return left || a >= 0 ? T{0} : static_cast<T>(~T{0});
  if (left) return static_cast<T>(static_cast<uint64_t>(a) << count);
  if constexpr (std::is_signed_v<T>) return static_cast<T>(static_cast<int64_t>(a) >> count);
  return static_cast<T>(static_cast<uint64_t>(a) >> count);
}

template <class T>
GenericLoop integer_loop(std::string_view op) {
#define CLEAVE_ONE(NAME, EXPRESSION) \
  if (op == NAME)                    \
    return [](const LoopCall& call) { map_one<T, T>(call, [](T a) -> T { return EXPRESSION; }); };
#define CLEAVE_TWO(NAME, EXPRESSION)                                 \
  if (op == NAME)                                                    \
    return [](const LoopCall& call) {                                \
      map_two<T, T>(call, [](T a, T b) -> T { return EXPRESSION; }); \
    };
  CLEAVE_ONE("neg", wrapped<T>(0, a, [](uint64_t x, uint64_t y) { return x - y; }))
  CLEAVE_ONE("abs", a < 0 ? wrapped<T>(0, a, [](uint64_t x, uint64_t y) { return x - y; }) : a)
  CLEAVE_ONE("sign", static_cast<T>((a > 0) - (a < 0)))
  CLEAVE_ONE("relu", a < 0 ? T{0} : a)
  CLEAVE_TWO("add", wrapped<T>(a, b, [](uint64_t x, uint64_t y) { return x + y; }))
  CLEAVE_TWO("sub", wrapped<T>(a, b, [](uint64_t x, uint64_t y) { return x - y; }))
  CLEAVE_TWO("mul", wrapped<T>(a, b, [](uint64_t x, uint64_t y) { return x * y; }))
  CLEAVE_TWO("div", quotient(a, b))
  CLEAVE_TWO("pow", power(a, b))
  CLEAVE_TWO("min", a < b ? a : b)
  CLEAVE_TWO("max", a > b ? a : b)
  CLEAVE_TWO("mod", remainder_of(a, b))
  CLEAVE_ONE("bit_not", static_cast<T>(~a))
  CLEAVE_TWO("bit_and", static_cast<T>(a & b))
  CLEAVE_TWO("bit_or", static_cast<T>(a | b))
  CLEAVE_TWO("bit_xor", static_cast<T>(a ^ b))
  CLEAVE_TWO("shift_left", shifted(a, b, true))
  CLEAVE_TWO("shift_right", shifted(a, b, false))
  return nullptr;
}

// The functions that have no vectorised loops.
template <class T>
GenericLoop library_loop(std::string_view op) {
  CLEAVE_ONE("tan", std::tan(a))
  CLEAVE_ONE("asin", std::asin(a))
  CLEAVE_ONE("acos", std::acos(a))
  CLEAVE_ONE("atan", std::atan(a))
  CLEAVE_ONE("sinh", std::sinh(a))
  CLEAVE_ONE("cosh", std::cosh(a))
  CLEAVE_ONE("asinh", std::asinh(a))
  CLEAVE_ONE("acosh", std::acosh(a))
  CLEAVE_ONE("atanh", std::atanh(a))
  return nullptr;
}

// NaN goes through.
double clamped(double a, double high) { return a < 0 ? 0 : a > high ? high : a; }

GenericLoop double_loop(std::string_view op) {
  using T = double;
  CLEAVE_ONE("neg", -a)
  CLEAVE_ONE("abs", std::fabs(a))
  CLEAVE_ONE("sign", std::isnan(a) ? a : (a > 0) - (a < 0))
  CLEAVE_ONE("relu", a < 0 ? 0 : a)
  CLEAVE_ONE("exp", std::exp(a))
  CLEAVE_ONE("log", std::log(a))
  CLEAVE_ONE("sqrt", std::sqrt(a))
  CLEAVE_ONE("rsqrt", 1 / std::sqrt(a))
  CLEAVE_ONE("reciprocal", 1 / a)
  CLEAVE_ONE("tanh", std::tanh(a))
  CLEAVE_ONE("erf", std::erf(a))
  CLEAVE_ONE("sigmoid", 1 / (1 + std::exp(-a)))
  CLEAVE_ONE("sin", std::sin(a))
  CLEAVE_ONE("cos", std::cos(a))
  CLEAVE_ONE("floor", std::floor(a))
  CLEAVE_ONE("ceil", std::ceil(a))
  CLEAVE_ONE("round", std::nearbyint(a))
  CLEAVE_ONE("gelu", 0.5 * a * (1 + std::erf(a * M_SQRT1_2)))
  CLEAVE_ONE("gelu_tanh",
             0.5 * a * (1 + std::tanh(std::sqrt(2 / M_PI) * (a + 0.044715 * a * a * a))))
  CLEAVE_ONE("silu", a / (1 + std::exp(-a)))
  CLEAVE_ONE("hard_swish", a * (clamped(a + 3, 6) / 6))
  CLEAVE_ONE("softplus", std::fmax(a, 0.0) + std::log1p(std::exp(-std::fabs(a))))
  CLEAVE_TWO("add", a + b)
  CLEAVE_TWO("sub", a - b)
  CLEAVE_TWO("mul", a * b)
  CLEAVE_TWO("div", a / b)
  CLEAVE_TWO("pow", std::pow(a, b))
  CLEAVE_TWO("min", std::isnan(a) || a < b ? a : b)
  CLEAVE_TWO("max", std::isnan(a) || a > b ? a : b)
  CLEAVE_TWO("mod", std::fmod(a, b))
  if (op == "leaky_relu") {
    return [](const LoopCall& call) {
      map_one<T, T>(call, [&](T a) { return a < 0 ? call.alpha * a : a; });
    };
  }
  if (op == "elu") {
    return [](const LoopCall& call) {
      map_one<T, T>(call, [&](T a) { return a < 0 ? call.alpha * std::expm1(a) : a; });
    };
  }
  if (op == "hard_sigmoid") {
    return [](const LoopCall& call) {
      map_one<T, T>(call, [&](T a) { return clamped(call.alpha * a + 0.5, 1); });
    };
  }
  return library_loop<T>(op);
}
#undef CLEAVE_ONE
#undef CLEAVE_TWO

template <class T>
GenericLoop typed_compare(std::string_view op) {
#define CLEAVE_COMPARE(NAME, OPERATOR)                               \
  if (op == NAME)                                                    \
    return [](const LoopCall& call) {                                \
      map_two<T, bool>(call, [](T a, T b) { return a OPERATOR b; }); \
    };
  CLEAVE_COMPARE("equal", ==)
  CLEAVE_COMPARE("less", <)
  CLEAVE_COMPARE("less_equal", <=)
  CLEAVE_COMPARE("greater", >)
  CLEAVE_COMPARE("greater_equal", >=)
#undef CLEAVE_COMPARE
  if constexpr (std::is_same_v<T, double>) {
    if (op == "is_nan") {
      return
          [](const LoopCall& call) { map_one<T, bool>(call, [](T a) { return std::isnan(a); }); };
    }
  }
  return nullptr;
}

template <class T>
void where_of(const LoopCall& call) {
  const auto* condition = static_cast<const uint8_t*>(call.operands[0]);
  const T* a = static_cast<const T*>(call.operands[1]);
  const T* b = static_cast<const T*>(call.operands[2]);
  T* y = static_cast<T*>(call.result);
  for (int64_t i = 0; i < call.count; ++i) {
    y[i] = condition[i * call.steps[0]] != 0 ? a[i * call.steps[1]] : b[i * call.steps[2]];
  }
}

// As cleave::cast: float to integer truncates and saturates (NaN is 0), integers wrap around,
// anything that is not zero is true.
template <class From, class To>
To cast_value(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    const auto wide = static_cast<double>(value);
    using Limits = std::numeric_limits<To>;
    if (std::isnan(wide)) return 0;
    if (wide <= static_cast<double>(Limits::min())) return Limits::min();
    if (wide >= static_cast<double>(Limits::max())) return Limits::max();
    return static_cast<To>(wide);
  } else if constexpr (std::is_integral_v<From> && std::is_same_v<To, float>) {
    return static_cast<float>(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <class F>
GenericLoop dispatch_working(DType type, F&& f) {
  return dispatch_dtype(type,
                        [&]<class T>() -> GenericLoop { return f.template operator()<Term<T>>(); });
}

}  // namespace

GenericLoop arithmetic_loop(std::string_view op, DType type) {
  return dispatch_working(type, [&]<class T>() -> GenericLoop {
    if constexpr (std::is_same_v<T, double>) {
      return double_loop(op);
    } else if constexpr (std::is_same_v<T, float>) {
      return library_loop<T>(op);
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      return integer_loop<T>(op);
    } else {
      return nullptr;
    }
  });
}

GenericLoop compare_loop(std::string_view op, DType type) {
  if (type == DType::kBool && op != "equal") return nullptr;
  return dispatch_working(type, [&]<class T>() { return typed_compare<T>(op); });
}

GenericLoop where_loop(DType type) {
  return dispatch_working(type, [&]<class T>() -> GenericLoop { return where_of<T>; });
}

GenericLoop cast_loop(DType from, DType to) {
  return dispatch_working(from, [&]<class From>() -> GenericLoop {
    return dispatch_working(to, []<class To>() -> GenericLoop {
      return [](const LoopCall& call) { map_one<From, To>(call, cast_value<From, To>); };
    });
  });
}

}  // namespace cleave::backend
