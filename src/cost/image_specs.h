// What is timed of kernels that work on images.
#pragma once

#include <vector>

#include "cost/profiler.h"

namespace cleave::cost {

// Convolutions, depthwise ones too, and poolings, in every format; those that grow come one behind
// the other.
std::vector<KernelSpec> image_specs();

}  // namespace cleave::cost
