// "group_norm.channels_last": group norm on GPUs where channels lie innermost.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_channels_last_group_norm_cuda();

}  // namespace cleave::backend
