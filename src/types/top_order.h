// The order in which top_k takes elements, for its plain and its fast kernel.
#pragma once

#include "types/arithmetic.h"

namespace cleave {

// Whether `a` is taken before `b`, both of one line; NaN counts as larger than every number, and of
// equals the one that comes first is taken.
template <class T>
struct TopOrder {
  const T* line;
  int64_t stride;
  bool largest;

  bool operator()(int64_t a, int64_t b) const {
    const auto x = widened<Term<T>>(line[a * stride]);
    const auto y = widened<Term<T>>(line[b * stride]);
    if constexpr (kIsFloating<T>) {
      const bool is_x_nan = std::isnan(x);
      const bool is_y_nan = std::isnan(y);
      if (is_x_nan || is_y_nan) {
        return is_x_nan == is_y_nan ? a < b : is_x_nan == largest;
      }
    }
    if (x == y) return a < b;
    return largest ? x > y : x < y;
  }
};

}  // namespace cleave
