// The maps that the conformance suite of communicators tests with, and plain references for them.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/communicator_harness.h"
#include "tests/conformance/communicator_maps.h"

namespace cleave::conformance {

struct ShardCase {
  std::string name;
  ShardMap map;
};

inline std::vector<ShardCase> shard_cases(int ranks) {
  return {
      {"even", even_shard_map(1, 4 * ranks, 3, ranks)},
      {"even rows", even_shard_map(5, 2 * ranks, 8, ranks)},
      {"uneven, empty shares where there are many ranks", even_shard_map(3, 7, 5, ranks)},
      {"empty tensor", even_shard_map(4, 0, 8, ranks)},
      {"no rows", even_shard_map(0, 16, 8, ranks)},
      {"segments", dealt_segments(3, {6, 3, 17}, 4, ranks)},
      {"shared grains", shared_grains(2, 3, 16, ranks)},
      {"overlapping", overlapping(3, 41, 2, ranks)},
      {"reversed", reversed(2, 37, ranks)},
      {"all at the last rank", all_at(ranks - 1, 3, 11, ranks)},
      {"large", even_shard_map(1, 20011, 3, ranks)},
      {"long rows", even_shard_map(37, 2 * ranks, 128, ranks)},
      {"long rows of odd sizes", even_shard_map(23, 2 * ranks + 1, 111, ranks)},
      {"large rows of segments", dealt_segments(7, {1024, 513, 513}, 7, ranks)},
  };
}

// What `rank` holds of the tensor `whole`.
inline Buffer shard_of(const Buffer& whole, const ShardMap& map, int rank) {
  Buffer shard(map.local_elements(rank), whole.type());
  const int64_t local_row = map.local_row_elements(rank);
  for (int64_t row = 0; row < map.rows; ++row) {
    for (const Piece& piece : map.pieces[static_cast<size_t>(rank)]) {
      for (int64_t i = 0; i < piece.count; ++i) {
        shard.set(row * local_row + piece.local_offset + i, whole,
                  row * map.row_elements + piece.global_offset + i);
      }
    }
  }
  return shard;
}

// ---- boxes ----

struct BoxCase {
  std::string name;
  std::vector<int64_t> shape;
  BoxMap src;
  BoxMap dst;
};

inline std::vector<BoxCase> box_cases(int ranks) {
  const std::vector<int64_t> small = {5, 7, 6};
  const std::vector<int64_t> large = {33, 40, 65};
  const std::vector<int64_t> wide = {45, 1234};
  const int grid = ranks >= 4 ? 2 : 1;
  const BoxMap nothing{std::vector<LocalBoxes>(static_cast<size_t>(ranks), {{0, 0, 0}, {}})};
  return {
      {"dimension 0 to 1", small, grid_boxes(small, 0, 0, ranks, ranks),
       grid_boxes(small, 1, 1, ranks, ranks)},
      {"dimension 2 to 0", small, grid_boxes(small, 2, 2, ranks, ranks),
       grid_boxes(small, 0, 0, ranks, ranks)},
      {"grid to grid", small, grid_boxes(small, 0, 1, grid, ranks),
       grid_boxes(small, 2, 0, grid, ranks)},
      {"to a halo", small, grid_boxes(small, 1, 1, ranks, ranks),
       grid_boxes(small, 0, 0, ranks, ranks, 2)},
      {"from overlapping boxes", small, grid_boxes(small, 0, 0, ranks, ranks, 1),
       grid_boxes(small, 2, 2, ranks, ranks)},
      {"from replicas", small, replicated_boxes(small, ranks),
       grid_boxes(small, 1, 1, ranks, ranks)},
      {"to replicas", small, grid_boxes(small, 1, 1, ranks, ranks), replicated_boxes(small, ranks)},
      {"segments", small, segment_boxes(small, 2, ranks), grid_boxes(small, 0, 0, ranks, ranks)},
      {"to segments", small, grid_boxes(small, 2, 2, ranks, ranks), segment_boxes(small, 4, ranks)},
      {"nobody wants it", small, grid_boxes(small, 2, 2, ranks, ranks), nothing},
      {"scalar", {}, replicated_boxes({}, ranks), replicated_boxes({}, ranks)},
      {"large", large, grid_boxes(large, 0, 0, ranks, ranks),
       grid_boxes(large, 2, 2, ranks, ranks)},
      {"rows to columns", wide, grid_boxes(wide, 0, 0, ranks, ranks),
       grid_boxes(wide, 1, 1, ranks, ranks)},
      {"columns to rows", wide, grid_boxes(wide, 1, 1, ranks, ranks),
       grid_boxes(wide, 0, 0, ranks, ranks)},
      {"large segments", large, segment_boxes(large, 30, ranks),
       grid_boxes(large, 1, 1, ranks, ranks)},
  };
}

inline int64_t product(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

// Calls `visit(local offset, global offset)` for every element of a box.
template <class Visit>
void for_each_element(const Box& box, const std::vector<int64_t>& local_shape,
                      const std::vector<int64_t>& shape, Visit&& visit) {
  const int64_t count = product(box.extent);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    int64_t local = 0;
    int64_t global = 0;
    int64_t local_stride = 1;
    int64_t stride = 1;
    for (size_t d = shape.size(); d-- > 0;) {
      const int64_t index = rest % box.extent[d];
      rest /= box.extent[d];
      local += (box.local_begin[d] + index) * local_stride;
      global += (box.begin[d] + index) * stride;
      local_stride *= local_shape[d];
      stride *= shape[d];
    }
    visit(local, global);
  }
}

// What a rank that holds `boxes` has of the tensor `whole`.
inline Buffer boxes_of(const Buffer& whole, const std::vector<int64_t>& shape,
                       const LocalBoxes& boxes) {
  Buffer local(product(boxes.shape), whole.type());
  for (const Box& box : boxes.boxes) {
    for_each_element(box, boxes.shape, shape,
                     [&](int64_t to, int64_t from) { local.set(to, whole, from); });
  }
  return local;
}

}  // namespace cleave::conformance
