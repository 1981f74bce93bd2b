// Arithmetic that all kernels share: the types they accumulate in, reductions, and tensors seen
// around one dimension.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "types/host_tensor.h"
#include "types/reduce_op.h"

namespace cleave {

template <class T>
inline constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
inline constexpr bool kIsFloating = kIsHalf<T> || std::is_floating_point_v<T>;

// Calls f.template operator()<T>() with the C++ type of a floating `type`.
template <class F>
void dispatch_floating(DType type, F&& f) {
  CLEAVE_CHECK(is_floating(type), "a type that is not floating");
  dispatch_dtype(type, [&]<class T>() {
    if constexpr (kIsFloating<T>) f.template operator()<T>();
  });
}

// What a long sum of T is accumulated in: integers wrap around, floating point is rounded once.
template <class T>
using Wide = std::conditional_t<kIsFloating<T>, double, T>;
// What terms of T from several ranks are combined in.
template <class T>
using Term = std::conditional_t<kIsHalf<T>, float, T>;

// `value` as the arithmetic type A, and back.
template <class A, class T>
A widened(T value) {
  if constexpr (kIsHalf<T>) {
    return static_cast<A>(static_cast<float>(value));
  } else {
    return static_cast<A>(value);
  }
}
template <class T, class A>
T narrowed(A value) {
  if constexpr (kIsHalf<T>) {
    return T(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

// The value that leaves every other unchanged.
template <class A>
A identity(ReduceOp op) {
  using Limits = std::numeric_limits<A>;
  switch (op) {
    case ReduceOp::kSum:
      return A{0};
    case ReduceOp::kProd:
      return A{1};
    case ReduceOp::kMax:
      return Limits::has_infinity ? static_cast<A>(-Limits::infinity()) : Limits::lowest();
    case ReduceOp::kMin:
      return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
  internal_error("no such reduction", __FILE__, __LINE__);
}

// Integers wrap around; max and min give NaN where either is NaN; on booleans sum and max are
// "or", prod and min "and".
template <ReduceOp kOp, class A>
A combine(A a, A b) {
  if constexpr (std::is_same_v<A, bool>) {
    return kOp == ReduceOp::kSum || kOp == ReduceOp::kMax ? a | b : a & b;
  } else if constexpr (kOp == ReduceOp::kMax || kOp == ReduceOp::kMin) {
    if constexpr (std::is_floating_point_v<A>) {
      if (std::isnan(a)) return a;
    }
    return (kOp == ReduceOp::kMax ? a > b : a < b) ? a : b;
  } else if constexpr (std::is_integral_v<A>) {
    const auto x = static_cast<uint64_t>(a);
    const auto y = static_cast<uint64_t>(b);
    return static_cast<A>(kOp == ReduceOp::kSum ? x + y : x * y);
  } else {
    return kOp == ReduceOp::kSum ? a + b : a * b;
  }
}

// Calls f<op>(), for loops that are compiled for each reduction.
template <class F>
decltype(auto) dispatch_reduction(ReduceOp op, F&& f) {
  switch (op) {
    case ReduceOp::kSum:
      return f.template operator()<ReduceOp::kSum>();
    case ReduceOp::kMax:
      return f.template operator()<ReduceOp::kMax>();
    case ReduceOp::kMin:
      return f.template operator()<ReduceOp::kMin>();
    case ReduceOp::kProd:
      return f.template operator()<ReduceOp::kProd>();
  }
  internal_error("no such reduction", __FILE__, __LINE__);
}

template <class A>
A combine(ReduceOp op, A a, A b) {
  return dispatch_reduction(op, [&]<ReduceOp kOp>() { return combine<kOp>(a, b); });
}

// All elements as doubles, and back, rounded once to the type of `into`.
inline std::vector<double> doubles_of(const HostTensor& tensor) {
  std::vector<double> values(static_cast<size_t>(tensor.elements()));
  dispatch_dtype(tensor.dtype, [&]<class T>() {
    const auto data = tensor.data<T>();
    for (size_t i = 0; i < values.size(); ++i) values[i] = widened<double>(data[i]);
  });
  return values;
}
inline void set_doubles(HostTensor& into, const std::vector<double>& values) {
  for (size_t i = 0; i < values.size(); ++i) into.set(static_cast<int64_t>(i), values[i]);
}

// A tensor seen as outer × extent × inner around one of its dimensions.
struct AxisView {
  int64_t outer = 1;
  int64_t extent = 1;
  int64_t inner = 1;

  AxisView(const std::vector<int64_t>& shape, size_t axis) : extent(shape.at(axis)) {
    for (size_t d = 0; d < axis; ++d) outer *= shape[d];
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= shape[d];
  }
  int64_t index(int64_t o, int64_t e, int64_t i) const { return (o * extent + e) * inner + i; }
};

}  // namespace cleave
