// The plain resize.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// One dimension after the other; in double, rounded once. Nearest elements are copied as they are.
void reference_resize(const Attributes& attributes, const HostTensor& x, HostTensor& y);

}  // namespace cleave::ops
