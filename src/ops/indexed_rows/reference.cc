#include "ops/indexed_rows/reference.h"

#include <cstring>

#include "ops/indexing.h"
#include "types/row_index.h"

namespace cleave::ops {
namespace {

int64_t row_of(const RowIndex& index, const HostTensor& indices, int64_t item) {
  return dispatch_index(indices.dtype,
                        [&]<class I>() { return index.row(indices.data<I>().data(), item); });
}

}  // namespace

void reference_gather_nd(const Attributes& attributes, const HostTensor& data,
                         const HostTensor& indices, HostTensor& out) {
  const RowIndex index(attributes, data.shape, indices.shape);
  const size_t row_bytes = static_cast<size_t>(index.inner) * size_of(data.dtype);
  if (row_bytes == 0) return;
  for (int64_t item = 0; item < index.batches * index.items; ++item) {
    const int64_t row = row_of(index, indices, item);
    std::byte* into = out.bytes.data() + static_cast<size_t>(item) * row_bytes;
    if (row < 0) {
      std::memset(into, 0, row_bytes);
    } else {
      std::memcpy(into, data.bytes.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
    }
  }
}

void reference_scatter_nd(const Attributes& attributes, const HostTensor& data,
                          const HostTensor& indices, const HostTensor& updates, HostTensor& out) {
  const RowIndex index(attributes, data.shape, indices.shape);
  const auto target = [&](int64_t i) {
    const int64_t row = row_of(index, indices, i / index.inner);
    return row < 0 ? -1 : row * index.inner + i % index.inner;
  };
  reference_scatter(scatter_reduction(attributes), data, updates, target, out);
}

}  // namespace cleave::ops
