// What ranks hold of a tensor, and the tensor that their parts make.
#pragma once

#include <string>
#include <vector>

#include "layout/layout.h"
#include "types/host_tensor.h"

namespace cleave::testing {

// The part of `whole` that a shard of dimension `dim` puts on `rank`; `cut` has its sizes in
// numbers.
HostTensor shard_of(const HostTensor& whole, size_t dim, const layout::Cut& cut, int64_t rank,
                    int64_t ranks);

// `ranks` terms of which `whole` is the reduction. Sums are made with integer terms, so that they
// are exact for small integers.
std::vector<HostTensor> terms_of(const HostTensor& whole, ReduceOp reduce, int64_t ranks,
                                 uint64_t seed);

// The whole tensor of `shape` that the parts make as `placement` says. What is wrong with the parts
// (wrong sizes, elements that nobody holds or that two ranks hold differently) is added to
// `problems`.
HostTensor assemble(const layout::Placement& placement, const std::vector<HostTensor>& parts,
                    const std::vector<int64_t>& shape, std::vector<std::string>& problems);

}  // namespace cleave::testing
