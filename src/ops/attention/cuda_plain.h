// "attention.plain": attention of any type, size and strides, a block for each row of queries.
#pragma once

#include <optional>
#include <string>

#include "backend/cuda/simple_kernel.h"

namespace cleave::backend {

std::optional<std::string> refuse_plain_attention(const KernelProblem& problem);
CudaRun prepare_plain_attention(const KernelProblem& problem, CudaDevice& device);

}  // namespace cleave::backend
