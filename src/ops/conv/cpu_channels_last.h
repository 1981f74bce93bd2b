// "conv.channels_last" and "conv.depthwise_channels_last": float32 convolutions of images whose
// channels lie innermost in memory.
#pragma once

#include <memory>

#include "backend/kernel.h"

namespace cleave::backend {

std::shared_ptr<const Kernel> make_channels_last_conv();
std::shared_ptr<const Kernel> make_channels_last_depthwise_conv();

}  // namespace cleave::backend
