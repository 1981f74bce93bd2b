#include "ops/rotary/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

// The element of `angles` for pair `pair` of the row at `index`.
double angle_at(const HostTensor& angles, const std::vector<int64_t>& index, int64_t pair) {
  const size_t behind = index.size() - angles.shape.size();
  int64_t at = 0;
  for (size_t d = 0; d < angles.shape.size(); ++d) {
    const int64_t i = d + 1 == angles.shape.size() ? pair : index[behind + d];
    at = at * angles.shape[d] + (angles.shape[d] == 1 ? 0 : i);
  }
  return angles.get(at);
}

}  // namespace

void reference_rotary(bool interleaved, const HostTensor& x, const HostTensor& cos,
                      const HostTensor& sin, HostTensor& out) {
  if (x.elements() == 0) return;
  const int64_t depth = x.shape.back();
  const int64_t pairs = depth / 2;
  std::vector<int64_t> index(x.shape.size(), 0);
  for (int64_t row = 0; row < x.elements() / depth; ++row) {
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const int64_t first = row * depth + (interleaved ? 2 * pair : pair);
      const int64_t second = first + (interleaved ? 1 : pairs);
      const double c = angle_at(cos, index, pair);
      const double s = angle_at(sin, index, pair);
      out.set(first, x.get(first) * c - x.get(second) * s);
      out.set(second, x.get(second) * c + x.get(first) * s);
    }
    for (size_t d = index.size() - 1; d-- > 0;) {
      if (++index[d] < x.shape[d]) break;
      index[d] = 0;
    }
  }
}

}  // namespace cleave::ops
