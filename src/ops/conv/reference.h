// The plain convolution.
#pragma once

#include "types/attributes.h"
#include "types/host_tensor.h"

namespace cleave::ops {

// x [n, c, ...], w [o, c / groups, ...] → y [n, o, ...]; sums in double, integers wrap around.
void reference_conv(const Attributes& attributes, const HostTensor& x, const HostTensor& w,
                    HostTensor& y);

}  // namespace cleave::ops
