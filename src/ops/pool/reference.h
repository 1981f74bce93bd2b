// The plain pooling.
#pragma once

#include "ops/definition.h"
#include "types/pooling.h"

namespace cleave::ops {

// Of windows that see nothing of the image: the least value, index 0, average 0, norm 0. NaN counts
// as the maximum; of equal ones the first has the index.
void reference_pool(Pooling how, const Attributes& attributes, const HostTensor& x, HostTensor& y);

}  // namespace cleave::ops
