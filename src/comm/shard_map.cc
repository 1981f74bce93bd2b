#include "comm/shard_map.h"

#include <algorithm>
#include <limits>
#include <string>

#include "cleave/error.h"

namespace cleave {
namespace {

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "a collective's map is invalid: " + what);
}

// a · b, or an error; both are at least 0.
int64_t checked_product(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0) invalid("it has a negative size");
  if (__builtin_mul_overflow(a, b, &product)) invalid("its tensor is too large");
  return product;
}

// Whether [begin, begin + count) lies in [0, size).
bool inside(int64_t begin, int64_t count, int64_t size) {
  return begin >= 0 && count >= 0 && begin <= size && count <= size - begin;
}

void validate_bytes(std::span<const int64_t> shape, int64_t element_size) {
  int64_t bytes = element_size;
  for (const int64_t extent : shape) bytes = checked_product(bytes, extent);
}

void validate_box(const Box& box, std::span<const int64_t> shape,
                  std::span<const int64_t> local_shape, int rank) {
  const size_t dims = shape.size();
  if (box.begin.size() != dims || box.extent.size() != dims || box.local_begin.size() != dims) {
    invalid("a box of rank " + std::to_string(rank) + " has not the tensor's " +
            std::to_string(dims) + " dimensions");
  }
  for (size_t d = 0; d < dims; ++d) {
    if (!inside(box.begin[d], box.extent[d], shape[d]) ||
        !inside(box.local_begin[d], box.extent[d], local_shape[d])) {
      invalid("a box of rank " + std::to_string(rank) + " lies outside of dimension " +
              std::to_string(d));
    }
  }
}

void validate_ranks(size_t got, int expected) {
  if (got != static_cast<size_t>(expected)) {
    invalid("it is for " + std::to_string(got) + " ranks, the group has " +
            std::to_string(expected));
  }
}

}  // namespace

int64_t ShardMap::local_row_elements(int rank) const {
  int64_t end = 0;
  for (const Piece& piece : pieces[static_cast<size_t>(rank)]) {
    if (piece.count > 0) end = std::max(end, piece.local_offset + piece.count);
  }
  return end;
}

void ShardMap::validate(int ranks, int64_t element_size) const {
  validate_ranks(pieces.size(), ranks);
  const int64_t shape[] = {rows, row_elements};
  validate_bytes(shape, element_size);
  for (int rank = 0; rank < ranks; ++rank) {
    for (const Piece& piece : pieces[static_cast<size_t>(rank)]) {
      if (!inside(piece.global_offset, piece.count, row_elements) ||
          !inside(piece.local_offset, piece.count, std::numeric_limits<int64_t>::max())) {
        invalid("a piece of rank " + std::to_string(rank) + " lies outside of the row");
      }
    }
    const int64_t local_shape[] = {rows, local_row_elements(rank)};
    validate_bytes(local_shape, element_size);
  }
}

void BoxMap::validate(int count, std::span<const int64_t> shape, int64_t element_size) const {
  validate_ranks(ranks.size(), count);
  validate_bytes(shape, element_size);
  for (int rank = 0; rank < count; ++rank) {
    const LocalBoxes& local = ranks[static_cast<size_t>(rank)];
    if (local.shape.size() != shape.size()) {
      invalid("the local tensor of rank " + std::to_string(rank) + " has not the tensor's " +
              std::to_string(shape.size()) + " dimensions");
    }
    validate_bytes(local.shape, element_size);
    for (const Box& box : local.boxes) validate_box(box, shape, local.shape, rank);
  }
}

ShardMap even_shard_map(int64_t rows, int64_t extent, int64_t inner, int ranks) {
  ShardMap map{rows, extent * inner, {}};
  for (int rank = 0; rank < ranks; ++rank) {
    const int64_t begin = rank * extent / ranks;
    const int64_t end = (rank + int64_t{1}) * extent / ranks;
    map.pieces.push_back({{begin * inner, 0, (end - begin) * inner}});
  }
  return map;
}

}  // namespace cleave
