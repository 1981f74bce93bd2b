// "conv.cudnn": convolutions by cuDNN's older interface, or as conv.plain has them where that has
// no algorithm.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

std::optional<std::string> refuse_cudnn_conv(const KernelProblem& problem);
std::unique_ptr<PreparedKernel> prepare_cudnn_conv(const KernelProblem& problem,
                                                   KernelCache& cache);

}  // namespace cleave::backend
