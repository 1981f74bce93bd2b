// The plain reduction.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// Reduces the dimensions `axes`; no elements give the identity. Floating point in double.
void reference_reduce(ReduceOp op, const std::vector<int64_t>& axes, const HostTensor& in,
                      HostTensor& out);

}  // namespace cleave::ops
