// The plain rotary embedding.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

// Rotates pairs (x1, x2) of the last dimension, which are a half apart or neighbours where
// `interleaved`, by the angles whose cosines and sines broadcast from the right.
void reference_rotary(bool interleaved, const HostTensor& x, const HostTensor& cos,
                      const HostTensor& sin, HostTensor& out);

}  // namespace cleave::ops
