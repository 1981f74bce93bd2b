// The plain attention.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// softmax(scale · q kᵀ + mask) v in double, rounded once; `mask` is null where absent. A query none
// of whose columns is visible (masked, or a score of -inf) gives zeros.
void reference_attention(const Attributes& attributes, const HostTensor& q, const HostTensor& k,
                         const HostTensor& v, const HostTensor* mask, HostTensor& out);

}  // namespace cleave::ops
