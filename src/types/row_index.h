// RowIndex: tuples of indices that name rows of a tensor, as gather_nd and scatter_nd take them.
#pragma once

#include <span>

#include "types/indexing.h"

namespace cleave {

// Data [batch.., d1, .., dk, row..] and indices [batch.., items.., k]: each tuple of k indices
// names a row in its own batch. Where the attributes `offset` and `total` are there, they hold of
// each indexed dimension of data what IndexRange says.
struct RowIndex {
  std::vector<IndexRange> ranges;  // of d1, .., dk
  int64_t batches = 1;
  int64_t rows = 1;   // of one batch of data: d1 · .. · dk
  int64_t items = 1;  // tuples of one batch
  int64_t inner = 1;  // elements of a row

  RowIndex(const Attributes& attributes, const std::vector<int64_t>& data,
           const std::vector<int64_t>& indices) {
    const auto batch_dims = static_cast<size_t>(attributes.integer("batch_dims", 0));
    const size_t depth = static_cast<size_t>(indices.back());
    for (size_t d = 0; d < data.size(); ++d) {
      const bool is_batch = d < batch_dims;
      const bool is_indexed = !is_batch && d < batch_dims + depth;
      (is_batch ? batches : is_indexed ? rows : inner) *= data[d];
      if (is_indexed) ranges.push_back({data[d], 0, data[d]});
    }
    for (size_t d = 0; d < depth && attributes.has("offset"); ++d) {
      ranges[d].offset = attributes.integers("offset").at(d);
      ranges[d].total = attributes.integers("total").at(d);
    }
    for (size_t d = batch_dims; d + 1 < indices.size(); ++d) items *= indices[d];
  }

  // The row of all data that tuple number `item` of all batches names; -1 where an index is
  // outside.
  template <class I>
  int64_t row(const I* indices, int64_t item) const {
    const I* tuple = indices + item * static_cast<int64_t>(ranges.size());
    int64_t row = item / items;
    for (size_t d = 0; d < ranges.size(); ++d) {
      const int64_t position = ranges[d].position(tuple[d]);
      if (position < 0) return -1;
      row = row * ranges[d].extent + position;
    }
    return row;
  }
};

}  // namespace cleave
