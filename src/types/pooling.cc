#include "types/pooling.h"

namespace cleave {

PoolGeometry::PoolGeometry(Pooling how, const Attributes& attributes, std::span<const int64_t> in,
                           std::span<const int64_t> out)
    : axes(window_axes(Window::of(attributes), in.subspan(2), out.subspan(2))),
      planes(in[0] * in[1]) {
  if (how == Pooling::kLp) power = static_cast<double>(attributes.integer("p"));
  if (how == Pooling::kMaxIndex && attributes.integer("column_major", 0) != 0) {
    index_strides = {1, axes[0].in, axes[0].in * axes[1].in};
  } else {
    index_strides = {axes[1].in * axes[2].in, axes[2].in, 1};
  }
  if (how != Pooling::kAverage) return;
  const size_t before = axes.size() - (in.size() - 2);
  for (size_t d = 0; d < axes.size(); ++d) {
    WindowAxis counted = axes[d];
    if (d >= before) {
      const int64_t low = attributes.integers("counted_low")[d - before];
      counted.low -= low;
      counted.in += low + attributes.integers("counted_high")[d - before];
    }
    for (int64_t at = 0; at < counted.out; ++at) counts[d].push_back(counted.taps(at).size());
  }
}

}  // namespace cleave
