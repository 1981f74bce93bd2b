// The kernels of element-wise chains on GPUs, for ops that put a chain behind their own work.
#pragma once

#include <memory>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

std::vector<std::shared_ptr<const Kernel>> make_elementwise_cuda();

}  // namespace cleave::backend
