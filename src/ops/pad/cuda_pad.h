// Padding on GPUs, for kernels of other ops that have to pad an operand first.
#pragma once

#include "backend/cuda/simple_kernel.h"

namespace cleave::backend {

// A problem of pad whose attributes may crop as well: `low` may be below 0, and the result may be
// shorter than operand and padding are.
CudaRun prepare_pad(const KernelProblem& problem, CudaDevice& device);

}  // namespace cleave::backend
