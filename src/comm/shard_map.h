// Which rank holds which elements of a tensor, as collectives need to know it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cleave {

// A run of elements inside a row: at `global_offset` of the whole tensor's row and at
// `local_offset` of the holder's row.
struct Piece {
  int64_t global_offset = 0;
  int64_t local_offset = 0;
  int64_t count = 0;
  bool operator==(const Piece&) const = default;
};

// A dense tensor cut along one dimension. It is `rows` rows (the product of the dimensions before
// the cut one) of `row_elements` elements (the cut dimension times those after it); every row is
// cut alike. A rank may hold several pieces or none, and several ranks may hold the same elements.
// A rank's local tensor is dense too: `rows` rows of `local_row_elements(rank)` elements.
struct ShardMap {
  int64_t rows = 1;
  int64_t row_elements = 0;
  std::vector<std::vector<Piece>> pieces;  // by rank

  // The end of the rank's last piece in its local row.
  int64_t local_row_elements(int rank) const;
  int64_t elements() const { return rows * row_elements; }
  int64_t local_elements(int rank) const { return rows * local_row_elements(rank); }

  // Error(kInvalid) unless the map is for `ranks` ranks, every piece lies inside the row, and no
  // size in bytes (of elements of `element_size` bytes) leaves the range of int64_t.
  void validate(int ranks, int64_t element_size) const;

  bool operator==(const ShardMap&) const = default;
};

// The map of a dimension of `extent` that is dealt out in contiguous shares, rank r of N from
// ⌊r·extent/N⌋ to ⌊(r+1)·extent/N⌋; `inner` elements lie behind each index of the dimension.
ShardMap even_shard_map(int64_t rows, int64_t extent, int64_t inner, int ranks);

// A box of a tensor: `extent` indices from `begin` on in each dimension, lying at `local_begin` of
// the holder's local tensor.
struct Box {
  std::vector<int64_t> begin;
  std::vector<int64_t> extent;
  std::vector<int64_t> local_begin;
  bool operator==(const Box&) const = default;
};

// What one rank holds: boxes packed into a dense row-major local tensor of `shape`.
struct LocalBoxes {
  std::vector<int64_t> shape;
  std::vector<Box> boxes;
  bool operator==(const LocalBoxes&) const = default;
};

// What each rank holds of a tensor that may be cut along several dimensions.
struct BoxMap {
  std::vector<LocalBoxes> ranks;

  // Error(kInvalid) unless the map is for `count` ranks, every box lies inside `shape` and inside
  // its local tensor, and no size in bytes leaves the range of int64_t.
  void validate(int count, std::span<const int64_t> shape, int64_t element_size) const;

  bool operator==(const BoxMap&) const = default;
};

}  // namespace cleave
