// What layer_norm and rms_norm share on the CPU.
#pragma once

#include "backend/cpu/simple_kernel.h"

namespace cleave::backend {

// (x - mean) / sqrt(mean of squares + epsilon) · scale + bias over the last `axes` dimensions; the
// mean is taken off where `centred`. Statistics are float32 (float64 for float64).
std::shared_ptr<const Kernel> make_normalisation(const char* op, const char* name, bool centred);

}  // namespace cleave::backend
