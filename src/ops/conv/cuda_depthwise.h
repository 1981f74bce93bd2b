// "conv.depthwise": convolutions of one channel a group, whose channels lie innermost.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_depthwise_conv_cuda();

}  // namespace cleave::backend
