// How a reduction is shared out: each rank reduces its slice.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cleave {

// Slices start at multiples of this many elements, so that no two ranks write to one cache line.
inline constexpr int64_t kSliceGrain = 64;

// Where rank `rank`'s slice of `count` elements begins; that of rank `ranks` is the end.
inline int64_t slice_begin(int64_t count, int rank, int ranks) {
  const int64_t grains = (count + kSliceGrain - 1) / kSliceGrain;
  // rank · grains / ranks, without a product that could overflow.
  const int64_t first = grains / ranks * rank + grains % ranks * rank / ranks;
  return std::min(count, first * kSliceGrain);
}

}  // namespace cleave
