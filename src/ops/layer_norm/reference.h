// The plain normalisation of layer_norm and rms_norm.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// x / sqrt(mean of x² + epsilon) · scale + bias over the last `axes` dimensions, where `centred` of
// x - mean instead of x; in double, rounded once. `scale` and `bias` are null where absent.
void reference_normalisation(const Attributes& attributes, bool centred, const HostTensor& x,
                             const HostTensor* scale, const HostTensor* bias, HostTensor& out);

}  // namespace cleave::ops
