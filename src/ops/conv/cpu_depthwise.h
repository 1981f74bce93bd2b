// "conv.depthwise": convolutions in which each output channel sees one channel.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_depthwise_conv();

}  // namespace cleave::backend
