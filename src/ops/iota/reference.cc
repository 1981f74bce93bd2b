#include "ops/iota/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {

void reference_iota(size_t axis, int64_t offset, HostTensor& out) {
  const AxisView view(out.shape, axis);
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t e = 0; e < view.extent; ++e) {
      for (int64_t i = 0; i < view.inner; ++i) {
        out.set_integer(view.index(o, e, i), e + offset);
      }
    }
  }
}

}  // namespace cleave::ops
