#include "ops/arg_extreme/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

// Whether `a` replaces `b` as the extreme.
template <class T>
bool beats(bool largest, T a, T b) {
  if constexpr (kIsFloating<T>) {
    const auto x = widened<double>(a);
    const auto y = widened<double>(b);
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(y);
    return largest ? x > y : x < y;
  } else {
    return largest ? a > b : a < b;
  }
}

}  // namespace

void reference_arg_extreme(bool largest, size_t axis, const HostTensor& in, HostTensor& out) {
  const AxisView view(in.shape, axis);
  dispatch_dtype(in.dtype, [&]<class T>() {
    const auto x = in.data<T>();
    for (int64_t o = 0; o < view.outer; ++o) {
      for (int64_t i = 0; i < view.inner; ++i) {
        int64_t best = 0;
        for (int64_t e = 1; e < view.extent; ++e) {
          if (beats<T>(largest, x[view.index(o, e, i)], x[view.index(o, best, i)])) best = e;
        }
        out.set_integer(o * view.inner + i, best);
      }
    }
  });
}

}  // namespace cleave::ops
