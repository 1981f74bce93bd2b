// "max_pool.windows" and the like: poolings of every type and geometry.
#pragma once

#include <memory>

#include "backend/kernel.h"
#include "types/pooling.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_windows_pool(const char* op, Pooling how);

}  // namespace cleave::backend
