#include "ops/indexed_elements/reference.h"

#include <cstring>

#include "ops/indexing.h"

namespace cleave::ops {
namespace {

// The element of `data` that index number `i` names; -1: none.
int64_t element_of(const AxisView& data, const IndexRange& range, const HostTensor& indices,
                   size_t axis, int64_t i) {
  const int64_t position = range.position(indices.get_integer(i));
  if (position < 0) return -1;
  const int64_t outer = i / (indices.shape[axis] * data.inner);
  return data.index(outer, position, i % data.inner);
}

}  // namespace

void reference_gather_elements(const Attributes& attributes, const HostTensor& data,
                               const HostTensor& indices, HostTensor& out) {
  const auto axis = static_cast<size_t>(attributes.integer("axis"));
  const AxisView view(data.shape, axis);
  const IndexRange range = IndexRange::of(attributes, view.extent);
  const size_t size = size_of(data.dtype);
  for (int64_t i = 0; i < indices.elements(); ++i) {
    const int64_t from = element_of(view, range, indices, axis, i);
    std::byte* into = out.bytes.data() + static_cast<size_t>(i) * size;
    if (from < 0) {
      std::memset(into, 0, size);
    } else {
      std::memcpy(into, data.bytes.data() + static_cast<size_t>(from) * size, size);
    }
  }
}

void reference_scatter_elements(const Attributes& attributes, const HostTensor& data,
                                const HostTensor& indices, const HostTensor& updates,
                                HostTensor& out) {
  const auto axis = static_cast<size_t>(attributes.integer("axis"));
  const AxisView view(data.shape, axis);
  const IndexRange range = IndexRange::of(attributes, view.extent);
  const auto target = [&](int64_t i) { return element_of(view, range, indices, axis, i); };
  reference_scatter(scatter_reduction(attributes), data, updates, target, out);
}

}  // namespace cleave::ops
