// The plain arg_max and arg_min.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// The index of the first largest (or smallest) element along `axis`; NaN counts as the extreme, and
// an empty axis gives 0.
void reference_arg_extreme(bool largest, size_t axis, const HostTensor& in, HostTensor& out);

}  // namespace cleave::ops
