#include "ops/gather/reference.h"

#include <cstring>

#include "types/indexing.h"

namespace cleave::ops {

void reference_gather(const Attributes& attributes, const HostTensor& data,
                      const HostTensor& indices, HostTensor& out) {
  const AxisView view(data.shape, static_cast<size_t>(attributes.integer("axis")));
  const IndexRange range = IndexRange::of(attributes, view.extent);
  if (out.elements() == 0) return;
  const int64_t count = indices.elements();
  const size_t row = static_cast<size_t>(view.inner) * size_of(data.dtype);
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = range.position(indices.get_integer(i));
      std::byte* into = out.bytes.data() + static_cast<size_t>(o * count + i) * row;
      if (index < 0) {
        std::memset(into, 0, row);
      } else {
        std::memcpy(into, data.bytes.data() + static_cast<size_t>(o * view.extent + index) * row,
                    row);
      }
    }
  }
}

}  // namespace cleave::ops
