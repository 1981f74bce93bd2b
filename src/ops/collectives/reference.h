// The plain collectives: what every rank ends with, from what every rank began with.
#pragma once

#include <span>
#include <vector>

#include "types/cut.h"
#include "types/host_tensor.h"
#include "types/reduce_op.h"

namespace cleave::ops {

// Sizes of cuts are numbers here. Inputs and results are by rank.
using ByRank = std::span<const HostTensor* const>;

// What `rank` holds of `whole` when dimension `axis` is cut.
HostTensor reference_shard(const HostTensor& whole, size_t axis, const layout::Cut& cut,
                           int64_t rank, int64_t ranks);
// The same of every rank.
std::vector<HostTensor> reference_shards(const HostTensor& whole, size_t axis,
                                         const layout::Cut& cut, int64_t ranks);
// The whole that the ranks' parts make; elements that several hold are taken from the lowest.
HostTensor reference_gather_shards(ByRank parts, size_t axis, const layout::Cut& cut);
// The terms combined in the order of ranks; half types in float32, rounded once.
HostTensor reference_reduce_terms(ByRank terms, ReduceOp op);

}  // namespace cleave::ops
