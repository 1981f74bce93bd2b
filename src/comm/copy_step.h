// The copies that bring a tensor from one distribution to another, as one rank sees them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/shard_map.h"

namespace cleave {

// One loop around the contiguous runs of a copy; strides in elements.
struct CopyLoop {
  int64_t count = 0;
  int64_t src_stride = 0;
  int64_t dst_stride = 0;
};

// A strided copy of runs of `run` elements out of rank `peer`'s memory; offsets in elements.
struct CopyStep {
  int peer = 0;
  int64_t src_offset = 0;
  int64_t dst_offset = 0;
  int64_t run = 0;
  std::vector<CopyLoop> loops;  // outermost first; none for a single run
};

// What `rank` copies so that it holds its boxes of `dst_map`. Every element is copied once: from
// this rank's own boxes where it has it, else from the lowest rank that does. Steps start at this
// rank and go round, so that ranks do not all read from the same one at once. The maps are valid
// for `shape`. Error(kInvalid) where no rank holds a wanted element.
std::vector<CopyStep> redistribute_steps(const BoxMap& src_map, const BoxMap& dst_map, int rank);

// The same for a `rank` that wants the whole tensor, dense.
std::vector<CopyStep> gather_steps(const ShardMap& map, int rank);

// What `rank` takes of a whole tensor so that it holds its pieces, one step a piece.
std::vector<CopyStep> scatter_steps(const ShardMap& map, int rank);

// Calls `run(src_offset, dst_offset)`, in elements, for every contiguous run of the step.
template <class Run>
void for_each_run(const CopyStep& step, Run&& run);

// Carries out a step. `src` and `dst` are the start of the peer's and of this rank's tensor. A run
// that lies in its place already is left alone.
void run_copy(const CopyStep& step, const void* src, void* dst, int64_t element_size);

// ---- implementation ----

template <class Run>
void for_each_run(std::span<const CopyLoop> loops, int64_t src_offset, int64_t dst_offset,
                  Run& run) {
  if (loops.empty()) {
    run(src_offset, dst_offset);
    return;
  }
  const CopyLoop& loop = loops.front();
  for (int64_t i = 0; i < loop.count; ++i) {
    for_each_run(loops.subspan(1), src_offset + i * loop.src_stride,
                 dst_offset + i * loop.dst_stride, run);
  }
}

template <class Run>
void for_each_run(const CopyStep& step, Run&& run) {
  for_each_run(std::span<const CopyLoop>(step.loops), step.src_offset, step.dst_offset, run);
}

}  // namespace cleave
