// The plain group norm.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// (x - mean) / sqrt(variance + epsilon) · scale + bias, mean and variance of each group of channels
// of each x[n]; in double, rounded once.
void reference_group_norm(const Attributes& attributes, const HostTensor& x,
                          const HostTensor& scale, const HostTensor& bias, HostTensor& y);

}  // namespace cleave::ops
