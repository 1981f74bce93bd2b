// The plain matrix product.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// a [.., m, k] times b [.., k, n] or [k, n]; sums in double, integers wrap around.
void reference_matmul(const Attributes& attributes, const HostTensor& a, const HostTensor& b,
                      HostTensor& out);

}  // namespace cleave::ops
