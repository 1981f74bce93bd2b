// Attention one row at a time, for float64.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_plain_attention();

}  // namespace cleave::backend
