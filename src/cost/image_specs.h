// What is timed of kernels that work on images.
#pragma once

#include <vector>

#include "cost/profiler.h"

namespace cleave::cost {

// Convolutions, depthwise ones too, poolings, resizes and joins, in every format; convolutions of
// one weight come one behind the other, and grow.
std::vector<KernelSpec> image_specs();
// Of GPUs besides: convolutions of more channels, and of large windows, whose times do not follow
// from those of small ones.
std::vector<KernelSpec> large_image_specs();

}  // namespace cleave::cost
