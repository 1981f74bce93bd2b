// The plain root mean square normalisation.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// x / sqrt(mean of x² + epsilon) · scale in double, rounded once; `scale` is null where absent.
void reference_rms_norm(const Attributes& attributes, const HostTensor& x, const HostTensor* scale,
                        HostTensor& out);

}  // namespace cleave::ops
