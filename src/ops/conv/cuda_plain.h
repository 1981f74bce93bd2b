// "conv.plain": convolutions of every type and geometry, computed as they are written.
#pragma once

#include <optional>
#include <string>

#include "backend/cuda/simple_kernel.h"

namespace cleave::backend {

std::optional<std::string> refuse_plain_conv(const KernelProblem& problem);
// The weights that it is run with lie in `weights`, whatever the problem says.
CudaRun prepare_plain_conv(const KernelProblem& problem, CudaDevice& device,
                           Format weights = Format::kRowMajor);

}  // namespace cleave::backend
