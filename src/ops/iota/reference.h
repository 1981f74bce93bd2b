// The plain iota.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// Every element is its index along `axis`, plus `offset`.
void reference_iota(size_t axis, int64_t offset, HostTensor& out);

}  // namespace cleave::ops
