// The plain softmax.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// In double, rounded once. A slice of only -inf gives NaN, as the formula does.
void reference_softmax(size_t axis, const HostTensor& in, HostTensor& out);

}  // namespace cleave::ops
