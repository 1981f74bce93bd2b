#include "types/pooling.h"

#include <algorithm>

namespace cleave {
namespace {

// How far an index moves with each dimension of an image of these extents.
std::array<int64_t, kMaxImageDims> strides_of(const ImageIndex& extents, bool column_major) {
  if (column_major) return {1, extents[0], extents[0] * extents[1]};
  return {extents[1] * extents[2], extents[2], 1};
}

}  // namespace

PoolGeometry::PoolGeometry(Pooling how, const Attributes& attributes, std::span<const int64_t> in,
                           std::span<const int64_t> out)
    : axes(window_axes(Window::of(attributes), in.subspan(2), out.subspan(2))),
      planes(in[0] * in[1]) {
  if (how == Pooling::kLp) power = static_cast<double>(attributes.integer("p"));
  const size_t before = axes.size() - (in.size() - 2);
  if (how == Pooling::kMaxIndex) {
    ImageIndex image = {axes[0].in, axes[1].in, axes[2].in};
    ImageIndex begin{};
    if (attributes.has("image")) {
      std::ranges::copy(attributes.integers("image"), image.begin() + before);
      std::ranges::copy(attributes.integers("begin"), begin.begin() + before);
    }
    index_strides = strides_of(image, attributes.integer("column_major", 0) != 0);
    for (size_t d = 0; d < begin.size(); ++d) index_begin += begin[d] * index_strides[d];
  }
  if (how != Pooling::kAverage) return;
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
