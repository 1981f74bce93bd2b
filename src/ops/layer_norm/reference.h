// The plain layer normalisation.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// (x - mean) / sqrt(variance + epsilon) · scale + bias in double, rounded once; null where absent.
void reference_layer_norm(const Attributes& attributes, const HostTensor& x,
                          const HostTensor* scale, const HostTensor* bias, HostTensor& out);

}  // namespace cleave::ops
