// How few long lines are cut into parts, a block each, so that they fill a GPU. The cut depends on
// the shape alone: the same bits in every run and on every GPU.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cleave::backend {

struct LineSplit {
  int64_t splits = 1;  // parts of a line; none is empty
  int64_t part = 0;    // units of each but the last, which may have fewer

  // Of `lines` of `units` each: about `blocks` parts in all, at most `most` of a line.
  static LineSplit of(int64_t lines, int64_t units, int64_t blocks, int64_t most) {
    LineSplit split;
    split.splits = std::clamp<int64_t>(blocks / std::max<int64_t>(1, lines), 1,
                                       std::max<int64_t>(1, std::min(most, units)));
    split.part = (units + split.splits - 1) / split.splits;
    if (split.part > 0) split.splits = (units + split.part - 1) / split.part;
    return split;
  }
};

}  // namespace cleave::backend
