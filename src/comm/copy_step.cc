#include "comm/copy_step.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "cleave/error.h"

namespace cleave {
namespace {

// A map may cut a tensor into so many fragments and no more; sane ones stay far below.
constexpr size_t kMaxFragments = size_t{1} << 16;

bool empty(const Box& box) {
  return std::any_of(box.extent.begin(), box.extent.end(), [](int64_t e) { return e == 0; });
}

// The part of `want` that `have` covers, in `want`'s local coordinates; empty extents where none.
Box intersection(const Box& want, const Box& have) {
  Box part = want;
  for (size_t d = 0; d < want.begin.size(); ++d) {
    const int64_t begin = std::max(want.begin[d], have.begin[d]);
    const int64_t end = std::min(want.begin[d] + want.extent[d], have.begin[d] + have.extent[d]);
    part.begin[d] = begin;
    part.extent[d] = std::max<int64_t>(0, end - begin);
    part.local_begin[d] = want.local_begin[d] + (begin - want.begin[d]);
  }
  return part;
}

// Appends what is left of `whole` without its `part`: up to two slabs a dimension.
void subtract(Box whole, const Box& part, std::vector<Box>& rest) {
  const auto keep = [&rest](Box slab, size_t d, int64_t begin, int64_t end) {
    if (end <= begin) return;
    slab.local_begin[d] += begin - slab.begin[d];
    slab.begin[d] = begin;
    slab.extent[d] = end - begin;
    rest.push_back(std::move(slab));
  };
  for (size_t d = 0; d < whole.begin.size(); ++d) {
    keep(whole, d, whole.begin[d], part.begin[d]);
    keep(whole, d, part.begin[d] + part.extent[d], whole.begin[d] + whole.extent[d]);
    whole.begin[d] = part.begin[d];
    whole.extent[d] = part.extent[d];
    whole.local_begin[d] = part.local_begin[d];
  }
}

// The copy of `part` (in the destination's local coordinates) out of a peer's box `from`.
CopyStep copy_of(const Box& part, const Box& from, std::span<const int64_t> src_shape,
                 std::span<const int64_t> dst_shape, int peer) {
  CopyStep step{peer, 0, 0, 1, {}};
  int64_t src_stride = 1;
  int64_t dst_stride = 1;
  for (size_t d = part.begin.size(); d-- > 0;) {
    const int64_t src_begin = from.local_begin[d] + (part.begin[d] - from.begin[d]);
    step.src_offset += src_begin * src_stride;
    step.dst_offset += part.local_begin[d] * dst_stride;
    const bool contiguous = step.loops.empty() && step.run == src_stride && step.run == dst_stride;
    if (contiguous) {
      step.run *= part.extent[d];
    } else if (part.extent[d] != 1) {
      step.loops.push_back({part.extent[d], src_stride, dst_stride});
    }
    src_stride *= src_shape[d];
    dst_stride *= dst_shape[d];
  }
  std::reverse(step.loops.begin(), step.loops.end());
  return step;
}

// Moves what `holder` has of the boxes `wanted` from there to `steps`.
void take_from(const LocalBoxes& holder, int peer, std::span<const int64_t> dst_shape,
               std::vector<Box>& wanted, std::vector<CopyStep>& steps) {
  for (const Box& have : holder.boxes) {
    if (empty(have)) continue;
    std::vector<Box> rest;
    for (Box& want : wanted) {
      const Box part = intersection(want, have);
      if (empty(part)) {
        rest.push_back(std::move(want));
        continue;
      }
      steps.push_back(copy_of(part, have, holder.shape, dst_shape, peer));
      subtract(std::move(want), part, rest);
    }
    wanted = std::move(rest);
    if (wanted.size() + steps.size() > kMaxFragments) {
      throw Error(ErrorCode::kInvalid, "a collective's map has too many fragments");
    }
  }
}

BoxMap boxes_of(const ShardMap& map) {
  BoxMap boxes;
  for (size_t rank = 0; rank < map.pieces.size(); ++rank) {
    LocalBoxes local{{map.rows, map.local_row_elements(static_cast<int>(rank))}, {}};
    for (const Piece& piece : map.pieces[rank]) {
      local.boxes.push_back(
          {{0, piece.global_offset}, {map.rows, piece.count}, {0, piece.local_offset}});
    }
    boxes.ranks.push_back(std::move(local));
  }
  return boxes;
}

BoxMap whole_for(int rank, const ShardMap& map) {
  BoxMap boxes;
  boxes.ranks.resize(map.pieces.size(), {{0, 0}, {}});
  const std::vector<int64_t> shape = {map.rows, map.row_elements};
  boxes.ranks[static_cast<size_t>(rank)] = {shape, {{{0, 0}, shape, {0, 0}}}};
  return boxes;
}

// A run of a size known to the compiler is a move or two instead of a call.
template <size_t kBytes>
void copy_runs(const CopyStep& step, const std::byte* src, std::byte* dst, int64_t element_size) {
  for_each_run(step, [&](int64_t src_offset, int64_t dst_offset) {
    std::memcpy(dst + dst_offset * element_size, src + src_offset * element_size, kBytes);
  });
}

}  // namespace

std::vector<CopyStep> redistribute_steps(const BoxMap& src_map, const BoxMap& dst_map, int rank) {
  const LocalBoxes& local = dst_map.ranks[static_cast<size_t>(rank)];
  std::vector<Box> wanted;
  for (const Box& box : local.boxes) {
    if (!empty(box)) wanted.push_back(box);
  }
  std::vector<CopyStep> steps;
  const int ranks = static_cast<int>(src_map.ranks.size());
  take_from(src_map.ranks[static_cast<size_t>(rank)], rank, local.shape, wanted, steps);
  for (int peer = 0; peer < ranks && !wanted.empty(); ++peer) {
    if (peer == rank) continue;
    take_from(src_map.ranks[static_cast<size_t>(peer)], peer, local.shape, wanted, steps);
  }
  if (!wanted.empty()) {
    throw Error(ErrorCode::kInvalid,
                "a collective's map is invalid: no rank holds a part that "
                "rank " +
                    std::to_string(rank) + " needs");
  }
  std::stable_sort(steps.begin(), steps.end(), [&](const CopyStep& a, const CopyStep& b) {
    return (a.peer - rank + ranks) % ranks < (b.peer - rank + ranks) % ranks;
  });
  return steps;
}

std::vector<CopyStep> gather_steps(const ShardMap& map, int rank) {
  return redistribute_steps(boxes_of(map), whole_for(rank, map), rank);
}

std::vector<CopyStep> scatter_steps(const ShardMap& map, int rank) {
  std::vector<CopyStep> steps;
  const int64_t local_row = map.local_row_elements(rank);
  for (const Piece& piece : map.pieces[static_cast<size_t>(rank)]) {
    if (piece.count == 0 || map.rows == 0) continue;
    CopyStep step{rank, piece.global_offset, piece.local_offset, piece.count, {}};
    if (piece.count == map.row_elements && piece.count == local_row) {
      step.run *= map.rows;
    } else if (map.rows > 1) {
      step.loops.push_back({map.rows, map.row_elements, local_row});
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

void run_copy(const CopyStep& step, const void* src, void* dst, int64_t element_size) {
  const auto* from = static_cast<const std::byte*>(src);
  auto* to = static_cast<std::byte*>(dst);
  const size_t bytes = static_cast<size_t>(step.run * element_size);
  const bool same_strides =
      std::all_of(step.loops.begin(), step.loops.end(),
                  [](const CopyLoop& l) { return l.src_stride == l.dst_stride; });
  const bool in_place =
      from + step.src_offset * element_size == to + step.dst_offset * element_size;
  if (in_place && same_strides) return;
  switch (bytes) {
    case 1:
      return copy_runs<1>(step, from, to, element_size);
    case 2:
      return copy_runs<2>(step, from, to, element_size);
    case 4:
      return copy_runs<4>(step, from, to, element_size);
    case 8:
      return copy_runs<8>(step, from, to, element_size);
    case 16:
      return copy_runs<16>(step, from, to, element_size);
    case 32:
      return copy_runs<32>(step, from, to, element_size);
    case 64:
      return copy_runs<64>(step, from, to, element_size);
    default:
      break;
  }
  for_each_run(step, [&](int64_t src_offset, int64_t dst_offset) {
    std::memcpy(to + dst_offset * element_size, from + src_offset * element_size, bytes);
  });
}

}  // namespace cleave
