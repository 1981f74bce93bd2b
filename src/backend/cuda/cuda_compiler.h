// Device code for GPUs that this machine need not have.
#pragma once

#include <memory>
#include <string_view>

#include "backend/kernel_compiler.h"

namespace cleave::backend {

// `architecture`: "sm_90". Error(kUsage) where there is no such one, or it is too old;
// Error(kInvalid) where there is no folder to keep code in.
std::unique_ptr<KernelCompiler> make_cuda_compiler(std::string_view architecture,
                                                   KernelRegistry kernels);

}  // namespace cleave::backend
