#include "ops/softmax/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {

void reference_softmax(size_t axis, const HostTensor& in, HostTensor& out) {
  const AxisView view(in.shape, axis);
  std::vector<double> values = doubles_of(in);
  const auto at = [&](int64_t o, int64_t e, int64_t i) -> double& {
    return values[static_cast<size_t>(view.index(o, e, i))];
  };
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      double largest = identity<double>(ReduceOp::kMax);
      for (int64_t e = 0; e < view.extent; ++e) {
        largest = combine(ReduceOp::kMax, largest, at(o, e, i));
      }
      double sum = 0;
      for (int64_t e = 0; e < view.extent; ++e) {
        at(o, e, i) = std::exp(at(o, e, i) - largest);
        sum += at(o, e, i);
      }
      for (int64_t e = 0; e < view.extent; ++e) at(o, e, i) /= sum;
    }
  }
  set_doubles(out, values);
}

}  // namespace cleave::ops
