// Maps of who holds what, as tests and benchmarks of communicators need them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "comm/shard_map.h"

namespace cleave::conformance {

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

}  // namespace cleave::conformance
