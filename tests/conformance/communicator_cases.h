// Maps that the conformance suite of communicators tests with, and plain references for them.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/communicator_harness.h"

namespace cleave::conformance {

struct ShardCase {
  std::string name;
  ShardMap map;
};

// `rows` rows of segments, each of `extents[s]` indices of `inner` elements, each dealt out to all
// ranks; a rank's pieces lie behind each other.
inline ShardMap dealt_segments(int64_t rows, const std::vector<int64_t>& extents, int64_t inner,
                               int ranks) {
  ShardMap map{rows, 0, std::vector<std::vector<Piece>>(static_cast<size_t>(ranks))};
  std::vector<int64_t> local(static_cast<size_t>(ranks), 0);
  for (const int64_t extent : extents) {
    for (int rank = 0; rank < ranks; ++rank) {
      const int64_t begin = rank * extent / ranks;
      const int64_t count = ((rank + 1) * extent / ranks - begin) * inner;
      auto& end = local[static_cast<size_t>(rank)];
      map.pieces[static_cast<size_t>(rank)].push_back(
          {map.row_elements + begin * inner, end, count});
      end += count;
    }
    map.row_elements += extent * inner;
  }
  return map;
}

// `heads` grains of `inner` elements; where there are more ranks than grains, several ranks hold
// the same one.
inline ShardMap shared_grains(int64_t rows, int64_t heads, int64_t inner, int ranks) {
  if (ranks <= heads) return even_shard_map(rows, heads, inner, ranks);
  ShardMap map{rows, heads * inner, {}};
  for (int rank = 0; rank < ranks; ++rank) {
    map.pieces.push_back({{rank * heads / ranks * inner, 0, inner}});
  }
  return map;
}

// Every rank holds its share and `halo` elements to either side.
inline ShardMap overlapping(int64_t rows, int64_t elements, int64_t halo, int ranks) {
  ShardMap map{rows, elements, {}};
  for (int rank = 0; rank < ranks; ++rank) {
    const int64_t begin = std::max<int64_t>(0, rank * elements / ranks - halo);
    const int64_t end = std::min(elements, (rank + 1) * elements / ranks + halo);
    map.pieces.push_back({{begin, 0, end - begin}});
  }
  return map;
}

// Rank r of N holds what rank N-1-r would, and one rank in the middle all of it twice over.
inline ShardMap reversed(int64_t rows, int64_t elements, int ranks) {
  ShardMap map = even_shard_map(rows, elements, 1, ranks);
  std::reverse(map.pieces.begin(), map.pieces.end());
  map.pieces[static_cast<size_t>(ranks / 2)] = {{0, elements, elements}, {0, 0, elements}};
  return map;
}

inline ShardMap all_at(int owner, int64_t rows, int64_t elements, int ranks) {
  ShardMap map{rows, elements, std::vector<std::vector<Piece>>(static_cast<size_t>(ranks))};
  map.pieces[static_cast<size_t>(owner)] = {{0, 0, elements}};
  return map;
}

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

// The ranks as a grid over dimensions `first` and `second`: `grid` shares along the first, the rest
// of the ranks along the second; ranks beyond the grid hold nothing. Every box is widened by `halo`
// along the first.
inline BoxMap grid_boxes(const std::vector<int64_t>& shape, size_t first, size_t second, int grid,
                         int ranks, int64_t halo = 0) {
  BoxMap map;
  const int columns = ranks / grid;
  for (int rank = 0; rank < ranks; ++rank) {
    Box box{std::vector<int64_t>(shape.size(), 0), shape, std::vector<int64_t>(shape.size(), 0)};
    const auto deal = [&](size_t d, int64_t index, int64_t shares, int64_t widen) {
      const int64_t extent = shape[d];
      const int64_t begin = std::max<int64_t>(0, index * extent / shares - widen);
      const int64_t end = std::min(extent, (index + 1) * extent / shares + widen);
      box.begin[d] = begin;
      box.extent[d] = end - begin;
    };
    const bool used = rank < grid * columns;
    if (used) {
      deal(first, rank / columns, grid, halo);
      if (second != first) deal(second, rank % columns, columns, 0);
      map.ranks.push_back({box.extent, {box}});
    } else {
      map.ranks.push_back({std::vector<int64_t>(shape.size(), 0), {}});
    }
  }
  return map;
}

inline BoxMap replicated_boxes(const std::vector<int64_t>& shape, int ranks) {
  const std::vector<int64_t> origin(shape.size(), 0);
  return {std::vector<LocalBoxes>(static_cast<size_t>(ranks), {shape, {{origin, shape, origin}}})};
}

// The last dimension in two segments, each dealt out to all ranks; a rank's two boxes lie side by
// side in its local tensor.
inline BoxMap segment_boxes(const std::vector<int64_t>& shape, int64_t first_segment, int ranks) {
  BoxMap map;
  const size_t last = shape.size() - 1;
  for (int rank = 0; rank < ranks; ++rank) {
    LocalBoxes local{shape, {}};
    int64_t offset = 0;
    for (const auto& [begin, extent] : {std::pair<int64_t, int64_t>{0, first_segment},
                                        {first_segment, shape[last] - first_segment}}) {
      const int64_t from = rank * extent / ranks;
      const int64_t to = (rank + 1) * extent / ranks;
      Box box{std::vector<int64_t>(shape.size(), 0), shape, std::vector<int64_t>(shape.size(), 0)};
      box.begin[last] = begin + from;
      box.extent[last] = to - from;
      box.local_begin[last] = offset;
      offset += to - from;
      local.boxes.push_back(box);
    }
    local.shape[last] = offset;
    map.ranks.push_back(local);
  }
  return map;
}

struct BoxCase {
  std::string name;
  std::vector<int64_t> shape;
  BoxMap src;
  BoxMap dst;
};

inline std::vector<BoxCase> box_cases(int ranks) {
  const std::vector<int64_t> small = {5, 7, 6};
  const std::vector<int64_t> large = {33, 40, 65};
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
