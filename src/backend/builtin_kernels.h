// The kernels that are built in, by backend: lists that cmake/CleaveKernels.cmake writes from the
// folders of src/ops.
#pragma once

#include "backend/kernel.h"

namespace cleave::backend {

KernelRegistry builtin_cpu_kernels();
KernelRegistry builtin_cuda_kernels();  // part of the CUDA backend's library alone

}  // namespace cleave::backend
