// Chains of element-wise operations on GPUs, for kernels of other ops that have one behind them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "backend/kernel.h"

namespace cleave::backend {

// `problem` is one of fused_elementwise.
std::optional<std::string> refuse_elementwise(const KernelProblem& problem);
std::unique_ptr<PreparedKernel> prepare_elementwise(const KernelProblem& problem,
                                                    CudaDevice& device);

}  // namespace cleave::backend
