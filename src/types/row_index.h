// RowIndex: tuples of indices that name rows of a tensor, as gather_nd and scatter_nd take them.
#pragma once

#include <span>

#include "types/indexing.h"

namespace cleave {

// Data [batch.., d1, .., dk, row..] and indices [batch.., items.., k]: each tuple of k indices
// names a row in its own batch.
struct RowIndex {
  std::vector<int64_t> extents;  // d1, .., dk
  int64_t batches = 1;
  int64_t rows = 1;   // of one batch of data: d1 · .. · dk
  int64_t items = 1;  // tuples of one batch
  int64_t inner = 1;  // elements of a row

  RowIndex(const std::vector<int64_t>& data, const std::vector<int64_t>& indices,
           size_t batch_dims) {
    const size_t depth = static_cast<size_t>(indices.back());
    for (size_t d = 0; d < data.size(); ++d) {
      const bool is_batch = d < batch_dims;
      const bool is_indexed = !is_batch && d < batch_dims + depth;
      (is_batch ? batches : is_indexed ? rows : inner) *= data[d];
      if (is_indexed) extents.push_back(data[d]);
    }
    for (size_t d = batch_dims; d + 1 < indices.size(); ++d) items *= indices[d];
  }

  // The row of all data that tuple number `item` of all batches names; -1 where an index is
  // outside.
  template <class I>
  int64_t row(const I* indices, int64_t item) const {
    const I* tuple = indices + item * static_cast<int64_t>(extents.size());
    int64_t row = item / items;
    for (size_t d = 0; d < extents.size(); ++d) {
      const int64_t position = position_of(tuple[d], extents[d]);
      if (position < 0) return -1;
      row = row * extents[d] + position;
    }
    return row;
  }
};

}  // namespace cleave
